//! Dates that PostgreSQL has and R4 has not: captured as they are, and told by column and kind, never by value.

use lockstep_e2e::{Flag, PATIENCE, Shape, Timed, World, check};

const PATIENTS: &str = "INSERT INTO patient (patient_id, mrn, sex, born) VALUES \
     (770000009001, 'MRN770000009001', 'F', 'infinity'), (770000009002, 'MRN770000009002', 'F', '-infinity'), \
     (770000009003, 'MRN770000009003', 'F', '0044-03-15 BC'), (770000009004, 'MRN770000009004', 'F', '10000-01-01')";
const OBSERVATIONS: &str = "INSERT INTO observation SELECT 770000009100 + n, 770000009005, NULL, '8867-4', 'Heart rate', 72, \
     '/min', 'F', at::timestamptz, NULL, false FROM unnest(ARRAY['infinity', '0001-12-31 BC', '12026-01-01']) \
     WITH ORDINALITY x(at, n)";

#[test]
fn dates_that_r4_cannot_say_are_captured_exactly_and_parked_by_column_and_kind() {
    let _timed = Timed::new("dates beyond R4");
    let mut world = World::new(Shape { preload: 20, ..Shape::new(Flag::Spec) });
    // Half of them are read by chunks, half come by the stream.
    world.cluster.run(PATIENTS);
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.cluster.run(
        "INSERT INTO patient (patient_id, mrn, sex, born) VALUES (770000009005, 'MRN770000009005', 'F', '1980-01-01')",
    );
    world.cluster.run(OBSERVATIONS);
    world.engine.wait_status("all are parked", PATIENCE, |status| status["parked"] == 7);
    let parked = world.engine.cli(&["parked", "ls"]).exits(0);
    let parked = parked.says("column born holds an infinity").says("column born holds a year before the year 1");
    let parked = parked.says("column born holds a year after 9999").says("column taken_at holds an infinity");
    let parked = parked.says("column taken_at holds a year before the year 1");
    let parked = parked.says("column taken_at holds a year after 9999 in this row, which is no date of R4");
    assert!(!parked.text.contains("0044") && !parked.text.contains("12026"), "{}", parked.text);
    // Source and shadow agree to the letter.
    world.engine.cli(&["verify"]).exits(0);
    world.cluster.run("UPDATE patient SET born = '1980-01-01' WHERE patient_id BETWEEN 770000009001 AND 770000009004");
    world.cluster.run("UPDATE observation SET taken_at = '2026-01-02 03:04:05+00'::timestamptz + observation_id % 10 * interval '1 minute' WHERE observation_id > 770000009100 AND observation_id < 770000009104");
    world.engine.wait_status("none is parked", PATIENCE, |status| status["parked"] == 0);
    check(&mut world);
}
