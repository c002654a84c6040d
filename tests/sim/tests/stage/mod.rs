//! The stage of a golden script: one flow, two logs and a store in memory; reads the inputs' words, prints the outputs.

mod reading;
mod words;

use flow::{Act, Config, Flow, FlowInput, FlowOutput, Limits, Quarantine};
use lockstep_sim::{MAP, config, names::Names, nurse, removing_map, source::schemas};
use model::{
    Chunk, CommitEnd, EffectId, Entry, EntryId, Header, Incarnation, Journaled, Json, Kind, Outcome, Record, Recorded,
    RowChange, RowEntry, SnapshotMark, Term, Timestamp, Unit,
};
use ports::{Appended, Class, Failure, Fault, OpenFault, Resume, SinkReply, StateStore};
use schemas::Plan;
use std::collections::VecDeque;
use store::{MemoryDisk, MemoryStore};

pub struct Stage {
    flow: Flow,
    disk: MemoryDisk,
    store: MemoryStore,
    limits: Limits,
    quarantine: Quarantine,
    plans: Vec<Plan>,
    journal: Vec<Journaled>,
    decisions: Vec<Recorded>,
    appends: VecDeque<FlowOutput>,
    sent: Vec<(Unit, EffectId)>,
    names: Names,
    now: i64,
    term: u64,
    /// Rows of the transaction that is half captured.
    open_rows: usize,
    /// Set-up runs without being printed.
    silent: bool,
}

impl Stage {
    pub fn new() -> Stage {
        let disk = MemoryDisk::default();
        let limits = Limits::default();
        Stage {
            flow: Flow::new(config(limits)),
            store: MemoryStore::open(&disk),
            disk,
            limits,
            quarantine: Quarantine::default(),
            plans: schemas().iter().map(Plan::new).collect(),
            journal: Vec::new(),
            decisions: Vec::new(),
            appends: VecDeque::new(),
            sent: Vec::new(),
            names: Names::default(),
            now: 1_000_000,
            term: 0,
            open_rows: 0,
            silent: true,
        }
    }

