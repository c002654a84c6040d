//! The loop: one change travels from the database over journal and decision to the target, and is acknowledged.

use lockstep_e2e::{Cluster, Flag, Shape, Timed, World, check, load};
use model::Json;

const PATIENT: u64 = 770_000_000_001;

/// What each step of the story does to the database.
const STORY: [&str; 13] = [
    // A child before its parent: it waits, and goes out when the parent is there.
    "INSERT INTO observation VALUES (770000000101, 770000000001, 770000000100, '8867-4', 'Heart rate', 61.0, '/min', 'F', \
     '2026-01-02 03:04:05+00', 'seated', false)",
    "INSERT INTO encounter VALUES (770000000100, 770000000001, 'A', 'I', '2026-01-02 03:00:00+00', NULL, false)",
    // Out of line: the next updates of the row leave it alone, so it is not in the log, and must not be lost.
    "ALTER TABLE observation ALTER COLUMN note SET STORAGE EXTERNAL; \
     UPDATE observation SET note = 'CANARY-' || repeat('0123456789', 500) WHERE observation_id = 770000000101",
    // An update of a text that no map reads.
    "UPDATE patient SET notes = repeat('0123456789', 1000) WHERE patient_id = 770000000001",
    "UPDATE patient SET sex = 'U' WHERE patient_id = 770000000001",
    "UPDATE patient_name SET family = 'Other' WHERE patient_id = 770000000001",
    "UPDATE observation SET value = 62.50, status = 'C' WHERE observation_id = 770000000101",
    "UPDATE observation SET voided = true WHERE observation_id = 770000000101",
    "UPDATE observation SET voided = false WHERE observation_id = 770000000101",
    "BEGIN; UPDATE observation SET value = 1 WHERE observation_id = 770000000101; ROLLBACK",
    "UPDATE encounter SET status = 'F', ended = '2026-01-02 04:00:00+00' WHERE encounter_id = 770000000100",
    "INSERT INTO observation VALUES (770000000102, 770000000001, NULL, '29463-7', 'Weight', 70, 'kg', 'F', \
     '2026-01-02 03:05:05+00', NULL, false)",
    "DELETE FROM observation WHERE observation_id = 770000000102",
];

fn story(flag: Flag, socket: bool) {
    let mut world = World::new(Shape { socket, ..Shape::new(flag) });
    world.engine.start();
    world.engine.wait_up();
    for sql in STORY {
        world.cluster.run(sql);
        settle(&mut world);
    }
    let statuses = statuses(&world);
    let mut known = vec!["final", "final", "corrected", "entered-in-error", "corrected"];
    // The second observation.
    known.extend(["final", "entered-in-error"]);
    known.sort_unstable();
    assert_eq!(statuses, known, "what an observation said, version by version");
    world.engine.cli(&["unit", "show", "--why", &unit(&world)]).exits(0).says("accepted");
    let checked = check(&mut world);
    assert_eq!(checked.units, 4, "{checked:?}");
    let log = world.engine.log_text();
    assert!(!log.contains("ERROR") && !log.contains("no map is in force"), "an alarm without a cause");
    assert_eq!(Cluster::value(&world.cluster, "SELECT count(*) FROM pg_replication_slots"), "1");
}

fn settle(world: &mut World) {
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
}

fn unit(world: &World) -> String {
    world.target.everything().keys().find(|unit| unit.starts_with("Patient/")).cloned().unwrap_or_default()
}

fn statuses(world: &World) -> Vec<String> {
    let everything = world.target.everything();
    let observations = everything.iter().filter(|(unit, _)| unit.starts_with("Observation/"));
    let versions = observations.flat_map(|(_, versions)| versions);
    let status = |body: &Json| body.get("status").and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut found: Vec<String> = versions.filter_map(|version| version.body.as_ref()).map(status).collect();
    found.sort_unstable();
    found
}

#[test]
fn each_kind_of_change_arrives_once_at_a_server_by_the_specification() {
    let _timed = Timed::new("loop, spec");
    story(Flag::Spec, false);
}

#[test]
fn each_kind_of_change_arrives_once_at_a_server_like_hapi() {
    let _timed = Timed::new("loop, hapi");
    story(Flag::Hapi, true);
}

#[test]
fn a_full_database_and_users_at_work_arrive() {
    let _timed = Timed::new("loop, preloaded");
    let mut world = World::new(Shape { preload: 400, ..Shape::new(Flag::Spec) });
    assert_eq!(world.cluster.value("SELECT count(*) FROM patient WHERE patient_id < 770000000000"), "0", "{PATIENT}");
    world.engine.start();
    load::write(&world.cluster.writer_url(), 11, 400);
    let checked = check(&mut world);
    println!("{checked:?}");
}
