//! What every connector's settings share: secrets, and what is wrong with a key.
//!
//! Reads no file and no environment: whoever composes the program does. Invariants:
//! * A secret has no `Display`, no `Serialize`, and an empty `Debug`.
//! * A fault names its key and its cure, and never the value that a person wrote: it may be a secret in the wrong place.

use model::words;
use serde::Deserialize;
use std::{fmt, path::PathBuf};

/// Where a secret is kept: `{ file = "…" }` or, with a warning, `{ env = "…" }`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// In a file, relative to the configuration.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

impl SecretRef {
    /// What to tell people who keep the secret of `key` here; none for a file.
    pub fn warning(&self, key: &str) -> Option<String> {
        let warned =
            || format!("`{key}` comes from the environment, where other processes may see it: a file is safer");
        matches!(self, SecretRef::Env(_)).then(warned)
    }
}

/// A secret in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret; line breaks at a file's end are not part of it.
    pub fn new(secret: &str) -> Secret {
        Secret(secret.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The text, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret, if it can stand in a header.
    pub fn token(&self) -> Option<&str> {
        Some(self.expose()).filter(|token| !token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is wrong with one key of a connector's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettingFault {
    /// The key below the connector's table, such as `url` or `auth.bearer`; empty for the table itself.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub cure: String,
}

impl SettingFault {
    /// A fault of this key.
    pub fn new(key: impl Into<String>, what: impl Into<String>, cure: impl Into<String>) -> SettingFault {
        SettingFault { key: key.into(), what: what.into(), cure: cure.into() }
    }
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}; {}", self.what, self.cure)
    }
}

/// `did you mean` the nearest of `known`, else all of them.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    match words::nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if !known.is_empty() => format!("known here: {}", known.join(", ")),
        None => "nothing is known here; remove it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_and_ends_before_the_line_does() {
        let secret = Secret::new("canary\r\n");
        assert_eq!((format!("{secret:?}").as_str(), secret.expose()), ("Secret(..)", "canary"));
    }

    #[test]
    fn the_nearest_known_word_is_meant_or_all_are_told() {
        assert_eq!(did_you_mean("chunk_row", &["url", "chunk_rows"]), "did you mean `chunk_rows`?");
        assert_eq!(did_you_mean("colour", &["url", "tables"]), "known here: url, tables");
        assert!(did_you_mean("x", &[]).contains("remove it"));
    }

    #[test]
    fn a_secret_of_the_environment_is_a_warning() {
        assert_eq!(SecretRef::File("secrets/token".into()).warning("bearer"), None);
        let warning = SecretRef::Env("TOKEN".into()).warning("bearer");
        assert!(warning.is_some_and(|warning| warning.contains("`bearer`") && warning.contains("a file is safer")));
    }
}
