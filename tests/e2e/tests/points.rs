//! `LOCKSTEP_KILL_AT`: the engine dies at a durable operation, for each operation of a small workload.
//!
//! An operation counts before it begins and after it ended, so every row of the crash table that one process can reach is
//! met: slot wanted, chunk durable, rows durable and their commit not, commit durable and its decision not, decision durable
//! and not sent, reply and no `Acked`, `Acked` and no checkpoint.

use lockstep_e2e::{Flag, PATIENCE, Shape, Timed, World, check, long};
use std::time::{Duration, Instant};

/// What users do while the engine runs; `{}` is the number of the run, so that no two rows share a moment.
const WORK: [&str; 6] = [
    "INSERT INTO encounter VALUES (77000001{}00, 770000000001, 'A', 'I', '2025-01-02 00:00:00+00'::timestamptz + {} * interval '1 minute', NULL, false)",
    "INSERT INTO observation SELECT 77000001{}01 + n, 770000000001, 77000001{}00, '8867-4', 'Heart rate', n, '/min', 'F', \
     '2025-02-02 00:00:00+00'::timestamptz + {} * interval '1 minute' + n * interval '1 second', NULL, false FROM generate_series(0, 4) n",
    "UPDATE observation SET value = 100, status = 'C' WHERE observation_id = 77000001{}01",
    "UPDATE observation SET voided = true WHERE observation_id = 77000001{}02",
    "DELETE FROM observation WHERE observation_id = 77000001{}03",
    "UPDATE patient_name SET given = 'Run {}' WHERE patient_id = 770000000001",
];

/// The rows of a run go with it: else every run would have more durable operations than the one before, and no end be reached.
const FORGET: &str = "DELETE FROM observation WHERE observation_id >= 7700000100000; \
     DELETE FROM encounter WHERE encounter_id >= 7700000100000";

/// A new life: no data, no slot, an empty target, the rows of the beginning.
fn begin_again(world: &mut World) {
    world.engine.environment.clear();
    world.engine.cli(&["source", "drop", "--reason", "next run"]).exits(0);
    world.cluster.run(FORGET);
    std::fs::remove_dir_all(world.engine.data_dir()).unwrap();
    world.target.empty();
    world.engine.activate();
}

/// Runs the work with a kill at `point`; whether the engine died there.
fn run_with(world: &mut World, point: u32) -> bool {
    world.engine.environment.push(("LOCKSTEP_KILL_AT".to_owned(), point.to_string()));
    world.engine.start();
    world.engine.environment.clear();
    let number = format!("{point:03}");
    for sql in WORK {
        std::thread::sleep(Duration::from_millis(60));
        world.cluster.run(&sql.replace("{}", &number));
    }
    let lsn = world.cluster.lsn();
    let started = Instant::now();
    loop {
        if world.engine.has_ended() {
            assert_eq!(world.engine.ends(PATIENCE), -1, "it did not die by the kill");
            return true;
        }
        let settled = world.engine.status().is_some_and(|status| lockstep_e2e::engine::is_settled(&status, lsn));
        if settled || started.elapsed() > PATIENCE {
            assert!(settled, "neither dead nor settled at point {point}");
            return false;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

fn every(step: u32, flag: Flag) {
    let mut world = World::new(Shape { preload: 15, chunk_rows: 20, socket: true, ..Shape::new(flag) });
    let mut point = 1;
    // Another count of points at each run, because batches differ: three survivors in a row are the end.
    let mut survived = 0;
    let mut kills = 0;
    while survived < 3 && point < 1_000 {
        if run_with(&mut world, point) {
            (survived, kills) = (0, kills + 1);
        } else {
            // The point may still come, at a heartbeat or at the end.
            survived += 1;
            world.engine.kill();
        }
        world.engine.start();
        check(&mut world);
        begin_again(&mut world);
        point += step;
    }
    println!("{kills} kills, the last below {point}");
    assert!(kills * step > 20, "only {kills} kills: the workload has more durable operations than that");
}

#[test]
fn a_kill_at_a_durable_operation_changes_nothing() {
    let _timed = Timed::new("kill points");
    every(if long() { 1 } else { 5 }, Flag::Spec);
    if long() {
        every(1, Flag::Hapi);
    }
}
