//! What ingest does not take on trust: that a source's entries go on from what it told before.
//!
//! * An entry that contradicts the journal is neither dropped as a repeat nor appended: the source stops, by name, and is
//!   read again from where the journal stands. What it says then is judged anew; `passed` never moves over a hole.
//! * Costs a look-up a row and decodes nothing: whether a row reads as its schema says is the fold's to find, which decodes
//!   it anyway and holds its table ([`crate::fold`]).

use crate::{ingest::Ingest, input::FlowOutput, step::Flow};
use model::{Chunk, Entry, Fingerprint, SnapshotMark, SourcePosition, SystemId, TableName, TableSchema, Timestamp};
use ports::{Failure, Fault, TableResume, resume::IDENTITY_PREFIX};
use schemas::Plan;
use std::collections::BTreeSet;

/// What the source has told of the transaction whose end it has not told.
#[derive(Default)]
pub(crate) struct Told {
    /// Its rows so far.
    rows: u64,
    /// Whether anything of it is told: a truncation is no row.
    inside: bool,
    /// The last place that a change or an end had; none since the source was opened.
    last: Option<SourcePosition>,
}

impl Ingest {
    /// Whether the journal needs this entry of `source`: not a repeat. An error says in words without a value why it
    /// cannot follow what is here.
    pub(crate) fn needs(&mut self, source: &SystemId, entry: &Entry) -> Result<bool, String> {
        self.is_ours(source, entry)?;
        if !self.repeats(entry) {
            return self.follows(entry).map(|()| true);
        }
        // A shape that comes again with repeated rows may be that of the first row that is none.
        if let Entry::Schema { fingerprint, schema, .. } = entry {
            self.plans.insert(*fingerprint, sound(*fingerprint, schema)?);
        }
        Ok(false)
    }

    /// Whether it is this source's, of this life of its log, and of a kind that sources write (J43).
    fn is_ours(&self, source: &SystemId, entry: &Entry) -> Result<(), String> {
        match entry.source().filter(|_| !matches!(entry, Entry::Slot { .. })) {
            None => Err("an entry that no source writes".into()),
            Some((system, _)) if system != source => Err(format!("an entry of another source: {system}")),
            Some((_, incarnation)) if incarnation != self.resume.incarnation => {
                Err(format!("an entry of another life of the log: {}", incarnation.0))
            }
            Some(_) => Ok(()),
        }
    }

