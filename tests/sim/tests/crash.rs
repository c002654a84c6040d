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
            let unit = any_unit(&mut world);
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

/// Everything that can happen, in no order.
fn wild(seed: u64) {
    let mut world = World::new(seed, small());
    if world.chance.one_in(2) {
        world.limits.inferred_deletes_at_least = 2;
        world = World::new(seed ^ 0x5eed, world.limits);
    }
    (world.source.wild, world.moody, world.lose_replies) = (true, true, true);
    for _ in 0..world.chance.below(8) {
        world.source.commit(3);
    }
    world.open();
    if world.chance.one_in(2) {
        world.activate();
    }
    for _ in 0..30 {
        let size = 1 + world.chance.below(4);
        world.source.commit(size);
        for _ in 0..world.chance.below(60) {
            world.event();
        }
        match world.chance.below(16) {
            0..=2 => world.crash(),
            3 | 4 => world.cut_source(),
            5 if world.chance.one_in(3) => world.lose_slot(),
            6..=8 => drop(world.look_at_holds(false)),
            9 => world.release_parked(),
            10 if world.chance.one_in(2) => world.activate_another(),
            11 | 12 => {
                let unit = any_unit(&mut world);
                world.target.edit(&unit);
            }
            13 => {
                let unit = any_unit(&mut world);
                world.target.delete(&unit);
            }
            14 => world.read_a_table_again(),
            _ => {}
        }
    }
    if !world.journal.iter().any(|entry| matches!(entry.entry, model::Entry::Activated(_))) {
        world.activate();
    }
    world.settle_everything();
    world.crash();
    world.settle_everything();
    if std::env::var_os("LOCKSTEP_SHOW").is_some() {
        world.print();
    }
    world.check();
}

fn any_unit(world: &mut World) -> String {
    let chosen = world.chance.below(world.target.units.len() as u64) as usize;
    world.target.units.keys().nth(chosen).cloned().unwrap_or_default()
}

#[test]
fn the_worst_days_of_a_clinic_lose_nothing() {
    let first = std::env::var("LOCKSTEP_FIRST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for seed in seeds().filter(|seed| *seed >= first) {
        println!("seed {seed}");
        wild(seed);
    }
}

#[test]
fn edits_of_others_stay_where_no_map_owns_them_and_stop_nothing() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = run(seed, small(), Faults { crashes: true, replies: true, foreign: true });
        if std::env::var_os("LOCKSTEP_SHOW").is_some() {
            world.print();
        }
        world.check();
    }
}

#[test]
fn an_accepted_outcome_that_comes_later_changes_no_decision() {
    for seed in seeds() {
        println!("seed {seed}");
        run(seed, small(), Faults { crashes: true, replies: true, foreign: true }).check_outcomes_later();
    }
}
