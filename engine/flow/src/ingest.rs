//! Ingest: captured entries on their way into the journal.
//!
//! * The slot is wanted in the journal before the source makes it (J6).
//! * Whole transactions at or below `passed` are repeats and dropped; so are chunks that are here already. Nothing else is:
//!   what can be neither new nor a repeat stops the source (`admit.rs`).
//! * A unit id is minted at the first sight of its root key and bound before its rows' commit (J41).
//! * Only what is durable is confirmed (J10). A dead transaction's rows are void before the source is read again (J11).

use crate::{
    admit::Told,
    again::Again,
    input::FlowOutput,
    reopen::SourceState,
    step::{Flow, Then},
};
use model::{EntityName, Entry, EntryId, Fingerprint, Incarnation, RowKey, SourcePosition, Timestamp};
use ports::{Class, Resume, StateTxn, TableResume, resume::IDENTITY_PREFIX};
use schemas::Plan;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The source's side of the flow.
#[derive(Default)]
pub(crate) struct Ingest {
    /// The fold of everything handed to the journal, durable or not.
    pub resume: Resume,
    /// The last position confirmed.
    pub confirmed: Option<SourcePosition>,
    pub state: SourceState,
    /// First and last durable entry of the transaction whose commit is not durable.
    pub open: Option<(EntryId, EntryId)>,
    /// Bound by entries that are not folded yet.
    pub minted: BTreeSet<(EntityName, RowKey)>,
    /// The shapes that rows may cite.
    pub plans: BTreeMap<Fingerprint, Plan>,
    pub told: Told,
    /// It contradicted itself and has not moved on since.
    pub refused: bool,
    pub captures: usize,
    pub failures: u32,
    pub reopen_at: Option<Timestamp>,
    /// The gap that a person must accept.
    pub gap: Option<(Option<SourcePosition>, String)>,
    /// Acts that read tables again, in order.
    pub again: VecDeque<Again>,
}

impl Ingest {
    pub(crate) fn reopen_at(&self) -> Option<Timestamp> {
        self.reopen_at.filter(|_| self.state == SourceState::Down && self.captures == 0)
    }

    /// Whether the journal holds this already.
    pub(crate) fn repeats(&self, entry: &Entry) -> bool {
        let passed = |position: &SourcePosition| self.resume.passed.is_some_and(|passed| *position < passed);
        match entry {
            Entry::Row(row) => passed(&row.position),
            Entry::Commit { position, .. } | Entry::Truncate { position, .. } | Entry::Message { position, .. } => {
                passed(position)
            }
            Entry::Heartbeat { position, .. } => self.resume.passed.is_some_and(|passed| *position <= passed),
            // An older shape comes again with repeated rows; behind a chunk that is still to come it is needed.
            Entry::Schema { position, fingerprint, schema, .. } => {
                let ready = self.resume.tables.get(&schema.table) == Some(&TableResume::Ready);
                let known = self.resume.schemas.get(&schema.table);
                known.is_some_and(|(known, _)| known == fingerprint || (ready && passed(position)))
            }
            Entry::Chunk(chunk) => {
                let table = self.plans.get(&chunk.schema).map(|plan| &plan.schema().table);
                match table.and_then(|table| self.resume.tables.get(table)) {
                    Some(TableResume::Open { next_chunk, .. }) => chunk.number < *next_chunk,
                    known => known.is_some(),
                }
            }
            _ => false,
        }
    }
}

