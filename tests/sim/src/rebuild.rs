//! The state is a cache of the logs: folded from nothing it is the same, byte by byte (J19).

use crate::{World, config};
use flow::{Flow, FlowInput, FlowOutput, Limits};
use model::{Entry, EntryId, Header, Journaled, Recorded, Term, Timestamp};
use ports::{Resume, StateStore, StateTxn};
use schemas::keys;
use std::collections::{BTreeMap, VecDeque};
use store::{MemoryDisk, MemoryStore};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything but the place, which says how far the fold is and not what it holds.
fn content(state: &dyn StateTxn) -> Content {
    let mut content = Content::new();
    state.range(&[], &[0xff; 8], &mut |key, value| {
        content.insert(key.to_vec(), value.to_vec());
        true
    });
    content.remove(&keys::meta("place"));
    content
}

impl World {
    /// The state is lost, and folded from nothing: what is recorded, and nothing else.
    pub(crate) fn rebuild(&mut self) {
        self.disk = self.folded();
    }

    fn folded(&self) -> MemoryDisk {
        let disk = MemoryDisk::default();
        self.fold(Flow::rebuilding(config(Limits::default())), &disk, (&self.journal, &self.decisions));
        disk
    }

    /// Drives a flow by the logs alone, to their end.
    fn fold(&self, mut flow: Flow, disk: &MemoryDisk, logs: (&[Journaled], &[Recorded])) -> MemoryStore {
        let mut store = MemoryStore::open(disk);
        let (journal, decisions) = logs;
        let open = FlowInput::Open {
            journal: EntryId::new(1, journal.len() as u64),
            decisions: EntryId::new(1, decisions.len() as u64),
            term: Term(self.terms),
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

    /// When everything is decided. What a rebuilt state has not decided nothing of yet goes on to the same end.
    pub(crate) fn rebuilds_to_the_same_state(&mut self) {
        let disk = self.folded();
        // Whoever goes on opens both logs first.
        let (mut journal, mut decisions) = (self.journal.clone(), self.decisions.clone());
        let next = |header: Header| Header { id: header.id.next(), ..header };
        let opened = |entry: &&Journaled| matches!(entry.entry, Entry::Opened { .. });
        let entry = journal.iter().rfind(opened).expect("an opening").entry.clone();
        let record = decisions[0].record.clone();
        journal.push(Journaled { header: next(journal[journal.len() - 1].header), entry });
        decisions.push(Recorded { header: next(decisions[decisions.len() - 1].header), record });
        let mut store = self.fold(Flow::new(self.config()), &disk, (&journal, &decisions));
        let (live, folded) = (content(self.store.txn()), content(store.txn()));
        for (key, value) in &live {
            let other = folded.get(key).map(Vec::len);
            assert!(folded.get(key) == Some(value), "differs: key {key:02x?}, {} and {other:?} bytes", value.len());
        }
        let more: Vec<&Vec<u8>> = folded.keys().filter(|key| !live.contains_key(*key)).collect();
        assert!(more.is_empty(), "the fold from nothing holds nothing else: {more:02x?}");
    }
}
