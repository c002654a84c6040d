//! Tables as people write them, and what is said of the wrong ones.

use super::*;
use ports::{Secret, SecretRef};
use std::path::Path;

fn fetched(place: &SecretRef) -> Result<Secret, String> {
    match place {
        SecretRef::File(path) if path.ends_with("secrets/token") => Ok(Secret::new("token\n")),
        SecretRef::File(path) => Err(format!("{} cannot be read", path.display())),
        SecretRef::Env(name) => Err(format!("{name} is not set")),
    }
}

fn context(base_dir: &Path) -> Context<'_> {
    Context { pipeline: "clinic", system: "cloud".into(), base_dir, types: &[], secret: &fetched }
}

fn faults<T>(made: Result<T, Faults>) -> Vec<String> {
    made.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

const FHIR: &str = "kind = \"fhir\"\nbase_url = \"https://fhir.example/r4\"\nstamp_uri = \"urn:x\"\n";
const POSTGRES: &str =
    "kind = \"postgres\"\nurl = \"postgres://capture@127.0.0.1/ehr?sslmode=disable\"\ntables = [\"public.patient\"]\n";

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

#[test]
fn a_table_makes_a_port() {
    let here = context(Path::new("."));
    let fhir =
        format!("{FHIR}profile = \"hapi\"\nauth = {{ bearer = {{ file = \"secrets/token\" }} }}\nconcurrency = 8\n");
    let target = sink("fhir", &table(&fhir), &here).map_err(|faults| format!("{faults:?}")).unwrap();
    assert_eq!((target.sink.concurrency(), target.sink.request_lifetime_max_seconds()), (8, 300));
    assert!(faults(source("postgres", &table(POSTGRES), &here)).is_empty());
    assert!(faults(fences("postgres", &table(POSTGRES), &here)).is_empty());
}

#[test]
fn an_unknown_kind_is_told_the_known_ones() {
    let here = context(Path::new("."));
    for told in [faults(source("oracle", &Table::new(), &here)), faults(fences("oracle", &Table::new(), &here))] {
        assert!(told.len() == 1 && told[0].contains("`oracle`") && told[0].contains("postgres"), "{told:?}");
    }
    let told = faults(sink("postgres", &Table::new(), &here));
    assert!(told[0].contains("fhir"), "{told:?}");
}

#[test]
fn all_unknown_keys_and_all_other_faults_come_at_once() {
    let text = format!(
        "{FHIR}profile = \"hapi\"\nretries = 3\ncolour = \"red\"\nconcurrency = 0\nca_file = \"nowhere.pem\"\nauth = {{ bearer = {{ env = \"NO_SUCH\" }} }}\n"
    );
    let told = faults(sink("fhir", &table(&text), &context(Path::new("."))));
    for part in ["`retries`", "`colour`", "concurrency", "nowhere.pem", "NO_SUCH"] {
        assert!(told.iter().any(|fault| fault.contains(part)), "{part}: {told:?}");
    }
    assert!(told.iter().any(|fault| fault.contains("base_url, profile")), "known keys are told: {told:?}");
}

#[test]
fn a_missing_key_and_a_wrong_type_are_named() {
    let here = context(Path::new("."));
    assert!(faults(sink("fhir", &table(FHIR), &here))[0].contains("`profile`"));
    for (line, key) in [("profile = 7", "profile"), ("profile = \"hapi\"\nconcurrency = \"canary\"", "concurrency")] {
        let told = faults(sink("fhir", &table(&format!("{FHIR}{line}\n")), &here));
        assert!(told[0].contains(key) && told[0].contains("expected") && !told[0].contains("canary"), "{told:?}");
    }
}

#[test]
fn a_secret_written_into_the_table_itself_is_not_repeated() {
    let here = context(Path::new("."));
    for auth in ["\"canary\"", "{ bearer = \"canary\" }", "{ bearer = { canary = \"canary\" } }"] {
        let told = faults(sink("fhir", &table(&format!("{FHIR}profile = \"hapi\"\nauth = {auth}\n")), &here));
        assert!(!told.is_empty() && told.iter().all(|fault| !fault.contains("canary")), "{told:?}");
    }
    let told = faults(source("postgres", &table(&format!("{POSTGRES}password = \"canary\"\n")), &here));
    assert!(!told.is_empty() && told.iter().all(|fault| !fault.contains("canary")), "{told:?}");
}

#[test]
fn a_profile_may_be_a_file_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{FHIR}profile = \"own.toml\"\n");
    let told = faults(sink("fhir", &table(&text), &context(folder.path())));
    assert!(told.len() == 1 && told[0].contains("own.toml"), "{told:?}");
    let own = include_str!("../../../schemas/servers/sandbox.toml").replace("= 60", "= 61");
    std::fs::write(folder.path().join("own.toml"), own).unwrap();
    let target = sink("fhir", &table(&text), &context(folder.path()));
    assert_eq!(target.map(|target| target.sink.request_lifetime_max_seconds()).ok(), Some(61));
}

#[test]
fn positions_and_types_read_as_the_sources_people_write_them() {
    let position = SourcePosition::new(&0x01A2_B3C0_u64.to_be_bytes()).unwrap();
    assert_eq!(show_position("postgres", &position), "0/1A2B3C0");
    assert_eq!(native_type("postgres", 700), "oid 700");
}
