//! What goes wrong in a hospital: each time one message with its cure, the documented exit code, nothing lost, and the engine
//! goes on by itself as soon as it can.

use lockstep_e2e::engine::MAP;
use lockstep_e2e::{Flag, Load, PATIENCE, Shape, Timed, World, check, load, postgres};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn world() -> World {
    World::new(Shape { preload: 20, ..Shape::new(Flag::Spec) })
}

fn halted(status: &Value) -> bool {
    status["halts"].as_array().is_some_and(|halts| !halts.is_empty())
}

/// `check` says it, and so does a first start, which ends there: nothing is held up yet.
fn ends_the_first_start(world: &World, says: &str) {
    world.engine.cli(&["check"]).exits(4).says(says);
    world.engine.cli(&["run"]).exits(4).says(says);
}

/// A pipeline that has run before says it and stays; then the cure is applied, and it goes on without a hand.
fn stops_and_goes_on(world: &mut World, says: &str, damage: impl FnOnce(&mut World), cure: impl FnOnce(&mut World)) {
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.kill();
    damage(world);
    world.engine.start();
    let status = world.engine.wait_status("the source is stopped", PATIENCE, halted);
    assert!(status["halts"].to_string().contains(&says.replace('"', "\\\"")), "{}", status["halts"]);
    cure(world);
    world.engine.wait_status("it goes on", PATIENCE, |status| !halted(status));
    world.engine.cli(&["check"]).exits(0);
    check(world);
}

/// What ended the first start is gone: the next one runs.
fn runs_now(world: &mut World) {
    world.engine.cli(&["check"]).exits(0);
    world.engine.start();
    check(world);
}

#[test]
fn a_wrong_password_is_told_and_mended() {
    let _timed = Timed::new("wrong password");
    let mut world = world();
    let says = "check `password`";
    let damage = |world: &mut World| world.engine.write("secrets/capture", "CANARY-another");
    let cure = |world: &mut World| world.engine.write("secrets/capture", postgres::PASSWORD);
    damage(&mut world);
    ends_the_first_start(&world, says);
    cure(&mut world);
    stops_and_goes_on(&mut world, says, damage, cure);
}

#[test]
fn a_missing_grant_is_told_with_its_sql() {
    let _timed = Timed::new("missing grant");
    let mut world = world();
    world.cluster.run("REVOKE SELECT ON observation FROM capture; ALTER ROLE capture NOREPLICATION");
    let all = "ALTER ROLE \"capture\" REPLICATION;";
    world.engine.cli(&["check"]).exits(4).says(all).says("GRANT SELECT ON");
    world.engine.cli(&["run"]).exits(4).says(all).says("GRANT SELECT ON");
    world.cluster.run("ALTER ROLE capture REPLICATION");
    ends_the_first_start(&world, "GRANT SELECT ON");
    world.cluster.run("GRANT SELECT ON observation TO capture");
    let damage = |world: &mut World| {
        world.cluster.run("REVOKE SELECT ON observation FROM capture; ALTER ROLE capture NOREPLICATION");
    };
    let cure = |world: &mut World| {
        world.cluster.run("GRANT SELECT ON observation TO capture; ALTER ROLE capture REPLICATION");
    };
    stops_and_goes_on(&mut world, all, damage, cure);
}

#[test]
fn a_log_without_changes_is_told_with_its_setting() {
    let _timed = Timed::new("wal_level");
    let mut world = world();
    let set = |world: &mut World, level: &str| {
        world.cluster.set("wal_level", level);
        world.cluster.stop();
        world.cluster.up();
    };
    set(&mut world, "replica");
    ends_the_first_start(&world, "ALTER SYSTEM SET wal_level = 'logical'");
    set(&mut world, "logical");
    runs_now(&mut world);
}

#[test]
fn a_missing_publication_is_told_with_its_sql() {
    let _timed = Timed::new("publication");
    let mut world = world();
    world.cluster.run("DROP PUBLICATION lockstep_clinic");
    ends_the_first_start(&world, "CREATE PUBLICATION lockstep_clinic FOR TABLE");
    world.cluster.run(&format!("CREATE PUBLICATION lockstep_clinic FOR TABLE {}", postgres::TABLES.join(", ")));
    runs_now(&mut world);
}

/// What both sides lack comes at once, and a peer that does not answer is waited for.
#[test]
fn a_first_start_lists_what_both_sides_lack_and_waits_for_who_is_down() {
    let _timed = Timed::new("first start");
    let mut world = world();
    world.cluster.run("ALTER ROLE capture NOREPLICATION");
    world.engine.write("secrets/token", "CANARY-wrong");
    world.engine.cli(&["run"]).exits(4).says("REPLICATION;").says("renew the token");
    world.cluster.run("ALTER ROLE capture REPLICATION");
    world.target.kill();
    world.engine.start();
    world.engine.wait_status("captured", PATIENCE, |status| status["unsettled"].as_u64() > Some(0));
    world.target.up();
    // The token that the file holds is refused, and taken when it is renewed: nothing is started again.
    world.engine.wait_status("not let in", PATIENCE, |status| status["halts"].to_string().contains("401"));
    world.engine.write("secrets/token", lockstep_e2e::target::TOKEN);
    world.engine.wait_status("let in", PATIENCE, |status| !halted(status));
    check(&mut world);
}

