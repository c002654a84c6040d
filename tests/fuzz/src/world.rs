//! Seeds that are always of the present format: logs and state of one run of the simulator.

use model::{Journaled, Recorded};
use ports::StateStore;
use sim::World;
use std::{collections::BTreeSet, sync::LazyLock};

struct Seen {
    journal: Vec<Journaled>,
    decisions: Vec<Recorded>,
    stored: Vec<(Vec<u8>, Vec<u8>)>,
}

static SEEN: LazyLock<Seen> = LazyLock::new(|| {
    let mut world = World::new(11, flow::Limits::default());
    world.source.wild = true;
    world.open();
    world.activate();
    for _ in 0..20 {
        world.source.commit(4);
        for _ in 0..40 {
            world.event();
        }
    }
    world.crash();
    world.settle_everything();
    let mut stored = Vec::new();
    world.store.txn().range(&[], &[0xff; 8], &mut |key, value| {
        stored.push((key.to_vec(), value.to_vec()));
        true
    });
    Seen { journal: world.journal, decisions: world.decisions, stored }
});

/// A few of every kind of entry.
pub(crate) fn journal() -> Vec<Journaled> {
    some(&SEEN.journal, |entry| format!("{:?}", entry.entry).split([' ', '(', '{']).next().unwrap_or_default().into())
}

/// A few of every kind of record.
pub(crate) fn decisions() -> Vec<Recorded> {
    some(&SEEN.decisions, |record| {
        format!("{:?}", record.record).split([' ', '(', '{']).next().unwrap_or_default().into()
    })
}

/// A few of every kind of what the store holds.
pub(crate) fn stored() -> Vec<(Vec<u8>, Vec<u8>)> {
    some(&SEEN.stored, |(key, _)| format!("{:?}", key.first()))
}

fn some<T: Clone>(all: &[T], kind: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let few = |one: &&T| (0..3).any(|n| seen.insert((kind(one), n)));
    all.iter().filter(few).cloned().collect()
}
