//! What is published changes while the engine runs and while it is down: nothing is lost, and what is asked is asked by name.

use lockstep_e2e::{Flag, Load, PATIENCE, Shape, Timed, World, check};

const OUT: &str = "ALTER PUBLICATION lockstep_clinic DROP TABLE";
const BACK: &str = "ALTER PUBLICATION lockstep_clinic ADD TABLE";
/// Rows of the test's own, before.
const ROWS: &str = "INSERT INTO observation SELECT 770000000900 + i, 770000000001, NULL, '8867-4', 'Heart rate', 60 + i, '/min', \
     'F', '2026-01-02 03:04:05+00'::timestamptz + i * interval '1 minute', NULL, false FROM generate_series(1, 5) i";
/// Nobody hears of these.
const UNSEEN: &str = "UPDATE observation SET value = 99, status = 'C' WHERE observation_id = 770000000902; \
     DELETE FROM observation WHERE observation_id = 770000000903; \
     INSERT INTO observation VALUES (770000000906, 770000000001, NULL, '8867-4', 'Heart rate', 66, '/min', 'F', \
     '2026-01-02 03:24:05+00', NULL, false)";

/// A clinic that is captured and settled.
fn world() -> World {
    let mut world = World::new(Shape { preload: 120, ..Shape::new(Flag::Spec) });
    world.cluster.run(ROWS);
    world.engine.start();
    settle(&mut world);
    world
}

fn settle(world: &mut World) {
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
}

/// What was unseen is over, and the table was read anew behind it.
#[track_caller]
fn wait_read_again(world: &World) {
    world.engine.wait_log("read again: public.observation: it was put into the publication");
    lockstep_e2e::wait_for("the table is ready again", PATIENCE, || {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let entries = world.engine.cli(&["journal", "ls", "--json", "--max", "100000000"]).exits(0).json();
        let marks = entries.iter().filter(|entry| entry["kind"] == "Snapshot");
        let marks: Vec<&str> = marks.filter_map(|entry| entry["what"].as_str()).collect();
        let started = marks.iter().filter(|what| what.starts_with("started")).count();
        started > 1 && !marks.last().is_some_and(|what| what.starts_with("started"))
    });
}

#[test]
fn a_table_taken_out_changed_and_put_back_under_load_is_read_again() {
    let _timed = Timed::new("publication, table out and back");
    let mut world = world();
    let load = Load::start(&world.cluster.writer_url(), 21, 60.0);
    // In one transaction, so that what the users do meanwhile is either seen or what it was.
    world.cluster.run(&format!("BEGIN; {OUT} observation; {UNSEEN}; {BACK} observation; COMMIT"));
    wait_read_again(&world);
    load.stop();
    check(&mut world);
}

#[test]
fn a_table_that_is_out_stops_alone_and_says_its_cure() {
    let _timed = Timed::new("publication, table out");
    let mut world = world();
    world.cluster.run(&format!("{OUT} observation"));
    world.cluster.run(UNSEEN);
    let status = world.engine.wait_status("the table is stopped", PATIENCE, |status| {
        status["source"]["state"] == "streaming" && status["halts"].to_string().contains("table public.observation")
    });
    assert!(status["halts"].to_string().contains("ADD TABLE \\\"public\\\".\\\"observation\\\""), "{status}");
    world.engine.cli(&["check"]).exits(4).says("ADD TABLE");
    // Whoever does not need it goes on.
    world.cluster.run("UPDATE patient_name SET family = 'Goes on' WHERE patient_id = 770000000001");
    let lsn = world.cluster.lsn();
    world.engine.wait_status("the rest is captured", PATIENCE, |status| {
        status["source"]["passed"].as_str().map_or(0, lockstep_e2e::postgres::lsn) >= lsn
    });
    world.cluster.run(&format!("{BACK} observation"));
    wait_read_again(&world);
    check(&mut world);
}

#[test]
fn a_table_that_may_not_be_read_stops_alone_and_says_its_cure() {
    let _timed = Timed::new("grant taken from one table");
    let mut world = world();
    world.cluster.run("REVOKE SELECT ON observation FROM capture");
    world.engine.cli(&["check"]).exits(4).says("GRANT SELECT ON");
    // It was read once, so that nothing stands still before it must be read again.
    world.cluster.run(&format!("BEGIN; {OUT} observation; {UNSEEN}; {BACK} observation; COMMIT"));
    let status = world.engine.wait_status("the table is stopped", PATIENCE, |status| {
        status["source"]["state"] == "streaming" && status["halts"].to_string().contains("table public.observation")
    });
    let cure = "GRANT SELECT ON \\\"public\\\".\\\"observation\\\" TO \\\"capture\\\";";
    assert!(status["halts"].to_string().contains(cure), "{status}");
    world.cluster.run("UPDATE patient_name SET family = 'Goes on' WHERE patient_id = 770000000001");
    let lsn = world.cluster.lsn();
    world.engine.wait_status("the rest is captured", PATIENCE, |status| {
        status["source"]["passed"].as_str().map_or(0, lockstep_e2e::postgres::lsn) >= lsn
    });
    world.cluster.run("GRANT SELECT ON observation TO capture");
    wait_read_again(&world);
    check(&mut world);
}

#[test]
fn what_changed_while_the_engine_was_down_is_read_again() {
    let _timed = Timed::new("publication, engine down");
    let mut world = world();
    world.engine.kill();
    world.cluster.run(&format!("{OUT} observation"));
    world.cluster.run(UNSEEN);
    world.cluster.run(&format!("{BACK} observation"));
    world.engine.start();
    wait_read_again(&world);
    check(&mut world);
}

#[test]
fn a_join_partner_that_was_made_anew_empty_is_asked_about() {
    let _timed = Timed::new("publication, table made anew");
    let mut world = world();
    world.cluster.run(
        "CREATE TABLE kept AS TABLE patient_name; DROP TABLE patient_name; \
         CREATE TABLE patient_name (LIKE kept); ALTER TABLE patient_name ADD PRIMARY KEY (name_id); \
         GRANT SELECT ON patient_name TO capture",
    );
    world.cluster.run(&format!("{BACK} patient_name"));
    let status = world.engine.wait_status("it asks", PATIENCE, |status| status["held"].as_u64() > Some(0));
    assert!(status["halts"].to_string().contains("public.patient_name"), "{status}");
    world.engine.cli(&["held", "ls"]).exits(0).says("table:public.patient_name").says("would delete");
    // They come back before anybody answers: read again, and nothing was deleted.
    world.cluster.run("INSERT INTO patient_name SELECT * FROM kept; DROP TABLE kept");
    let answer = ["held", "answer", "table:public.patient_name", "read-again", "--reason", "restored"];
    world.engine.cli(&answer).exits(0);
    world.engine.wait_status("it goes on", PATIENCE, |status| status["held"] == 0);
    check(&mut world);
}
