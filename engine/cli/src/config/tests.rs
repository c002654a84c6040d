//! The example loads; each fault is named with its cure; a secret is never shown.

use super::*;

const EXAMPLE: &str = include_str!("../../../../ops/examples/clinic/lockstep.toml");

/// Parses a text as if it stood beside its secrets.
fn parse(text: &str) -> Result<Settings, Vec<(String, String)>> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("secrets")).unwrap();
    for (name, content) in
        [("namespace", "0b7c62e9-7a55-4d13-9f0e-2f7b5a1c4d10\n"), ("capture", "pw\n"), ("token", "t\n"), ("ca.pem", "")]
    {
        fs::write(dir.path().join("secrets").join(name), content).unwrap();
    }
    Settings::parse(&dir.path().join("lockstep.toml"), text).map_err(|faults| faults.messages())
}

fn faults(text: &str) -> String {
    let found = parse(text).map(drop).expect_err("refused");
    found.into_iter().map(|(what, cure)| format!("{what}; {cure}\n")).collect()
}

fn refused(from: &str, to: &str, why: &str) {
    assert!(EXAMPLE.contains(from), "{from}");
    let found = faults(&EXAMPLE.replacen(from, to, 1));
    assert!(found.contains(why), "{why}: {found}");
}

#[test]
fn the_example_loads() {
    let settings = parse(EXAMPLE).unwrap();
    assert_eq!(settings.pipeline, "clinic");
    assert_eq!(settings.source.system.as_str(), "legacy");
    assert_eq!((settings.sink.kind.as_str(), settings.concurrency), ("fhir", 16));
    assert_eq!(settings.limits.effects_ahead_max, 50_000);
    assert!(settings.map.ends_with("maps/clinic/map.yaml"));
    assert_eq!(settings.source.table["chunk_rows"].as_integer(), Some(10_000));
}

#[test]
fn each_fault_is_named_with_its_cure() {
    refused("site      =", "siet      =", "did you mean `site`?");
    refused("site      = \"north\"", "", "`site` is missing; add site = \"north\"");
    refused("site      = \"north\"", "site = \"\"", "`site` is empty");
    refused("\"clinic\"  ", "\"Clinic\"  ", "[a-z][a-z0-9_]{0,30}");
    refused("67_108_864 ", "7 ", "`journal.segment_bytes` is not a whole number from 1048576");
    refused("67_108_864 ", "\"x\" ", "`journal.segment_bytes` is not a whole number");
    refused("capture@127", "capture:hunter2@127", "`url` holds a password");
    refused("{ file = \"secrets/capture\" }", "\"hunter2\"", "`password` is written out");
    refused("{ file = \"secrets/token\" }", "\"hunter2\"", "`bearer` is written out");
    refused("secrets/capture", "secrets/none", "secrets/none cannot be read");
    refused("{ file = \"secrets/namespace\" }", "{ env = \"LOCKSTEP_NOT_SET\" }", "LOCKSTEP_NOT_SET is not set");
    refused("{ file = \"secrets/namespace\" }", "{ file = \"secrets/capture\" }", "the namespace is not a UUID");
    refused(
        "concurrency = 16 ",
        "concurrency = 0 ",
        "`system.cloud.sink.concurrency` is not a whole number from 1 to 1024",
    );
    refused("step_units_max", "step_unit_max", "did you mean `step_units_max`?");
    refused("map = \"maps/clinic/map.yaml\"", "", "`system.legacy.map` is missing");
    refused("kind = \"fhir\"", "", "`system.cloud.sink.kind` is missing");
    refused("[system.cloud.sink]", "[system.cloud.source]", "a second source");
    refused("pipeline  = \"clinic\"", "pipeline  = 'clinic", "not TOML");
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = EXAMPLE.replace("site ", "siet ").replace("step_units_max", "steps").replace("capture@", "capture:x@");
    let found = parse(&text).map(drop).expect_err("refused");
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_password_is_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("capture@127", "capture:hunter2@127"),
        ("{ file = \"secrets/capture\" }", "\"hunter2\""),
        // A key that is misspelt, a text that does not end, a secret a level too high.
        ("password = { file = \"secrets/capture\" }", "pasword = \"x\"\npassphrase = \"hunter2\""),
        ("password = { file = \"secrets/capture\" }", "password = \"hunter2"),
        ("auth = { bearer = { file = \"secrets/token\" } }", "auth = { bearer = \"hunter2 }"),
        ("capture@127.0.0.1:5432/ehr?sslmode=verify-full\"", "capture:hunter2@127.0.0.1:5432/ehr"),
    ] {
        let text = EXAMPLE.replacen(from, to, 1);
        let faults = Settings::parse(&dir.path().join("lockstep.toml"), &text).map(drop).expect_err("refused");
        let plain = format!("{faults:?}");
        let shown = format!("{plain} {:?}", miette::Report::new(faults));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_readable_secret_file_is_a_warning() {
    let settings = parse(EXAMPLE).unwrap();
    assert!(settings.warnings.iter().any(|warning| warning.contains("chmod 600")), "{:?}", settings.warnings);
}

#[test]
fn a_key_that_stands_twice_is_the_one_fault() {
    for twice in ["site      = \"north\"", "data_dir  = \"data\""] {
        let twice = EXAMPLE.lines().find(|line| line.starts_with(twice.split(' ').next().unwrap())).unwrap();
        let found = faults(&EXAMPLE.replacen(twice, &format!("{twice}\n{twice}"), 1));
        assert!(found.contains("not TOML: duplicate key") && found.lines().count() == 1, "{found}");
    }
}
