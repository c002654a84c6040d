//! The source: five tables of the test clinic, transactions in commit order, marked chunks; what a correct connector emits.

use crate::{Chance, fenced::MemoryFence, target::Target};
use model::{
    Cell, Chunk, Column, ColumnType, CommitEnd, Entry, Incarnation, Journaled, Row, RowChange, RowEntry, RowKey,
    SnapshotMark, SourcePosition, SystemId, TableName, TableSchema, Timestamp, Value,
};
use ports::{Resume, TableResume};
use schemas::Plan;
use std::collections::{BTreeMap, VecDeque};

type Rows = BTreeMap<i64, Vec<Value>>;

pub struct Source {
    plans: Vec<Plan>,
    /// The tables after every transaction so far.
    rows: Vec<Rows>,
    /// Every transaction ever, by commit position.
    log: Vec<Transaction>,
    chance: Chance,
    lsn: u64,
    resume: Option<Resume>,
    queue: VecDeque<Entry>,
    /// How many transactions of `log` are in `queue` or left it.
    streamed: usize,
    announced: Vec<bool>,
    pub confirmed: Option<SourcePosition>,
    next_id: i64,
}

struct Transaction {
    commit: u64,
    end: u64,
    changes: Vec<(usize, RowChange)>,
}

fn system() -> SystemId {
    "legacy".into()
}

fn place(lsn: u64, ordinal: Option<u32>) -> SourcePosition {
    let mut bytes = lsn.to_be_bytes().to_vec();
    bytes.extend(ordinal.map(u32::to_be_bytes).iter().flatten());
    SourcePosition::new(&bytes).expect("short")
}

pub fn schemas() -> Vec<TableSchema> {
    use ColumnType::{Bool, Bytes, Date, Decimal, Instant, Int, Raw, Text};
    let table = |name: &str, columns: &[(&str, ColumnType)]| TableSchema {
        table: TableName::from(name),
        columns: columns.iter().map(|(name, ty)| Column { name: (*name).into(), ty: *ty, native: 1 }).collect(),
        key: vec![0],
    };
    vec![
        table(
            "public.patient",
            &[
                ("patient_id", Int),
                ("mrn", Text),
                ("sex", Text),
                ("born", Date),
                ("is_test", Bool),
                ("voided", Bool),
                ("photo", Bytes),
                ("weight", Raw),
                ("notes", Text),
            ],
        ),
        table(
            "public.patient_name",
            &[("name_id", Int), ("patient_id", Int), ("kind", Text), ("family", Text), ("given", Text)],
        ),
        table("public.patient_address", &[("address_id", Int), ("patient_id", Int), ("street", Text), ("city", Text)]),
        table(
            "public.encounter",
            &[
                ("encounter_id", Int),
                ("patient_id", Int),
                ("class", Text),
                ("status", Text),
                ("started", Instant),
                ("ended", Instant),
                ("voided", Bool),
            ],
        ),
        table(
            "public.observation",
            &[
                ("observation_id", Int),
                ("patient_id", Int),
                ("encounter_id", Int),
                ("loinc", Text),
                ("label", Text),
                ("value", Decimal),
                ("unit", Text),
                ("status", Text),
                ("taken_at", Instant),
                ("note", Text),
                ("voided", Bool),
            ],
        ),
    ]
}

const PATIENT: usize = 0;
const NAME: usize = 1;
const OBSERVATION: usize = 4;

impl Source {
    pub fn new(seed: u64) -> Source {
        let plans: Vec<Plan> = schemas().iter().map(Plan::new).collect();
        Source {
            rows: vec![Rows::new(); plans.len()],
            announced: vec![false; plans.len()],
            plans,
            log: Vec::new(),
            chance: Chance::new(seed ^ 0xabcdef),
            lsn: 1_000,
            resume: None,
            queue: VecDeque::new(),
            streamed: 0,
            confirmed: None,
            next_id: 1,
        }
    }

    fn row(&self, table: usize, values: &[Value]) -> Row {
        let cells: Vec<Cell<'_>> = values.iter().map(Value::as_cell).collect();
        self.plans[table].row(&cells).expect("typed")
    }

