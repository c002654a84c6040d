//! What stays as it is: an idle pipeline, a replay, a rebuilt state; what is gone after a drop; who may open `data_dir`.

use lockstep_e2e::{Flag, Load, PATIENCE, Shape, Timed, World, check, load, postgres};
use std::time::Duration;

#[test]
fn an_idle_pipeline_restarts_without_a_false_gap() {
    let _timed = Timed::new("idle restarts");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.cluster.run("CREATE TABLE other (n int)");
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    for round in 0..4 {
        // Others write; what is ours stands still, and only keepalives tell.
        world.cluster.run("INSERT INTO other SELECT generate_series(1, 20000)");
        std::thread::sleep(Duration::from_millis(300 + 700 * (round % 2)));
        match round {
            0 | 2 => world.engine.kill(),
            _ => world.engine.stop(),
        }
        world.cluster.wait_unused_slot();
        let confirmed = world.cluster.value("SELECT confirmed_flush_lsn FROM pg_replication_slots");
        assert!(postgres::lsn(&confirmed) <= world.passed(), "round {round}: {confirmed} was never durable");
        if round == 1 {
            world.cluster.stop();
            world.cluster.up();
        }
        world.engine.start();
        let lsn = world.cluster.lsn();
        world.engine.settle(lsn);
    }
    check(&mut world);
}

#[test]
fn replay_and_rebuild_say_the_same_in_another_zone_and_language() {
    let _timed = Timed::new("replay");
    let mut world = World::new(Shape { preload: 100, ..Shape::new(Flag::Hapi) });
    world.engine.start();
    let load = Load::start(&world.cluster.writer_url(), 5, 100.0);
    std::thread::sleep(Duration::from_millis(1_500));
    // Killed under load, the journal ends in what is not decided: the state is rebuilt up to there, and twice the same.
    for _ in 0..3 {
        world.engine.kill();
        let rebuilt = world.engine.cli(&["state", "rebuild", "--json"]).exits(0).json()[0].clone();
        assert_ne!(rebuilt["hash"].as_str().unwrap().trim_matches('0'), "", "nothing was folded: {rebuilt}");
        let again = world.engine.cli(&["state", "rebuild", "--dry-run", "--json"]).exits(0).json()[0].clone();
        assert_eq!(again["hash"], again["before"], "what was rebuilt is not what the logs say");
        world.engine.start();
        std::thread::sleep(Duration::from_millis(1_000));
    }
    load.stop();
    check(&mut world);
    let elsewhere = [("TZ", "Asia/Kolkata"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8")];
    world.engine.environment = elsewhere.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let replay = world.engine.cli(&["replay", "check", "--json"]).exits(0);
    assert_eq!(replay.json()[0]["equal"], true);
    let rebuilt = world.engine.cli(&["state", "rebuild", "--json"]).exits(0).json();
    assert_eq!(rebuilt[0]["hash"], rebuilt[0]["before"], "the store is not what the logs say");
    std::fs::remove_dir_all(world.engine.data_dir().join("store")).unwrap();
    world.engine.start();
    load::write(&world.cluster.writer_url(), 6, 30);
    check(&mut world);
    let again = world.engine.cli(&["state", "rebuild", "--json"]).exits(0).json();
    assert_eq!(again[0]["hash"], again[0]["before"]);
}

#[test]
fn a_dropped_source_leaves_nothing_of_ours() {
    let _timed = Timed::new("source drop");
    let mut world = World::new(Shape { preload: 20, ..Shape::new(Flag::Spec) });
    // What the DBA made is the DBA's.
    let all = "SELECT count(*) || ' ' || (SELECT count(*) FROM pg_proc) || ' ' || (SELECT count(*) FROM pg_roles) || ' ' || \
        (SELECT count(*) FROM pg_publication) || ' ' || (SELECT count(*) FROM pg_namespace) || ' ' || \
        (SELECT count(*) FROM pg_replication_origin) || ' ' || (SELECT count(*) FROM pg_trigger) || ' ' || \
        (SELECT count(*) FROM pg_replication_slots) FROM pg_class";
    let before = world.cluster.value(all);
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.cli(&["source", "drop"]).exits(6);
    check(&mut world);
    assert_ne!(world.cluster.value(all), before, "there is a slot");
    world.engine.cli(&["source", "drop", "--reason", "the test is over"]).exits(0).says("lockstep_clinic");
    assert_eq!(world.cluster.value(all), before);
    world.engine.cli(&["source", "drop"]).exits(0);
}

#[test]
fn a_second_engine_is_refused_and_the_first_goes_on() {
    let _timed = Timed::new("second engine");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.engine.cli(&["status"]).exits(6);
    world.engine.start();
    world.engine.wait_up();
    world.engine.cli(&["run"]).exits(6).says("in use by process");
    world.engine.cli(&["state", "rebuild"]).exits(6);
    load::write(&world.cluster.writer_url(), 8, 10);
    let lsn = world.cluster.lsn();
    world.engine.settle_within(lsn, PATIENCE);
    check(&mut world);
}
