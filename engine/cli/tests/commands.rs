//! The binary without peers: exit codes, refusals, what is printed and what never is.
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

const MAP: &str = include_str!("../../../schemas/maps/clinic/map.yaml");

/// A directory with a configuration and a map that `init` wrote, filled in as a person would.
fn clinic() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(code(&lockstep(dir.path(), &["init"])), 0);
    fs::write(dir.path().join("secrets/capture"), "canary-password\n").unwrap();
    fs::write(dir.path().join("secrets/token"), "canary-token\n").unwrap();
    // Nobody listens there; no certificate is needed to find out.
    replace(dir.path(), "ca_file = ", "# ca_file = ");
    replace(dir.path(), "synthetic = false", "synthetic = true");
    replace(dir.path(), "127.0.0.1:5432/ehr?sslmode=verify-full", "127.0.0.1:1/ehr?sslmode=disable");
    replace(dir.path(), "https://fhir.hospital.example/r4", "http://127.0.0.1:1/fhir");
    dir
}

fn replace(dir: &Path, from: &str, to: &str) {
    let file = dir.join("lockstep.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn lockstep(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockstep")).args(args).current_dir(dir).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn every_command_has_help_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        "init", "check", "activate", "run", "status", "journal", "unit", "parked", "waiting", "held", "replay",
        "state", "source",
    ] {
        let output = lockstep(dir.path(), &[command, "--help"]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(text(&output).contains("Examples:"), "{command}");
    }
    assert_eq!(code(&lockstep(dir.path(), &["no-such-command"])), 2);
}

#[test]
fn a_configuration_that_does_not_hold_is_exit_2_and_points_into_the_file() {
    let dir = clinic();
    replace(dir.path(), "step_units_max", "steps_units_max");
    let output = lockstep(dir.path(), &["check"]);
    assert_eq!(code(&output), 2);
    assert!(text(&output).contains("lockstep.toml") && text(&output).contains("did you mean"), "{}", text(&output));
    let output = lockstep(dir.path(), &["check", "--json"]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), line["exit"].as_u64()), (2, Some(2)));
    assert_eq!(code(&lockstep(dir.path(), &["status", "--config", "none.toml"])), 2);
}

#[test]
fn what_only_a_connector_knows_is_told_with_its_line_though_nothing_else_is_wrong() {
    let dir = clinic();
    replace(dir.path(), "chunk_rows = 10_000", "chunk_row = 10_000");
    replace(dir.path(), "profile = \"sandbox\"", "profile = \"canary-profile\"");
    replace(dir.path(), "http://127.0.0.1:1/fhir", "ftp://127.0.0.1:1/fhir");
    for args in [&["check"][..], &["run"], &["status"], &["activate", "--dry-run"]] {
        let output = lockstep(dir.path(), args);
        assert_eq!(code(&output), 2, "{args:?}: {}", text(&output));
        for part in ["chunk_row = 10_000", "did you mean `chunk_rows`", "base_url = \"ftp", "`profile`: "] {
            assert!(text(&output).contains(part), "{part}: {}", text(&output));
        }
    }
    // Every one of them is an object with its cure.
    let output = lockstep(dir.path(), &["run", "--json"]);
    assert_eq!(json_lines(&output).len(), 3, "{}", text(&output));
    assert!(json_lines(&output).iter().all(|line| line["cure"].as_str().is_some_and(|cure| !cure.is_empty())));
}

/// Every line of an answer, each a JSON object.
fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

