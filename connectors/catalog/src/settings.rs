//! A connector's table: read whole, its files and secrets fetched, its faults gathered.

use model::{ResourceType, SystemId};
use ports::{Secret, SecretRef, SettingFault, setting::did_you_mean};
use schemas::Profile;
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use toml::Table;

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
    pub secret: &'a dyn Fn(&SecretRef) -> Result<Secret, String>,
}

/// With this ends what is said of a key that no connector knows: it points at the key, not at its value.
pub const NOT_KNOWN: &str = "it is not known";

/// A table being read.
pub(crate) struct Settings<'a> {
    table: Table,
    context: &'a Context<'a>,
    faults: Vec<SettingFault>,
    /// Keys that do not fit at all: nothing more is said of them.
    unfit: BTreeSet<String>,
}

impl<'a> Settings<'a> {
    /// `kind` chose the connector and is not its business.
    pub(crate) fn new(table: &Table, context: &'a Context<'a>) -> Settings<'a> {
        let mut table = table.clone();
        table.remove("kind");
        Settings { table, context, faults: Vec::new(), unfit: BTreeSet::new() }
    }

    /// The table as the connector knows it. serde stops at the first key that does not fit; each one is noted and left out,
    /// so that all of them are told at once.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            let error = match self.table.clone().try_into() {
                Ok(config) => return Some(config),
                Err(error) => error,
            };
            let (fault, top) = not_fitting(error.message(), &error.to_string());
            self.faults.push(fault);
            let left_out = top.filter(|top| self.table.remove(top).is_some())?;
            self.unfit.insert(left_out);
        }
    }

    /// A secret, if one is named.
    pub(crate) fn secret(&mut self, key: &str, place: Option<&SecretRef>) -> Option<Secret> {
        let place = match place? {
            SecretRef::File(path) => SecretRef::File(self.context.base_dir.join(path)),
            SecretRef::Env(name) => SecretRef::Env(name.clone()),
        };
        let fetched = (self.context.secret)(&place);
        fetched.map_err(|why| self.note(key, why, "put the secret where the key says, readable by this user only")).ok()
    }

    /// A file's bytes, if one is named.
    pub(crate) fn file(&mut self, key: &str, path: Option<&Path>) -> Option<Vec<u8>> {
        let path: PathBuf = self.context.base_dir.join(path?);
        let missing = |why| format!("{} cannot be read: {why}", path.display());
        std::fs::read(&path)
            .map_err(|why| {
                self.note(
                    key,
                    missing(why),
                    "put the file there, or correct the path: it is relative to the configuration",
                )
            })
            .ok()
    }

    /// A profile of the program, or of a file.
    pub(crate) fn profile(&mut self, name: &str) -> Option<Profile> {
        const CURE: &str = "write \"sandbox\", \"hapi\", or a file of your own that ends in .toml";
        if name.is_empty() {
            if !self.unfit.contains("profile") {
                self.note("profile", "it is missing", CURE);
            }
            return None;
        }
        let profile = if name.ends_with(".toml") {
            let bytes = self.file("profile", Some(Path::new(name)))?;
            Profile::parse(&String::from_utf8_lossy(&bytes))
        } else {
            Profile::builtin(name)
        };
        profile.map_err(|error| self.note("profile", error.to_string(), CURE)).ok()
    }

    /// The options, if nothing was wrong.
    pub(crate) fn finish<T>(mut self, options: Result<T, Vec<SettingFault>>) -> Result<T, Vec<SettingFault>> {
        match options {
            Ok(options) if self.faults.is_empty() => Ok(options),
            Ok(_) => Err(self.faults),
            Err(more) => {
                let before: BTreeSet<String> = self.faults.iter().map(|fault| fault.key.clone()).collect();
                let told = |key: &String| before.contains(key) || self.unfit.contains(key);
                self.faults.extend(more.into_iter().filter(|fault| !told(&fault.key)));
                Err(self.faults)
            }
        }
    }

    /// What was wrong so far.
    pub(crate) fn faults(self) -> Vec<SettingFault> {
        self.faults
    }

    fn note(&mut self, key: &str, what: impl Into<String>, cure: &str) {
        self.faults.push(SettingFault::new(key, what, cure));
    }
}

/// What serde says of a key, and the key of this very table that it lies in. serde repeats the value that does not fit, and a
/// person may have written a secret there: only what was expected and where goes on.
fn not_fitting(message: &str, whole: &str) -> (SettingFault, Option<String>) {
    let place = whole.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`')).unwrap_or_default();
    let quoted = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let below = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    let fault = if let Some(key) = quoted("unknown field `") {
        let known = message.split_once(", expected").map(|(_, known)| known.trim_start_matches(" one of").trim());
        let known: Vec<&str> = known.unwrap_or_default().split(", ").map(|name| name.trim_matches('`')).collect();
        // A key below a secret's may be the secret itself.
        match place {
            "" => SettingFault::new(key, NOT_KNOWN.to_owned(), did_you_mean(key, &known)),
            _ => SettingFault::new(
                place,
                format!("a key in it: {NOT_KNOWN}"),
                format!("known here: {}", known.join(", ")),
            ),
        }
    } else if let Some(key) = quoted("missing field `") {
        SettingFault::new(place, format!("`{}` is missing", below(key)), "the connector's example.toml shows every key")
    } else {
        let expected = message.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
        let expected = expected.lines().next().unwrap_or_default();
        SettingFault::new(
            place,
            format!("it does not fit: expected {expected}"),
            "the connector's example.toml shows it",
        )
    };
    let top = fault.key.split('.').next().filter(|top| !top.is_empty()).map(str::to_owned);
    (fault, top)
}
