//! What is waited for is named: one line a thing, with everybody who waits for it counted.

use flow::{Awaited, Inspect, Limits, WaitingItem};
use lockstep_sim::World;
use model::Verdict;
use ports::StateStore;
use std::collections::BTreeSet;

fn at_rest(seed: u64) -> World {
    let mut world = World::new(seed, Limits::default());
    world.open();
    world.activate();
    (0..40).for_each(|_| world.source.commit(3));
    world.drain();
    world
}

#[test]
fn every_unit_that_waits_is_counted_under_the_one_thing_that_it_waits_for() {
    let mut seen = 0;
    for seed in 0..6 {
        let mut world = at_rest(seed);
        let items: Vec<WaitingItem> = world.flow.waiting(world.store.txn());
        world.crash();
        world.drain();
        assert_eq!(world.flow.waiting(world.store.txn()), items, "a restart changes nothing of it: seed {seed}");
        world.fence();
        let view = Inspect::open(world.store.view().expect("memory does not fail"));
        let units = view.aggregates(None, usize::MAX).units;
        let waiting = units.iter().filter(|unit| matches!(unit.verdict, Some(Verdict::Waiting(_)))).count() as u64;
        let rows = items.iter().filter(|item| matches!(item.on, Awaited::Row { .. }));
        assert_eq!(rows.clone().map(|item| item.count).sum::<u64>(), waiting, "seed {seed}");
        let names: BTreeSet<String> = items.iter().map(|item| format!("{:?}", item.on)).collect();
        assert_eq!(names.len(), items.len(), "one line a thing: seed {seed}");
        assert!(rows.clone().all(|item| item.since.is_some() && !item.why.is_empty()));
        seen += waiting;
    }
    assert!(seen > 0, "somebody waited");
}
