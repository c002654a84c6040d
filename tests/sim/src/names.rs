//! Outputs, entries and records as a person reads them; names stand for hashes.

use flow::{Awaited, FlowOutput, Scope, WaitingItem};
use model::{
    Base, Cell, Decided, Decision, EffectId, Entry, EntryId, Mark, Outcome, Record, RequestId, RowChange, RowKey,
    SourcePosition, Unit, UnitId, Value, Verdict, Write,
};
use ports::{Class, SendBase};
use std::collections::BTreeMap;

/// Names given so far.
#[derive(Default)]
pub struct Names {
    units: Vec<Unit>,
    keys: BTreeMap<UnitId, String>,
    effects: Vec<EffectId>,
    requests: Vec<RequestId>,
    journal: u64,
    decisions: u64,
}

const COLUMN: usize = 21;

/// `A` to `Z`, then `A1` to `Z1`, and so on.
fn letters(at: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(at % 26).expect("26 letters"));
    if at < 26 { letter.to_string() } else { format!("{letter}{}", at / 26) }
}

fn line(head: &str, rest: &str) -> String {
    format!("{head:<COLUMN$}{rest}").trim_end().to_string()
}

impl Names {
    /// Numbering begins behind what the set-up appended.
    pub fn begin(&mut self, journal: u64, decisions: u64) {
        (self.journal, self.decisions) = (journal, decisions);
    }

    pub fn base(&self, journal: bool) -> u64 {
        if journal { self.journal } else { self.decisions }
    }

    /// The effect called `E1`.
    pub fn effect(&self, name: &str) -> EffectId {
        let at: usize = name.trim_start_matches('E').parse().expect("E and a number");
        *self.effects.get(at - 1).unwrap_or_else(|| panic!("no effect {name} yet"))
    }

    /// Some unit, for an outcome that nobody waits for.
    pub fn any_unit(&self) -> Unit {
        self.units.first().expect("a unit has been named").clone()
    }

    /// The unit called `A`; scripts have few.
    pub fn unit(&self, name: &str) -> Unit {
        let at = name.bytes().next().map_or(0, |letter| usize::from(letter - b'A'));
        self.units.get(at).unwrap_or_else(|| panic!("no unit {name} yet")).clone()
    }

    pub(crate) fn of_unit(&mut self, unit: &Unit) -> String {
        let at = self.units.iter().position(|known| known == unit).unwrap_or_else(|| {
            self.units.push(unit.clone());
            self.units.len() - 1
        });
        format!("{}/{}", unit.resource_type, letters(at))
    }

    /// The same of `Type/id`.
    pub(crate) fn of_unit_text(&mut self, text: &str) -> String {
        let parsed = text.split_once('/').and_then(|(kind, id)| Some((kind, uuid::Uuid::parse_str(id).ok()?)));
        match parsed {
            Some((kind, id)) => self.of_unit(&Unit { resource_type: kind.into(), id: UnitId(id) }),
            None => text.to_owned(),
        }
    }

    pub(crate) fn of_effect(&mut self, effect: &EffectId) -> String {
        let at = self.effects.iter().position(|known| known == effect).unwrap_or_else(|| {
            self.effects.push(*effect);
            self.effects.len() - 1
        });
        format!("E{}", at + 1)
    }

    pub(crate) fn of_request(&mut self, request: &RequestId) -> String {
        let at = self.requests.iter().position(|known| known == request).unwrap_or_else(|| {
            self.requests.push(*request);
            self.requests.len() - 1
        });
        format!("R{}", at + 1)
    }

    pub(crate) fn of_entry(&self, id: EntryId) -> String {
        format!("1:{}", id.seq.saturating_sub(self.journal))
    }

