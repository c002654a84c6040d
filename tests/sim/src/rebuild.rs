//! The state is a cache of the logs: folded from nothing it is the same, byte by byte (J19).

use crate::config;
use flow::{Flow, FlowInput, FlowOutput, Limits};
use model::{Entry, EntryId, Header, Journaled, Recorded, Term, Timestamp};
use ports::{Resume, StateStore, StateTxn};
use schemas::keys;
use std::collections::{BTreeMap, VecDeque};
use store::{MemoryDisk, MemoryStore};

/// What a state holds, by key.
pub type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything but the place, which says how far the fold is and not what it holds.
pub fn content(state: &dyn StateTxn) -> Content {
    let mut content = Content::new();
    state.range(&[], &[0xff; 8], &mut |key, value| {
        content.insert(key.to_vec(), value.to_vec());
        true
    });
    content.remove(&keys::meta("place"));
    content
}

/// A state folded from nothing: what is recorded, and nothing else.
pub fn folded(journal: &[Journaled], decisions: &[Recorded]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    fold(Flow::rebuilding(config(Limits::default())), &disk, (journal, decisions));
    disk
}

/// What a state folded from nothing holds when it went on to the end of both logs, if everything is decided.
pub fn rebuilt(journal: &[Journaled], decisions: &[Recorded]) -> Content {
    let disk = folded(journal, decisions);
    // Whoever goes on opens both logs first.
    let (mut journal, mut decisions) = (journal.to_vec(), decisions.to_vec());
    let next = |header: Header| Header { id: header.id.next(), ..header };
    let opened = |entry: &&Journaled| matches!(entry.entry, Entry::Opened { .. });
    let entry = journal.iter().rfind(opened).expect("an opening").entry.clone();
    let record = decisions[0].record.clone();
    journal.push(Journaled { header: next(journal[journal.len() - 1].header), entry });
    decisions.push(Recorded { header: next(decisions[decisions.len() - 1].header), record });
    let quarantine = flow::Quarantine::of(&decisions);
    let flow = Flow::new(flow::Config { quarantine, ..config(Limits::default()) });
    content(fold(flow, &disk, (&journal, &decisions)).txn())
}

/// Drives a flow by the logs alone, to their end.
fn fold(mut flow: Flow, disk: &MemoryDisk, (journal, decisions): (&[Journaled], &[Recorded])) -> MemoryStore {
    let mut store = MemoryStore::open(disk);
    let open = FlowInput::Open {
        journal: EntryId::new(1, journal.len() as u64),
        decisions: EntryId::new(1, decisions.len() as u64),
        term: Term(journal.last().map_or(1, |entry| entry.header.term.0)),
        resume: Resume::default(),
    };
    let mut inputs = VecDeque::from([open]);
    while let Some(input) = inputs.pop_front() {
        let outputs = flow.step(Timestamp(0), input, store.txn());
        store.accept();
        for output in outputs {
            match output {
                FlowOutput::ReadJournal(from) => {
                    let entries = journal.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                    inputs.push_back(FlowInput::JournalRead(entries));
                }
                FlowOutput::ReadDecisions(from) => {
                    let records = decisions.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                    inputs.push_back(FlowInput::DecisionsRead(records));
                }
                FlowOutput::Again => inputs.push_back(FlowInput::Tick),
                FlowOutput::Checkpoint => store.checkpoint().expect("memory does not fail"),
                FlowOutput::Record { .. } => panic!("what is recorded is folded, and nothing is decided again"),
                FlowOutput::Corrupt(fault) => panic!("{fault}"),
                _ => {}
            }
        }
    }
    store
}
