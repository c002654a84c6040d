//! The source: five tables of the test clinic, transactions in commit order, marked chunks; what a correct connector emits.

use crate::{
    Chance,
    fault::{Fault, Faults},
    fenced::MemoryFence,
    past::Past,
    reading::Reading,
};
use model::{
    Cell, Column, ColumnType, CommitEnd, Entry, Fingerprint, Incarnation, Row, RowChange, RowEntry, RowKey,
    SnapshotMark, SourcePosition, SystemId, TableName, TableSchema, Timestamp, Value,
};
use ports::Resume;
use schemas::Plan;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A table by the numbers that are its keys.
pub type Rows = BTreeMap<i64, Vec<Value>>;

pub struct Source {
    pub(crate) plans: Vec<Arc<Plan>>,
    /// The tables after every transaction so far.
    pub(crate) rows: Vec<Rows>,
    /// Every transaction ever, by commit position.
    pub(crate) log: Vec<Transaction>,
    pub(crate) chance: Chance,
    pub(crate) lsn: u64,
    pub(crate) resume: Option<Resume>,
    pub(crate) queue: VecDeque<Entry>,
    /// How many transactions of `log` are in `queue` or left it.
    pub(crate) streamed: usize,
    pub(crate) announced: Vec<Option<Fingerprint>>,
    pub confirmed: Option<SourcePosition>,
    pub(crate) next_id: i64,
    /// Also what a clinic does on its bad days: truncations, new columns, moved keys, wrong codes.
    pub wild: bool,
    /// What may go wrong in it.
    pub faults: Faults,
    /// What went wrong, not told yet.
    pub(crate) fired: Vec<Fault>,
    /// Why the log cannot be gone on from, if so: what is committed until a new slot is made is in no stream of ours.
    pub(crate) lost: Option<&'static str>,
    /// The tables before each of the last transactions, oldest first.
    pub(crate) past: VecDeque<Past>,
    /// So many of the last transactions are seen by no reader yet.
    pub(crate) unseen: usize,
    pub(crate) reading: Vec<Reading>,
}

pub(crate) struct Transaction {
    pub commit: u64,
    pub end: u64,
    pub changes: Vec<Change>,
}

/// One event of the log, in the shape that its table had then.
#[derive(Clone)]
pub(crate) enum Change {
    Row(usize, Arc<Plan>, RowChange),
    Truncate(usize),
}

pub(crate) fn system() -> SystemId {
    "legacy".into()
}