    pub fn print(&mut self, output: &FlowOutput) -> Vec<String> {
        match output {
            FlowOutput::Append { entries, class, .. } => {
                let head = if *class == Class::Vital { "append journal !" } else { "append journal" };
                let entries: Vec<String> = entries.iter().map(|entry| self.entry(entry)).collect();
                vec![line(head, &entries.join("; "))]
            }
            FlowOutput::Record { records, .. } => records.iter().map(|record| self.record(record)).collect(),
            FlowOutput::Confirm(at) => vec![line("confirm legacy", &position(at))],
            FlowOutput::OpenSource(resume) => {
                let passed = resume.passed.map_or("nothing".to_string(), |at| position(&at));
                vec![line("open legacy", &format!("incarnation {}, passed {passed}", resume.incarnation.0))]
            }
            FlowOutput::CloseSource => vec![line("close legacy", "")],
            FlowOutput::Send(request) => {
                let guard = match &request.base {
                    SendBase::Create => "if-none-match=*".to_string(),
                    SendBase::Version(version) => format!("if-match={version}"),
                    SendBase::Deleted(version) => format!("over-deletion={version}"),
                };
                let verb = if request.write == Write::Put { "put" } else { "delete" };
                let (effect, unit) = (self.of_effect(&request.effect), self.of_unit(&request.unit));
                let stamp = self.of_request(&request.request);
                vec![line("send cloud", &format!("{effect} {verb} {unit} {guard} request={stamp}"))]
            }
            FlowOutput::Settle(request) => {
                let (effect, unit) = (self.of_effect(&request.effect), self.of_unit(&request.unit));
                let stamp = self.of_request(&request.request);
                vec![line("settle cloud", &format!("{effect} {unit} request={stamp}"))]
            }
            FlowOutput::Checkpoint => vec![line("checkpoint", "")],
            FlowOutput::Answered { answer, .. } => {
                let text = match answer {
                    Ok(id) => self.of_entry(*id),
                    Err(fault) => format!("refused: {fault}"),
                };
                vec![line("answer", &text)]
            }
            FlowOutput::Fenced { .. } => vec![line("fenced", "")],
            FlowOutput::Halted { scope, what, .. } => {
                let scope = match scope {
                    Scope::Source(name) | Scope::Sink(name) => name.to_string(),
                    Scope::Type(system, kind) => format!("{system}/{kind}"),
                    Scope::Table(name) => name.to_string(),
                    Scope::Entity(name) => name.to_string(),
                    Scope::Map => "map".to_string(),
                };
                vec![line(if what.is_empty() { "go on" } else { "halt" }, format!("{scope} {what}").trim_end())]
            }
            FlowOutput::Corrupt(fault) => vec![line("corrupt", &fault.to_string())],
            FlowOutput::ReadJournal(_) | FlowOutput::ReadDecisions(_) | FlowOutput::Again => Vec::new(),
        }
    }

    /// A line of `waiting ls`.
    pub fn waiting(&mut self, item: &WaitingItem) -> String {
        let on = match &item.on {
            Awaited::Row { entity, .. } => format!("a row of {entity}"),
            Awaited::Unit(unit) => self.of_unit(unit),
        };
        line("waiting", &format!("for {on}: {} since {}, {}", item.count, self.of_unit(&item.first), item.why))
    }

    pub(crate) fn entry(&mut self, entry: &Entry) -> String {
        match entry {
            Entry::Bound(bound) => {
                let name = format!("{}/{}", bound.entity, key(&bound.key));
                self.keys.insert(bound.unit.id, name.clone());
                format!("Bound {name} {}", self.of_unit(&bound.unit))
            }
            Entry::Row(row) => {
                let verb = match &row.change {
                    RowChange::Insert(_) => "insert",
                    RowChange::Update { .. } => "update",
                    RowChange::Delete { .. } => "delete",
                };
                let commit = row
                    .commit
                    .as_ref()
                    .map_or(String::new(), |commit| format!(", commit end {}", position(&commit.end)));
                format!("Row {} {verb}{commit}", position(&row.position))
            }
            Entry::Commit { commit, .. } => format!("Commit {} rows, end {}", commit.count, position(&commit.end)),
            Entry::Acked(acked) => {
                let effect = self.of_effect(&acked.effect);
                let outcome = match &acked.outcome {
                    Outcome::Accepted { version, by } => format!("accepted version={version} by={by}"),
                    Outcome::Observed => "observed".into(),
                    Outcome::Stale { version, .. } => format!("stale version={version}"),
                    Outcome::Rejected { code, .. } => format!("rejected code={code}"),
                    Outcome::Gone { .. } => "gone".into(),
                };
                format!("Acked {effect} {outcome} attempts={}", acked.attempts)
            }
            Entry::Void { from, to, .. } => format!("Void {} {}", self.of_entry(*from), self.of_entry(*to)),
            Entry::Slot { wanted, incarnation, .. } => format!("Slot {wanted} incarnation {}", incarnation.0),
            Entry::Heartbeat { position: at, .. } => format!("Heartbeat {}", position(at)),
            Entry::Reviewed { unit, answer, .. } => format!("Reviewed {} {answer:?}", self.of_unit(unit)),
            Entry::Control(control) => format!("{:?}", control.act),
            other => format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_string(),
        }
    }

