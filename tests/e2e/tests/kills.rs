//! `kill -9` at random moments under load: of the engine, of PostgreSQL, of the target; then everything is checked.
//!
//! Phases: *snapshot* kills during the first read, *stream* while users work, *delivery* with a slow target that loses
//! replies, refuses and fails. LOCKSTEP_SEED throws the same moments again, LOCKSTEP_ROUNDS chooses how many.

use lockstep_e2e::{Dice, Flag, Load, Shape, Timed, World, check, rounds};

/// Slow answers, lost replies, too many requests, errors: every way in which an outcome can be unknown.
const FAULTS: &str = r#"[{"seed": 7, "latency_ms": [1, 15], "too_many": {"rate": 0.01}, "retry_after_s": 1,
 "server_error": {"rate": 0.02}, "cut_before_commit": {"rate": 0.02}, "lose_reply_after_commit": {"rate": 0.05}}]"#;

/// What is killed besides the engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Also {
    Nothing,
    Postgres,
    Target,
}

/// How a run of kills goes.
struct Plan {
    flag: Flag,
    also: Also,
    rounds: u32,
    faults: bool,
    /// A whole check after so many rounds, and at the end.
    check_every: u32,
}

fn snapshot(flag: Flag, also: Also, dice: &mut Dice, kills: u32) {
    let mut world = World::new(Shape { preload: 500, chunk_rows: 25, ..Shape::new(flag) });
    let load = Load::start(&world.cluster.writer_url(), dice.number(), 60.0);
    world.engine.start();
    for _ in 0..kills {
        std::thread::sleep(dice.millis(150, 900));
        kill_one(&mut world, also, dice);
    }
    std::thread::sleep(dice.millis(500, 1500));
    load.stop();
    println!("snapshot {flag:?}: {kills} kills, {:?}", check(&mut world));
}

fn stream(plan: &Plan, dice: &mut Dice) {
    let mut world = World::new(Shape { preload: 60, chunk_rows: 50, ..Shape::new(plan.flag) });
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    let mut load = Some(Load::start(&world.cluster.writer_url(), dice.number(), 120.0));
    for round in 1..=plan.rounds {
        if plan.faults {
            world.target.faults(FAULTS);
        }
        std::thread::sleep(dice.millis(100, 1_400));
        kill_one(&mut world, plan.also, dice);
        if round % plan.check_every == 0 || round == plan.rounds {
            if let Some(load) = load.take() {
                load.stop();
            }
            world.target.faults("[]");
            let checked = check(&mut world);
            println!("{:?}: round {round} of {}, {checked:?}", plan.flag, plan.rounds);
            world.engine.start();
            load = Some(Load::start(&world.cluster.writer_url(), dice.number(), 120.0));
        }
    }
}

/// The engine dies in each round; what else dies does so before, after, or alone.
fn kill_one(world: &mut World, also: Also, dice: &mut Dice) {
    let order = if also == Also::Nothing { 0 } else { dice.below(3) };
    if order != 2 {
        world.engine.kill();
    }
    match also {
        Also::Nothing => {}
        Also::Postgres => {
            world.cluster.kill();
            if order == 1 {
                world.engine.start();
            }
            std::thread::sleep(dice.millis(0, 600));
            world.cluster.up();
        }
        Also::Target => {
            world.target.kill();
            if order == 1 {
                world.engine.start();
            }
            std::thread::sleep(dice.millis(0, 600));
            world.target.up();
        }
    }
    if order == 0 {
        world.engine.start();
    }
    // Alone: it must have lived through it.
    assert!(!world.engine.has_ended(), "the engine gave up:\n{}", world.engine.log_text());
}

#[test]
fn kills_of_the_engine_at_a_server_by_the_specification() {
    let _timed = Timed::new("kills, spec");
    let mut dice = Dice::new("kills, spec");
    snapshot(Flag::Spec, Also::Nothing, &mut dice, rounds(4, 30));
    let plan = Plan { flag: Flag::Spec, also: Also::Nothing, rounds: rounds(3, 35), faults: false, check_every: 5 };
    stream(&plan, &mut dice);
    stream(&Plan { faults: true, ..plan }, &mut dice);
}

#[test]
fn kills_of_the_engine_at_a_server_like_hapi() {
    let _timed = Timed::new("kills, hapi");
    let mut dice = Dice::new("kills, hapi");
    snapshot(Flag::Hapi, Also::Nothing, &mut dice, rounds(4, 30));
    let plan = Plan { flag: Flag::Hapi, also: Also::Nothing, rounds: rounds(3, 35), faults: false, check_every: 5 };
    stream(&plan, &mut dice);
    stream(&Plan { faults: true, ..plan }, &mut dice);
}

#[test]
fn kills_of_engine_and_database() {
    let _timed = Timed::new("kills, database");
    let mut dice = Dice::new("kills, database");
    for flag in [Flag::Spec, Flag::Hapi] {
        snapshot(flag, Also::Postgres, &mut dice, rounds(1, 7));
        let plan = Plan { flag, also: Also::Postgres, rounds: rounds(1, 8), faults: false, check_every: 5 };
        stream(&plan, &mut dice);
    }
}

#[test]
fn kills_of_engine_and_target() {
    let _timed = Timed::new("kills, target");
    let mut dice = Dice::new("kills, target");
    for flag in [Flag::Spec, Flag::Hapi] {
        snapshot(flag, Also::Target, &mut dice, rounds(1, 7));
        let plan = Plan { flag, also: Also::Target, rounds: rounds(1, 8), faults: true, check_every: 5 };
        stream(&plan, &mut dice);
    }
}
