//! Entries and records in words: names, types, lengths. A cell is its type and length, a key its keyed hash.

use crate::connect::Show;
use jiff::Timestamp as Jiff;
use model::{
    Activated, Aggregate, Author, Base, Cell, ControlAct, Decided, Decision, EffectGroup, Entry, Fingerprint, Outcome,
    Record, ResourceEntry, Row, RowChange, RowKey, SnapshotMark, SourcePosition, Timestamp, Write,
};
use schemas::Plan;
use std::{collections::BTreeMap, sync::Arc};

/// What descriptions need to know.
pub struct Words {
    /// Keys the hashes of row keys.
    pub secret: [u8; 32],
    /// Shows positions.
    pub show: Show,
    /// The connector's kind: says what a native type is called.
    pub kind: String,
    /// Schemas seen so far.
    pub plans: BTreeMap<Fingerprint, Arc<Plan>>,
}

/// One line about an entry.
pub struct Line {
    /// The entry's kind.
    pub kind: &'static str,
    /// Its source or system.
    pub source: String,
    /// Its position at the source.
    pub position: String,
    /// The rest.
    pub what: String,
}

impl Words {
    /// Learns a schema.
    pub fn learn(&mut self, entry: &Entry) {
        if let Entry::Schema { fingerprint, schema, .. } = entry {
            self.plans.entry(*fingerprint).or_insert_with(|| Arc::new(Plan::new(schema)));
        }
    }

    /// A key for people.
    pub fn key(&self, key: &RowKey) -> String {
        format!("key #{}", key.tag(&self.secret))
    }

    fn row_of(&self, schema: Fingerprint, row: &Row) -> String {
        let Some(plan) = self.plans.get(&schema) else { return format!("schema {schema}") };
        let key = plan.key(row).ok().flatten().map_or_else(|| "no key".to_owned(), |key| self.key(&key));
        format!("{} {key}", plan.schema().table)
    }

    /// The cells of a row, by column: type and length.
    pub fn cells(&self, schema: Fingerprint, row: &Row) -> Vec<(String, String)> {
        let Some(plan) = self.plans.get(&schema) else { return Vec::new() };
        let Ok(cells) = plan.cells(row) else {
            return vec![("?".to_owned(), "not readable with its schema".to_owned())];
        };
        let columns = plan.schema().columns.iter().zip(cells);
        columns
            .map(|(column, cell)| {
                let native = || format!(" {}", catalog::native_type(&self.kind, column.native));
                let raw = matches!(cell, Cell::Raw(_)).then(native).unwrap_or_default();
                (column.name.to_string(), format!("{cell:?}{raw}"))
            })
            .collect()
    }

    /// One line about an entry.
    pub fn entry(&self, entry: &Entry) -> Line {
        let source = entry.source().map(|(source, _)| source.to_string());
        let (kind, position, what) = self.parts(entry);
        let source = source.or_else(|| system(entry)).unwrap_or_else(|| "-".to_owned());
        let position = position.as_ref().map_or_else(|| "-".to_owned(), |position| (self.show)(position));
        Line { kind, source, position, what }
    }

    fn parts(&self, entry: &Entry) -> (&'static str, Option<SourcePosition>, String) {
        match entry {
            Entry::Opened { binary, behaviour, .. } => ("Opened", None, format!("{binary}, behaviour {behaviour}")),
            Entry::Slot { wanted, incarnation, .. } => {
                ("Slot", None, format!("wanted: {wanted}, incarnation {}", incarnation.0))
            }
            Entry::Snapshot { mark, .. } => self.snapshot(mark),
            Entry::Chunk(chunk) => {
                let table = self.plans.get(&chunk.schema).map(|plan| plan.schema().table.to_string());
                let table = table.unwrap_or_else(|| format!("schema {}", chunk.schema));
                let (low, high) = ((self.show)(&chunk.low), (self.show)(&chunk.high));
                (
                    "Chunk",
                    Some(chunk.high),
                    format!("{table} chunk {}, {} rows, low {low}, high {high}", chunk.number, chunk.rows.len()),
                )
            }
            Entry::Row(row) => {
                let (what, shown) = match &row.change {
                    RowChange::Insert(row) => ("insert", row),
                    RowChange::Update { after, .. } => ("update", after),
                    RowChange::Delete { before } => ("delete", before),
                };
                let commit = row.commit.as_ref().map(|commit| format!(", commit end {}", (self.show)(&commit.end)));
                let (shown, by) = (self.row_of(row.schema, shown), author(row.author));
                ("Row", Some(row.position), format!("{what} {shown}{}{by}", commit.unwrap_or_default()))
            }
            Entry::Commit { position, commit, .. } => {
                let (end, at) = ((self.show)(&commit.end), time(commit.committed_at));
                (
                    "Commit",
                    Some(*position),
                    format!("{} rows, xid {}, end {end}, committed {at}", commit.count, commit.transaction),
                )
            }
            Entry::Schema { position, fingerprint, schema, .. } => {
                let key = schema.key.iter().filter_map(|at| schema.columns.get(usize::from(*at)));
                let key: Vec<&str> = key.map(|column| &*column.name).collect();
                let key = if key.is_empty() { "no key".to_owned() } else { format!("key {}", key.join(", ")) };
                (
                    "Schema",
                    Some(*position),
                    format!("{} {fingerprint}, {} columns, {key}", schema.table, schema.columns.len()),
                )
            }
            Entry::Truncate { position, tables, .. } => {
                let tables: Vec<&str> = tables.iter().map(|table| table.as_str()).collect();
                ("Truncate", Some(*position), tables.join(", "))
            }
            Entry::Message { position, prefix, content, .. } => {
                ("Message", Some(*position), format!("{prefix} [{}]", content.len()))
            }
            Entry::Heartbeat { position, .. } => ("Heartbeat", Some(*position), String::new()),
            Entry::Void { from, to, .. } => ("Void", None, format!("{from} to {to}")),
            _ => self.rest(entry),
        }
    }

