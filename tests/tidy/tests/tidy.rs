//! Runs every check over this checkout. A failure lists each place with what to do instead.

use lockstep_tidy::{
    Violation, bans, edges, heads, kinds, length, licences, lints, named, reading, reasons, top, tree,
};
use std::io::Write;

fn none(found: Vec<Violation>) {
    let list: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert!(list.is_empty(), "{} broken:\n{}", list.len(), list.join("\n"));
}

fn over_rust(check: impl Fn(&str, &str) -> Vec<Violation>) {
    let files = tree::files("rs");
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    none(files.iter().flat_map(|(path, text)| check(path, text)).collect());
}

fn deny_toml() -> licences::Rules {
    let text = tree::file("deny.toml").expect("deny.toml is there");
    licences::Rules::parse(&text).expect("deny.toml has [licenses] allow and [bans] deny")
}

#[test]
fn arrows_between_crates_point_down() {
    none(edges::check(&tree::members()));
}

#[test]
fn no_banned_word_stands_in_the_code() {
    over_rust(bans::check);
}

#[test]
fn model_and_reconcile_do_without_the_standard_library() {
    over_rust(bans::check_no_std);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut found = Vec::new();
    for (path, text) in tree::files("toml") {
        match path.as_str() {
            "Cargo.toml" => found.extend(lints::check_root(&path, &text)),
            member if member.ends_with("/Cargo.toml") => found.extend(lints::check(&path, &text)),
            _ => {}
        }
    }
    none(found);
}

#[test]
fn every_file_says_what_it_is() {
    over_rust(heads::check);
}

#[test]
fn no_file_is_too_long() {
    over_rust(length::check);
    let files = tree::files("rs");
    let notes = files.iter().filter_map(|(path, text)| length::note(path, text));
    let notes: Vec<String> = notes.collect();
    if !notes.is_empty() {
        // Past the capture of the test harness: a note that only a failure shows is no note.
        let head = "note: past 400 lines a file asks for a second one";
        writeln!(std::io::stderr(), "{head}\n{}", notes.join("\n")).expect("stderr is open");
    }
}

#[test]
fn licences_are_on_the_list() {
    none(licences::check(&tree::packages(), &deny_toml()));
}

#[test]
fn no_denied_crate_is_built() {
    none(licences::check_built(&tree::built(), &deny_toml()));
}

#[test]
fn no_code_outside_connectors_decides_by_kind() {
    let kinds: Vec<String> = tree::folders("connectors").into_iter().filter(|name| name != "catalog").collect();
    assert!(kinds.len() >= 2, "connectors/ holds {kinds:?}");
    over_rust(|path, text| kinds::check(path, text, &kinds));
}

#[test]
fn the_reading_path_stays_short() {
    none(reading::check(&tree::file, tree::file("engine/ARCHITECTURE.md").is_some()));
}

#[test]
fn what_the_architecture_names_is_there() {
    none(named::check(&tree::file(named::PATH).expect("it is there"), &tree::file));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = tree::file("Cargo.toml").expect("the root manifest is there");
    let adr = tree::file(reasons::ADR).unwrap_or_default();
    none(reasons::check(&manifest, &adr));
}

#[test]
fn the_top_level_is_fixed() {
    let tracked = tree::tracked().unwrap_or_default();
    none(top::check(tracked.lines()));
}
