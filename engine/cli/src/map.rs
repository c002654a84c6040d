//! The map file: read, compiled, compared with what is in force.

use crate::{args, client, config::Settings, connect, error::CliError, exit::Exit, stores};
use flow::Grounds;
use journal::{EntryCodec, Recovered};
use mapping::{Map, MapFault};
use model::{EntryId, Hash, Kind, SystemId, TableName, TableSchema};
use ports::{Failure, Fault, Resume, StateStore};
use schemas::r4::ElementTable;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use store::RedbStore;

/// A map file's text with its hash.
pub struct MapFile {
    /// As a person wrote it.
    pub text: String,
    /// What an activation pins.
    pub hash: Hash,
}

/// Reads the file that the configuration names.
pub fn read(settings: &Settings) -> Result<MapFile, CliError> {
    let text = fs::read_to_string(&settings.map).map_err(|error| {
        let what = format!("{} cannot be read: {error}", settings.map.display());
        CliError::new(Exit::Usage, what, "name the map of the source's system: map = \"..\"")
    })?;
    let hash = Hash::of(text.as_bytes());
    Ok(MapFile { text, hash })
}

/// Why a map does not compile.
#[derive(Default)]
pub struct Wrong {
    /// What is wrong with the map, each with its line.
    pub faults: Vec<Fault>,
    /// What is wrong with the source, each with the line that needs it: a captured table that is not there.
    pub gone: Vec<Fault>,
}

impl Wrong {
    /// All of it.
    pub fn all(self) -> CliError {
        let exit = if self.faults.is_empty() { Exit::Prerequisite } else { Exit::Usage };
        CliError::Faults(exit, self.faults.into_iter().chain(self.gone).collect())
    }
}

/// Compiles it against the tables that are known; every fault with its line.
pub fn compile(settings: &Settings, file: &MapFile, known: &Known) -> Result<Map, Wrong> {
    let name = settings.map.display().to_string();
    let compiled = Map::compile(&name, &file.text, &known.tables, ElementTable::r4());
    compiled.map_err(|faults| {
        let mut wrong = Wrong::default();
        for MapFault { file, place, reason, remedy, table } in &faults {
            let at = format!("{file}:{}:{}", place.line, place.column);
            match table.as_ref().filter(|table| known.gone.contains(*table)) {
                Some(table) => {
                    let what = format!("{at}: table {table} is captured, and does not exist at the source");
                    wrong.gone.push(Fault::new(Failure::Misconfigured, what).cure("lockstep check"));
                }
                None => {
                    wrong.faults.push(Fault::new(Failure::Misconfigured, format!("{at}: {reason}")).cure(&**remedy))
                }
            }
        }
        wrong
    })
}

/// Where the source goes on, as the journal says it.
pub fn resume(journal: &Path, source: &SystemId) -> Result<Resume, Fault> {
    let recovered = Recovered::<EntryCodec>::recover(journal)?;
    Ok(recovered.resumes().get(source).cloned().unwrap_or_default())
}

/// The tables as the journal knows them; empty before the first capture.
fn journaled_tables(settings: &Settings) -> Result<BTreeMap<TableName, TableSchema>, Fault> {
    let resume = resume(&settings.data("journal"), &settings.source.system)?;
    Ok(resume.schemas.into_iter().map(|(table, (_, schema))| (table, schema)).collect())
}

/// The tables that a map is compiled against.
pub struct Known {
    /// By name; empty if neither source nor journal shows one.
    pub tables: BTreeMap<TableName, TableSchema>,
    /// Why they are the journal's, if they are: the source did not show its own.
    pub missed: Option<Fault>,
    /// Those that are captured, and that the source does not have.
    pub gone: BTreeSet<TableName>,
}

/// The tables as the source shows them now; if it does not, as the journal knows them. A key is what units are known by.
pub fn known_tables(settings: &Settings) -> Result<Known, Fault> {
    let mut known = shown_tables(settings)?;
    for (table, columns) in grounds(settings).known_by {
        if let Some(schema) = known.tables.get_mut(&table) {
            let at = |column: &str| u16::try_from(schema.column(column)?).ok();
            let key: Option<Vec<u16>> = columns.iter().map(|column| at(column)).collect();
            schema.key = key.unwrap_or_else(|| schema.key.clone());
        }
    }
    Ok(known)
}

