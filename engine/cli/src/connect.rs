//! Makes source and sink from their tables; the catalog alone knows their names.

use crate::{
    config::{Part, Settings},
    error::CliError,
    exit::Exit,
};
use model::SourcePosition;
use ports::{Sink, Source};
use std::sync::Arc;

/// Shows a position of the pipeline's source as its own server would.
pub fn show(position: &SourcePosition) -> String {
    format!("{position:?}")
}

/// A source that is not open.
pub fn source(settings: &Settings) -> Result<Box<dyn Source>, CliError> {
    Err(unknown(settings, &settings.source))
}

/// The sink.
pub fn sink(settings: &Settings) -> Result<Arc<dyn Sink>, CliError> {
    Err(unknown(settings, &settings.sink))
}

fn unknown(settings: &Settings, part: &Part) -> CliError {
    let what = format!(
        "there is no connector `{}` for the {} settings in {}",
        part.kind,
        part.table.len(),
        settings.dir.display()
    );
    CliError::new(Exit::Usage, what, "see the connectors of this build in the guide")
}
