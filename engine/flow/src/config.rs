//! What a flow is told at its start. Nothing here changes a decision that is recorded.

use crate::quarantine::Quarantine;
use model::SystemId;

/// The settings of one pipeline. One source and one sink in this version.
#[derive(Clone)]
pub struct Config {
    /// Names slot, stamp and effects; never changes.
    pub pipeline: Box<str>,
    /// Part of every minted id.
    pub site: Box<str>,
    /// Seeds every minted id; a random UUID of the deployment.
    pub namespace: uuid::Uuid,
    /// The source.
    pub source: SourceSettings,
    /// The sink.
    pub sink: SinkSettings,
    /// Limits.
    pub limits: Limits,
    /// The number of the engine's behaviour (J38).
    pub behaviour: u32,
    /// What panicked twice, and is left out (J32).
    pub quarantine: Quarantine,
    /// Of a test: folding a row that holds this text panics.
    pub poison: Option<Box<str>>,
}

/// The source of the pipeline.
#[derive(Clone)]
pub struct SourceSettings {
    /// Its system.
    pub system: SystemId,
    /// The slot's name: `lockstep_<pipeline>`.
    pub slot: Box<str>,
}

/// The sink of the pipeline.
#[derive(Clone)]
pub struct SinkSettings {
    /// Its system.
    pub system: SystemId,
    /// `meta.source` is this, `#` and the request's stamp (J28).
    pub stamp_uri: Box<str>,
    /// Requests in flight at most; never two of one unit.
    pub concurrency: usize,
}

/// Everything has a limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Marked units per decided step (J13).
    pub step_units_max: usize,
    /// Decided and sendable effects without an outcome (J44).
    pub effects_ahead_max: usize,
    /// Durable entries kept in memory until they are folded; what is above is read back from the journal.
    pub visible_bytes_max: usize,
    /// Rows of one transaction kept in memory until its commit; a larger one is read back.
    pub transaction_bytes_max: usize,
    /// Inferred deletes of one chunk, percent of its rows; more hold the table (J8).
    pub inferred_deletes_percent: u64,
    /// .. but never fewer than this.
    pub inferred_deletes_at_least: u64,
    /// A unit that waits longer for a reference is held for a person.
    pub waiting_age_max_seconds: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            step_units_max: 1_000,
            effects_ahead_max: 50_000,
            visible_bytes_max: 8 << 20,
            transaction_bytes_max: 8 << 20,
            inferred_deletes_percent: 1,
            inferred_deletes_at_least: 10,
            waiting_age_max_seconds: 86_400,
        }
    }
}
