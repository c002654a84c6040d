//! The state is a cache of the logs: folded from nothing it is the same, byte by byte (J19).

use crate::{World, config};
use flow::{Flow, FlowInput, FlowOutput, Limits};
use model::{EntryId, Term, Timestamp};
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
    pub(crate) fn rebuilds_to_the_same_state(&mut self) {
        let mut store = MemoryStore::open(&MemoryDisk::default());
        let mut flow = Flow::new(config(Limits::default()));
        let (journal, decisions) = (self.journal.len() as u64, self.decisions.len() as u64);
        let open = FlowInput::Open {
            journal: EntryId::new(1, journal),
            decisions: EntryId::new(1, decisions),
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
                        let entries = self.journal.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                        inputs.push_back(FlowInput::JournalRead(entries));
                    }
                    FlowOutput::ReadDecisions(from) => {
                        let records = self.decisions.iter().skip(from.seq as usize - 1).take(50).cloned().collect();
                        inputs.push_back(FlowInput::DecisionsRead(records));
                    }
                    FlowOutput::Again => inputs.push_back(FlowInput::Tick),
                    FlowOutput::Record { .. } => panic!("everything is decided, and nothing is decided again"),
                    FlowOutput::Corrupt(fault) => panic!("{fault}"),
                    _ => {}
                }
            }
        }
        let (live, folded) = (content(self.store.txn()), content(store.txn()));
        for (key, value) in &live {
            let other = folded.get(key).map(Vec::len);
            assert!(folded.get(key) == Some(value), "differs: key {key:02x?}, {} and {other:?} bytes", value.len());
        }
        let more: Vec<&Vec<u8>> = folded.keys().filter(|key| !live.contains_key(*key)).collect();
        assert!(more.is_empty(), "the fold from nothing holds nothing else: {more:02x?}");
    }
}
