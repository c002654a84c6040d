//! `lockstep.toml`: any text is a configuration or faults, all of them with a place.

use super::{text, texts};
use crate::cli::program::config::Settings;
use std::path::Path;

pub fn settings(bytes: &[u8]) {
    match Settings::parse(Path::new("lockstep.toml"), text(bytes)) {
        Ok(settings) => drop(format!("{settings:?}")),
        Err(faults) => {
            let messages = faults.messages();
            assert!(!messages.is_empty(), "a refusal has a reason");
            drop(format!("{:?}", miette::Report::new(faults)));
        }
    }
}

pub fn settings_seeds() -> Vec<Vec<u8>> {
    let template = include_str!("../../../../engine/cli/templates/lockstep.toml");
    let filled = template.replace("{pipeline}", "clinic").replace("{site}", "north");
    let mut all = texts(&[&filled, "a = 1\na = 2\n", "[system.a.b.c]\n", "namespace = { env = \"N\" }\n"]);
    all.push(filled.replace("capture@", "capture:secret@").into_bytes());
    all
}