    fn follows(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Row(row) => {
                self.cited(row.schema)?;
                self.change(&row.position)?;
                match &row.commit {
                    Some(commit) => self.ends(commit.count, 1),
                    None => {
                        self.told.rows += 1;
                        Ok(())
                    }
                }
            }
            Entry::Truncate { position, tables, .. } => {
                tables.iter().try_for_each(|table| self.started(table))?;
                self.change(position)
            }
            Entry::Commit { position, commit, .. } => {
                self.change(position)?;
                self.ends(commit.count, 0)
            }
            Entry::Message { prefix, .. } if **prefix == *IDENTITY_PREFIX => Ok(()),
            Entry::Message { position, .. } => self.change(position),
            Entry::Heartbeat { .. } if self.told.inside => Err("a heartbeat inside a transaction".into()),
            Entry::Schema { fingerprint, schema, .. } => {
                self.started(&schema.table)?;
                let plan = sound(*fingerprint, schema)?;
                self.plans.insert(*fingerprint, plan);
                Ok(())
            }
            Entry::Chunk(chunk) => self.next_chunk(chunk),
            Entry::Snapshot { mark: SnapshotMark::Ready { table, .. }, .. } => match self.resume.tables.get(table) {
                Some(TableResume::Ready | TableResume::Open { next_chunk: 1.., done_upto: None }) => Ok(()),
                _ => Err(format!("{table} is said to be read whole, and its last chunk is not here")),
            },
            _ => Ok(()),
        }
    }

    /// The table whose rows cite this shape.
    fn cited(&self, fingerprint: Fingerprint) -> Result<&TableName, String> {
        let plan = self.plans.get(&fingerprint);
        plan.map(|plan| &plan.schema().table)
            .ok_or_else(|| format!("a schema is cited that was never told: {fingerprint:?}"))
    }

    fn started(&self, table: &TableName) -> Result<(), String> {
        let known = self.resume.tables.contains_key(table);
        if known { Ok(()) } else { Err(format!("{table} was never begun to be read")) }
    }

    fn change(&mut self, position: &SourcePosition) -> Result<(), String> {
        let back = self.told.last.is_some_and(|last| *position < last);
        (self.told.inside, self.told.last) = (true, Some(*position));
        if back { Err("a change lies before the one that was told last".into()) } else { Ok(()) }
    }

    /// A transaction ends with so many rows; `itself`: those that the ending entry is.
    fn ends(&mut self, count: u64, itself: u64) -> Result<(), String> {
        let rows = std::mem::take(&mut self.told.rows) + itself;
        self.told.inside = false;
        if rows == count { Ok(()) } else { Err(format!("a transaction of {count} rows ends, and {rows} were told")) }
    }

    fn next_chunk(&self, chunk: &Chunk) -> Result<(), String> {
        let table = self.cited(chunk.schema)?;
        let current = self.resume.schemas.get(table).is_some_and(|(fingerprint, _)| *fingerprint == chunk.schema);
        let wrong = |what: &str| Err(format!("chunk {} of {table} {what}", chunk.number));
        match self.resume.tables.get(table) {
            _ if !current => wrong("has another shape than the table has now"),
            Some(TableResume::Open { next_chunk: 1.., done_upto: None }) => wrong("lies behind the table's end"),
            Some(TableResume::Open { next_chunk, .. }) if *next_chunk != chunk.number => wrong("is not the next one"),
            Some(TableResume::Open { done_upto, .. }) if *done_upto != chunk.key_from => {
                wrong("does not begin where the one before it ended")
            }
            Some(TableResume::Open { .. }) if chunk.key_to.is_some() && chunk.key_to <= chunk.key_from => {
                wrong("has no range")
            }
            Some(TableResume::Open { .. } | TableResume::Ready) => Ok(()),
            None => wrong("is of a table that was never begun to be read"),
        }
    }

    /// Everything that the source tells from here on is judged against the journal alone.
    pub(crate) fn forget_told(&mut self) {
        self.told = Told::default();
        self.plans = self.resume.schemas.values().map(|(print, schema)| (*print, Plan::new(schema))).collect();
    }
}

/// The plan of a shape whose rows can be named: its fingerprint is its own, its key has columns, each there and once.
fn sound(fingerprint: Fingerprint, schema: &TableSchema) -> Result<Plan, String> {
    let (plan, table) = (Plan::new(schema), &schema.table);
    let names: BTreeSet<&str> = schema.columns.iter().map(|column| &*column.name).collect();
    let key: BTreeSet<u16> = schema.key.iter().copied().collect();
    if plan.fingerprint() != fingerprint {
        return Err(format!("the shape of {table} does not have the fingerprint that it is told by"));
    }
    if names.len() != schema.columns.len() {
        return Err(format!("two columns of {table} have one name"));
    }
    if key.is_empty() {
        return Err(format!("{table} has no key: its rows have no name"));
    }
    if key.len() != schema.key.len() || key.iter().any(|place| usize::from(*place) >= schema.columns.len()) {
        return Err(format!("the key of {table} is not made of columns of its own, each once"));
    }
    Ok(plan)
}

impl Flow {
    /// The source contradicts itself: it stops, and is opened again where the journal stands (`halt_not_guess`).
    pub(crate) fn refuse(&mut self, now: Timestamp, entry: &Entry, why: &str, out: &mut Vec<FlowOutput>) {
        let place = position(entry).map_or_else(String::new, |position| format!(" at {position:?}"));
        let what = format!("the source contradicts itself{place}: {why}; the entry was not taken");
        let cure = "it is read again by itself from where the journal stands; if that ends here again, report it: the \
                    connector is at fault, and nothing before this place is lost";
        out.push(FlowOutput::CloseSource);
        self.source_failed(now, Fault::new(Failure::Corrupt, what).cure(cure).into(), out);
        self.ingest.refused = true;
    }
}

fn position(entry: &Entry) -> Option<SourcePosition> {
    match entry {
        Entry::Row(row) => Some(row.position),
        Entry::Chunk(chunk) => Some(chunk.low),
        Entry::Commit { position, .. }
        | Entry::Schema { position, .. }
        | Entry::Truncate { position, .. }
        | Entry::Message { position, .. }
        | Entry::Heartbeat { position, .. }
        | Entry::Snapshot {
            mark: SnapshotMark::Started { at: position, .. } | SnapshotMark::Ready { at: position, .. },
            ..
        } => Some(*position),
        _ => None,
    }
}
