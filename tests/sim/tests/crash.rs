//! Crashes at every moment, lost replies, foreign edits: nothing lost, nothing twice, replay equal.
//! More seeds: `LOCKSTEP_SEEDS=2000 cargo test --release -p lockstep-sim`.

use flow::Limits;
use lockstep_sim::World;

fn seeds() -> std::ops::Range<u64> {
    let many = std::env::var("LOCKSTEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    0..many
}

fn small() -> Limits {
    // Small limits, so that every path is taken: steps, spills, read-backs, waiting for outcomes.
    Limits {
        step_units_max: 3,
        effects_ahead_max: 6,
        visible_bytes_max: 3_000,
        transaction_bytes_max: 1_200,
        ..Limits::default()
    }
}

#[derive(Clone, Copy, Default)]
struct Faults {
    crashes: bool,
    replies: bool,
    foreign: bool,
}

fn run(seed: u64, limits: Limits, faults: Faults) -> World {
    let mut world = World::new(seed, limits);
    world.lose_replies = faults.replies;
    for _ in 0..world.chance.below(6) {
        world.source.commit(2);
    }
    world.open();
    if world.chance.one_in(2) {
        world.activate();
    }
    for _ in 0..30 {
        let size = if world.chance.one_in(6) { 12 } else { 1 + world.chance.below(3) };
        world.source.commit(size);
        for _ in 0..world.chance.below(60) {
            world.event();
        }
        if faults.crashes && world.chance.one_in(4) {
            world.crash();
        }
        if faults.foreign && world.chance.one_in(2) {
            let chosen = world.chance.below(world.target.units.len() as u64) as usize;
            let unit = world.target.units.keys().nth(chosen).cloned().unwrap_or_default();
            world.target.edit(&unit);
        }
    }
    if !world.journal.iter().any(|entry| matches!(entry.entry, model::Entry::Activated(_))) {
        world.activate();
    }
    world.drain();
    if faults.crashes {
        world.crash();
        world.drain();
    }
    world
}

#[test]
fn a_quiet_run_shows_the_target_what_the_source_holds() {
    for seed in seeds() {
        println!("seed {seed}");
        run(seed, Limits::default(), Faults::default()).check();
    }
}

#[test]
fn crashes_at_any_moment_lose_nothing_and_do_nothing_twice() {
    for seed in seeds() {
        println!("seed {seed}");
        run(seed, small(), Faults { crashes: true, ..Faults::default() }).check();
    }
}

#[test]
fn lost_replies_and_crashes_leave_one_version_an_effect() {
    for seed in seeds() {
        println!("seed {seed}");
        run(seed, small(), Faults { crashes: true, replies: true, ..Faults::default() }).check();
    }
}

#[test]
fn edits_of_others_stay_where_no_map_owns_them_and_stop_nothing() {
    for seed in seeds() {
        println!("seed {seed}");
        run(seed, small(), Faults { crashes: true, replies: true, foreign: true }).check();
    }
}
