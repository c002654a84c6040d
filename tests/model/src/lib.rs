//! The contracts between the logs (the J rules) for one partition, as a model small enough to look at every state of it.
//!
//! The explorer walks all interleavings of all configurations: with every rule no promise is broken; with one rule taken
//! away one is, and the shortest run that breaks it is printed. The code of the engine is checked by `tests/sim`; this
//! says that the rules which that code follows are enough, and that each of them is needed.
//!
//! ```text
//!  database ──log──► slot ──► ingest ──► JOURNAL ──► fold ──► decide ──► DECISIONS ──► deliver ──► net ──► target
//!  2 rows             ▲ confirm            │ durable up to jd  1 unit a step │ up to dd      one in flight a unit
//!                     └────────────────────┘◄──────────── Acked, Stale, Resource ◄────────────────┘
//! ```
//!
//! **Abstracted.** Two tables of one row each; row a has a second column that an update may leave `Unchanged`. Unit 0
//! joins both rows, unit 1 is row b. A slot with an exported snapshot that dies in a crash; behind it marked chunks (low,
//! read, high). Commits that stand in the log before they are visible; a lost slot; keepalives. Both logs have undurable
//! tails, of which a crash leaves any prefix; a checkpoint is its place only (its content is a function of the logs). The
//! target has versions, a create guard or none, may create on `If-Match` of a missing resource, makes no new version for
//! equal content, and is edited by others: set, undo, delete, expunge, create first. It keeps stamps or does not. It may
//! be a source, too (echoes). A restart may run code that decides otherwise.
//!
//! **Left out.** Time and timers, holds, reviews and parking, several partitions and terms, encryption, bundles, schema
//! changes, merging by field: our value wins over a foreign edit that the decision cites, a foreign deletion stands.
//!
//! **Bounds.** At most 3 transactions, 2 crashes, 2 faults of the network, 1 late request, 2 edits by others; each
//! configuration ([`config`]) says its own. The fold runs at once in the capture configurations: it is volatile, so a
//! crash before it is a crash behind it.
//!
//! `cargo x model` explores every configuration whole and then takes the rules away (26,497,458 states, less than two
//! CPU-minutes); the tests do the same within smaller bounds where a configuration has millions of states.

#[macro_use]
mod named;
pub mod config;
mod crash;
mod deliver;
pub mod explore;
mod fold;
mod moves;
pub mod property;
pub mod removed;
mod rest;
pub mod rules;
pub mod seen;
mod source;
mod state;
mod target;
#[cfg(test)]
mod tests;

use config::Config;
use std::cell::Cell;

/// One configuration, ready to be explored.
pub struct Model {
    config: Config,
    seen: Cell<seen::Seen>,
}

impl Model {
    /// The model within these bounds.
    pub fn new(config: Config) -> Model {
        Model { config, seen: Cell::default() }
    }

    /// What happened in the states that were made so far.
    pub fn seen(&self) -> seen::Seen {
        self.seen.get()
    }

    fn on(&self, rule: rules::Rule) -> bool {
        self.config.rules.has(rule)
    }

    fn saw(&self, event: seen::Event) {
        self.seen.set(self.seen.get().with(event));
    }
}
