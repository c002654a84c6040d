//! The map file: read, compiled, compared with what is in force.

use crate::{config::Settings, connect, error::CliError, exit::Exit, stores};
use journal::{EntryCodec, Recovered};
use mapping::{Map, MapFault};
use model::{EntryId, Hash, Kind, TableName, TableSchema};
use ports::{Failure, Fault};
use schemas::r4::ElementTable;
use std::{collections::BTreeMap, fs};

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

/// Compiles it against these tables; every fault with its line.
pub fn compile(
    settings: &Settings,
    file: &MapFile,
    tables: &BTreeMap<TableName, TableSchema>,
) -> Result<Map, Vec<Fault>> {
    let name = settings.map.display().to_string();
    let fault = |fault: &MapFault| {
        let what = format!("{}:{}:{}: {}", fault.file, fault.place.line, fault.place.column, fault.reason);
        Fault::new(Failure::Misconfigured, what).cure(&*fault.remedy)
    };
    Map::compile(&name, &file.text, tables, ElementTable::r4()).map_err(|faults| faults.iter().map(fault).collect())
}

/// The tables as the journal knows them; empty before the first capture.
fn journaled_tables(settings: &Settings) -> Result<BTreeMap<TableName, TableSchema>, Fault> {
    let recovered = Recovered::<EntryCodec>::recover(&settings.data("journal"))?;
    let resume = recovered.resumes().get(&settings.source.system);
    let schemas = resume.into_iter().flat_map(|resume| resume.schemas.values());
    Ok(schemas.map(|(_, schema)| (schema.table.clone(), schema.clone())).collect())
}

/// The tables that a map is compiled against.
pub struct Known {
    /// By name; empty if neither source nor journal shows one.
    pub tables: BTreeMap<TableName, TableSchema>,
    /// Why they are the journal's, if they are: the source did not show its own.
    pub missed: Option<Fault>,
}

/// The tables as the source shows them now; if it does not, as the journal knows them.
pub fn known_tables(settings: &Settings) -> Result<Known, Fault> {
    match connect::table_schemas(settings) {
        Ok(schemas) => {
            let tables = schemas.into_iter().map(|schema| (schema.table.clone(), schema)).collect();
            Ok(Known { tables, missed: None })
        }
        Err(error) => Ok(Known { tables: journaled_tables(settings)?, missed: Some(error.into_fault()) }),
    }
}

/// The hash of the map that the journal says is in force.
pub fn in_force(settings: &Settings) -> Result<Option<Hash>, Fault> {
    let reader = stores::read_journal(settings)?;
    let mut found = None;
    stores::visit(&reader, EntryId::new(1, 1), |entry| {
        if let model::Entry::Activated(activated) = &entry.entry
            && activated.kind == Kind::Map
        {
            found = Some(activated.hash);
        }
        true
    })?;
    Ok(found)
}