    fn snapshot(&self, mark: &SnapshotMark) -> (&'static str, Option<SourcePosition>, String) {
        match mark {
            SnapshotMark::Started { tables, at } => {
                ("Snapshot", Some(*at), format!("started, {} tables", tables.len()))
            }
            SnapshotMark::Ready { table, at } => ("Snapshot", Some(*at), format!("{table} ready")),
        }
    }

    fn rest(&self, entry: &Entry) -> (&'static str, Option<SourcePosition>, String) {
        let (kind, what) = match entry {
            Entry::Resource(found) => ("Resource", resource(found)),
            Entry::Acked(acked) => {
                ("Acked", format!("effect {} {}, {} attempts", acked.effect, outcome(&acked.outcome), acked.attempts))
            }
            Entry::Sending { request, effects, .. } => {
                ("Sending", format!("request {request}, {} effects", effects.len()))
            }
            Entry::Reviewed { by, unit, answer, .. } => {
                ("Reviewed", format!("{unit}: {} by {} {}", server::answer_name(*answer), by.issuer, by.name))
            }
            Entry::Bound(bound) => ("Bound", format!("{} {} → {}", bound.entity, self.key(&bound.key), bound.unit)),
            Entry::Unbound { unit, reason, .. } => ("Unbound", format!("{unit}: {reason}")),
            Entry::Activated(activated) => ("Activated", activation(activated)),
            Entry::Control(control) => {
                ("Control", format!("{} by {} {}", self.control(&control.act), control.by.issuer, control.by.name))
            }
            Entry::Clock => ("Clock", String::new()),
            Entry::Passed { .. } => ("Passed", String::new()),
            Entry::Placed { .. } => ("Placed", String::new()),
            Entry::Leave { unit } => ("Leave", unit.to_string()),
            Entry::Enter { unit } => ("Enter", unit.to_string()),
            _ => ("Entry", String::new()),
        };
        (kind, None, what)
    }

    fn control(&self, act: &ControlAct) -> String {
        match act {
            ControlAct::AcceptGap { source, passed, slot } => {
                let slot = slot.as_ref().map_or_else(|| "no slot".to_owned(), |slot| (self.show)(slot));
                format!("gap of {source} accepted: ({}, {slot}]", (self.show)(passed))
            }
            ControlAct::Answered { hold, answer, .. } => format!("{hold}: {}", server::answer_name(*answer)),
            ControlAct::Released { cause } => format!("parked released: {cause}"),
            ControlAct::Probed { system, profile, findings } => {
                format!("{system} probed, profile {profile}: {findings}")
            }
            ControlAct::Dropped { source } => format!("source {source} dropped"),
        }
    }

    /// A record's kind and the rest.
    pub fn record(&self, record: &Record) -> (&'static str, String) {
        match record {
            Record::Opened { binary, behaviour } => ("Opened", format!("{binary}, behaviour {behaviour}")),
            Record::Skipped { from, to } => ("Skipped", format!("{from} to {to}")),
            Record::Unfolded { input, entry } => {
                ("Unfolded", format!("{entry} of input {input}: it stopped the engine twice"))
            }
            Record::Decided(decided) => ("Decided", self.decided(decided)),
        }
    }

    fn decided(&self, decided: &Decided) -> String {
        let last = if decided.last { " last" } else { "" };
        let decisions: Vec<String> = decided.decisions.iter().map(decision).collect();
        format!(
            "input {} step {}{last}, behaviour {}: {}",
            decided.input,
            decided.step,
            decided.behaviour,
            decisions.join("; ")
        )
    }
}

fn system(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Acked(acked) => acked.system.to_string(),
        Entry::Bound(bound) => bound.system.to_string(),
        Entry::Resource(found) => found.system.to_string(),
        Entry::Sending { system, .. } | Entry::Unbound { system, .. } => system.to_string(),
        Entry::Void { source, .. } => source.to_string(),
        _ => return None,
    })
}

