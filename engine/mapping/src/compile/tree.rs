//! Compiles the template of a resource: every element exists, repeats as R4 says, and is given what fits its type.

use super::words::{self, Words};
use crate::{
    check::{self, Scope, Use},
    error::{Faults, Place, did_you_mean},
    r4::{self, Group, Spot},
    template::{Item, Member, Node, Object, Whole},
    yaml::{Key, Node as Yaml, What},
};
use model::{FieldAddress, Json, ResourceType};
use schemas::r4::ElementTable;
use std::collections::BTreeSet;

pub(super) struct Tree<'t, 's> {
    pub(super) scope: &'t mut Scope<'s>,
    pub(super) faults: &'t mut Faults,
    pub(super) elements: &'static ElementTable,
    /// The source whose row is at hand: inside an `$item`.
    pub(super) each: Option<usize>,
}

/// A closed choice of codes, on its way from the element that has it down to `code`.
#[derive(Clone)]
pub(super) struct Binding {
    /// The element's path, for people.
    pub(super) path: String,
    pub(super) codes: BTreeSet<&'static str>,
    pub(super) systems: BTreeSet<&'static str>,
}

/// Where something stands in the resource.
pub(super) struct Here<'h> {
    pub(super) spot: Spot,
    pub(super) path: &'h str,
    pub(super) binding: Option<&'h Binding>,
    /// What the reference around it may point at.
    pub(super) targets: Option<&'h BTreeSet<ResourceType>>,
}

/// What the engine writes itself, or v0 does not write at all.
const NOT_MAPPED: [(&str, &str); 5] = [
    ("id", "leave it out: a unit's id is minted once and bound to its key"),
    ("text", "leave it out: a narrative that nobody keeps in step is what people read"),
    ("contained", "make it an entity of its own and refer to it"),
    ("implicitRules", "leave it out: it changes the meaning of the whole resource"),
    ("modifierExtension", "leave it out: who does not know it must not read the resource"),
];

impl Tree<'_, '_> {
    /// The whole resource.
    pub(super) fn resource(&mut self, group: Group, resource: &ResourceType, to: &Words<'_>) -> Option<Object> {
        for (key, node) in to.members {
            if let Some((_, remedy)) = NOT_MAPPED.iter().find(|(name, _)| *name == &*key.text) {
                self.faults.add(key.at, format!("`{}` is not mapped", key.text), remedy);
            }
            if &*key.text == "meta"
                && let What::Map(members) = &node.what
            {
                for (key, _) in members.iter().filter(|(key, _)| &*key.text != "profile") {
                    let remedy =
                        "labels are mapped by `security`; stamps and versions are the engine's and the server's";
                    self.faults.add(key.at, format!("`meta.{}` is not mapped here", key.text), remedy);
                }
            }
        }
        let mut object = self.object(group, to.members, to.at, resource.as_str(), None, None)?;
        for member in &mut object.members {
            member.whole = group.member(&member.name).and_then(whole);
        }
        Some(object)
    }

    /// Clinical S3: whatever changes the meaning of the whole resource is mapped, fixed or refused.
    pub(super) fn modifiers(
        &mut self,
        group: Group,
        resource: &ResourceType,
        to: &Words<'_>,
        refuse: &[(&str, Place)],
    ) {
        let modifiers: Vec<_> = group
            .elements()
            .into_iter()
            .map(|(element, _)| element)
            .filter(|element| element.modifies && !matches!(element.name, "modifierExtension" | "implicitRules"))
            .collect();
        let given: BTreeSet<&str> =
            to.members.iter().filter_map(|(key, _)| Some(group.member(&key.text)?.element().name)).collect();
        for (name, at) in refuse {
            if !modifiers.iter().any(|element| element.name == *name) {
                let remedy = did_you_mean(name, modifiers.iter().map(|element| element.name));
                self.faults.add(*at, format!("`{name}` is no modifier element of {resource}"), remedy);
            } else if given.contains(name) {
                self.faults.add(*at, format!("`{name}` is refused and mapped"), "keep one of them");
            }
        }
        for element in modifiers {
            if !given.contains(element.name) && !refuse.iter().any(|(name, _)| *name == element.name) {
                let reason = format!(
                    "{resource}.{} changes what the whole resource says, and nobody decided on it",
                    element.name
                );
                let remedy = format!("map it, fix it, or add `refuse: [{}]`", element.name);
                self.faults.add(to.at, reason, remedy);
            }
        }
    }