    fn key(id: i64) -> RowKey {
        RowKey::encode([Cell::Int(id)]).expect("known")
    }

    /// Commits one transaction of some changes.
    pub fn commit(&mut self, size: u64) {
        let mut changes = Vec::new();
        for _ in 0..size {
            let change = self.change();
            changes.extend(change);
        }
        if changes.is_empty() {
            return;
        }
        self.lsn += 10 + self.chance.below(50);
        let commit = self.lsn;
        self.lsn += 8;
        self.log.push(Transaction { commit, end: self.lsn, changes });
    }

    fn change(&mut self) -> Option<(usize, RowChange)> {
        let text = |text: String| Value::Text(text.into());
        match self.chance.below(10) {
            0 | 1 => {
                let id = self.fresh();
                let sex = if self.chance.one_in(2) { "M" } else { "F" };
                let born = Value::Date(self.chance.below(20_000) as i32);
                let notes = text("n".repeat(40));
                let values = vec![
                    Value::Int(id),
                    text(format!("MRN{id}")),
                    text(sex.into()),
                    born,
                    Value::Bool(false),
                    Value::Bool(false),
                    Value::Null,
                    Value::Null,
                    notes,
                ];
                Some(self.insert(PATIENT, id, values))
            }
            2 => {
                let (id, patient) = (self.fresh(), self.any(PATIENT)?);
                let family = text(format!("F{}", self.chance.below(100)));
                Some(self.insert(
                    NAME,
                    id,
                    vec![Value::Int(id), Value::Int(patient), text("L".into()), family, Value::Null],
                ))
            }
            3..=5 => {
                let id = self.fresh();
                // Sometimes the patient comes later, in another transaction.
                let patient = if self.chance.one_in(8) { self.next_id + 1 } else { self.any(PATIENT)? };
                let value = Value::Decimal(format!("{}.{:02}", self.chance.below(200), self.chance.below(100)).into());
                let values = vec![
                    Value::Int(id),
                    Value::Int(patient),
                    Value::Null,
                    text("8867-4".into()),
                    text("pulse".into()),
                    value,
                    text("/min".into()),
                    text("F".into()),
                    Value::Instant(1_700_000_000_000_000),
                    Value::Null,
                    Value::Bool(false),
                ];
                Some(self.insert(OBSERVATION, id, values))
            }
            6 => {
                let id = self.any(PATIENT)?;
                let mut values = self.rows[PATIENT][&id].clone();
                values[2] = text(if self.chance.one_in(2) { "M".into() } else { "F".into() });
                self.rows[PATIENT].insert(id, values.clone());
                // The big column did not change, so the log does not carry it.
                values[8] = Value::Unchanged;
                Some((PATIENT, RowChange::Update { before: None, after: self.row(PATIENT, &values) }))
            }
            7 => {
                let id = self.any(OBSERVATION)?;
                let mut values = self.rows[OBSERVATION][&id].clone();
                values[5] = Value::Decimal(format!("{}.0", self.chance.below(200)).into());
                Some(self.update(OBSERVATION, id, values))
            }
            8 => {
                let id = self.any(OBSERVATION)?;
                let mut values = self.rows[OBSERVATION][&id].clone();
                values[10] = Value::Bool(values[10] == Value::Bool(false));
                Some(self.update(OBSERVATION, id, values))
            }
            _ => {
                let id = self.any(OBSERVATION)?;
                self.rows[OBSERVATION].remove(&id);
                let mut values = vec![Value::Unchanged; 11];
                values[0] = Value::Int(id);
                Some((OBSERVATION, RowChange::Delete { before: self.row(OBSERVATION, &values) }))
            }
        }
    }

