//! `lockstep.toml`: read whole, all faults at once, nothing unknown accepted.
//!
//! Paths are relative to the file. What stands in a source's or sink's own table belongs to its connector; here only what
//! holds for every connector is looked at: secrets, passwords in URLs, paths.

mod fault;
mod reader;
mod secret;

pub use fault::ConfigFaults;
pub use secret::fetch;

use crate::connect;
use fault::Collector;
use model::SystemId;
use ports::{Secret, SecretRef, SettingFault};
use reader::Section;
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Keys whose value is a secret: a table that names a file or a variable, never a text.
const SECRET_KEYS: [&str; 5] = ["password", "bearer", "token", "secret", "namespace"];

/// A configuration that holds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the file's paths are relative to.
    pub dir: PathBuf,
    /// Names slot, publication, messages, stamp.
    pub pipeline: String,
    /// Part of every minted id.
    pub site: String,
    /// Seeds every minted id; also keys the hashes of keys in print.
    pub namespace: Namespace,
    /// Lock, socket, logs, store.
    pub data_dir: PathBuf,
    /// Bytes of a segment of either log.
    pub segment_bytes: u64,
    /// Bytes of disk that captured rows leave free.
    pub reserve_bytes: u64,
    /// The source.
    pub source: Part,
    /// Its map.
    pub map: PathBuf,
    /// The sink.
    pub sink: Part,
    /// `meta.source` of what we write begins with it.
    pub stamp_uri: String,
    /// Requests in flight.
    pub concurrency: usize,
    /// Limits of the flow.
    pub limits: flow::Limits,
    /// A checkpoint is due at so many bytes.
    pub overlay_bytes_max: usize,
    /// What should be better, but works.
    pub warnings: Vec<String>,
}

/// The deployment's own UUID; not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Namespace(pub uuid::Uuid);

impl std::fmt::Debug for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("namespace")
    }
}

/// A source or a sink.
#[derive(Clone)]
pub struct Part {
    /// Its system's name.
    pub system: SystemId,
    /// Which connector.
    pub kind: String,
    /// The connector's own table, secrets as they are named in the file, `kind` and what is ours left in.
    pub table: toml::Table,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("system", &self.system).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the file.
    pub fn load(file: &Path) -> Result<Settings, ConfigFaults> {
        let name = file.display().to_string();
        match fs::read_to_string(file) {
            Ok(text) => Settings::parse(file, &text),
            Err(error) => {
                let mut faults = Collector::new(&name, "");
                faults.add(
                    0..0,
                    format!("cannot be read: {error}"),
                    "`lockstep init` writes one; or name it with --config",
                );
                faults.finish().and(Err(unreadable(&name)))
            }
        }
    }

    /// Reads a text as if it stood in `file`.
    pub fn parse(file: &Path, text: &str) -> Result<Settings, ConfigFaults> {
        let name = file.display().to_string();
        let mut faults = Collector::new(&name, text);
        let (table, broken) = DeTable::parse_recoverable(text);
        for error in broken {
            let span = error.span().unwrap_or(0..0);
            faults.add(span, format!("not TOML: {}", error.message()), "correct the line");
            faults.partial();
        }
        let reading = Reading { dir: directory(file), faults: &mut faults, warnings: Vec::new(), parts: Vec::new() };
        let settings = reading.all(text, &table);
        faults.finish()?;
        settings.ok_or_else(|| unreadable(&name))
    }

    /// A place below `data_dir`.
    pub fn data(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }

    /// Keys the hashes of row keys in print (clinical S18).
    pub fn tag_secret(&self) -> [u8; 32] {
        model::Hash::of_parts(&[b"key tag", self.namespace.0.as_bytes()]).0
    }

