//! The one crate that names concrete connectors: a kind and its table in, a port out.
//!
//! Opens no connection. Reads what a table names: certificates and profiles below the configuration's folder; secrets
//! come by the caller's own hand. Invariants:
//! * Everybody else knows ports. What differs between connectors beyond a port (how a position reads, what a type is
//!   called) is asked here, by kind.
//! * Unknown keys and unknown kinds are refused, and all faults of a table are reported at once.

mod settings;

pub use settings::{Context, NOT_KNOWN};

use model::{SourcePosition, TableName, TableSchema};
use ports::{Boxed, Failure, Fault, FenceSource, OpenFault, Readback, Resume, SecretRef, SettingFault, Sink, Source};
use settings::Settings;
use std::sync::Arc;
use toml::Table;

/// Kinds of sources of this build.
pub const SOURCES: [&str; 1] = ["postgres"];
/// Kinds of sinks of this build.
pub const SINKS: [&str; 1] = ["fhir"];

/// All that is wrong with a table, each with its cure.
pub type Faults = Vec<Fault>;

/// A sink, and its target read.
#[derive(Clone)]
pub struct Target {
    /// Writes effects.
    pub sink: Arc<dyn Sink>,
    /// Reads versions.
    pub readback: Arc<dyn Readback>,
}

/// A source that is not open. `settings` is its table `[system.NAME.source]`.
pub fn source(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Box<dyn Source>, Faults> {
    match kind {
        "postgres" => Ok(Box::new(postgres::PostgresSource::new(
            postgres_options(settings, context).map_err(|faults| told(context, faults))?,
        ))),
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// The source's tables as they are now, for whoever checks a map before a run.
pub fn table_schemas(
    kind: &str,
    settings: &Table,
    context: &Context<'_>,
) -> Result<Boxed<'static, Result<Vec<TableSchema>, Fault>>, Faults> {
    match kind {
        "postgres" => {
            let options = postgres_options(settings, context).map_err(|faults| told(context, faults))?;
            Ok(Box::pin(async move { postgres::table_schemas(&options).await }))
        }
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// Reads from the journal where a source goes on.
pub type ReadResume = Box<dyn FnOnce() -> Result<Resume, Fault> + Send>;

/// Whether a source that was started could be gone on from, as `Source::open` judges it; changes nothing.
pub fn goes_on(
    kind: &str,
    settings: &Table,
    context: &Context<'_>,
    journal: ReadResume,
) -> Result<Boxed<'static, Result<(), OpenFault>>, Faults> {
    match kind {
        "postgres" => {
            let options = postgres_options(settings, context).map_err(|faults| told(context, faults))?;
            Ok(Box::pin(async move { postgres::goes_on(&options, journal).await }))
        }
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// The tables that a source is told to capture.
pub fn captured(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Vec<TableName>, Faults> {
    match kind {
        "postgres" => Ok(postgres_options(settings, context).map_err(|faults| told(context, faults))?.tables),
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// What opens fences at the same source.
pub fn fences(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Box<dyn FenceSource>, Faults> {
    match kind {
        "postgres" => Ok(Box::new(postgres::PostgresFences::new(
            postgres_options(settings, context).map_err(|faults| told(context, faults))?,
        ))),
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// A sink with its target. `settings` is its table `[system.NAME.sink]`.
pub fn sink(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Target, Faults> {
    match kind {
        "fhir" => {
            let sink = Arc::new(
                fhir::FhirSink::open(fhir_options(settings, context).map_err(|faults| told(context, faults))?)
                    .map_err(|error| vec![error.into()])?,
            );
            Ok(Target { sink: sink.clone(), readback: sink })
        }
        _ => Err(unknown("sink", kind, &SINKS)),
    }
}

/// What is wrong with a source's table, key by key. Nothing is opened.
pub fn source_faults(kind: &str, settings: &Table, context: &Context<'_>) -> Vec<SettingFault> {
    match kind {
        "postgres" => postgres_options(settings, context).err().unwrap_or_default(),
        _ => vec![no_such_kind("source", kind, &SOURCES)],
    }
}

/// What is wrong with a sink's table, key by key. Nothing is opened.
pub fn sink_faults(kind: &str, settings: &Table, context: &Context<'_>) -> Vec<SettingFault> {
    match kind {
        "fhir" => fhir_options(settings, context).err().unwrap_or_default(),
        _ => vec![no_such_kind("sink", kind, &SINKS)],
    }
}

/// A position as the source's own people write it.
pub fn show_position(kind: &str, position: &SourcePosition) -> String {
    match kind {
        "postgres" => postgres::position::show(position),
        _ => format!("{position:?}"),
    }
}

/// What a source calls a column's type, for people: `oid 700`.
pub fn native_type(kind: &str, native: u32) -> String {
    match kind {
        "postgres" => format!("oid {native}"),
        _ => format!("native type {native}"),
    }
}

fn postgres_options(settings: &Table, context: &Context<'_>) -> Result<postgres::Options, Vec<SettingFault>> {
    let mut settings = Settings::new(settings, context);
    let config: Option<postgres::Config> = settings.read();
    let Some(config) = config else { return Err(settings.faults()) };
    let password = settings.secret("password", config.password.as_ref());
    let ca = settings.file("ca_file", config.ca_file.as_deref());
    let options = config.options(context.pipeline, context.system.clone(), password, ca);
    settings.finish(options)
}

fn fhir_options(settings: &Table, context: &Context<'_>) -> Result<fhir::Options, Vec<SettingFault>> {
    let mut settings = Settings::new(settings, context);
    let config: Option<fhir::Config> = settings.read();
    let Some(config) = config else { return Err(settings.faults()) };
    let bearer_file = match config.auth.as_ref().map(|auth| &auth.bearer) {
        Some(SecretRef::File(path)) => Some(context.base_dir.join(path)),
        Some(SecretRef::Env(_)) | None => None,
    };
    let bearer = settings.secret("auth.bearer", config.auth.as_ref().map(|auth| &auth.bearer));
    let ca = settings.file("ca_file", config.ca_file.as_deref());
    // The other keys are looked at all the same; the sandbox's profile stands in, for it allows the most.
    let profile = settings.profile(&config.profile).or_else(|| schemas::Profile::builtin("sandbox").ok());
    let Some(profile) = profile else { return Err(settings.faults()) };
    let options = config.options(profile, bearer, ca, context.types.to_vec());
    let options = options.map(|options| fhir::Options { bearer_file, ..options });
    settings.finish(options)
}

/// Faults of keys, told where no file can be shown beside them.
fn told(context: &Context<'_>, faults: Vec<SettingFault>) -> Faults {
    let one = |fault: SettingFault| {
        let key = if fault.key.is_empty() { String::new() } else { format!("`{}`: ", fault.key) };
        Fault::new(Failure::Misconfigured, format!("system `{}`: {key}{}", context.system, fault.what)).cure(fault.cure)
    };
    faults.into_iter().map(one).collect()
}

fn no_such_kind(what: &str, kind: &str, known: &[&str]) -> SettingFault {
    let cure = format!("known in this build: {}", known.join(", "));
    SettingFault::new("kind", format!("there is no {what} of the kind `{kind}`"), cure)
}

fn unknown(what: &str, kind: &str, known: &[&str]) -> Faults {
    let SettingFault { what, cure, .. } = no_such_kind(what, kind, known);
    vec![Fault::new(Failure::Misconfigured, what).cure(cure)]
}

#[cfg(test)]
mod tests;
