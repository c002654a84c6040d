//! Every parser of Lockstep under any input: one function a target, and inputs to begin with.
//!
//! A target panics where a parser does not keep its promise: no panic on any bytes, and what was read is written and read again
//! as the same. `cargo x fuzz` runs them under libFuzzer; `tests/corpus.rs` runs them in CI over seeds, over all that was ever
//! found (`found/TARGET/`), and over mutations of both that are the same in every run.

#![expect(clippy::expect_used, reason = "a panic is how a target reports")]

mod cli;
pub mod mutate;
pub mod targets;
mod world;

// The configuration's own code says `crate::connect`, as in the program it is part of.
use cli::connect;
use targets::{config, fhir, journal, mapping, model, postgres, sandbox, schemas};

/// One parser, or several that read the same bytes.
pub struct Target {
    /// For `cargo x fuzz` and the folder of what was found.
    pub name: &'static str,
    /// Reads the bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs that get far.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 22] = [
    Target { name: "pg_pgoutput", run: postgres::pgoutput, seeds: postgres::pgoutput_seeds },
    Target { name: "pg_stream", run: postgres::stream, seeds: postgres::stream_seeds },
    Target { name: "pg_values", run: postgres::values, seeds: postgres::values_seeds },
    Target { name: "pg_texts", run: postgres::texts, seeds: postgres::texts_seeds },
    Target { name: "entry", run: schemas::entry, seeds: schemas::entry_seeds },
    Target { name: "record", run: schemas::record, seeds: schemas::record_seeds },
    Target { name: "state", run: schemas::state, seeds: schemas::state_seeds },
    Target { name: "row", run: schemas::row, seeds: schemas::row_seeds },
    Target { name: "keys", run: schemas::keys, seeds: schemas::key_seeds },
    Target { name: "profile", run: schemas::profile, seeds: schemas::profile_seeds },
    Target { name: "json", run: model::json, seeds: model::json_seeds },
    Target { name: "resource", run: model::resource, seeds: model::resource_seeds },
    Target { name: "map", run: mapping::map, seeds: mapping::map_seeds },
    Target { name: "expression", run: mapping::expression, seeds: mapping::expression_seeds },
    Target { name: "cells", run: mapping::cells, seeds: mapping::cell_seeds },
    Target { name: "journal", run: journal::disk, seeds: journal::disk_seeds },
    Target { name: "frames", run: journal::frames, seeds: journal::frame_seeds },
    Target { name: "config", run: config::settings, seeds: config::settings_seeds },
    Target { name: "fhir_answer", run: fhir::answer, seeds: fhir::answer_seeds },
    Target { name: "fhir_history", run: fhir::history, seeds: fhir::history_seeds },
    Target { name: "sandbox_put", run: sandbox::put, seeds: sandbox::put_seeds },
    Target { name: "sandbox_request", run: sandbox::request, seeds: sandbox::request_seeds },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    const ALL: &[Target] = &TARGETS;
    ALL.iter().find(|target| target.name == name)
}