    /// What the flow is told.
    pub fn flow_config(&self, behaviour: u32) -> flow::Config {
        flow::Config {
            pipeline: self.pipeline.as_str().into(),
            site: self.site.as_str().into(),
            namespace: self.namespace.0,
            source: flow::SourceSettings {
                system: self.source.system.clone(),
                slot: format!("lockstep_{}", self.pipeline).into(),
            },
            sink: flow::SinkSettings {
                system: self.sink.system.clone(),
                stamp_uri: self.stamp_uri.as_str().into(),
                concurrency: self.concurrency,
            },
            limits: self.limits,
            behaviour,
            quarantine: flow::Quarantine::default(),
            poison: None,
        }
    }
}

/// `[a-z][a-z0-9_]{0,30}`: it names slots, publications and topics.
pub fn is_pipeline_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
        && name.len() <= 31
}

fn unreadable(name: &str) -> ConfigFaults {
    let mut faults = Collector::new(name, "");
    faults.add(0..0, "cannot be used", "`lockstep init` writes a commented example");
    match faults.finish() {
        Err(faults) => faults,
        Ok(()) => unreachable!("a fault was added"),
    }
}

/// The directory that the file's paths are relative to.
fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

struct Reading<'f> {
    dir: PathBuf,
    faults: &'f mut Collector,
    warnings: Vec<String>,
    /// The connectors' tables, with their places.
    parts: Vec<(Range<usize>, bool, Part)>,
}