impl Flow {
    /// Takes entries from the source: drops repeats, binds, appends.
    pub(crate) fn captured(
        &mut self,
        now: Timestamp,
        entries: Vec<Entry>,
        state: &dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        if self.ingest.state != SourceState::Streaming {
            return;
        }
        let (mut batch, mut refused) = (Vec::with_capacity(entries.len()), None);
        for entry in entries {
            match self.ingest.needs(&self.config.source.system, &entry) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(why) => {
                    refused = Some((entry, why));
                    break;
                }
            }
            self.bind(&entry, state, &mut batch);
            self.ingest.resume.fold(&entry);
            batch.push(entry);
        }
        if !batch.is_empty() {
            self.ingest.captures += 1;
            self.append(batch, Class::Capture, Then::Captured, out);
        }
        if let Some((entry, why)) = refused {
            self.refuse(now, &entry, &why, out);
        }
    }

    /// Entries are durable: notes what is open, and confirms what is passed.
    pub(crate) fn captured_durable(&mut self, first: EntryId, entries: &[Entry], out: &mut Vec<FlowOutput>) {
        let mut passed = None;
        for (at, entry) in entries.iter().enumerate() {
            let id = EntryId { writer: first.writer, seq: first.seq + at as u64 };
            passed = passed.max(self.ingest.note(id, entry));
        }
        if passed > self.ingest.confirmed && self.ingest.state == SourceState::Streaming {
            self.ingest.confirmed = passed;
            out.extend(passed.map(FlowOutput::Confirm));
            self.source_goes_on(true, out);
        }
    }

    /// A batch of captured entries is durable.
    pub(crate) fn capture_ended(&mut self, out: &mut Vec<FlowOutput>) {
        self.ingest.captures -= 1;
        if self.ingest.captures == 0 && self.ingest.state == SourceState::Down {
            self.void_open(out);
        }
    }

    /// Rows whose commit never came are void: the source sends their transaction again (J11).
    pub(crate) fn void_open(&mut self, out: &mut Vec<FlowOutput>) {
        if let Some((from, to)) = self.ingest.open.take() {
            let void = Entry::Void { source: self.config.source.system.clone(), from, to };
            self.append(vec![void], Class::Vital, Then::Nothing, out);
        }
    }

    /// Wants a slot, if none was ever wanted; else opens the source where the journal stands.
    pub(crate) fn start_source(&mut self, out: &mut Vec<FlowOutput>) {
        self.ingest.state = SourceState::Preparing;
        if self.ingest.resume.wanted.is_some() {
            self.open_source(out);
        } else {
            let slot = self.want_slot(Incarnation(1));
            self.append(vec![slot], Class::Vital, Then::OpenSource, out);
        }
    }

    /// The entry that wants a slot for a new life of the source's log.
    pub(crate) fn want_slot(&mut self, incarnation: Incarnation) -> Entry {
        let (source, wanted) = (self.config.source.system.clone(), self.config.source.slot.clone());
        let slot = Entry::Slot { source, incarnation, wanted };
        self.ingest.resume.fold(&slot);
        self.ingest.confirmed = None;
        slot
    }

    pub(crate) fn source_opened(&mut self, out: &mut Vec<FlowOutput>) {
        if self.ingest.state != SourceState::Opening {
            return;
        }
        self.ingest.state = SourceState::Streaming;
        self.source_goes_on(false, out);
        if let Some(passed) = self.ingest.resume.passed {
            self.ingest.confirmed = Some(passed);
            out.push(FlowOutput::Confirm(passed));
        }
    }
}

impl Ingest {
    /// Folds one durable entry: which transaction is open, what is passed.
    pub(crate) fn note(&mut self, id: EntryId, entry: &Entry) -> Option<SourcePosition> {
        match entry {
            Entry::Row(row) => match &row.commit {
                Some(commit) => {
                    self.open = None;
                    return Some(commit.end);
                }
                None => self.open = Some((self.open.map_or(id, |(first, _)| first), id)),
            },
            // What a source says of itself when it is opened stands outside any transaction.
            Entry::Message { prefix, .. } if **prefix == *IDENTITY_PREFIX => {}
            Entry::Truncate { .. } | Entry::Message { .. } => {
                self.open = Some((self.open.map_or(id, |(first, _)| first), id))
            }
            Entry::Commit { commit, .. } => {
                self.open = None;
                return Some(commit.end);
            }
            Entry::Void { .. } | Entry::Slot { .. } => self.open = None,
            Entry::Heartbeat { position, .. } => return Some(*position),
            Entry::Snapshot { mark: model::SnapshotMark::Started { at, .. }, .. } => return Some(*at),
            _ => {}
        }
        None
    }
}
