//! What is looked at before the logs are opened: that nothing acknowledged is missing, and whose logs they are (J16, J38).

use lockstep_e2e::{Flag, Shape, Timed, World, check, load};
use std::{path::Path, process::Command};

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn settled_and_stopped(world: &mut World) {
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.stop();
}

#[test]
fn a_log_that_lost_what_the_state_knows_is_refused_at_every_start_and_goes_on_when_it_is_back() {
    let _timed = Timed::new("lost tails");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.engine.start();
    settled_and_stopped(&mut world);
    let (data, aside) = (world.engine.data_dir(), world.engine.folder().join("aside"));
    copy(&data, &aside);
    world.engine.start();
    load::write(&world.cluster.writer_url(), 3, 40);
    settled_and_stopped(&mut world);
    let whole = world.engine.folder().join("whole");
    copy(&data, &whole);
    for log in ["decisions", "journal"] {
        copy(&aside.join(log), &data.join(log));
        for start in 1..=3 {
            let ran = world.engine.cli(&["run"]).exits(5);
            assert!(ran.text.contains("are gone"), "start {start} without a tail of {log}: {}", ran.text);
        }
        // Nor may the one witness be thrown away, or the gap be filled by a command.
        world.engine.cli(&["state", "rebuild"]).exits(5);
        world.engine.cli(&["source", "drop", "--reason", "test"]).exits(5);
        copy(&whole.join(log), &data.join(log));
    }
    // After a power cut the file that tells the tail may be from before: nothing is missing then, and nothing is refused.
    for log in ["decisions", "journal"] {
        std::fs::copy(aside.join(log).join("tail"), data.join(log).join("tail")).unwrap();
    }
    let before = world.engine.cli(&["state", "rebuild", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(before[0]["hash"], before[0]["before"], "folded to the end of what is there");
    world.engine.cli(&["state", "rebuild"]).exits(0);
    world.engine.start();
    load::write(&world.cluster.writer_url(), 4, 10);
    check(&mut world);
}

#[test]
fn an_edited_configuration_changes_no_replay_and_another_deployment_is_refused() {
    let _timed = Timed::new("edited configuration");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.engine.start();
    load::write(&world.cluster.writer_url(), 3, 20);
    settled_and_stopped(&mut world);
    let file = world.engine.folder().join("lockstep.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    world.engine.write("limits.toml", &format!("{text}\n[limits]\nstep_units_max = 1\n"));
    let replay = world.engine.cli_with("limits.toml", &["replay", "check", "--json"]).exits(0);
    assert_eq!(replay.json()[0]["equal"], true);
    for (key, edited) in [
        ("site", text.replace("site = \"north\"", "site = \"south\"")),
        ("stamp_uri", text.replace("lockstep/clinic", "lockstep/elsewhere")),
    ] {
        assert_ne!(text, edited);
        world.engine.write("edited.toml", &edited);
        for command in [&["run"][..], &["replay", "check"], &["state", "rebuild"]] {
            world.engine.cli_with("edited.toml", command).exits(2).says(key);
        }
    }
    world.engine.start();
    check(&mut world);
}

#[test]
fn a_check_says_what_the_next_run_would_meet() {
    let _timed = Timed::new("check before a run");
    let mut world = World::new(Shape::new(Flag::Spec));
    world.engine.settings.data_dir = "other".to_owned();
    world.engine.cli(&["check"]).exits(0).says("hold, but no map is in force: lockstep activate");
    // A captured table that is gone is the source's fault, and not the map's.
    world.cluster.run("CREATE SCHEMA aside; ALTER TABLE observation SET SCHEMA aside");
    let missing = world.engine.cli(&["check"]).exits(4).says("the table public.observation does not exist");
    assert!(!missing.text.contains("is not captured"), "{}", missing.text);
    world.engine.cli(&["activate"]).exits(4).says("table public.observation is captured, and does not exist");
    world.cluster.run("ALTER TABLE aside.observation SET SCHEMA public");
    world.engine.settings.data_dir = "data".to_owned();
    world.engine.cli(&["check"]).exits(0).says("ready: map, source and sink hold\n");
    let map = std::fs::read_to_string(world.engine.folder().join("map.yaml")).unwrap();
    world.engine.write("map.yaml", &format!("{map}# not activated\n"));
    world.engine.cli(&["check"]).exits(0).says("hold, but the map in force is #");
    world.engine.start();
    load::write(&world.cluster.writer_url(), 3, 10);
    world.engine.wait_log("lockstep activate puts the file in force");
    world.engine.cli(&["check"]).exits(0);
    std::fs::remove_file(world.engine.folder().join("map.yaml")).unwrap();
    world.engine.cli(&["status"]).exits(0).says("warning    the map in force is #").says("cannot be read");
    let status = world.engine.cli(&["status", "--json"]).exits(0).json();
    assert_eq!(status[0]["map"]["file"], "another in force", "{status:?}");
    world.engine.write("map.yaml", &map);
    let status = world.engine.cli(&["status", "--json"]).exits(0).json();
    assert_eq!(status[0]["map"]["file"], "in force", "{status:?}");
    settled_and_stopped(&mut world);
    world.engine.cli(&["check"]).exits(0);
    world.cluster.wait_unused_slot();
    world.cluster.run("SELECT pg_drop_replication_slot('lockstep_clinic')");
    let gap = world.engine.cli(&["check", "--json"]).exits(5).says("the slot lockstep_clinic is gone").json();
    assert!(gap[0]["cure"].as_str().is_some_and(|plan| plan.contains("is dropped and made anew")), "{gap:?}");
    assert_eq!(world.cluster.value("SELECT count(*) FROM pg_replication_slots"), "0", "it was only looked at");
}