pub(crate) fn place(lsn: u64, ordinal: Option<u32>) -> SourcePosition {
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

/// Words in the rows that stand nowhere else: no output may show one.
pub(crate) const CANARIES: [&str; 2] = ["MRN-canary", "nnnnnnnn"];

pub(crate) const PATIENT: usize = 0;
pub(crate) const NAME: usize = 1;
pub(crate) const ADDRESS: usize = 2;
pub(crate) const OBSERVATION: usize = 4;

impl Source {
    pub fn new(seed: u64) -> Source {
        let plans: Vec<Arc<Plan>> = schemas().iter().map(|schema| Arc::new(Plan::new(schema))).collect();
        Source {
            rows: vec![Rows::new(); plans.len()],
            announced: vec![None; plans.len()],
            plans,
            log: Vec::new(),
            chance: Chance::new(seed ^ 0xabcdef),
            lsn: 1_000,
            resume: None,
            queue: VecDeque::new(),
            streamed: 0,
            confirmed: None,
            next_id: 1,
            wild: false,
            faults: Faults::new(),
            fired: Vec::new(),
            lost: None,
            past: VecDeque::new(),
            unseen: 0,
            reading: Vec::new(),
        }
    }

    pub(crate) fn row(&self, table: usize, values: &[Value]) -> Row {
        let cells: Vec<Cell<'_>> = values.iter().map(Value::as_cell).collect();
        self.plans[table].row(&cells).expect("typed")
    }

    pub(crate) fn key(id: i64) -> RowKey {
        RowKey::encode([Cell::Int(id)]).expect("known")
    }

    /// Commits one transaction of some changes.
    pub fn commit(&mut self, size: u64) {
        let before = self.before();
        let mut changes = Vec::new();
        for _ in 0..size {
            let change = if self.wild && self.chance.one_in(2) { self.wild_change() } else { self.change() };
            changes.extend(change);
        }
        self.log_changes(before, changes);
    }

    /// Commits a name with this family between other changes.
    pub fn commit_name(&mut self, family: &str) {
        let (id, patient) = (self.fresh(), self.any(PATIENT).unwrap_or(1));
        let text = |text: &str| Value::Text(text.into());
        let values = vec![Value::Int(id), Value::Int(patient), text("L"), text(family), Value::Null];
        let before = self.before();
        let mut changes: Vec<Change> = self.change().into_iter().collect();
        changes.push(self.insert(NAME, id, values));
        changes.extend(self.change());
        self.log_changes(before, changes);
    }

    fn log_changes(&mut self, before: Option<Past>, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.lsn += 10 + self.chance.below(50);
        let commit = self.lsn;
        self.lsn += 8;
        self.log.push(Transaction { commit, end: self.lsn, changes });
        self.remember(before);
    }

    /// A fault that is in this run happens.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.faults.contains(&fault);
        if strikes {
            self.fired.push(fault);
        }
        strikes
    }

    fn change(&mut self) -> Option<Change> {
        let text = |text: String| Value::Text(text.into());
        match self.chance.below(10) {
            0 | 1 => {
                let id = self.fresh();
                let sex = if self.chance.one_in(2) { "M" } else { "F" };
                let born = Value::Date(self.chance.below(20_000) as i32);
                let notes = text("n".repeat(40));
                let values = vec![
                    Value::Int(id),
                    text(format!("MRN-canary-{id}")),
                    text(sex.into()),
                    born,
                    Value::Bool(false),
                    Value::Bool(false),
                    Value::Null,
                    Value::Null,
                    notes,
                ];
                let values = self.widened(PATIENT, values);
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
                let values = self.widened(OBSERVATION, values);
                Some(self.insert(OBSERVATION, id, values))
            }
            6 => {
                let id = self.any(PATIENT)?;
                let mut values = self.rows[PATIENT][&id].clone();
                values[2] = text(if self.chance.one_in(2) { "M".into() } else { "F".into() });
                self.rows[PATIENT].insert(id, values.clone());
                // The big column did not change, so the log does not carry it.
                values[8] = Value::Unchanged;
                let change = RowChange::Update { before: None, after: self.row(PATIENT, &values) };
                Some(self.told(PATIENT, change))
            }
            7 => {
                let id = self.any(OBSERVATION)?;
                let mut values = self.rows[OBSERVATION][&id].clone();
                values[5] = Value::Decimal(format!("{}.0", self.chance.below(200)).into());
                if !self.wild {
                    return Some(self.update(OBSERVATION, id, values));
                }
                // A large text that did not change: the log does not carry it.
                self.rows[OBSERVATION].insert(id, values.clone());
                values[9] = Value::Unchanged;
                let change = RowChange::Update { before: None, after: self.row(OBSERVATION, &values) };
                Some(self.told(OBSERVATION, change))
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
                let before = self.only_key(OBSERVATION, id);
                Some(self.told(OBSERVATION, RowChange::Delete { before }))
            }
        }
    }

    pub(crate) fn any_table(&mut self) -> TableName {
        let at = self.chance.below(self.plans.len() as u64) as usize;
        self.plans[at].schema().table.clone()
    }

    pub(crate) fn fresh(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn any(&mut self, table: usize) -> Option<i64> {
        let at = self.chance.below(self.rows[table].len() as u64) as usize;
        self.rows[table].keys().nth(at).copied()
    }

    pub(crate) fn insert(&mut self, table: usize, id: i64, values: Vec<Value>) -> Change {
        let row = self.row(table, &values);
        self.rows[table].insert(id, values);
        self.told(table, RowChange::Insert(row))
    }

    pub(crate) fn update(&mut self, table: usize, id: i64, values: Vec<Value>) -> Change {
        let after = self.row(table, &values);
        self.rows[table].insert(id, values);
        self.told(table, RowChange::Update { before: None, after })
    }

    pub(crate) fn told(&self, table: usize, change: RowChange) -> Change {
        Change::Row(table, self.plans[table].clone(), change)
    }

    /// What a log with the default replica identity says of a row that is gone.
    pub(crate) fn only_key(&self, table: usize, id: i64) -> Row {
        let mut values = vec![Value::Unchanged; self.plans[table].schema().columns.len()];
        values[0] = Value::Int(id);
        self.row(table, &values)
    }

    /// Opens where `resume` says: the stream from there, and the tables that are not read yet.
    pub fn open(&mut self, resume: Resume) {
        self.close();
        assert!(resume.wanted.is_some(), "the slot is wanted before the source is opened");
        if let (Some(confirmed), Some(passed)) = (self.confirmed, resume.passed) {
            assert!(confirmed <= passed, "what was confirmed is durable");
        }
        self.announced = vec![None; self.plans.len()];
        let passed = match resume.passed {
            Some(passed) if resume.started => passed,
            _ => {
                // A new slot: its log begins here.
                (self.lost, self.confirmed, self.unseen) = (None, None, 0);
                let at = place(self.lsn, None);
                let tables = self.plans.iter().map(|plan| plan.schema().table.clone()).collect();
                let mark = SnapshotMark::Started { tables, at };
                self.queue.push_back(Entry::Snapshot { source: system(), incarnation: resume.incarnation, mark });
                at
            }
        };
        self.streamed = self.log.iter().take_while(|transaction| place(transaction.commit, None) < passed).count();
        if self.wild && resume.started && self.chance.one_in(2) {
            // A server begins where it was told, which may be behind what is here.
            let confirmed = self.confirmed.unwrap_or(passed);
            self.streamed = self.log.iter().take_while(|transaction| place(transaction.end, None) <= confirmed).count();
        }
        self.begin_reading(&resume);
        self.resume = Some(resume);
        self.queue_transactions();
        if !self.wild {
            while self.read_on() {}
        }
    }

    pub fn close(&mut self) {
        self.resume = None;
        self.reading.clear();
        self.queue.clear();
    }

    pub fn confirm(&mut self, position: SourcePosition) {
        assert!(self.confirmed.is_none_or(|confirmed| confirmed <= position), "confirmations do not go back");
        self.confirmed = Some(position);
    }

    pub fn is_open(&self) -> bool {
        self.resume.is_some()
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.resume.as_ref().map_or(Incarnation(0), |resume| resume.incarnation)
    }

    pub(crate) fn announce(&mut self, table: usize, plan: &Plan, position: SourcePosition) {
        if self.announced[table].replace(plan.fingerprint()) != Some(plan.fingerprint()) {
            let (fingerprint, schema) = (plan.fingerprint(), plan.schema().clone());
            let (source, incarnation) = (system(), self.incarnation());
            self.queue.push_back(Entry::Schema { source, incarnation, position, fingerprint, schema });
        }
    }

    pub(crate) fn queue_transactions(&mut self) {
        let incarnation = self.incarnation();
        while self.streamed < self.log.len() {
            let at = self.streamed;
            self.streamed += 1;
            let (commit, end, told) = (self.log[at].commit, self.log[at].end, self.log[at].changes.len());
            let count = self.log[at].changes.iter().filter(|change| matches!(change, Change::Row(..))).count();
            let close = CommitEnd {
                end: place(end, None),
                count: count as u64,
                transaction: at.to_string().into(),
                committed_at: Timestamp(commit as i64),
                partitions: Vec::new(),
            };
            for n in 0..told {
                let position = place(commit, Some(n as u32 + 1));
                let (table, plan, change) = match self.log[at].changes[n].clone() {
                    Change::Row(table, plan, change) => (table, plan, change),
                    Change::Truncate(table) => {
                        let tables = vec![self.plans[table].schema().table.clone()];
                        self.queue.push_back(Entry::Truncate { source: system(), incarnation, position, tables });
                        continue;
                    }
                };
                self.announce(table, &plan, position);
                let schema = plan.fingerprint();
                let commit = (told == 1).then(|| close.clone());
                let (source, author) = (system(), None);
                let row = RowEntry { source, incarnation, position, schema, change, commit, author };
                self.queue.push_back(Entry::Row(row));
            }
            if told != 1 || count != 1 {
                let position = place(commit, Some(told as u32 + 1));
                self.queue.push_back(Entry::Commit { source: system(), incarnation, position, commit: close });
            }
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
        self.unseen = 0;
        self.log.push(Transaction { commit, end: self.lsn, changes: Vec::new() });
        fence
    }

    pub fn has_more(&self) -> bool {
        let more = !self.queue.is_empty() || self.streamed < self.log.len() || !self.reading.is_empty();
        self.resume.is_some() && more
    }

    pub fn next_batch(&mut self, size: usize) -> Vec<Entry> {
        if self.lost.is_some() {
            return Vec::new();
        }
        self.queue_transactions();
        if self.wild && self.chance.one_in(2) {
            self.read_on();
        }
        let size = size.min(self.queue.len());
        self.queue.drain(..size).collect()
    }
}
