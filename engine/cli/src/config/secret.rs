//! Fetches secrets: from a file, or from the environment. Why one cannot be had is said without it.

use ports::{Secret, SecretRef};
use std::fs;

/// The secret at a place; a file's path is whole by then.
pub fn fetch(place: &SecretRef) -> Result<Secret, String> {
    match place {
        SecretRef::File(path) => match fs::read_to_string(path) {
            Ok(text) => Ok(Secret::new(&text)),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        },
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(text) => Ok(Secret::new(&text)),
            Err(_) => Err(format!("the variable {name} is not set")),
        },
    }
}