/// An idle target is looked at: foreign hands, an older file and a server that is down are named, and nothing is written.
#[test]
fn an_idle_target_is_looked_at_and_what_stands_there_is_named() {
    let _timed = Timed::new("idle target");
    let mut world = world();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    let looked = |status: &Value| status["target"]["looked"]["verdict"].as_str().unwrap_or_default().to_owned();
    let status = world.engine.wait_status("ours", PATIENCE, |status| looked(status) == "ours");
    let unit = status["target"]["looked"]["unit"].as_str().unwrap().to_owned();
    let everything = world.target.everything();

    // Even the same content: it is a version of somebody else's.
    let body = everything[&unit].last().and_then(|version| version.body.clone()).unwrap();
    assert_eq!(world.target.put(&format!("/{unit}"), &String::from_utf8(body.to_bytes()).unwrap()).status, 200);
    world.engine.wait_status("foreign", PATIENCE, |status| looked(status) == "foreign");
    world.engine.cli(&["status"]).exits(0).says("ALARM").says(&unit).says("somebody else wrote it");

    world.target.kill();
    let status = world.engine.wait_status("unreachable", PATIENCE, |status| looked(status) == "unreachable");
    assert!(status["target"]["answered_seconds_ago"].as_u64().is_some(), "{}", status["target"]);
    world.engine.cli(&["status"]).exits(0).says("ALARM").says("cannot be reached");
    let backup = world.target.save();
    world.target.up();
    world.engine.wait_status("foreign again", PATIENCE, |status| looked(status) == "foreign");

    load::write(&world.cluster.writer_url(), 4, 20);
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.wait_status("ours", PATIENCE, |status| looked(status) == "ours");
    world.target.kill();
    world.target.restore(&backup);
    world.target.up();
    let back = |status: &Value| matches!(looked(status).as_str(), "behind" | "gone");
    world.engine.wait_status("an older file", PATIENCE, back);
    world.engine.cli(&["status"]).exits(0).says("ALARM").says("restored or expunged");
    let now = world.target.everything();
    let count = |all: &lockstep_e2e::target::Everything| all.values().map(Vec::len).sum::<usize>();
    assert_eq!(count(&now), count(&everything) + 1, "nothing was written to learn it");
}

#[test]
fn a_target_that_is_down_is_waited_for() {
    let _timed = Timed::new("target down");
    let mut world = world();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.target.kill();
    load::write(&world.cluster.writer_url(), 4, 60);
    let lsn = world.cluster.lsn();
    world.engine.cli(&["check"]).exits(3);
    // Capture goes on without it.
    world.engine.wait_status("captured", PATIENCE, |status| {
        let passed = status["source"]["passed"].as_str().map_or(0, postgres::lsn);
        passed >= lsn && status["unsettled"].as_u64() > Some(10)
    });
    std::thread::sleep(Duration::from_secs(if lockstep_e2e::long() { 180 } else { 4 }));
    world.target.up();
    check(&mut world);
}

#[test]
fn a_misspelt_column_is_told_with_the_right_one() {
    let _timed = Timed::new("misspelt column");
    let mut world = world();
    let wrong = MAP.replace("\"=sex | code(gender)\"", "\"=sexx | code(gender)\"");
    assert_ne!(wrong, MAP);
    world.engine.write("map.yaml", &wrong);
    world.engine.cli(&["check"]).exits(2).says("did you mean `sex`").says("map.yaml:");
    world.engine.cli(&["activate"]).exits(2).says("did you mean `sex`");
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    // With the engine running it is no other; what is in force stays.
    world.engine.cli(&["activate"]).exits(2).says("did you mean `sex`");
    world.engine.write("map.yaml", MAP);
    world.engine.cli(&["activate"]).exits(0).says("is in force already");
    check(&mut world);
}

#[test]
fn a_mapped_column_that_is_renamed_holds_what_uses_it() {
    let _timed = Timed::new("renamed column");
    let mut world = world();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.cluster.run("ALTER TABLE patient RENAME sex TO gender; UPDATE patient SET born = born + 1");
    let status = world.engine.wait_status("the entity is held", PATIENCE, halted);
    assert!(status["halts"].to_string().contains("activate a map that fits"), "{}", status["halts"]);
    world.engine.write("map.yaml", &MAP.replace("\"=sex | code(gender)\"", "\"=gender | code(gender)\""));
    world.engine.activate();
    world.engine.wait_status("it goes on", PATIENCE, |status| !halted(status));
    world.cluster.run("ALTER TABLE patient RENAME gender TO sex");
    world.engine.wait_log("activate a map that fits");
    world.engine.transcript().is_private();
}

