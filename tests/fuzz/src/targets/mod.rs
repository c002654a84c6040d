//! The targets, by the crate whose bytes they read.
#![expect(missing_docs, reason = "a target is named as in `TARGETS`, which says what it is")]

pub mod config;
pub mod fhir;
pub mod journal;
pub mod mapping;
pub mod model;
pub mod postgres;
pub mod sandbox;
pub mod schemas;

/// As much of the bytes as is text.
pub(crate) fn text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("valid up to there"),
    }
}

/// Texts as inputs.
pub(crate) fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}
