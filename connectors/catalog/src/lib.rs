//! The one crate that names concrete connectors: a kind and its table in, a port out.
//!
//! Opens no connection. Reads what a table names: certificates and profiles below the configuration's folder; secrets
//! come by the caller's own hand. Invariants:
//! * Everybody else knows ports. What differs between connectors beyond a port (how a position reads, what a type is
//!   called) is asked here, by kind.
//! * Unknown keys and unknown kinds are refused, and all faults of a table are reported at once.

mod settings;

pub use settings::{Context, SecretPlace};

use model::{SourcePosition, TableSchema};
use ports::{Boxed, Fault, FenceSource, Readback, Sink, Source};
use settings::{Faults, Settings, wrong};
use std::sync::Arc;
use toml::Table;

/// Kinds of sources of this build.
pub const SOURCES: [&str; 1] = ["postgres"];
/// Kinds of sinks of this build.
pub const SINKS: [&str; 1] = ["fhir"];

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
        "postgres" => Ok(Box::new(postgres::PostgresSource::new(postgres_options(settings, context)?))),
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
            let options = postgres_options(settings, context)?;
            Ok(Box::pin(async move { postgres::table_schemas(&options).await }))
        }
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// What opens fences at the same source.
pub fn fences(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Box<dyn FenceSource>, Faults> {
    match kind {
        "postgres" => Ok(Box::new(postgres::PostgresFences::new(postgres_options(settings, context)?))),
        _ => Err(unknown("source", kind, &SOURCES)),
    }
}

/// A sink with its target. `settings` is its table `[system.NAME.sink]`.
pub fn sink(kind: &str, settings: &Table, context: &Context<'_>) -> Result<Target, Faults> {
    match kind {
        "fhir" => {
            let sink =
                Arc::new(fhir::FhirSink::open(fhir_options(settings, context)?).map_err(|error| vec![error.into()])?);
            Ok(Target { sink: sink.clone(), readback: sink })
        }
        _ => Err(unknown("sink", kind, &SINKS)),
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

fn postgres_options(settings: &Table, context: &Context<'_>) -> Result<postgres::Options, Faults> {
    let mut settings = Settings::new(settings, context);
    let config: Option<postgres::Config> = settings.read();
    let Some(config) = config else { return Err(settings.faults()) };
    let place = config.password.as_ref().map(|secret| match secret {
        postgres::SecretRef::File(path) => SecretPlace::File(path.clone()),
        postgres::SecretRef::Env(name) => SecretPlace::Env(name.clone()),
    });
    let password = settings.secret("password", place).map(|text| postgres::Secret::new(&text));
    let ca = settings.file("ca_file", config.ca_file.as_deref());
    let options = config.options(context.pipeline, context.system.clone(), password, ca);
    settings.finish(options)
}

fn fhir_options(settings: &Table, context: &Context<'_>) -> Result<fhir::Options, Faults> {
    let mut settings = Settings::new(settings, context);
    let config: Option<fhir::Config> = settings.read();
    let Some(config) = config else { return Err(settings.faults()) };
    let bearer_file = match config.auth.as_ref().map(|auth| &auth.bearer) {
        Some(fhir::SecretRef::File(path)) => Some(context.base_dir.join(path)),
        Some(fhir::SecretRef::Env(_)) | None => None,
    };
    let place = config.auth.as_ref().map(|auth| match &auth.bearer {
        fhir::SecretRef::File(path) => SecretPlace::File(path.clone()),
        fhir::SecretRef::Env(name) => SecretPlace::Env(name.clone()),
    });
    let bearer = settings.secret("auth", place).map(|text| fhir::Secret::new(&text));
    let ca = settings.file("ca_file", config.ca_file.as_deref());
    let Some(profile) = settings.profile(&config.profile) else { return Err(settings.faults()) };
    let options = config.options(profile, bearer, ca, context.types.to_vec());
    let options = options.map(|options| fhir::Options { bearer_file, ..options });
    settings.finish(options)
}

fn unknown(what: &str, kind: &str, known: &[&str]) -> Faults {
    vec![wrong(
        format!("there is no {what} of the kind `{kind}`"),
        format!("known in this build: {}", known.join(", ")),
    )]
}

#[cfg(test)]
mod tests;