impl Reading<'_> {
    fn all(mut self, text: &str, table: &Spanned<DeTable<'_>>) -> Option<Settings> {
        let plain: toml::Table = toml::from_str(text).unwrap_or_default();
        let mut root = Section::root(table);
        let pipeline = root.required("pipeline", "pipeline = \"clinic\"", self.faults);
        self.pipeline_name(pipeline, root.place("pipeline"));
        let site = root.required("site", "site = \"north\"", self.faults);
        if site == Some("") {
            self.faults.add(root.place("site"), "`site` is empty", "name the site: it is part of every minted id");
        }
        let namespace = self.namespace(&mut root);
        let data_dir = root.required("data_dir", "data_dir = \"data\"", self.faults).map(|dir| self.dir.join(dir));
        let (segment_bytes, reserve_bytes) = self.journal(&mut root);
        let (limits, overlay_bytes_max) = self.limits(&mut root);
        let systems = root.section("system", self.faults);
        if systems.is_none() && root.get("system").is_none() {
            root.missing("system", "[system.legacy.source] and [system.cloud.sink]", self.faults);
        }
        let parts = systems.map(|systems| self.systems(&systems, &plain)).unwrap_or_default();
        root.close(self.faults);
        self.connectors(pipeline.unwrap_or_default(), table);
        let (source, map) = parts.source?;
        let (sink, stamp_uri, concurrency) = parts.sink?;
        Some(Settings {
            dir: self.dir,
            pipeline: pipeline?.to_owned(),
            site: site?.to_owned(),
            namespace: namespace?,
            data_dir: data_dir?,
            segment_bytes,
            reserve_bytes,
            source,
            map: map?,
            sink,
            stamp_uri: stamp_uri?,
            concurrency,
            limits,
            overlay_bytes_max,
            warnings: self.warnings,
        })
    }

    /// What only the connectors know of their tables; each fault at its key. What was said of a place already stands.
    fn connectors(&mut self, pipeline: &str, file: &Spanned<DeTable<'_>>) {
        for (place, is_source, part) in std::mem::take(&mut self.parts) {
            for SettingFault { key, what, cure } in connect::faults(pipeline, &self.dir, &part, is_source) {
                let port = if is_source { "source" } else { "sink" };
                let whole = ["system", part.system.as_str(), port];
                let path = whole.into_iter().chain(key.split('.').filter(|part| !part.is_empty()));
                let at = reader::place(file, path, what.ends_with(catalog::NOT_KNOWN)).unwrap_or(place.clone());
                // The pipeline's name has a place of its own.
                let named = !key.is_empty() || is_pipeline_name(pipeline);
                if !named || self.faults.has(&at, &format!("{key}`"), at == place) {
                    continue;
                }
                let what = if key.is_empty() { what } else { format!("`{key}`: {what}") };
                self.faults.add(at, what, cure);
            }
        }
    }

    fn pipeline_name(&mut self, name: Option<&str>, place: Range<usize>) {
        if name.is_some_and(|name| !is_pipeline_name(name)) {
            let remedy = "begin with a letter, then at most 30 of a-z, 0-9 and _: it names the slot";
            self.faults.add(place, "`pipeline` is not a name of the form [a-z][a-z0-9_]{0,30}", remedy);
        }
    }

    fn namespace(&mut self, root: &mut Section<'_>) -> Option<Namespace> {
        let Some(value) = root.get("namespace") else {
            root.missing(
                "namespace",
                "namespace = { file = \"secrets/namespace\" }; `lockstep init` makes one",
                self.faults,
            );
            return None;
        };
        let secret = self.secret("namespace", value)?;
        let uuid = uuid::Uuid::parse_str(secret.expose().trim()).ok();
        if uuid.is_none() {
            self.faults.add(
                value.span(),
                "the namespace is not a UUID",
                "write a random UUID into the file, once, and back it up",
            );
        }
        uuid.map(Namespace)
    }

    fn journal(&mut self, root: &mut Section<'_>) -> (u64, u64) {
        const MIB: u64 = 1 << 20;
        let default = 64 * MIB;
        let Some(mut journal) = root.section("journal", self.faults) else { return (default, default) };
        let segment = journal.number("segment_bytes", default, MIB..(1 << 32), self.faults);
        let reserve = journal.number("reserve_bytes", default, MIB..(1 << 40), self.faults);
        journal.close(self.faults);
        (segment, reserve)
    }

    fn limits(&mut self, root: &mut Section<'_>) -> (flow::Limits, usize) {
        const OVERLAY: u64 = 16 << 20;
        let mut limits = flow::Limits::default();
        let Some(mut section) = root.section("limits", self.faults) else { return (limits, size(OVERLAY)) };
        let faults = &mut *self.faults;
        limits.step_units_max = size(section.number("step_units_max", 1_000, 1..100_001, faults));
        limits.effects_ahead_max = size(section.number("effects_ahead_max", 50_000, 1..10_000_001, faults));
        let overlay = size(section.number("overlay_bytes_max", OVERLAY, (1 << 16)..(1 << 33), faults));
        if let Some(mut inferred) = section.section("inferred_deletes_max", faults) {
            limits.inferred_deletes_percent = inferred.number("percent", 1, 0..101, faults);
            limits.inferred_deletes_at_least = inferred.number("at_least", 10, 0..1_000_001, faults);
            inferred.close(faults);
        }
        section.close(faults);
        (limits, overlay)
    }

    fn systems(&mut self, systems: &Section<'_>, plain: &toml::Table) -> Parts {
        let mut parts = Parts::default();
        for (name, mut system) in systems.sections(self.faults) {
            let own = |part: &str| plain.get("system")?.get(name)?.get(part)?.as_table().cloned();
            let span = system.span();
            let map = system.text("map", self.faults).map(|map| self.dir.join(map));
            if let Some(mut source) = system.section("source", self.faults) {
                let part = self.part(name, &mut source, own("source"));
                self.parts.extend(part.iter().map(|part| (source.span(), true, part.clone())));
                if parts.source.is_some() {
                    self.faults.add(source.span(), "a second source", "this version has one source: remove one");
                }
                if map.is_none() {
                    system.missing("map", "map = \"maps/clinic/map.yaml\"", self.faults);
                }
                parts.source = part.map(|part| (part, map.clone()));
            } else if map.is_some() {
                self.faults.absent(
                    system.place("map"),
                    "a map without a source",
                    "a map belongs to the system whose rows it reads",
                );
            }
            if let Some(mut sink) = system.section("sink", self.faults) {
                if parts.sink.is_some() {
                    self.faults.add(sink.span(), "a second sink", "this version has one sink: remove one");
                }
                let stamp = sink.required(
                    "stamp_uri",
                    "stamp_uri = \"https://ids.hospital.example/lockstep/clinic\"",
                    self.faults,
                );
                let concurrency = sink.number("concurrency", 16, 1..1_025, self.faults);
                let part = self.part(name, &mut sink, own("sink"));
                self.parts.extend(part.iter().map(|part| (sink.span(), false, part.clone())));
                parts.sink = part.map(|part| (part, stamp.map(str::to_owned), size(concurrency)));
            }
            if system.get("source").is_none() && system.get("sink").is_none() {
                self.faults.absent(
                    span,
                    format!("system `{name}` has neither source nor sink"),
                    "add one, or remove it",
                );
            }
            system.close(self.faults);
        }
        for (absent, example) in [(parts.source.is_none(), "source"), (parts.sink.is_none(), "sink")] {
            if absent && self.faults.is_empty() {
                self.faults.add(
                    systems.span(),
                    format!("there is no {example}"),
                    format!("add [system.NAME.{example}]"),
                );
            }
        }
        parts
    }

    fn part(&mut self, system: &str, section: &mut Section<'_>, table: Option<toml::Table>) -> Option<Part> {
        let kind = section.required("kind", "kind, the name of a connector", self.faults)?;
        for (key, value) in section.entries() {
            self.connector_value(key, value);
        }
        Some(Part { system: SystemId::from(system), kind: kind.to_owned(), table: table? })
    }

    /// What holds for every connector's table: secrets are named and not written, a URL holds no password.
    fn connector_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>) {
        if let Some(table) = value.get_ref().as_table() {
            if SECRET_KEYS.contains(&key) {
                self.secret(key, value);
                return;
            }
            for (key, value) in table.iter() {
                self.connector_value(key.get_ref(), value);
            }
            return;
        }
        if SECRET_KEYS.contains(&key) {
            self.secret(key, value);
        } else if let Some(text) = value.get_ref().as_str() {
            let password = text
                .split_once("://")
                .and_then(|(_, rest)| rest.split_once('@'))
                .is_some_and(|(user, _)| user.contains(':'));
            if password {
                self.faults.hide(value.span());
                let remedy = format!("take it out of `{key}` and write password = {{ file = \"secrets/..\" }}");
                self.faults.add(value.span(), format!("`{key}` holds a password"), remedy);
            }
        }
    }

    /// `{ file = ".." }` or `{ env = ".." }`.
    fn secret(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Secret> {
        let form = format!("write {key} = {{ file = \"secrets/{key}\" }}");
        let Some(table) = value.get_ref().as_table() else {
            self.faults.hide(value.span());
            self.faults.add(value.span(), format!("`{key}` is written out"), form);
            return None;
        };
        let named = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
        let place = match (named("file"), named("env"), table.len()) {
            (Some(file), None, 1) => SecretRef::File(self.dir.join(file)),
            (None, Some(name), 1) => SecretRef::Env(name.to_owned()),
            _ => {
                self.faults.hide(value.span());
                self.faults.add(value.span(), format!("`{key}` is neither a file nor a variable"), form);
                return None;
            }
        };
        self.warnings.extend(place.warning(key));
        let fetched = fetch(&place);
        match &place {
            SecretRef::File(path) if fetched.is_ok() => self.mode(key, path),
            SecretRef::File(_) | SecretRef::Env(_) => {}
        }
        let remedy = match place {
            SecretRef::File(_) => "make the file, readable by this user only (chmod 600)".to_owned(),
            SecretRef::Env(_) => form,
        };
        fetched.map_err(|why| self.faults.add(value.span(), format!("`{key}`: {why}"), remedy)).ok()
    }

    fn mode(&mut self, key: &str, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
            self.warnings.push(format!("`{key}`: others may read {}; chmod 600 it", path.display()));
        }
    }
}

#[derive(Default)]
struct Parts {
    source: Option<(Part, Option<PathBuf>)>,
    sink: Option<(Part, Option<String>, usize)>,
}

/// Every number of the file fits: its range is checked.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
