//! Compiles one entity: its joins, its deletions, its confidentiality, its template.

use super::{
    World,
    head::{self, Head},
    tree::Tree,
    words::{self, Words},
};
use crate::{
    check::{self, Scope, SourceOf, Target, Typed, Use},
    deletes,
    error::Faults,
    expr::Expr,
    map::{CodeTable, Deletion, Entity, Join, Reads, Subject},
    r4::Group,
    template::Object,
    types::Type,
    yaml::{Key, Node},
};
use model::{EntityName, Means, TableName, TableSchema};
use schemas::plan::table_fingerprint;
use std::collections::{BTreeMap, BTreeSet};

/// What one entity is made with.
pub(super) struct Maker<'m, 'n> {
    pub(super) head: &'m Head<'n>,
    pub(super) tables: &'m [CodeTable],
    pub(super) targets: &'m BTreeMap<Box<str>, Target>,
    pub(super) world: World<'n>,
    pub(super) faults: &'m mut Faults,
}

/// A join with what was known of its table when it was read.
struct Joined<'n> {
    join: Join,
    schema: Option<&'n TableSchema>,
}

type Flags = Vec<(Expr, Deletion)>;

impl<'n> Maker<'_, 'n> {
    pub(super) fn make(mut self) -> Option<Entity> {
        let joins = self.joins();
        let mut sources = vec![SourceOf { alias: "", many: false, schema: self.head.schema }];
        sources.extend(joins.iter().map(|held| SourceOf {
            alias: &held.join.alias,
            many: held.join.many,
            schema: held.schema,
        }));
        let print = |schema: Option<&TableSchema>| schema.map_or_else(Default::default, table_fingerprint);
        let reads =
            sources.iter().map(|source| Reads { fingerprint: print(source.schema), columns: Vec::new() }).collect();
        let mut scope = Scope { sources, codes: self.tables, entities: self.targets, reads, refs: BTreeSet::new() };
        let subject = self.subject(&mut scope);
        let (row_means, when, flags) = self.deletions(&mut scope);
        let (to, unlabelled) = self.content(&mut scope);
        let (reads, refs) = (scope.reads, scope.refs);
        let joins: Vec<Join> = joins.into_iter().map(|held| held.join).collect();
        let root = self.head.root.clone()?;
        Some(Entity {
            columns: self.columns(&root, &joins, &reads),
            name: EntityName::from(self.head.name),
            resource_type: self.head.resource.clone()?,
            key: self.head.key.iter().map(|name| (*name).into()).collect(),
            key_version: self.head.key_version?,
            part: self.head.part.map(Into::into),
            root,
            joins,
            subject,
            unlabelled,
            row_means: row_means?,
            when,
            flags,
            reads,
            to: to?,
            refs,
        })
    }

    fn columns(&self, root: &TableName, joins: &[Join], reads: &[Reads]) -> BTreeMap<TableName, BTreeSet<Box<str>>> {
        let mut columns: BTreeMap<TableName, BTreeSet<Box<str>>> = BTreeMap::new();
        let own = columns.entry(root.clone()).or_default();
        own.extend(self.head.key.iter().map(|name| Box::from(*name)));
        own.extend(joins.iter().flat_map(|join| join.on.iter().map(|(_, root)| root.clone())));
        for join in joins {
            let held = columns.entry(join.table.clone()).or_default();
            held.extend(join.on.iter().map(|(joined, _)| joined.clone()));
            held.extend(join.order.iter().cloned());
        }
        let tables = std::iter::once(root).chain(joins.iter().map(|join| &join.table));
        for (table, reads) in tables.zip(reads) {
            columns.entry(table.clone()).or_default().extend(reads.columns.iter().map(|read| read.name.clone()));
        }
        columns
    }

    fn joins(&mut self) -> Vec<Joined<'n>> {
        let Some(node) = self.head.words.get("joins") else { return Vec::new() };
        let at = self.head.words.place("joins");
        let Some(words) = Words::of(node, at, "`joins`", self.faults) else { return Vec::new() };
        words.members.iter().filter_map(|(key, node)| self.join(key, node)).collect()
    }

    fn join(&mut self, alias: &Key, node: &'n Node) -> Option<Joined<'n>> {
        let words = Words::of(node, alias.at, &format!("join `{}`", alias.text), self.faults)?;
        words.only(&["table", "on", "many", "stale"], self.faults);
        let table = words.need("table", "name the joined table: `table: public.patient_name`", self.faults);
        let (table, schema) = table.map_or((None, None), |node| head::table(node, self.world, self.faults));
        let on = self.on(&words, schema);
        let order = words.get("many").map(|node| words::names(node, "many", self.faults));
        for (name, at) in order.iter().flatten() {
            schema.and_then(|schema| head::column(schema, name, *at, self.faults));
        }
        let stale = words.text("stale", STALE, self.faults);
        let remap = match stale {
            Some("remap") => Some(true),
            Some("allowed") => Some(false),
            Some(_) => {
                let at = words.get("stale").map_or(alias.at, |node| node.at);
                self.faults.add(at, "`stale` is neither allowed nor remap", STALE);
                None
            }
            None => None,
        };
        let join = Join {
            alias: alias.text.clone(),
            table: table.unwrap_or_else(|| TableName::from("")),
            on,
            many: order.is_some(),
            order: order.into_iter().flatten().map(|(name, _)| name.into()).collect(),
            remap: remap.unwrap_or(true),
        };
        Some(Joined { join, schema })
    }

    fn on(&mut self, words: &Words<'n>, joined: Option<&TableSchema>) -> Vec<(Box<str>, Box<str>)> {
        let remedy = "pair the joined table's columns with the root's: `on: {patient_id: patient_id}`";
        let Some(node) = words.need("on", remedy, self.faults) else { return Vec::new() };
        let Some(pairs) = Words::of(node, words.place("on"), "`on`", self.faults) else { return Vec::new() };
        if pairs.members.is_empty() {
            self.faults.add(pairs.at, "`on` is empty", remedy);
        }
        let mut found = Vec::new();
        for (key, node) in pairs.members {
            let Some(own) = words::text(node, "on", self.faults) else { continue };
            let theirs =
                joined.and_then(|schema| Some((schema, head::column(schema, &key.text, key.at, self.faults)?)));
            let ours =
                self.head.schema.and_then(|schema| Some((schema, head::column(schema, own, node.at, self.faults)?)));
            if let (Some((theirs, a)), Some((ours, b))) = (theirs, ours)
                && theirs.columns[a].ty != ours.columns[b].ty
            {
                let (a, b) = (Type::of(theirs.columns[a].ty), Type::of(ours.columns[b].ty));
                self.faults.add(key.at, format!("`{}` is {a}, `{own}` is {b}", key.text), "join columns of one type");
            }
            found.push((key.text.clone(), own.into()));
        }
        found
    }

    fn subject(&mut self, scope: &mut Scope<'_>) -> Option<Subject> {
        let node = self.head.words.get("subject")?;
        if node.scalar().is_some_and(|scalar| &*scalar.text == "self") {
            return Some(Subject::Itself);
        }
        let remedy = "write `subject: self`, or `subject: \"=ref(patient, patient_id)\"`";
        let Some((text, at)) = words::expression(node) else {
            self.faults.add(node.at, "`subject` is neither self nor a reference", remedy);
            return None;
        };
        match check::expression(text, at, scope, Use::Content(None), self.faults)?.expr {
            Expr::Ref { entity, .. } => Some(Subject::Of(entity)),
            _ => {
                self.faults.add(node.at, "`subject` is no reference", remedy);
                None
            }
        }
    }

    fn deletions(&mut self, scope: &mut Scope<'_>) -> (Option<Deletion>, Option<(Expr, Deletion)>, Flags) {
        let head = self.head;
        let when = head.words.get("when").map(|node| (node, self.truth(node, "when", scope)));
        let mut flags = Vec::new();
        if let Some(node) = head.words.get("delete_when")
            && let Some(words) = Words::of(node, head.words.place("delete_when"), "`delete_when`", self.faults)
        {
            for (key, node) in words.members {
                if matches!(&*key.text, "row" | "when") {
                    self.faults.add(
                        key.at,
                        format!("`{}` is no name for a flag", key.text),
                        "name it after its column",
                    );
                }
                flags.push((key, self.truth(node, &key.text, scope)));
            }
        }
        let means = self.head.words.get("delete_means");
        let means = match means {
            Some(node) => Words::of(node, self.head.words.place("delete_means"), "`delete_means`", self.faults),
            None => {
                let reason = format!("entity `{}` does not say what its deletions mean", self.head.name);
                self.faults.add(self.head.at, reason, format!("add `delete_means: {{row: ..}}`: {MEANS}"));
                None
            }
        };
        let Some(means) = means else { return (None, None, Vec::new()) };
        let mut known = vec!["row"];
        known.extend(when.is_some().then_some("when"));
        known.extend(flags.iter().map(|(key, _)| &*key.text).filter(|name| !matches!(*name, "row" | "when")));
        means.only(&known, self.faults);
        let row = self.deletion(&means, "row");
        let when = when.and_then(|(_, truth)| {
            let deletion = self.deletion(&means, "when");
            Some((truth?, deletion?))
        });
        let flags = flags.into_iter().filter_map(|(key, truth)| {
            let deletion = self.deletion(&means, &key.text);
            Some((truth?, deletion?))
        });
        let flags = flags.collect();
        (row, when, flags)
    }

    fn truth(&mut self, node: &Node, name: &str, scope: &mut Scope<'_>) -> Option<Expr> {
        let Some((text, at)) = words::expression(node) else {
            self.faults.add(node.at, format!("`{name}` is no expression"), "begin it with `=`: `\"=voided\"`");
            return None;
        };
        let Typed { expr, ty, .. } = check::expression(text, at, scope, Use::Control, self.faults)?;
        if ty != Type::Bool {
            self.faults.add(at, format!("`{name}` takes bool, this is {ty}"), "compare it: `\"=voided == 'Y'\"`");
            return None;
        }
        Some(expr)
    }

    fn deletion(&mut self, means: &Words<'_>, line: &str) -> Option<Deletion> {
        let text = means.text(line, &format!("say what it means: {MEANS}"), self.faults)?;
        let at = means.get(line).map_or(means.at, |node| node.at);
        let Some((_, found)) = MEANINGS.into_iter().find(|(name, _)| *name == text) else {
            self.faults.add(at, format!("`{text}` is no meaning of a deletion"), format!("write {MEANS}"));
            return None;
        };
        let kind = self.head.resource.as_ref()?;
        let patch = |means| deletes::patch(kind.as_str(), means, self.world.elements);
        if let Some(patch) = patch(found) {
            return Some(Deletion { flag: line.into(), means: found, patch });
        }
        let can: Vec<&str> =
            MEANINGS.iter().filter(|(_, means)| patch(*means).is_some()).map(|(name, _)| *name).collect();
        self.faults.add(at, format!("R4 has no way to say `{text}` of {kind}"), format!("choose {}", can.join(" or ")));
        None
    }

    fn content(&mut self, scope: &mut Scope<'_>) -> (Option<Object>, Option<Box<str>>) {
        let head = self.head;
        let to = head.words.need("to", "say what a row becomes: `to: {..}`", self.faults);
        let to = to.and_then(|node| Words::of(node, head.words.place("to"), "`to`", self.faults));
        let security = self.security();
        let (Some(resource), Some(to)) = (&head.resource, to) else { return (None, None) };
        let Some(group) = Group::of(self.world.elements, resource.as_str()) else { return (None, None) };
        let refuse = head.words.get("refuse").map_or_else(Vec::new, |node| words::names(node, "refuse", self.faults));
        let mut tree = Tree { scope, faults: self.faults, elements: self.world.elements, each: None };
        let labels = security.and_then(|security| match security {
            Security::Unlabelled(reason) => Some((None, Some(reason))),
            Security::Labels(node) => Some((Some(tree.security(node, resource)?), None)),
        });
        tree.modifiers(group, resource, &to, &refuse);
        let object = tree.resource(group, resource, &to);
        match labels {
            Some((labels, unlabelled)) => (object.map(|object| with_labels(object, labels)), unlabelled),
            None => (None, None),
        }
    }

    fn security(&mut self) -> Option<Security<'n>> {
        let reason = format!("entity `{}` does not say how confidential its units are", self.head.name);
        let Some(node) = self.head.words.get("security") else {
            self.faults.add(self.head.at, reason, SECURITY);
            return None;
        };
        let crate::yaml::What::Map(_) = node.what else { return Some(Security::Labels(node)) };
        let words = Words::of(node, self.head.words.place("security"), "`security`", self.faults)?;
        words.only(&["unlabelled"], self.faults);
        let reason = words.text("unlabelled", SECURITY, self.faults)?;
        Some(Security::Unlabelled(reason.into()))
    }
}

