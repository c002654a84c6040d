//! A journal decided again from nothing: by a fresh flow, from the journal alone.

use crate::config;
use flow::{Config, Flow, FlowInput, FlowOutput, Limits};
use model::{Decided, EntryId, Journaled, Record, Recorded, Term, Timestamp};
use ports::{Resume, StateStore};
use std::collections::VecDeque;
use store::{MemoryDisk, MemoryStore};

/// The steps that a log has recorded.
pub fn steps<'a>(decisions: impl Iterator<Item = &'a Recorded>) -> Vec<Decided> {
    let decided = |record: &Recorded| match &record.record {
        Record::Decided(decided) => Some(decided.clone()),
        Record::Opened { .. } | Record::Skipped { .. } | Record::Unfolded { .. } => None,
    };
    decisions.filter_map(decided).collect()
}

/// What a fresh flow decides from this journal. What decides is in the logs: neither limits nor panicked inputs are told.
pub fn decide(journal: &[Journaled], decisions: &[Recorded]) -> Vec<Decided> {
    let disk = MemoryDisk::default();
    let mut store = MemoryStore::open(&disk);
    let quarantine = flow::Quarantine::of(decisions);
    let limits = Limits { effects_ahead_max: usize::MAX, ..Limits::default() };
    let mut flow = Flow::replaying(Config { quarantine, ..config(limits) });
    let tail = EntryId::new(1, journal.len() as u64);
    let open =
        FlowInput::Open { journal: tail, decisions: EntryId::new(1, 1), term: Term(1), resume: Resume::default() };
    let (mut inputs, mut decided) = (VecDeque::from([open]), Vec::new());
    while let Some(input) = inputs.pop_front() {
        let outputs = flow.step(Timestamp(0), input, store.txn());
        store.accept();
        for output in outputs {
            match output {
                FlowOutput::ReadJournal(from) => {
                    let entries = journal.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                    inputs.push_back(FlowInput::JournalRead(entries));
                }
                FlowOutput::Record { records, .. } => {
                    decided.extend(records.iter().filter_map(|record| match record {
                        Record::Decided(decided) => Some(decided.clone()),
                        Record::Opened { .. } | Record::Skipped { .. } | Record::Unfolded { .. } => None,
                    }))
                }
                FlowOutput::Again => inputs.push_back(FlowInput::Tick),
                FlowOutput::Halted { .. } => {}
                other => panic!("a replay does not act: {other:?}"),
            }
        }
    }
    decided
}
