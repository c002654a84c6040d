//! Every target over its seeds, over what was ever found, and over mutations of both that are the same in every run.
//!
//! `LOCKSTEP_FUZZ_SECONDS` looks for so long at each target and not for the short time of CI.

use lockstep_fuzz::{
    TARGETS, Target,
    mutate::{Numbers, mutated},
};
use std::{
    fs,
    panic::catch_unwind,
    path::Path,
    time::{Duration, Instant},
};

/// Inputs that once broke a promise.
fn found(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(target.name);
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|file| fs::read(file.expect("a file").path()).expect("a readable file")).collect()
}

/// Stands them all; panics with the input that it does not stand, in hex.
fn stands(target: &Target, bytes: &[u8]) {
    if catch_unwind(|| (target.run)(bytes)).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!(
            "{} does not stand these {} bytes; put them into found/{}: {hex}",
            target.name,
            bytes.len(),
            target.name
        );
    }
}

#[test]
fn every_parser_stands_what_it_was_ever_given() {
    for target in &TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has something to begin with", target.name);
        seeds.iter().chain(&found(target)).for_each(|bytes| stands(target, bytes));
        stands(target, b"");
    }
}

#[test]
fn every_parser_stands_mutations_of_it() {
    let told = std::env::var("LOCKSTEP_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    for target in &TARGETS {
        let mut seeds = (target.seeds)();
        seeds.extend(found(target));
        let (started, mut numbers, mut inputs) = (Instant::now(), Numbers::new(told.unwrap_or(1)), 0);
        // As many as half a second has room for; the first ones are the same on every machine.
        let limit = told.map_or(Duration::from_millis(500), Duration::from_secs);
        while started.elapsed() < limit && (told.is_some() || inputs < 5_000) {
            stands(target, &mutated(&seeds, &mut numbers));
            inputs += 1;
        }
        println!("{}: {inputs} mutations of {} inputs", target.name, seeds.len());
    }
}

#[test]
fn every_folder_of_what_was_found_is_a_targets() {
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("found")).into_iter().flatten() {
        let name = folder.expect("a folder").file_name();
        assert!(lockstep_fuzz::target(&name.to_string_lossy()).is_some(), "{} is no target", name.display());
    }
}
