//! A map file's text to a `Map`, or all its faults at once.

mod codes;
mod entity;
mod head;
mod identifier;
mod labels;
mod leaf;
mod tree;
mod words;

use crate::{
    error::{Faults, MapFault, Place},
    map::Map,
    yaml,
};
use head::Head;
use model::{Hash, TableName, TableSchema};
use schemas::r4::ElementTable;
use std::collections::{BTreeMap, BTreeSet};
use words::Words;

/// What the file is checked against.
#[derive(Clone, Copy)]
struct World<'w> {
    schemas: &'w BTreeMap<TableName, TableSchema>,
    elements: &'static ElementTable,
}

impl Map {
    /// Compiles a map file. All faults of the file come at once, in its order, each with line, column, reason, remedy.
    pub fn compile(
        file: &str,
        text: &str,
        schemas: &BTreeMap<TableName, TableSchema>,
        elements: &'static ElementTable,
    ) -> Result<Map, Vec<MapFault>> {
        let mut faults = Faults::of(file);
        let world = World { schemas, elements };
        let map = yaml::read(text, &mut faults).and_then(|root| whole(&root, text, world, &mut faults));
        if faults.is_empty() && map.is_none() {
            faults.add(
                Place::default(),
                "the map cannot be compiled",
                "report this file: the reason should stand here",
            );
        }
        match (faults.finish(), map) {
            (None, Some(map)) => Ok(map),
            (found, _) => Err(found.unwrap_or_default()),
        }
    }
}

const WORDS: [&str; 7] = ["map", "version", "owner", "clinical", "approved_by", "codes", "entities"];

fn whole(root: &yaml::Node, text: &str, world: World<'_>, faults: &mut Faults) -> Option<Map> {
    let words = Words::of(root, root.at, "the map", faults)?;
    words.only(&WORDS, faults);
    let name = words.text("map", "give it a name: `map: clinic`", faults);
    let version = words.count("version", "count its versions from 1: `version: 1`", faults);
    let owner = words.text("owner", "name who answers for it: `owner: team@hospital.example`", faults);
    let clinical = clinical(&words, faults);
    let approved_by = words.get("approved_by").and_then(|node| words::text(node, "approved_by", faults));
    if clinical == Some(true) && words.get("approved_by").is_none() {
        let remedy = "name the clinician who approved it: `approved_by: name@hospital.example`";
        faults.add(words.place("clinical"), "a clinical map is not put in force without a clinical approver", remedy);
    }
    let tables = words.get("codes").map_or_else(Vec::new, |node| codes::tables(node, words.place("codes"), faults));
    let entities = words.need("entities", "say what is mapped: `entities:`", faults);
    let entities = entities.and_then(|node| Words::of(node, words.place("entities"), "`entities`", faults))?;
    if entities.members.is_empty() {
        faults.add(entities.at, "`entities` is empty", "add an entity");
    }
    let heads: Vec<Head<'_>> =
        entities.members.iter().filter_map(|(key, node)| head::read(key, node, world, faults)).collect();
    twins(&heads, faults);
    let targets = heads.iter().map(|head| (head.name.into(), head.target())).collect();
    let made: Vec<_> = heads
        .iter()
        .map(|head| entity::Maker { head, tables: &tables, targets: &targets, world, faults }.make())
        .collect();
    Some(Map {
        name: name?.into(),
        version: version?,
        owner: owner?.into(),
        clinical: clinical?,
        approved_by: approved_by.map(Into::into),
        hash: Hash::of(text.as_bytes()),
        entities: made.into_iter().collect::<Option<_>>()?,
        tables,
        elements: world.elements,
    })
}

fn clinical(words: &Words<'_>, faults: &mut Faults) -> Option<bool> {
    let remedy = "say whether patients' care rests on it: `clinical: true`";
    let node = words.need("clinical", remedy, faults)?;
    let found = node.scalar().and_then(yaml::Scalar::as_bool);
    if found.is_none() {
        faults.add(node.at, "`clinical` is neither true nor false", remedy);
    }
    found
}

/// Two entities over one table would mint the same ids, were it not for `part`.
fn twins(heads: &[Head<'_>], faults: &mut Faults) {
    let mut taken = BTreeSet::new();
    for head in heads {
        if let Some(root) = &head.root
            && !taken.insert((root.clone(), head.part))
        {
            let reason = format!("another entity makes units of {root}, with the same `part`");
            faults.add(head.at, reason, "give one of them a `part` of its own in `root`");
        }
    }
}