#[test]
fn wrong_settings_are_told_all_at_once() {
    let _timed = Timed::new("wrong settings");
    let world = world();
    let file = world.folder().join("lockstep.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let wrong = text.replace("pipeline = \"clinic\"", "pipeline = \"Clinic\"").replace("site = \"north\"", "sitee = 1");
    world.engine.write("wrong.toml", &wrong);
    world.engine.cli_with("wrong.toml", &["run"]).exits(2).says("pipeline").says("sitee").says("`site` is missing");
    world.engine.write(
        "wrong.toml",
        &text.replace("chunk_rows", "chunk_row").replace("profile = \"sandbox\"", "profile = \"x\""),
    );
    world.engine.cli_with("wrong.toml", &["run"]).exits(2).says("chunk_row");
}

#[test]
fn a_lost_slot_is_a_gap_that_a_person_accepts() {
    let _timed = Timed::new("gap");
    let mut world = world();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.stop();
    world.cluster.wait_unused_slot();
    world.cluster.run("SELECT pg_drop_replication_slot('lockstep_clinic')");
    // What nobody saw: it is found when everything is read again.
    load::write(&world.cluster.writer_url(), 4, 25);
    world
        .cluster
        .run("DELETE FROM observation WHERE observation_id IN (SELECT observation_id FROM observation LIMIT 2)");
    world.engine.start();
    let status = world.engine.wait_status("the gap", PATIENCE, halted);
    assert!(status["halts"].to_string().contains("held answer"), "{}", status["halts"]);
    world.engine.cli(&["held", "ls"]).exits(0).says("source:legacy").says("accept");
    world.engine.kill();
    world.engine.start();
    world.engine.wait_status("the gap is still there", PATIENCE, halted);
    world.engine.cli(&["held", "answer", "source:legacy", "accept", "--reason", "the DBA dropped it"]).exits(0);
    world.slots = 2;
    world.engine.wait_status("it reads again", PATIENCE, |status| !halted(status));
    check(&mut world);
}

#[test]
fn a_rotten_byte_stops_the_engine_before_it_acts() {
    let _timed = Timed::new("rotten byte");
    let mut world = world();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.engine.stop();
    let segment = first_segment(&world.engine.data_dir().join("journal"));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[9_000] ^= 4;
    std::fs::write(&segment, bytes).unwrap();
    world.engine.cli(&["journal", "verify"]).exits(1).says("BROKEN");
    world.engine.cli(&["run"]).exits(5);
    world.engine.transcript().is_private();
}

fn first_segment(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|file| file.path());
    let segments =
        files.filter(|file| std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() > 1 << 20));
    segments.min().unwrap()
}

/// A small disk; gone with its owner.
pub(super) struct Disk(pub PathBuf);

impl Disk {
    pub(super) fn mount(folder: PathBuf, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&folder);
        let done = mount.output().ok()?;
        done.status.success().then_some(Disk(folder))
    }

    /// Leaves so many bytes, but for what the journal keeps as its reserve.
    pub(super) fn fill(&self, left: u64) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let done = std::fs::write(self.0.join("filler"), vec![1; usize::try_from(free.saturating_sub(left)).unwrap()]);
        // The engine writes too: then it is full a little earlier.
        assert!(done.is_ok() || done.is_err_and(|fault| fault.kind() == std::io::ErrorKind::StorageFull));
    }

    pub(super) fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_stops_capture_first_and_never_an_acknowledgement() {
    let _timed = Timed::new("full disk");
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path().join("disk"), "160m") else {
        println!("left out: a small disk cannot be mounted here (it needs root)");
        return;
    };
    let mut world = world();
    world.engine.settings.data_dir = disk.0.join("data").display().to_string();
    // The reserve holds what follows of the rows in the two segments that capture may still fill: decisions, outcomes, the
    // state's growth.
    (world.engine.settings.segment_bytes, world.engine.settings.reserve_bytes) = (1 << 20, 32 << 20);
    world.engine.activate();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.target.kill();
    load::write(&world.cluster.writer_url(), 4, 60);
    world.engine.wait_status("effects wait", PATIENCE, |status| status["unsettled"].as_u64() > Some(10));
    disk.fill(0);
    let load = Load::start(&world.cluster.writer_url(), 9, 200.0);
    let full = world.engine.wait_status("the disk is full", PATIENCE, |status| !status["disk_full"].is_null());
    assert!(full["disk_full"].as_str().is_some_and(|text| text.contains("disk") || text.contains("space")), "{full}");
    load.stop();
    world.target.up();
    // Space that the store gives back may let some captured rows in between; what was decided is settled all the same.
    world.engine.wait_status("acknowledgements go on", PATIENCE, |status| {
        status["unsettled"] == status["waiting"] && status["in_flight"] == 0
    });
    disk.clear();
    world.engine.wait_status("capture goes on", PATIENCE, |status| status["disk_full"].is_null());
    check(&mut world);
}
