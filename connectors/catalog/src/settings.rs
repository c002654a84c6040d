//! A connector's table: read whole, its files and secrets fetched, its faults gathered.

use model::{ResourceType, SystemId};
use ports::{Failure, Fault};
use schemas::Profile;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::Table;

/// All that is wrong, each with its cure.
pub type Faults = Vec<Fault>;

/// What a table means is said by where it stands.
pub struct Context<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The system's name.
    pub system: SystemId,
    /// The configuration's folder: paths in a table are relative to it.
    pub base_dir: &'a Path,
    /// The resource types that the maps write, as far as known; `check` looks whether a target takes them.
    pub types: &'a [ResourceType],
    /// Fetches a secret; a file's path is whole by then. The error says why not, without the secret.
    pub secret: &'a dyn Fn(&SecretPlace) -> Result<String, String>,
}

/// Where a secret is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretPlace {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// A table being read.
pub(crate) struct Settings<'a> {
    table: Table,
    context: &'a Context<'a>,
    faults: Faults,
}

impl<'a> Settings<'a> {
    /// `kind` chose the connector and is not its business.
    pub(crate) fn new(table: &Table, context: &'a Context<'a>) -> Settings<'a> {
        let mut table = table.clone();
        table.remove("kind");
        Settings { table, context, faults: Vec::new() }
    }

    /// The table as the connector knows it. serde stops at the first unknown key; each one is noted and left out, so that
    /// all of them are told at once.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            let error = match self.table.clone().try_into() {
                Ok(config) => return Some(config),
                Err(error) => error,
            };
            let message: &str = error.message();
            let key = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
            let unknown = key.filter(|key| self.table.contains_key(*key)).map(str::to_owned);
            let Some(key) = unknown else {
                let what = without_value(message, &error.to_string());
                self.note(what, "correct the key; the connector's example.toml shows every one");
                return None;
            };
            let known = message.split_once(", expected").map(|(_, known)| known.trim_start_matches(" one of").trim());
            let cure = format!("known here: {}", known.unwrap_or("nothing").replace('`', ""));
            self.note(format!("unknown key `{key}`"), cure);
            self.table.remove(&key);
        }
    }

    /// A secret, if one is named.
    pub(crate) fn secret(&mut self, key: &str, place: Option<SecretPlace>) -> Option<String> {
        let place = match place? {
            SecretPlace::File(path) => SecretPlace::File(self.context.base_dir.join(path)),
            SecretPlace::Env(name) => SecretPlace::Env(name),
        };
        let fetched = (self.context.secret)(&place);
        fetched.map_err(|why| self.note(format!("{key}: {why}"), "put the secret where the key says")).ok()
    }

    /// A file's bytes, if one is named.
    pub(crate) fn file(&mut self, key: &str, path: Option<&Path>) -> Option<Vec<u8>> {
        let path = self.context.base_dir.join(path?);
        std::fs::read(&path)
            .map_err(|why| self.note(format!("{key}: {} cannot be read: {why}", path.display()), "correct the path"))
            .ok()
    }

    /// A profile of the program, or of a file.
    pub(crate) fn profile(&mut self, name: &str) -> Option<Profile> {
        let profile = if name.ends_with(".toml") {
            let bytes = self.file("profile", Some(Path::new(name)))?;
            Profile::parse(&String::from_utf8_lossy(&bytes))
        } else {
            Profile::builtin(name)
        };
        profile.map_err(|error| self.note(format!("profile: {error}"), "")).ok()
    }

    /// The options, if nothing was wrong; faults of the connector come as `key: what`.
    pub(crate) fn finish<T>(mut self, options: Result<T, Vec<String>>) -> Result<T, Faults> {
        match options {
            Ok(options) if self.faults.is_empty() => Ok(options),
            Ok(_) => Err(self.faults),
            Err(more) => {
                more.into_iter().for_each(|what| self.note(what, ""));
                Err(self.faults)
            }
        }
    }

    /// What was wrong so far.
    pub(crate) fn faults(self) -> Faults {
        self.faults
    }

    fn note(&mut self, what: impl AsRef<str>, cure: impl Into<String>) {
        self.faults.push(wrong(format!("system `{}`: {}", self.context.system, what.as_ref()), cure));
    }
}

/// A fault that a person must correct.
pub(crate) fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Fault {
    Fault::new(Failure::Misconfigured, what).cure(cure)
}

/// serde repeats the value that does not fit, and a person may have written a secret there: only what was expected and
/// where goes on.
fn without_value(message: &str, whole: &str) -> String {
    if message.starts_with("missing field `") {
        return message.lines().next().unwrap_or_default().to_owned();
    }
    let place = whole.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`')).unwrap_or("a key");
    let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
    format!("{place} does not fit: expected {}", expected.lines().next().unwrap_or_default())
}