    fn fresh(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    fn any(&mut self, table: usize) -> Option<i64> {
        let at = self.chance.below(self.rows[table].len() as u64) as usize;
        self.rows[table].keys().nth(at).copied()
    }

    fn insert(&mut self, table: usize, id: i64, values: Vec<Value>) -> (usize, RowChange) {
        let row = self.row(table, &values);
        self.rows[table].insert(id, values);
        (table, RowChange::Insert(row))
    }

    fn update(&mut self, table: usize, id: i64, values: Vec<Value>) -> (usize, RowChange) {
        let after = self.row(table, &values);
        self.rows[table].insert(id, values);
        (table, RowChange::Update { before: None, after })
    }

    /// Opens where `resume` says: the stream from there, and the tables that are not read yet.
    pub fn open(&mut self, resume: Resume) {
        self.close();
        assert!(resume.wanted.is_some(), "the slot is wanted before the source is opened");
        if let (Some(confirmed), Some(passed)) = (self.confirmed, resume.passed) {
            assert!(confirmed <= passed, "what was confirmed is durable");
        }
        self.announced = vec![false; self.plans.len()];
        let passed = match resume.passed {
            Some(passed) if resume.started => passed,
            _ => {
                // A new slot: its log begins here.
                let at = place(self.lsn, None);
                let tables = self.plans.iter().map(|plan| plan.schema().table.clone()).collect();
                let mark = SnapshotMark::Started { tables, at };
                self.queue.push_back(Entry::Snapshot { source: system(), incarnation: resume.incarnation, mark });
                at
            }
        };
        self.streamed = self.log.iter().take_while(|transaction| place(transaction.commit, None) < passed).count();
        self.resume = Some(resume);
        self.queue_transactions();
        self.queue_chunks();
    }

    pub fn close(&mut self) {
        self.resume = None;
        self.queue.clear();
    }

    pub fn confirm(&mut self, position: SourcePosition) {
        assert!(self.confirmed.is_none_or(|confirmed| confirmed <= position), "confirmations do not go back");
        self.confirmed = Some(position);
    }

    fn incarnation(&self) -> Incarnation {
        self.resume.as_ref().map_or(Incarnation(0), |resume| resume.incarnation)
    }

    fn announce(&mut self, table: usize, position: SourcePosition) {
        if !std::mem::replace(&mut self.announced[table], true) {
            let (fingerprint, schema) = (self.plans[table].fingerprint(), self.plans[table].schema().clone());
            let (source, incarnation) = (system(), self.incarnation());
            self.queue.push_back(Entry::Schema { source, incarnation, position, fingerprint, schema });
        }
    }

    fn queue_transactions(&mut self) {
        let incarnation = self.incarnation();
        while self.streamed < self.log.len() {
            let at = self.streamed;
            self.streamed += 1;
            let (commit, end, count) = (self.log[at].commit, self.log[at].end, self.log[at].changes.len());
            let close = CommitEnd {
                end: place(end, None),
                count: count as u64,
                transaction: at.to_string().into(),
                committed_at: Timestamp(commit as i64),
            };
            for n in 0..count {
                let (table, change) = self.log[at].changes[n].clone();
                let position = place(commit, Some(n as u32 + 1));
                self.announce(table, position);
                let schema = self.plans[table].fingerprint();
                let commit = (count == 1).then(|| close.clone());
                let row = RowEntry { source: system(), incarnation, position, schema, change, commit };
                self.queue.push_back(Entry::Row(row));
            }
            if count != 1 {
                let position = place(commit, Some(count as u32 + 1));
                self.queue.push_back(Entry::Commit { source: system(), incarnation, position, commit: close });
            }
        }
    }

    /// Chunks of the tables that are not ready, as of the end of the log; they stand behind every transaction up to there.
    fn queue_chunks(&mut self) {
        let Some(resume) = self.resume.clone() else { return };
        let at = place(self.lsn, None);
        for table in 0..self.plans.len() {
            let name = self.plans[table].schema().table.clone();
            let (mut number, done) = match resume.tables.get(&name) {
                Some(TableResume::Ready) => continue,
                Some(TableResume::Open { next_chunk, done_upto }) => (*next_chunk, done_upto.clone()),
                None => (0, None),
            };
            self.announce(table, at);
            let mut from = done;
            let rows: Vec<(RowKey, Row)> = self.rows[table]
                .iter()
                .map(|(id, values)| (Self::key(*id), self.row(table, values)))
                .filter(|(key, _)| from.as_ref().is_none_or(|from| key > from))
                .collect();
            let mut chunks: Vec<&[(RowKey, Row)]> = rows.chunks(3).collect();
            chunks.push(&[]);
            for chunk in chunks {
                let key_to = chunk.last().map(|(key, _)| key.clone());
                self.queue.push_back(Entry::Chunk(Chunk {
                    source: system(),
                    incarnation: self.incarnation(),
                    schema: self.plans[table].fingerprint(),
                    number,
                    key_from: from.clone(),
                    key_to: key_to.clone(),
                    rows: chunk.iter().map(|(_, row)| row.clone()).collect(),
                    low: at,
                    high: at,
                }));
                number += 1;
                from = key_to.or(from);
            }
            let mark = SnapshotMark::Ready { table: name, at };
            self.queue.push_back(Entry::Snapshot { source: system(), incarnation: self.incarnation(), mark });
        }
    }

    /// The tables as they are, at the end of the log; an idle stream passes it too.
    pub fn fence(&mut self) -> MemoryFence {
        let position = place(self.lsn, None);
        let tables = self.plans.iter().enumerate().map(|(at, plan)| {
            let rows = self.rows[at].iter().map(|(id, values)| (Self::key(*id), self.row(at, values))).collect();
            (plan.schema().table.clone(), (plan.schema().clone(), rows))
        });
        let fence = MemoryFence { position, tables: tables.collect() };
        // The fence's message is a transaction of its own, behind the position.
        let commit = self.lsn + 10;
        self.lsn = commit + 8;
        self.log.push(Transaction { commit, end: self.lsn, changes: Vec::new() });
        fence
    }

    pub fn has_more(&self) -> bool {
        self.resume.is_some() && (!self.queue.is_empty() || self.streamed < self.log.len())
    }

    pub fn next_batch(&mut self, size: usize) -> Vec<Entry> {
        self.queue_transactions();
        let size = size.min(self.queue.len());
        self.queue.drain(..size).collect()
    }

    /// Compares the target with the tables: every living row of a known patient is there with its value, no voided or
    /// deleted one looks true.
    pub fn check(&self, target: &Target, journal: &[Journaled]) {
        let bound: BTreeMap<(String, RowKey), String> = journal
            .iter()
            .filter_map(|entry| match &entry.entry {
                Entry::Bound(bound) => Some(((bound.table.to_string(), bound.key.clone()), bound.unit.to_string())),
                _ => None,
            })
            .collect();
        let shown = |table: &str, id: i64| {
            let unit = bound.get(&(table.to_string(), Self::key(id)))?;
            target.units.get(unit)?.last()?.body.clone()
        };
        for (id, values) in &self.rows[PATIENT] {
            let body = shown("public.patient", *id).expect("a patient is at the target");
            let want = if values[2] == Value::Text("M".into()) { "male" } else { "female" };
            assert_eq!(body.get("gender").and_then(|gender| gender.as_str()), Some(want), "the last sex stands");
        }
        for (id, values) in &self.rows[OBSERVATION] {
            let Value::Int(patient) = values[1] else { continue };
            if !self.rows[PATIENT].contains_key(&patient) {
                assert!(shown("public.observation", *id).is_none(), "an observation waits for its patient");
                continue;
            }
            let voided = values[10] == Value::Bool(true);
            let body = shown("public.observation", *id);
            if voided && body.is_none() {
                continue; // never shown, so nothing to retract
            }
            let body = body.expect("an observation is at the target");
            let want = if voided { "entered-in-error" } else { "final" };
            assert_eq!(body.get("status").and_then(|status| status.as_str()), Some(want), "observation {id}");
            if voided {
                continue; // what was never true keeps the content it had
            }
            let Value::Decimal(value) = &values[5] else { continue };
            let number = body.get("valueQuantity").and_then(|quantity| quantity.get("value"));
            let shown = match number {
                Some(model::Json::Number(text)) => text.to_string(),
                _ => String::new(),
            };
            assert_eq!(shown, value.to_string(), "exact, and the last one: observation {id}");
        }
    }
}