    fn object(
        &mut self,
        group: Group,
        members: &[(Key, Yaml)],
        at: Place,
        path: &str,
        binding: Option<&Binding>,
        targets: Option<&BTreeSet<ResourceType>>,
    ) -> Option<Object> {
        let mut given: Vec<(&'static str, &str)> = Vec::new();
        let mut made = Vec::new();
        for (key, node) in members {
            let Some(spot) = self.member(group, key, path) else {
                made.push(None);
                continue;
            };
            let element = spot.element();
            if let Some((_, other)) = given.iter().find(|(held, _)| *held == element.path) {
                let reason = format!("`{}` and `{other}` are one element", key.text);
                self.faults.add(key.at, reason, "keep one of them: an element with a choice of types has one value");
            }
            given.push((element.path, &key.text));
            let inner = format!("{path}.{}", key.text);
            let here = Here { spot, path: &inner, binding: carried(&key.text, binding), targets };
            let node = self.element(node, &here);
            let required = (element.min > 0).then(|| inner.as_str().into());
            made.push(node.map(|node| Member {
                name: key.text.clone(),
                node,
                required,
                base: element.name,
                whole: None,
            }));
        }
        for (element, name) in group.elements() {
            if element.min > 0 && !given.iter().any(|(held, _)| *held == element.path) {
                let name = if element.is_choice() { format!("{}[x]", element.name) } else { name.to_owned() };
                self.faults.add(at, format!("{path}.{name} is required"), format!("add `{name}`"));
            }
        }
        Some(Object { members: made.into_iter().collect::<Option<_>>()? })
    }

    fn member(&mut self, group: Group, key: &Key, path: &str) -> Option<Spot> {
        let found = group.member(&key.text);
        if found.is_none() {
            let (reason, remedy) = if key.text.starts_with('$') {
                let remedy = "`$each` and `$item` stand together where a list is: `name: {$each: nm, $item: {..}}`";
                (format!("`{}` has no business here", key.text), remedy.to_owned())
            } else if &*key.text == "resourceType" {
                ("`resourceType` is not mapped".to_owned(), "leave it out: `resource` says it".to_owned())
            } else {
                (format!("{path} has no element `{}`", key.text), did_you_mean(&key.text, group.names()))
            };
            self.faults.add(key.at, reason, remedy);
        }
        found
    }

    pub(super) fn element(&mut self, node: &Yaml, here: &Here<'_>) -> Option<Node> {
        let each = match &node.what {
            What::Map(members) => members.iter().any(|(key, _)| matches!(&*key.text, "$each" | "$item")),
            _ => false,
        };
        match (&node.what, here.spot.element().repeats()) {
            (What::List(items), true) => self.list(items, here),
            (What::Map(_), true) if each => Some(Node::List(vec![self.each(node, here)?])),
            (_, true) => {
                self.faults.add(node.at, format!("{} is a list", here.path), "put brackets around it: `[..]`");
                None
            }
            (What::List(_), false) => {
                self.faults.add(
                    node.at,
                    format!("{} takes one value, not a list", here.path),
                    "leave the brackets out",
                );
                None
            }
            (_, false) if each => {
                self.faults.add(node.at, format!("{} takes one value, not one a row", here.path), "leave `$each` out");
                None
            }
            (_, false) => self.one(node, here),
        }
    }

    fn list(&mut self, items: &[Yaml], here: &Here<'_>) -> Option<Node> {
        let mut made = Vec::new();
        for item in items {
            made.push(match &item.what {
                What::Map(members) if members.iter().any(|(key, _)| key.text.starts_with('$')) => self.each(item, here),
                What::List(_) => {
                    self.faults.add(
                        item.at,
                        format!("{} is a list of lists", here.path),
                        "leave the inner brackets out",
                    );
                    None
                }
                _ => self.one(item, here).map(Item::One),
            });
        }
        let items = made.into_iter().collect::<Option<Vec<Item>>>()?;
        let fixed = |item: &Item| match item {
            Item::One(Node::Fixed(json)) => Some(json.clone()),
            _ => None,
        };
        match items.iter().map(fixed).collect::<Option<Vec<Json>>>() {
            Some(fixed) if !fixed.is_empty() => Some(Node::Fixed(Json::Array(fixed))),
            _ => Some(Node::List(items)),
        }
    }

    fn each(&mut self, node: &Yaml, here: &Here<'_>) -> Option<Item> {
        let words = Words::of(node, node.at, "`$each`", self.faults)?;
        words.only(&["$each", "$item"], self.faults);
        let alias = words.text("$each", "name the join: `$each: nm`", self.faults);
        let item = words.need("$item", "say what a row becomes: `$item: {..}`", self.faults);
        let (alias, at) = (alias?, words.get("$each")?.at);
        if self.each.is_some() {
            self.faults.add(at, "a `$each` stands inside another one", "join the rows in a view, and map the view");
            return None;
        }
        let Some(source) = self.scope.sources.iter().position(|source| source.alias == alias && !alias.is_empty())
        else {
            let remedy = did_you_mean(alias, self.scope.sources.iter().skip(1).map(|source| source.alias));
            self.faults.add(at, format!("`{alias}` is no join of this entity"), remedy);
            return None;
        };
        if !self.scope.sources[source].many {
            let remedy = "give the join `many: [column]`, the columns that order its rows, or leave `$each` out";
            self.faults.add(at, format!("`{alias}` has at most one row"), remedy);
            return None;
        }
        self.each = Some(source);
        let node = self.one(item?, here);
        self.each = None;
        Some(Item::Each { source, node: node? })
    }

    /// A single value of the element.
    fn one(&mut self, node: &Yaml, here: &Here<'_>) -> Option<Node> {
        let Some(primitive) = r4::primitive(here.spot.ty()) else { return self.complex(node, here) };
        let Some(scalar) = node.scalar() else {
            let reason = format!("{} is {}, not {}", here.path, here.spot.ty(), node.kind());
            self.faults.add(node.at, reason, "write one value, or an expression");
            return None;
        };
        match words::expression(node) {
            Some((text, at)) => {
                let typed = check::expression(text, at, self.scope, Use::Content(self.each), self.faults)?;
                self.leaf(typed, at, primitive, here).map(Node::Leaf)
            }
            None => self.literal(scalar, node.at, primitive, here).map(Node::Fixed),
        }
    }

    fn complex(&mut self, node: &Yaml, here: &Here<'_>) -> Option<Node> {
        let (spot, path) = (here.spot, here.path);
        let Some(group) = spot.below() else {
            let reason = format!("{path} is {}, which a map does not write", spot.ty());
            self.faults.add(node.at, reason, "leave it out");
            return None;
        };
        let What::Map(members) = &node.what else {
            let names: Vec<&str> = group.names().filter(|name| !matches!(*name, "id" | "extension")).take(4).collect();
            let remedy = format!("write its elements: `{{{}: ..}}`", names.join(": .., "));
            self.faults.add(node.at, format!("{path} is {}, which has elements", spot.ty()), remedy);
            return None;
        };
        if members.is_empty() {
            self.faults.add(node.at, format!("{path} is empty"), "leave it out");
            return None;
        }
        let own = spot.codes().map(|codes| Binding { path: path.to_owned(), codes, systems: spot.systems() });
        let binding = own.as_ref().or(here.binding);
        let targets = (spot.ty() == "Reference").then(|| spot.targets());
        let object = self.object(group, members, node.at, path, binding, targets.as_ref())?;
        if spot.ty() == "Identifier" {
            self.identifier(&object, members, node.at, path);
        }
        let fixed = |member: &Member| match &member.node {
            Node::Fixed(json) => Some((member.name.clone(), json.clone())),
            _ => None,
        };
        Some(match object.members.iter().map(fixed).collect::<Option<Vec<_>>>() {
            Some(fixed) => Node::Fixed(Json::Object(fixed)),
            None => Node::Object(object),
        })
    }
}

/// The field of a member that is one as a whole: a choice, a list without a key, a primitive, a reference or quantity.
fn whole(spot: Spot) -> Option<Whole> {
    let element = spot.element();
    let one = if element.repeats() {
        element.list_key.is_none() && !matches!(element.name, "extension" | "modifierExtension")
    } else {
        r4::primitive(spot.ty()).is_some() || matches!(spot.ty(), "Reference" | "Quantity")
    };
    let wrapped = element.is_choice();
    (wrapped || one).then(|| Whole { address: FieldAddress::new(element.name), wrapped })
}

/// A closed choice goes down to the code and the system of its coding, and nowhere else.
fn carried<'b>(name: &str, binding: Option<&'b Binding>) -> Option<&'b Binding> {
    binding.filter(|_| matches!(name, "coding" | "code" | "system"))
}