enum Security<'n> {
    Unlabelled(Box<str>),
    Labels(&'n Node),
}

fn with_labels(mut object: Object, labels: Option<crate::template::Member>) -> Object {
    use crate::template::{Member, Node};
    let Some(labels) = labels else { return object };
    let required = labels.required.clone();
    let meta = object.members.iter_mut().find(|member| &*member.name == "meta");
    match meta {
        Some(Member { node: Node::Object(meta), required: needed, .. }) => {
            meta.members.push(labels);
            *needed = required;
        }
        Some(Member { node, required: needed, .. }) => {
            let fixed = match std::mem::replace(node, Node::List(Vec::new())) {
                Node::Fixed(model::Json::Object(members)) => members,
                _ => Vec::new(),
            };
            let mut members: Vec<Member> = fixed
                .into_iter()
                .map(|(name, json)| Member {
                    name,
                    node: Node::Fixed(json),
                    required: None,
                    base: "profile",
                    whole: None,
                })
                .collect();
            members.push(labels);
            *node = Node::Object(Object { members });
            *needed = required;
        }
        None => {
            let node = Node::Object(Object { members: vec![labels] });
            object.members.push(Member { name: "meta".into(), node, required, base: "meta", whole: None });
        }
    }
    object
}

const MEANINGS: [(&str, Means); 4] =
    [("retracted", Means::Retracted), ("ended", Means::Ended), ("purged", Means::Purged), ("removed", Means::Removed)];

const STALE: &str =
    "`stale: remap` maps the unit again when a joined row changes, `stale: allowed` leaves it as it was";
const MEANS: &str = "retracted (it was never true), ended (it stopped), purged (the row went, the fact stands) or removed (HTTP DELETE)";
const SECURITY: &str = "map labels: `security: \"=label | code(confidentiality)\"`, or say why there are none: `security: {unlabelled: reason}`";
