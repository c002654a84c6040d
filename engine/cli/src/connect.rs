//! Makes source, fences and sink from their tables; the catalog alone knows their names.

use crate::{
    client,
    config::{self, Part, Settings},
    error::CliError,
    exit::Exit,
    map, stores,
};
use catalog::{Context, Target};
use model::{ResourceType, SourcePosition, TableName, TableSchema};
use ports::{Fault, FenceSource, OpenFault, Secret, SecretRef, SettingFault, Source};
use server::Sides;
use std::{path::Path, sync::Arc};

/// Shows a position as its own server would.
pub type Show = Arc<dyn Fn(&SourcePosition) -> String + Send + Sync>;

/// Shows positions of the pipeline's source.
pub fn show(settings: &Settings) -> Show {
    let kind = settings.source.kind.clone();
    Arc::new(move |position| catalog::show_position(&kind, position))
}

/// A source that is not open.
pub fn source(settings: &Settings) -> Result<Box<dyn Source>, CliError> {
    let part = &settings.source;
    catalog::source(&part.kind, &part.table, &context(settings, part, &[])).map_err(wrong)
}

/// What opens fences at the source.
pub fn fences(settings: &Settings) -> Result<Box<dyn FenceSource>, CliError> {
    let part = &settings.source;
    catalog::fences(&part.kind, &part.table, &context(settings, part, &[])).map_err(wrong)
}

/// Both ends of the pipeline, for one verification.
pub fn sides(settings: &Settings) -> Result<Sides, CliError> {
    let (journal, decisions) = (stores::read_journal(settings)?, stores::read_decisions(settings)?);
    Ok(Sides {
        fences: fences(settings)?,
        target: target(settings, &[])?.readback,
        journal: Box::new(move |from| journal.read(from, stores::READ_BYTES_MAX)),
        decisions: Box::new(move |from| decisions.read(from, stores::READ_BYTES_MAX)),
        source: settings.source.system.clone(),
        sink: settings.sink.system.clone(),
        secret: settings.tag_secret(),
    })
}

/// The source's tables as they are now.
pub fn table_schemas(settings: &Settings) -> Result<Vec<TableSchema>, CliError> {
    let part = &settings.source;
    let asked = catalog::table_schemas(&part.kind, &part.table, &context(settings, part, &[])).map_err(wrong)?;
    Ok(client::block_on(asked)??)
}

/// The tables that the source is told to capture.
pub fn captured(settings: &Settings) -> Result<Vec<TableName>, CliError> {
    let part = &settings.source;
    catalog::captured(&part.kind, &part.table, &context(settings, part, &[])).map_err(wrong)
}

/// Whether the source could be gone on from where the journal stands.
pub async fn goes_on(settings: &Settings) -> Result<(), OpenFault> {
    let (part, journal) = (&settings.source, settings.data("journal"));
    let system = part.system.clone();
    let read = Box::new(move || map::resume(&journal, &system));
    let asked = catalog::goes_on(&part.kind, &part.table, &context(settings, part, &[]), read);
    asked.map_err(|faults| wrong(faults).into_fault())?.await
}

/// The sink and its target; `types` are what the map writes, as far as known.
pub fn target(settings: &Settings, types: &[ResourceType]) -> Result<Target, CliError> {
    let part = &settings.sink;
    catalog::sink(&part.kind, &part.table, &context(settings, part, types)).map_err(wrong)
}

/// What a connector says of its table, without secrets and without asking anybody.
pub fn faults(pipeline: &str, dir: &Path, part: &Part, is_source: bool) -> Vec<SettingFault> {
    let unread = |_: &SecretRef| Ok(Secret::new("unread"));
    let system = part.system.clone();
    let context = Context { pipeline, system, base_dir: dir, types: &[], secret: &unread };
    if is_source {
        catalog::source_faults(&part.kind, &part.table, &context)
    } else {
        catalog::sink_faults(&part.kind, &part.table, &context)
    }
}

fn context<'a>(settings: &'a Settings, part: &Part, types: &'a [ResourceType]) -> Context<'a> {
    Context {
        pipeline: &settings.pipeline,
        system: part.system.clone(),
        base_dir: &settings.dir,
        types,
        secret: &config::fetch,
    }
}

fn wrong(faults: Vec<Fault>) -> CliError {
    CliError::Faults(Exit::Usage, faults)
}