fn activation(activated: &Activated) -> String {
    let Activated { by, kind, name, hash, bytes, behaviour } = activated;
    format!(
        "{kind:?} {name} #{}, {} bytes, behaviour {behaviour}, by {} {}",
        hash.short(),
        bytes.len(),
        by.issuer,
        by.name
    )
}

fn resource(found: &ResourceEntry) -> String {
    let what = if found.deleted { "deletion" } else { "content" };
    let stamp = found.stamp.as_ref().map(|request| format!(", stamp {request}")).unwrap_or_default();
    format!("{} version {}, {what} of somebody else{}{stamp}", found.unit, found.version, author(found.author))
}

/// The class of an author, where it is known.
fn author(author: Option<Author>) -> String {
    author.map(|author| format!(", author {}", snake(&format!("{author:?}")))).unwrap_or_default()
}

/// One decision in a line.
pub fn decision(decision: &Decision) -> String {
    let verdict = server::verdict(&decision.verdict);
    let fields: Vec<String> = decision.fields.iter().map(|field| format!("{:?}", field.address)).collect();
    let effect = decision.effect.map(|effect| format!(", effect {effect}")).unwrap_or_default();
    let together = |aggregate: &Aggregate| format!(", with {} of {}", aggregate.kind, aggregate.subject);
    let together = decision.aggregate.as_ref().map(together).unwrap_or_default();
    format!(
        "{} {verdict} [{}], rule {}, n={}{effect}{together}{}",
        decision.unit,
        fields.join(" "),
        snake(&format!("{:?}", decision.rule)),
        decision.n,
        author(decision.author)
    )
}

/// An outcome in words; codes and versions, no content.
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { version, by } => format!("accepted, version {version}, by {by}"),
        Outcome::Observed => "observed".to_owned(),
        Outcome::Stale { version, current, over } => {
            let current = if current.is_some() { "other content" } else { "nothing to show" };
            let over = if over.is_some() { ", over another version" } else { "" };
            format!("stale, version {version}, {current}{over}")
        }
        Outcome::Rejected { code, detail } => format!("rejected, {code}: {detail}"),
        Outcome::Gone { version } => {
            format!("gone{}", version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default())
        }
    }
}

/// What an effect stands on and does.
pub fn effect(effect: &model::Effect) -> String {
    let write = match effect.write {
        Write::Put => "put",
        Write::Delete => "delete",
    };
    let base = match &effect.base {
        Base::Create => "create".to_owned(),
        Base::After(before) => format!("after {before}"),
        Base::Version(version) => format!("version {version}"),
    };
    let generation = if effect.generation > 0 { format!(", generation {}", effect.generation) } else { String::new() };
    let group = |group: EffectGroup| format!(", one of {} written together under {}", group.members, group.first);
    let group = effect.group.map(group).unwrap_or_default();
    format!("{} {} {write}, base {base}, body #{}{generation}{group}", effect.id, effect.system, effect.body.short())
}

/// `OneWay` as `one_way`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// UTC with microseconds, as RFC 3339.
pub fn time(at: Timestamp) -> String {
    Jiff::from_microsecond(at.0).map_or_else(|_| format!("{} µs", at.0), |at| format!("{at:.6}"))
}

/// UTC with milliseconds, for tables.
pub fn table_time(at: Timestamp) -> String {
    let shown = Jiff::from_microsecond(at.0).map(|at| at.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string());
    shown.unwrap_or_else(|_| format!("{} µs", at.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Effect, EffectId};

    #[test]
    fn times_are_utc() {
        assert_eq!(table_time(Timestamp(1_764_000_000_123_000)), "2025-11-24 16:00:00.123");
        assert_eq!(time(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn what_a_source_or_a_rule_can_say_of_a_change_is_shown() {
        let id = EffectId::derive("p", &"cloud".into(), &unit(), 0, 1);
        let group = Some(EffectGroup { first: id, members: 2 });
        let (system, base, body) = ("cloud".into(), Base::Create, model::Hash::default());
        let made = Effect { id, system, unit: unit(), generation: 3, n: 1, base, body, write: Write::Put, group };
        let shown = effect(&made);
        assert!(shown.ends_with(&format!(", generation 3, one of 2 written together under {id}")), "{shown}");
        assert!(!effect(&Effect { generation: 0, group: None, ..made }).contains(", generation"));

        let (system, version, body) = ("cloud".into(), "7".into(), model::Json::Null);
        let (author, stamp) = (Some(Author::Derived), Some(id.request()));
        let found =
            ResourceEntry { system, unit: unit(), version, deleted: false, body, author, stamp, captured: None };
        let shown = resource(&found);
        assert!(shown.ends_with(&format!("of somebody else, author derived, stamp {}", id.request())), "{shown}");
    }

    fn unit() -> model::Unit {
        model::Unit { resource_type: "Patient".into(), id: model::UnitId::from_bytes([7; 16]) }
    }

    #[test]
    fn a_rule_is_named_as_in_the_records() {
        assert_eq!(snake("OneWay"), "one_way");
    }
}
