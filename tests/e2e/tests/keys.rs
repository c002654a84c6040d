//! A table gets another key while users are at work: it is asked about by name, each answer does what it says, and no row is
//! ever mapped into another's resource.

use lockstep_e2e::engine::MAP;
use lockstep_e2e::{Flag, Load, PATIENCE, Shape, Timed, World, check};

const MRN: &str = "ALTER TABLE patient DROP CONSTRAINT patient_pkey, ADD PRIMARY KEY (mrn)";
const BACK: &str = "ALTER TABLE patient DROP CONSTRAINT patient_pkey, ADD PRIMARY KEY (patient_id)";
/// Patients whose rows are mapped.
const LIVE: &str = "NOT voided AND NOT is_test";

/// A clinic that is captured and settled.
fn world() -> World {
    let mut world = World::new(Shape { preload: 120, ..Shape::new(Flag::Spec) });
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world
}

fn answer(world: &World, answer: &str) {
    world.engine.cli(&["held", "answer", "table:public.patient", answer, "--reason", "as the DBA says"]).exits(0);
}

/// How often tables began to be read, as the journal says it.
fn readings(world: &World) -> usize {
    let entries = world.engine.cli(&["journal", "ls", "--json", "--max", "100000000"]).exits(0).json();
    let started = |what: &str| what.starts_with("started");
    entries.iter().filter(|entry| entry["kind"] == "Snapshot" && entry["what"].as_str().is_some_and(started)).count()
}

fn wait_held(world: &mut World, what: &str, held: bool) {
    world.engine.wait_status(what, PATIENCE, |status| (status["held"].as_u64() > Some(0)) == held);
}

#[test]
fn under_a_key_of_other_columns_each_row_stays_the_resource_that_it_was() {
    let _timed = Timed::new("another key, rebound");
    let mut world = world();
    // The users find patients by their number as ever.
    world.cluster.run("CREATE INDEX ON patient (patient_id)");
    let load = Load::start(&world.cluster.writer_url(), 33, 60.0);
    world.cluster.run(MRN);
    wait_held(&mut world, "it asks", true);
    let asked = world.engine.cli(&["held", "ls"]).exits(0).says("table:public.patient");
    asked.says("its key was (patient_id int) and is (mrn text) now: rebind?").says("    rebind");
    world.engine.cli(&["held", "answer", "table:public.patient", "accept"]).exits(2);
    world.engine.cli(&["held", "answer", "table:public.patient", "rebind", "--dry-run"]).exits(0).says("stays the one");
    answer(&world, "rebind");
    // Whatever of it is done, the rest is done by the next life.
    world.engine.kill();
    world.engine.start();
    wait_held(&mut world, "it goes on", false);
    // Rows that come, change and go are told by their new key from here on.
    std::thread::sleep(std::time::Duration::from_secs(3));
    load.stop();
    // A retracted resource keeps what it said.
    world.cluster.run(&format!("UPDATE patient SET mrn = mrn || '-2', born = born + 1 WHERE {LIVE}"));
    check(&mut world);
    world.engine.cli(&["state", "rebuild"]).exits(0);
    // A map goes on naming the resources by the old columns, for an engine that runs and for one that does not.
    world.engine.cli(&["check"]).exits(0).says("ready");
    world.engine.start();
    world.engine.wait_up();
    world.engine.write("map.yaml", &MAP.replace("version: 1\n", "version: 2\n"));
    world.engine.cli(&["check"]).exits(0).says("but the map in force is");
    world.engine.activate();
    world.engine.cli(&["check"]).exits(0);
    // Back again: behind a reading of its own, without a question.
    let started = readings(&world);
    world.cluster.run(BACK);
    world.cluster.run(&format!("UPDATE patient SET born = born - 1 WHERE {LIVE}"));
    lockstep_e2e::wait_for("it is read again", PATIENCE, || readings(&world) > started);
    wait_held(&mut world, "it goes on by itself", false);
    check(&mut world);
}

#[test]
fn a_key_that_is_put_back_goes_on_without_an_answer() {
    let _timed = Timed::new("another key, put back");
    let mut world = world();
    world.cluster.run(MRN);
    wait_held(&mut world, "it asks", true);
    world.cluster.run(&format!("UPDATE patient SET born = born + 1 WHERE {LIVE}"));
    world.cluster.run(BACK);
    wait_held(&mut world, "it goes on by itself", false);
    check(&mut world);
}

#[test]
fn rows_that_are_gone_under_the_new_key_are_asked_about() {
    let _timed = Timed::new("another key, rows gone");
    let mut world = world();
    world.cluster.run(MRN);
    wait_held(&mut world, "it asks", true);
    world.cluster.run(&format!("DELETE FROM patient WHERE mrn = (SELECT min(mrn) FROM patient WHERE {LIVE})"));
    answer(&world, "rebind");
    let question = "under its new key, no row is there for 1 units";
    world.engine.wait_status("it asks again", PATIENCE, |status| {
        status["held"] == 1 && !status.to_string().contains("its key was")
    });
    lockstep_e2e::wait_for("the new question", PATIENCE, || {
        world.engine.cli(&["held", "ls", "--json"]).text.contains(question)
    });
    answer(&world, "accept");
    wait_held(&mut world, "it goes on", false);
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.cli(&["verify"]).exits(0);
}

#[test]
fn without_the_old_columns_the_resources_stay_and_the_rows_are_new_ones() {
    let _timed = Timed::new("another key, unbound");
    let mut world = world();
    let before = world.target.everything();
    world.cluster.run(&format!("{MRN}, DROP COLUMN patient_id"));
    wait_held(&mut world, "it asks", true);
    world.engine.cli(&["held", "answer", "table:public.patient", "rebind"]).exits(2);
    answer(&world, "unbind");
    world.engine.wait_status("the entity is held", PATIENCE, |status| {
        status["halts"].to_string().contains("its rows are no more those of patient")
    });
    let map = MAP.split("  encounter:\n").next().unwrap();
    let map = map
        .replace("  patient:\n", "  person:\n")
        .replace("key: [patient_id], key_version: 1", "key: [mrn], key_version: 1");
    let mut map: Vec<&str> = map.lines().filter(|line| !line.contains("nm") && !line.contains("addr")).collect();
    map.retain(|line| !line.trim_start().starts_with("joins:"));
    world.engine.write("map.yaml", &map.join("\n"));
    // The resources of before belong to the rows of before.
    world.engine.cli(&["activate"]).exits(4).says("would mint the ids of patient");
    world.engine.write("map.yaml", &map.join("\n").replace("key: [mrn],", "key: [mrn], part: person,"));
    world.engine.activate();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.cli(&["verify"]).exits(0);
    world.engine.cli(&["replay", "check"]).exits(0);
    let after = world.target.everything();
    for (unit, versions) in &before {
        assert_eq!(after[unit].len(), versions.len(), "{unit} is as it was");
    }
    let patients =
        |all: &lockstep_e2e::target::Everything| all.keys().filter(|unit| unit.starts_with("Patient/")).count();
    let rows: usize = world.cluster.value(&format!("SELECT count(*) FROM patient WHERE {LIVE}")).parse().unwrap();
    assert!(patients(&after) >= patients(&before) + rows);
}
