//! The reference of the map language says what is true: its maps compile, and it names every function.

use crate::fixture::{clinic, compile};

const README: &str = include_str!("../../../../schemas/maps/README.md");

fn blocks() -> Vec<&'static str> {
    README.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").expect("it is closed").0).collect()
}

#[test]
fn every_map_of_the_reference_compiles_against_the_clinic() {
    let blocks = blocks();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let faults = compile(block, &clinic()).err().unwrap_or_default();
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}\n{block}", faults.join("\n"));
    }
}

#[test]
fn the_fault_that_the_reference_shows_is_the_one_that_is_found() {
    let wrong = blocks()[0].replace("code(gender)", "code(gendr)");
    let faults = compile(&wrong, &clinic()).expect_err("there is no such table");
    assert!(README.contains(&format!("\n{}\n", faults[0])), "{}", faults[0]);
    assert_eq!(faults.len(), 1);
}

#[test]
fn what_the_reference_says_of_nulls_parks_and_words_is_so() {
    for (from, to, said) in [
        ("=born", "=weight | text() | date() | text()", "birthDate"),
        ("row: purged", "row: ended", ""),
        ("row: purged", "row: gone", "is no meaning of a deletion"),
        ("=mrn", "=weight", "`| text()`"),
        ("=mrn", "=patient_id + 1", "no arithmetic"),
        ("refuse: [active, deceased, link]", "refuse: [active, deceased]", "Patient.link"),
        ("key: [patient_id]", "key: [mrn]", "the key of public.patient is not mrn"),
        ("gender: \"=sex", "id: \"=mrn\"\n      gender: \"=sex", "`id` is not mapped"),
    ] {
        let text = blocks()[0].replace(from, to);
        let faults = compile(&text, &clinic()).err().unwrap_or_default();
        let found = faults.iter().any(|fault| fault.to_string().contains(said));
        assert!(if said.is_empty() { faults.is_empty() } else { found }, "{from} -> {to}: {faults:?}");
    }
}
