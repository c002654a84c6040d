//! A small world around one flow: a source, two logs, a store, a target, all in memory, all driven by one seed.
//!
//! The flow is the production code. Whatever was not made durable is lost in a crash; replies may be lost; batches end
//! anywhere. After a run, `World::check` compares the target with what the source holds.

#![expect(missing_docs, reason = "a test world: its names say what they are")]

pub mod batch;
pub mod checkers;
pub mod disk;
mod drive;
pub mod fault;
pub mod fenced;
pub mod fired;
pub mod history;
pub mod later;
mod logs;
pub mod memory;
pub mod names;
mod past;
mod people;
pub mod plan;
mod reading;
mod rebuild;
mod replay;
pub mod run;
pub mod shrink;
pub mod source;
pub mod target;
pub mod tell;
mod wild;
pub mod windows;
mod world;

use flow::{Config, Limits, SinkSettings, SourceSettings};
use model::Principal;
pub use people::activate_text;
pub use world::World;

/// A small generator (SplitMix64): the tests must not depend on a crate's choice of numbers.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

pub const MAP: &str = include_str!("../../../schemas/maps/clinic/map.yaml");

/// The same, where a row that is gone takes its resource with it: an HTTP DELETE.
pub fn removing_map() -> String {
    let map = MAP.replace("{row: purged, when: purged,", "{row: removed, when: removed,");
    map.replace("{row: retracted,", "{row: removed,")
}

pub fn config(limits: Limits) -> Config {
    Config {
        pipeline: "clinic".into(),
        site: "north".into(),
        namespace: uuid::Uuid::from_u128(7),
        source: SourceSettings { system: "legacy".into(), slot: "lockstep_clinic".into() },
        sink: SinkSettings { system: "cloud".into(), stamp_uri: "https://ids.test/lockstep".into(), concurrency: 4 },
        limits,
        behaviour: flow::BEHAVIOUR,
        quarantine: Default::default(),
        poison: None,
    }
}

pub fn nurse() -> Principal {
    Principal { issuer: "test".into(), subject: "1".into(), name: "n".into(), roles: vec![], how: "test".into() }
}