    /// The first line: what is true before the script begins.
    pub fn set_up(&mut self, words: &str) {
        let has = |word: &str| words.split([';', ',']).any(|part| part.trim().contains(word));
        let number = |name: &str| {
            let (_, rest) = words.split_once(name)?;
            Some(rest.split([';', ' ']).next()?.parse::<u64>().expect("a number"))
        };
        if let Some(steps) = number("step_units_max=") {
            self.limits.step_units_max = usize::try_from(steps).expect("few");
        }
        if let Some(deletes) = number("inferred_deletes_at_least=") {
            (self.limits.inferred_deletes_at_least, self.limits.inferred_deletes_percent) = (deletes, 0);
        }
        self.open();
        self.settle_logs();
        if has("map ") {
            let map = if has("map removing") { removing_map() } else { MAP.to_string() };
            let act = Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: map.into_bytes().into() };
            self.step(FlowInput::Act { token: 0, by: nurse(), act, reason: "set up".into() });
        }
        self.settle_logs();
        if has("tables ready") {
            self.step(FlowInput::Captured(self.tables_ready()));
            self.settle_logs();
        }
        self.step(FlowInput::CheckpointDue);
        self.settle_logs();
        self.names.begin(self.journal.len() as u64, self.decisions.len() as u64);
        self.silent = false;
    }

    fn tables_ready(&self) -> Vec<Entry> {
        let (source, incarnation) = (model::SystemId::from("legacy"), Incarnation(1));
        let at = words::position("0/10");
        let tables: Vec<_> = self.plans.iter().map(|plan| plan.schema().table.clone()).collect();
        let snapshot = |mark| Entry::Snapshot { source: source.clone(), incarnation, mark };
        let mut entries = vec![snapshot(SnapshotMark::Started { tables, at })];
        for plan in &self.plans {
            let (fingerprint, schema) = (plan.fingerprint(), plan.schema().clone());
            entries.push(Entry::Schema { source: source.clone(), incarnation, position: at, fingerprint, schema });
        }
        for plan in &self.plans {
            // Empty tables, each read whole by one chunk.
            let (source, schema, rows) = (source.clone(), plan.fingerprint(), Vec::new());
            let (number, key_from, key_to, low, high) = (0, None, None, at, at);
            entries.push(Entry::Chunk(Chunk {
                source,
                incarnation,
                schema,
                number,
                key_from,
                key_to,
                rows,
                low,
                high,
            }));
            entries.push(snapshot(SnapshotMark::Ready { table: plan.schema().table.clone(), at }));
        }
        entries
    }

    /// Makes everything durable and does what follows, until nothing does.
    fn settle_logs(&mut self) {
        while !self.appends.is_empty() {
            self.durable(true, u64::MAX);
            self.durable(false, u64::MAX);
        }
    }

    /// One input by its words; gives the printed outputs.
    pub fn input(&mut self, text: &str) -> Vec<String> {
        let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        if matches!(word, "source" | "crash") {
            self.open_rows = 0;
        }
        match word {
            "captured" => {
                let entries = self.captured(rest);
                self.step(FlowInput::Captured(entries))
            }
            "durable" => {
                let (log, upto) = rest.split_once(' ').expect("durable LOG UPTO");
                let upto: u64 = upto.trim().split(':').nth(1).and_then(|seq| seq.parse().ok()).expect("1:N");
                self.durable(log == "journal", self.names.base(log == "journal") + upto)
            }
            "due" => self.step(FlowInput::CheckpointDue),
            "tick" => {
                self.now += rest.trim_end_matches('s').parse::<i64>().unwrap_or(0) * 1_000_000;
                self.step(FlowInput::Tick)
            }
            "outcome" => {
                let (unit, effect, reply) = self.reply(rest);
                self.step(FlowInput::Replied { unit, effect, reply })
            }
            "source" => self.step(match rest {
                "opened" => FlowInput::SourceOpened,
                "cut" => {
                    FlowInput::SourceFailed(OpenFault::Fault(Fault::new(Failure::Transient, "the connection is cut")))
                }
                _ => FlowInput::SourceFailed(OpenFault::Gap {
                    passed: None,
                    slot: None,
                    what: "the slot is gone".into(),
                    plan: "a new slot, every table read again".into(),
                }),
            }),
            "act" => {
                let act = words::act(rest, &mut self.names);
                self.step(FlowInput::Act { token: 1, by: nurse(), act, reason: "script".into() })
            }
            "crash" => {
                self.appends.clear();
                self.sent.clear();
                self.store = MemoryStore::open(&self.disk);
                self.flow = Flow::new(Config { quarantine: self.quarantine.clone(), ..config(self.limits) });
                Vec::new()
            }
            "waiting" => {
                let items = self.flow.waiting(self.store.txn());
                items.iter().map(|item| self.names.waiting(item)).collect()
            }
            // A disk that did not keep what it said it had.
            "lose" => {
                drop(self.decisions.pop());
                Vec::new()
            }
            // In force in the next life.
            "replaced" => {
                let steps = rest.strip_prefix("step_units_max=").and_then(|steps| steps.parse().ok());
                self.limits.step_units_max = steps.expect("step_units_max=N");
                Vec::new()
            }
            // What the runtime tells the next life behind a second panic, in deciding or folding, or a third (J32).
            "quarantine" => {
                let (what, id) = rest.split_once(' ').expect("WHAT 1:N");
                let seq: u64 = id.split(':').nth(1).and_then(|seq| seq.parse().ok()).expect("1:N");
                let id = EntryId::new(1, self.names.base(true) + seq);
                match what {
                    "units" => self.quarantine.inputs.extend([id]),
                    "entry" => self.quarantine.entries.extend([id]),
                    "stuck" => self.quarantine.stuck = Some(id),
                    other => panic!("no such quarantine: {other}"),
                }
                Vec::new()
            }
            // Another process: it knows what the logs say.
            "started" => {
                self.quarantine = Quarantine::default();
                self.input("crash")
            }
            "open" => self.open(),
            other => panic!("no such input: {other}"),
        }
    }

    fn open(&mut self) -> Vec<String> {
        self.term += 1;
        let (binary, behaviour): (Box<str>, _) = ("test".into(), flow::BEHAVIOUR);
        let pins = config(self.limits).pins();
        let journal = self.append(&[Entry::Opened { binary: binary.clone(), behaviour, pins }]).last;
        let decisions = self.record(&[Record::Opened { binary, behaviour }]).last;
        let mut resume = Resume::default();
        self.journal.iter().for_each(|entry| resume.fold(&entry.entry));
        self.step(FlowInput::Open { journal, decisions, term: Term(self.term), resume })
    }

    fn header(&self, seq: usize) -> Header {
        Header { id: EntryId::new(1, seq as u64), term: Term(self.term), appended_at: Timestamp(self.now) }
    }

    fn append(&mut self, entries: &[Entry]) -> Appended {
        let first = self.header(self.journal.len() + 1).id;
        for entry in entries {
            let header = self.header(self.journal.len() + 1);
            self.journal.push(Journaled { header, entry: entry.clone() });
        }
        Appended { first, last: EntryId::new(1, self.journal.len() as u64), appended_at: Timestamp(self.now) }
    }

    fn record(&mut self, records: &[Record]) -> Appended {
        let first = self.header(self.decisions.len() + 1).id;
        for record in records {
            let header = self.header(self.decisions.len() + 1);
            self.decisions.push(Recorded { header, record: record.clone() });
        }
        Appended { first, last: EntryId::new(1, self.decisions.len() as u64), appended_at: Timestamp(self.now) }
    }

    /// Makes appends of one log durable up to `upto`, vital ones first.
    fn durable(&mut self, journal: bool, upto: u64) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let ours = |output: &FlowOutput| matches!(output, FlowOutput::Append { .. }) == journal;
            let vital = |output: &FlowOutput| matches!(output, FlowOutput::Append { class: Class::Vital, .. });
            let at = self.appends.iter().position(|output| journal && vital(output));
            let len = if journal { self.journal.len() } else { self.decisions.len() };
            if len as u64 >= upto {
                return lines;
            }
            let Some(at) = at.or_else(|| self.appends.iter().position(ours)) else { return lines };
            let (id, appended) = match self.appends.remove(at) {
                Some(FlowOutput::Append { id, entries, .. }) => (id, self.append(&entries)),
                Some(FlowOutput::Record { id, records }) => (id, self.record(&records)),
                _ => return lines,
            };
            lines.extend(self.step(FlowInput::Appended { id, appended }));
        }
    }

    /// Steps, and does at once what a script does not show: reads, ticks that are due at once, the source's opening.
    fn step(&mut self, input: FlowInput) -> Vec<String> {
        let mut lines = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let outputs = self.flow.step(Timestamp(self.now), input, self.store.txn());
            self.store.accept();
            for output in outputs {
                if !self.silent {
                    lines.extend(self.names.print(&output));
                }
                match output {
                    FlowOutput::Append { .. } | FlowOutput::Record { .. } => self.appends.push_back(output),
                    FlowOutput::ReadJournal(from) => {
                        let entries = self.journal.iter().skip(from.seq as usize - 1).cloned().collect();
                        inputs.push_back(FlowInput::JournalRead(entries));
                    }
                    FlowOutput::ReadDecisions(from) => {
                        let records = self.decisions.iter().skip(from.seq as usize - 1).cloned().collect();
                        inputs.push_back(FlowInput::DecisionsRead(records));
                    }
                    FlowOutput::OpenSource(_) if self.silent => inputs.push_back(FlowInput::SourceOpened),
                    FlowOutput::Send(request) | FlowOutput::Settle(request) => {
                        self.sent.push((request.unit, request.effect))
                    }
                    FlowOutput::Checkpoint => self.store.checkpoint().expect("memory does not fail"),
                    FlowOutput::Again => inputs.push_back(FlowInput::Tick),
                    _ => {}
                }
            }
        }
        lines
    }

    /// `legacy 0/1A00:1 insert patient 7 {mrn sex}[; ...], commit end 0/1A30`
    fn captured(&mut self, text: &str) -> Vec<Entry> {
        let text = text.strip_prefix("legacy").expect("the source's name").trim();
        let (source, incarnation) = (model::SystemId::from("legacy"), Incarnation(self.incarnation()));
        if text == "identity" {
            let (position, prefix) = (words::position("0/1A00:0"), ports::resume::IDENTITY_PREFIX.into());
            return vec![Entry::Message { source, incarnation, position, prefix, content: Box::default() }];
        }
        if let Some(position) = text.strip_prefix("heartbeat ") {
            return vec![Entry::Heartbeat { source, incarnation, position: words::position(position.trim()) }];
        }
        if let Some(entries) = self.told_of_a_table(text) {
            return entries;
        }
        let (rows, end) = match text.split_once(", commit end ") {
            Some((rows, end)) => (rows, Some(words::position(end.trim()))),
            None => (text, None),
        };
        let rows: Vec<&str> = rows.split(';').map(str::trim).filter(|row| !row.is_empty()).collect();
        let changes = rows.iter().filter(|row| !row.contains(" truncate ")).count();
        let alone = self.open_rows == 0 && rows.len() == 1 && changes == 1 && end.is_some();
        let count = (self.open_rows + changes) as u64;
        self.open_rows = if end.is_some() { 0 } else { self.open_rows + changes };
        let now = self.now;
        let (transaction, committed_at): (Box<str>, _) = ("7".into(), Timestamp(now));
        let close =
            |end| CommitEnd { end, count, transaction: transaction.clone(), committed_at, partitions: Vec::new() };
        let mut entries = Vec::new();
        let mut last = None;
        for row in &rows {
            let (position, change) = row.split_once(' ').expect("POSITION CHANGE");
            let position = words::position(position);
            if let Some(table) = change.strip_prefix("truncate ") {
                let (source, tables) = (source.clone(), vec![format!("public.{table}").as_str().into()]);
                entries.push(Entry::Truncate { source, incarnation, position, tables });
                last = Some(position);
                continue;
            }
            let (plan, change): (&Plan, RowChange) = words::change(change, &self.plans);
            let commit = end.filter(|_| alone).map(close);
            let source = source.clone();
            entries.push(Entry::Row(RowEntry {
                source,
                incarnation,
                position,
                schema: plan.fingerprint(),
                change,
                commit,
                author: None,
            }));
            last = Some(position);
        }
        if let (false, Some(end), Some(position)) = (alone, end, last) {
            entries.push(Entry::Commit { source, incarnation, position, commit: close(end) });
        }
        entries
    }

    /// `cloud E1 accepted version=1 by=reply`
    fn reply(&mut self, text: &str) -> (Unit, EffectId, SinkReply) {
        let mut words = text.trim_start_matches("cloud").split_whitespace();
        let name = words.next().expect("an effect");
        let effect = self.names.effect(name);
        let sent = self.sent.iter().rev().find(|(_, sent)| *sent == effect);
        let unit = sent.map(|(unit, _)| unit.clone()).unwrap_or_else(|| self.names.any_unit());
        let kind = words.next().expect("an outcome").trim_end_matches(':');
        let rest: Vec<&str> = words.collect();
        let value = |name: &str| rest.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).unwrap_or("1");
        let done = |outcome| SinkReply::Final { outcome, foreign: Vec::new() };
        let reply = match kind {
            "accepted" => done(Outcome::Accepted { version: value("version").into(), by: value("by").into() }),
            "rejected" => done(Outcome::Rejected { code: value("code").into(), detail: "".into() }),
            "gone" => done(Outcome::Gone { version: Some(value("version").into()) }),
            "stale" => {
                let body = format!(r#"{{"resourceType":"{}","id":"x","language":"en"}}"#, unit.resource_type);
                let current = Json::parse(body.as_bytes()).ok();
                done(Outcome::Stale { version: value("version").into(), current, over: None })
            }
            // A deletion of ours over what somebody else wrote in between (HAPI takes a DELETE whatever its guard says).
            "deleted-over" => {
                let body = format!(r#"{{"resourceType":"{}","id":"x","language":"en"}}"#, unit.resource_type);
                let over = Json::parse(body.as_bytes()).ok();
                done(Outcome::Stale { version: value("version").into(), current: None, over })
            }
            "type_failed" => SinkReply::TypeFailed(
                ports::Fault::new(ports::Failure::Misconfigured, format!("it takes no {}", unit.resource_type))
                    .cure("ask"),
            ),
            "unknown" => SinkReply::Unknown { what: "connection cut".into() },
            "refused" => {
                SinkReply::NotApplied { what: "refused".into(), retry_after_ms: None, why: ports::NotApplied::Refused }
            }
            "dependency" => SinkReply::NotApplied {
                what: "not-found".into(),
                retry_after_ms: None,
                why: ports::NotApplied::Dependency,
            },
            // Settled: no attempt of ours stands, and what it was decided on does.
            "absent" => SinkReply::NotApplied {
                what: "its base stands".into(),
                retry_after_ms: None,
                why: ports::NotApplied::Busy,
            },
            "later" => {
                SinkReply::NotApplied { what: "busy".into(), retry_after_ms: Some(2_000), why: ports::NotApplied::Busy }
            }
            other => panic!("no such outcome: {other}"),
        };
        (unit, effect, reply)
    }
}