    pub(crate) fn record(&mut self, record: &Record) -> String {
        match record {
            Record::Opened { .. } => line("append decisions", "Opened"),
            Record::Skipped { from, to } => {
                line("append decisions", &format!("Skipped {} {}", self.of_entry(*from), self.of_entry(*to)))
            }
            Record::Unfolded { input, entry } => {
                line("append decisions", &format!("Unfolded {} of {}", self.of_entry(*entry), self.of_entry(*input)))
            }
            Record::Decided(decided) => line("append decisions", &self.decided(decided)),
        }
    }

    fn decided(&mut self, decided: &Decided) -> String {
        let mark = |mark: &Mark| key(&mark.key);
        let upto = decided.upto.as_ref().map_or(String::new(), |upto| format!(" upto={}", mark(upto)));
        let last = if decided.last { " last" } else { "" };
        let mut text = format!("Decided {} step={}{upto}{last}", self.of_entry(decided.input), decided.step);
        for decision in &decided.decisions {
            text.push_str(&format!("; {}", self.decision(decision)));
        }
        for effect in &decided.effects {
            let base = match &effect.base {
                Base::Create => "create".to_string(),
                Base::After(before) => format!("after({})", self.of_effect(before)),
                Base::Version(version) => format!("version({version})"),
            };
            let verb = if effect.write == Write::Put { "put" } else { "delete" };
            text.push_str(&format!("; {} cloud {verb} base={base}", self.of_effect(&effect.id)));
        }
        text
    }

    fn decision(&mut self, decision: &Decision) -> String {
        let unit = self.of_unit(&decision.unit);
        let verdict = match &decision.verdict {
            Verdict::Write => "write".to_string(),
            Verdict::Delete => "delete".into(),
            Verdict::Unchanged => "unchanged".into(),
            Verdict::Frozen => "frozen".into(),
            Verdict::Parked(cause) => format!("parked ({cause})"),
            Verdict::Held(question) => format!("held ({question})"),
            Verdict::Waiting(on) => format!("waiting {}/{}", on.entity, key(&on.key)),
        };
        let mut fields: Vec<String> =
            decision.fields.iter().map(|change| format!("{:?}", change.address).replace("[..]", "")).collect();
        fields.dedup();
        let fields = if fields.is_empty() { String::new() } else { format!(" [{}]", fields.join(" ")) };
        let losers =
            if decision.losers.is_empty() { String::new() } else { format!(" losers={}", decision.losers.len()) };
        format!("{unit} {verdict}{fields} rule={:?} n={}{losers}", decision.rule, decision.n)
    }
}

/// `0/1A00:1`, `0/1A30`.
pub(crate) fn position(position: &SourcePosition) -> String {
    let bytes = position.as_bytes();
    let part = |range: std::ops::Range<usize>| {
        bytes.get(range).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    let ordinal = if bytes.len() > 8 { format!(":{}", part(8..12)) } else { String::new() };
    format!("{:X}/{:X}{ordinal}", part(0..4), part(4..8))
}

/// A script's keys are small numbers of nobody.
pub(crate) fn key(key: &RowKey) -> String {
    match key.decode().as_deref() {
        Some([Value::Int(n)]) => n.to_string(),
        Some(values) => format!("{:?}", values.iter().map(Value::as_cell).collect::<Vec<Cell<'_>>>()),
        None => "?".into(),
    }
}