#[test]
fn with_json_every_command_says_its_errors_as_objects() {
    let dir = clinic();
    let unit = "Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10";
    let commands: [(&[&str], i32); 14] = [
        (&["init"], 2),
        (&["check"], 3),
        (&["activate", "--dry-run"], 3),
        (&["status"], 6),
        (&["verify"], 6),
        (&["parked", "ls"], 6),
        (&["held", "ls"], 6),
        (&["held", "answer", "source:legacy", "axept"], 2),
        (&["held", "answer", "source:legacy", "accept"], 6),
        (&["unit", "show", unit], 6),
        (&["unit", "show", "Pateint/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10"], 2),
        (&["source", "drop", "--dry-run"], 3),
        (&["replay", "check"], 4),
        (&["no-such-command"], 2),
    ];
    for (args, exit) in commands {
        let output = lockstep(dir.path(), &[args, &["--json"]].concat());
        assert_eq!(code(&output), exit, "{args:?}: {}", text(&output));
        let lines = json_lines(&output);
        assert!(
            lines.iter().any(|line| line["error"].is_string() || line["warning"].is_string()),
            "{args:?}: {lines:?}"
        );
        assert!(output.stderr.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_misspelt_word_is_exit_2_with_the_one_that_was_meant() {
    let dir = clinic();
    for (args, meant) in [
        (&["held", "answer", "table:public.patient", "expandd"][..], "expand"),
        (&["unit", "show", "Pateint/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10"], "did you mean `Patient`?"),
        (&["satus"], "status"),
    ] {
        let output = lockstep(dir.path(), args);
        assert_eq!((code(&output), text(&output).contains(meant)), (2, true), "{args:?}: {}", text(&output));
    }
}

#[test]
fn each_answer_is_explained_where_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(&lockstep(dir.path(), &["held", "answer", "--help"]));
    for part in ["expand", "read-again", "accept", "release", "recreate", "keep-deleted"] {
        assert!(help.contains(&format!("- {part}")), "{part}: {help}");
    }
    assert!(help.contains("Examples:") && help.contains("Exit codes: 0 done"), "{help}");
}

#[test]
fn peers_that_do_not_answer_are_exit_3_and_each_is_named() {
    let dir = clinic();
    let output = lockstep(dir.path(), &["check"]);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(text(&output).contains("source: ") && text(&output).contains("sink: "), "{}", text(&output));
    assert!(!text(&output).contains("canary"));
}

#[test]
fn questions_to_an_engine_that_does_not_run_are_exit_6() {
    let dir = clinic();
    for args in [
        &["status"][..],
        &["parked", "ls"],
        &["waiting", "ls"],
        &["held", "ls"],
        &["held", "answer", "source:legacy", "accept"],
    ] {
        let output = lockstep(dir.path(), args);
        assert_eq!(code(&output), 6, "{args:?}: {}", text(&output));
        assert!(text(&output).contains("lockstep run"), "{}", text(&output));
    }
}

#[test]
fn a_map_is_activated_without_an_engine_by_this_user_and_once() {
    let dir = clinic();
    let dry = lockstep(dir.path(), &["activate", "--dry-run"]);
    assert_eq!(code(&dry), 3, "a rehearsal that could look at nothing has not been one: {}", text(&dry));
    assert!(text(&dry).contains("warning: the map is NOT CHECKED: neither source nor journal"), "{}", text(&dry));
    assert!(text(&dry).contains("would be activated (checked against: nothing)"), "{}", text(&dry));
    assert!(!dir.path().join("data/journal").exists(), "a dry run writes nothing");
    let output = lockstep(dir.path(), &["activate"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert!(text(&lockstep(dir.path(), &["activate"])).contains("is in force already"));
    let output = lockstep(dir.path(), &["journal", "ls"]);
    assert!(text(&output).contains("Activated") && text(&output).contains("by unix "), "{}", text(&output));
    assert!(text(&output).contains("durable through 1:2"), "{}", text(&output));
    let output = lockstep(dir.path(), &["journal", "show", "1:2", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((shown["kind"].as_str(), shown["entry"].as_str()), (Some("Activated"), Some("1:2")));
    assert_eq!(code(&lockstep(dir.path(), &["journal", "show", "1:99"])), 2);
    assert_eq!(code(&lockstep(dir.path(), &["journal", "show", "1:99", "--decisions"])), 2);
    assert_eq!(code(&lockstep(dir.path(), &["journal", "verify"])), 0);
    assert_eq!(code(&lockstep(dir.path(), &["replay", "check"])), 0);
    let rehearsed = text(&lockstep(dir.path(), &["state", "rebuild", "--dry-run"]));
    assert!(rehearsed.contains("nothing was changed"), "{rehearsed}");
    assert!(!dir.path().join("data/store.dry-run").exists());
    let rebuilt = text(&lockstep(dir.path(), &["state", "rebuild"]));
    assert!(rebuilt.starts_with("state "), "{rebuilt}");
}

#[test]
fn a_reader_that_goes_away_changes_no_exit_code_and_a_full_disk_is_one() {
    let dir = clinic();
    let run = |args: &[&str], to: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(args).current_dir(dir.path()).stdout(to).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut closed = run(&["check", "--json"], Stdio::piped());
    drop(closed.stdout.take());
    assert_eq!(closed.wait().unwrap().code(), Some(3), "the peers do not answer, whoever listens");
    let full = run(&["activate"], fs::File::options().write(true).open("/dev/full").unwrap().into());
    let full = full.wait_with_output().unwrap();
    assert_eq!((code(&full), text(&full).contains("cannot be written")), (70, true), "{}", text(&full));
}

#[test]
fn a_probe_leaves_an_entry_and_a_check_without_one_leaves_none() {
    let dir = clinic();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut options = sandbox::Options::new(sandbox::Like::Spec);
    options.token = Some("canary-token".to_owned());
    let server = runtime.block_on(sandbox::Sandbox::start(&options)).unwrap();
    replace(dir.path(), "http://127.0.0.1:1/fhir", &server.base_url());
    let untried = lockstep(dir.path(), &["check", "--probe"]);
    assert!(text(&untried).contains("no place to probe"), "{}", text(&untried));
    replace(dir.path(), "# probe = ", "probe = ");
    lockstep(dir.path(), &["check"]);
    assert!(!dir.path().join("data/journal").exists(), "nothing was tried");
    let tried = lockstep(dir.path(), &["check", "--probe"]);
    assert_eq!(code(&tried), 3, "the source does not answer: {}", text(&tried));
    let output = text(&lockstep(dir.path(), &["journal", "ls"]));
    let line = output.lines().find(|line| line.contains("Control")).unwrap();
    assert!(line.contains("cloud probed, profile sandbox: the profile holds by unix "), "{line}");
    runtime.block_on(server.stop());
}

#[test]
fn what_init_cannot_write_into_the_file_is_usage() {
    let dir = tempfile::tempdir().unwrap();
    for args in [["init", "--pipeline", "Clinic"], ["init", "--site", "a\"b"]] {
        assert_eq!(code(&lockstep(dir.path(), &args)), 2);
    }
    assert!(!dir.path().join("lockstep.toml").exists());
    assert_eq!(code(&lockstep(dir.path(), &["unit", "show", "Patient/seven"])), 2);
}

#[test]
fn a_changed_byte_in_the_journal_is_exit_1_and_named() {
    let dir = clinic();
    assert_eq!(code(&lockstep(dir.path(), &["activate"])), 0);
    let segment = fs::read_dir(dir.path().join("data/journal")).unwrap();
    let segment = segment.map(|file| file.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "log"));
    let (path, mut bytes) = segment.map(|path| (path.clone(), fs::read(path).unwrap())).unwrap();
    let at = bytes.windows(5).position(|window| window == b"map: ").unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    let output = lockstep(dir.path(), &["journal", "verify"]);
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(text(&output).contains("journal: BROKEN"), "{}", text(&output));
}

#[test]
fn what_a_command_would_append_never_covers_a_journal_that_lost_its_end() {
    use journal::{Config, RecordLog, kernel_entropy};
    use ports::Journal;
    let dir = clinic();
    assert_eq!(code(&lockstep(dir.path(), &["activate"])), 0);
    let data = dir.path().join("data");
    let small = || Config { segment_bytes: 1 << 20, spare_ahead: false, ..Config::new("test", 1) };
    let open = || RecordLog::open(&data.join("decisions"), small(), kernel_entropy(), Default::default());
    let skipped = model::Record::Skipped { from: model::EntryId::new(1, 3), to: model::EntryId::new(1, 9) };
    let (mut decisions, _) = open().unwrap();
    decisions.append(&[[skipped].into()], ports::Class::Vital, Default::default()).unwrap();
    drop(decisions);
    // More openings than are read at once: the record lies behind them all the same.
    (0..70).for_each(|_| drop(open().unwrap()));
    fs::write(dir.path().join("maps/clinic/map.yaml"), MAP.replace("version: 1", "version: 2")).unwrap();
    for args in [&["activate"][..], &["source", "drop"], &["run"]] {
        let output = lockstep(dir.path(), args);
        assert_eq!(code(&output), 5, "{args:?}: {}", text(&output));
        assert!(text(&output).contains("acknowledged entries are gone"), "{args:?}: {}", text(&output));
    }
    assert!(text(&lockstep(dir.path(), &["journal", "ls"])).contains("durable through 1:2"));
}

#[test]
fn a_source_with_real_patients_runs_only_where_a_plaintext_journal_is_accepted() {
    let dir = clinic();
    replace(dir.path(), "synthetic = true", "synthetic = false");
    let output = lockstep(dir.path(), &["run"]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(text(&output).contains("--accept-plaintext-journal"), "{}", text(&output));
    assert!(!dir.path().join("data/journal").exists(), "nothing was written");
    // Accepted, it goes on: to the next thing that it lacks.
    replace(dir.path(), "url = \"postgres:", "url = \"mysql:");
    let output = lockstep(dir.path(), &["run", "--accept-plaintext-journal"]);
    assert!(!text(&output).contains("plaintext-journal"), "{}", text(&output));
}

#[test]
fn a_run_without_peers_waits_for_them_and_stops_in_good_order() {
    let dir = clinic();
    let running = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["run", "--json"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut status = lockstep(dir.path(), &["status", "--json"]);
    for _ in 0..500 {
        if code(&status) == 0 && text(&status).contains("\"down\"") {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        status = lockstep(dir.path(), &["status", "--json"]);
    }
    let told: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(told["source"]["state"].as_str(), Some("down"), "{told}");
    assert!(told["map"]["none"].as_str().unwrap().contains("captures only"), "{told}");
    let second = lockstep(dir.path(), &["run"]);
    assert_eq!(code(&second), 6, "{}", text(&second));
    assert!(text(&second).contains(&running.id().to_string()), "{}", text(&second));
    assert_eq!(code(&lockstep(dir.path(), &["state", "rebuild"])), 6);
    let output = lockstep(dir.path(), &["activate"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    assert!(log.contains("cannot be reached") && !log.contains("canary"), "{log}");
    assert!(!dir.path().join("data/control.sock").exists());
}