fn shown_tables(settings: &Settings) -> Result<Known, Fault> {
    match connect::table_schemas(settings) {
        Ok(schemas) => {
            let tables: BTreeMap<_, _> = schemas.into_iter().map(|schema| (schema.table.clone(), schema)).collect();
            let captured = connect::captured(settings).unwrap_or_default();
            let gone = captured.into_iter().filter(|table| !tables.contains_key(table)).collect();
            Ok(Known { tables, missed: None, gone })
        }
        Err(error) => {
            let (tables, gone) = (journaled_tables(settings)?, BTreeSet::new());
            Ok(Known { tables, missed: Some(error.into_fault()), gone })
        }
    }
}

/// The hash of the map that the journal says is in force: what the fold knows, and what the journal says behind it.
pub fn in_force(settings: &Settings) -> Result<Option<Hash>, Fault> {
    if !settings.data("journal").is_dir() {
        return Ok(None);
    }
    let reader = stores::read_journal(settings)?;
    let Grounds { folding, map: mut found, .. } = grounds(settings);
    stores::visit(&reader, folding.unwrap_or(EntryId::new(1, 1)), |entry| {
        if let model::Entry::Activated(activated) = &entry.entry
            && activated.kind == Kind::Map
        {
            found = Some(activated.hash);
        }
        true
    })?;
    Ok(found)
}

/// What the fold knows: asked of the engine that runs, else read from what one left; nothing where neither says it, and
/// then the journal says everything.
fn grounds(settings: &Settings) -> Grounds {
    match client::is_running(settings) {
        true => client::get(settings, "/status").ok().as_ref().and_then(told),
        false => left(settings),
    }
    .unwrap_or_default()
}

fn told(status: &Value) -> Option<Grounds> {
    let text = |value: &Value| value.as_str().map(Box::<str>::from);
    let folding = args::entry_id(status["folding"].as_str()?).ok()?;
    let map = status["in_force"].as_str().and_then(hash);
    let table = |table: &Value| {
        let columns = table["known_by"].as_array()?.iter().filter_map(text).collect();
        Some((TableName::from(table["table"].as_str()?), columns))
    };
    let known_by = status["source"]["tables"].as_array()?.iter().filter_map(table).collect();
    Some(Grounds { folding: Some(folding), map, known_by })
}

fn hash(text: &str) -> Option<Hash> {
    let digits = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..text.len() / 2).map(digits).collect::<Option<_>>()?;
    Some(Hash(bytes.try_into().ok()?))
}

fn left(settings: &Settings) -> Option<Grounds> {
    if !settings.data("store").is_dir() {
        return None;
    }
    let _lock = stores::lock(settings).ok()?;
    let mut store = RedbStore::open(&settings.data("store")).ok()?;
    Some(Grounds::of(&*store.view().ok()?))
}

/// How the map file stands to the map in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is in force.
    InForce,
    /// Nothing is.
    NoneInForce,
    /// Another one is: its hash, and what the file has instead.
    Other(String, String),
}

impl Standing {
    /// Compares the file as it is now with the hash of what is in force; one that cannot be read is another one.
    pub fn of(settings: &Settings, in_force: Option<&str>) -> Standing {
        let Some(in_force) = in_force else { return Standing::NoneInForce };
        let other = |file: String| Standing::Other(in_force.get(..8).unwrap_or(in_force).to_owned(), file);
        match fs::read(&settings.map).map(|bytes| Hash::of(&bytes)) {
            Ok(hash) if hash.to_string() == in_force => Standing::InForce,
            Ok(hash) => other(format!("{} is #{}", settings.map.display(), hash.short())),
            Err(error) => other(format!("{} cannot be read: {error}", settings.map.display())),
        }
    }

    /// What a person should know of it, with the command that helps.
    pub fn told(&self) -> Option<String> {
        match self {
            Standing::InForce => None,
            Standing::NoneInForce => Some("no map is in force: lockstep activate".to_owned()),
            Standing::Other(in_force, file) => {
                Some(format!("the map in force is #{in_force}, and {file}: lockstep activate puts the file in force"))
            }
        }
    }

    /// In a word, for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Standing::InForce => "in force",
            Standing::NoneInForce => "none in force",
            Standing::Other(..) => "another in force",
        }
    }
}
