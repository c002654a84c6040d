//! `LOCKSTEP_PANIC_ON`: folding a row with that text panics in every life of the engine (J32).

use lockstep_e2e::{Flag, PATIENCE, Shape, Timed, World, check};

#[test]
fn a_row_that_panics_in_every_life_holds_its_table_and_the_engine_goes_on() {
    let _timed = Timed::new("panics of the fold");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.engine.environment.push(("LOCKSTEP_PANIC_ON".to_owned(), "POISON".to_owned()));
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.cluster.run("INSERT INTO patient_name VALUES (770000000777, 770000000001, 'B', 'POISON', 'x')");
    let status = world.engine.wait_status("it asks", PATIENCE, |status| status["held"].as_u64() == Some(1));
    world.engine.cli(&["held", "ls"]).exits(0).says("table:public.patient_name").says("stopped the engine twice");

    let accepted = status["accepted"].as_u64().unwrap();
    let other = "INSERT INTO observation VALUES (770000000778, 770000000001, NULL, '8867-4', 'Heart rate', 61, '/min', 'F', \
                 '2025-02-02 00:00:00+00', NULL, false)";
    world.cluster.run(other);
    world.engine.wait_status("the others go on", PATIENCE, |status| status["accepted"].as_u64() > Some(accepted));

    // Another process of the same binary knows by the record, and does not panic again.
    let panics = |world: &World| world.engine.log_text().matches("a step panicked").count();
    let before = panics(&world);
    assert!(before >= 2, "{before}");
    world.engine.stop();
    world.engine.start();
    let lsn = world.cluster.lsn();
    let status = world.engine.settle(lsn);
    assert_eq!((status["held"].as_u64(), panics(&world)), (Some(1), before));
    world.engine.cli(&["replay", "check"]).exits(0);
    world.engine.stop();

    // A binary that can fold the row reads the table again.
    world.engine.environment.clear();
    world.engine.start();
    world.engine.wait_up();
    let answer = ["held", "answer", "table:public.patient_name", "read-again", "--reason", "another binary"];
    world.engine.cli(&answer).exits(0);
    world.engine.wait_status("it goes on", PATIENCE, |status| status["held"] == 0);
    check(&mut world);
}
