//! The head of an entity: what it becomes, of which table, by which key. Read of all entities before any is compiled,
//! because references look at each other's keys.

use super::{
    World,
    words::{self, Words},
};
use crate::{
    check::Target,
    error::{Faults, Place, did_you_mean},
    types::Type,
    yaml::{Key, Node},
};
use model::{ResourceType, TableName, TableSchema};

pub(super) struct Head<'n> {
    pub(super) name: &'n str,
    pub(super) at: Place,
    pub(super) words: Words<'n>,
    pub(super) resource: Option<ResourceType>,
    pub(super) root: Option<TableName>,
    pub(super) schema: Option<&'n TableSchema>,
    pub(super) key: Vec<&'n str>,
    pub(super) key_version: Option<u32>,
    pub(super) part: Option<&'n str>,
}

const WORDS: [&str; 10] =
    ["resource", "root", "subject", "joins", "when", "delete_when", "delete_means", "security", "refuse", "to"];

pub(super) fn read<'n>(name: &'n Key, node: &'n Node, world: World<'n>, faults: &mut Faults) -> Option<Head<'n>> {
    let words = Words::of(node, name.at, &format!("entity `{}`", name.text), faults)?;
    words.only(&WORDS, faults);
    let resource = resource(&words, world, faults);
    let mut head = Head {
        name: &name.text,
        at: name.at,
        words,
        resource,
        root: None,
        schema: None,
        key: Vec::new(),
        key_version: None,
        part: None,
    };
    let remedy = "say whose rows they are: `root: {table: public.patient, key: [patient_id], key_version: 1}`";
    if let Some(node) = head.words.need("root", remedy, faults) {
        let at = head.words.place("root");
        root(&mut head, node, at, world, faults);
    }
    Some(head)
}

impl Head<'_> {
    /// What references to the entity need to know.
    pub(super) fn target(&self) -> Target {
        let ty = |name: &&str| Some(Type::of(self.schema?.columns.get(self.schema?.column(name)?)?.ty));
        Target { resource_type: self.resource.clone(), key: self.key.iter().map(ty).collect() }
    }
}

fn resource(words: &Words<'_>, world: World<'_>, faults: &mut Faults) -> Option<ResourceType> {
    let name = words.text("resource", "say what its rows become: `resource: Patient`", faults)?;
    if world.elements.resource_type(name).is_none() {
        let remedy = did_you_mean(name, world.elements.resource_types());
        faults.add(words.get("resource")?.at, format!("R4 has no resource type `{name}`"), remedy);
        return None;
    }
    Some(name.into())
}

fn root<'n>(head: &mut Head<'n>, node: &'n Node, at: Place, world: World<'n>, faults: &mut Faults) {
    let Some(words) = Words::of(node, at, "`root`", faults) else { return };
    words.only(&["table", "key", "key_version", "part"], faults);
    head.key_version = words.count("key_version", "begin with `key_version: 1`", faults);
    head.part = words.get("part").and_then(|node| words::text(node, "part", faults));
    if let Some(node) = words.need("table", "name the table: `table: public.patient`", faults) {
        (head.root, head.schema) = table(node, world, faults);
    }
    if let Some(node) = words.need("key", "name the columns of its primary key: `key: [patient_id]`", faults) {
        head.key = key(node, head.schema, faults);
    }
}

/// A table by its name, and its schema.
pub(super) fn table<'n>(
    node: &'n Node,
    world: World<'n>,
    faults: &mut Faults,
) -> (Option<TableName>, Option<&'n TableSchema>) {
    let Some(name) = words::text(node, "table", faults).map(TableName::from) else { return (None, None) };
    let schema = world.schemas.get(&name);
    if schema.is_none() {
        let remedy = did_you_mean(name.as_str(), world.schemas.keys().map(TableName::as_str));
        faults.no_table(node.at, &name, format!("{remedy} Else add it to the source's tables"));
    }
    (Some(name), schema)
}

/// The key columns: exactly the table's own key, because rows are found by it.
fn key<'n>(node: &'n Node, schema: Option<&'n TableSchema>, faults: &mut Faults) -> Vec<&'n str> {
    let named = words::names(node, "key", faults);
    let Some(schema) = schema else { return named.into_iter().map(|(name, _)| name).collect() };
    let mut known = true;
    for (name, at) in &named {
        known &= column(schema, name, *at, faults).is_some();
    }
    let own: Vec<&'n str> =
        schema.key.iter().filter_map(|place| Some(&*schema.columns.get(usize::from(*place))?.name)).collect();
    let given: Vec<&'n str> = named.into_iter().map(|(name, _)| name).collect();
    if own.is_empty() {
        let remedy = "give the table a primary key, or a replica identity by a unique index";
        faults.add(node.at, format!("{} has no key, so its rows cannot be told apart", schema.table), remedy);
    } else if known && given != own {
        let reason = format!("the key of {} is not {}", schema.table, given.join(", "));
        faults.add(node.at, reason, format!("write its own key: `key: [{}]`", own.join(", ")));
        // What refers to it is checked against the key that it should have.
        return own;
    }
    given
}

/// A column by its name: its place in the schema.
pub(super) fn column(schema: &TableSchema, name: &str, at: Place, faults: &mut Faults) -> Option<usize> {
    let found = schema.column(name);
    if found.is_none() {
        let remedy = did_you_mean(name, schema.columns.iter().map(|column| &*column.name));
        faults.add(at, format!("{} has no column `{name}`", schema.table), remedy);
    }
    found
}
