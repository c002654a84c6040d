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
