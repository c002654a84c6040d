//! The suite of the port, on the simulated source: what the simulator is fed with is what a connector may emit.

use conformance::source::{Fenced, System, suite};
use lockstep_sim::source;
use model::{Entry, SnapshotMark, SourcePosition, SystemId};
use ports::{Boxed, Fault, OpenFault, Resume, Source, SourceHandle, TableProgress};
use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Entries a batch: fewer than a transaction may have.
const BATCH: usize = 3;

#[derive(Clone)]
struct Simulated {
    source: Arc<Mutex<source::Source>>,
    /// What it never tells.
    keeps_back: fn(&Entry) -> bool,
}

impl Simulated {
    fn new(seed: u64, keeps_back: fn(&Entry) -> bool) -> Simulated {
        Simulated { source: Arc::new(Mutex::new(source::Source::new(seed))), keeps_back }
    }

    fn lock(&self) -> MutexGuard<'_, source::Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl System for Simulated {
    fn name(&self) -> SystemId {
        "legacy".into()
    }

    fn wanted(&self) -> Box<str> {
        "lockstep_clinic".into()
    }

    fn source(&mut self) -> Box<dyn Source> {
        self.lock().close();
        Box::new(self.clone())
    }

    fn commit(&mut self, _: u64, rows: u64) -> Boxed<'_, ()> {
        self.lock().commit(rows);
        Box::pin(async {})
    }

    fn fence(&mut self) -> Boxed<'_, Fenced> {
        let fence = self.lock().fence();
        let tables = fence.tables.into_iter().map(|(table, (_, rows))| (table, rows)).collect();
        Box::pin(async move { Fenced { position: fence.position, tables } })
    }
}

impl Source for Simulated {
    fn open(&mut self, resume: Resume) -> Boxed<'_, Result<Arc<dyn SourceHandle>, OpenFault>> {
        self.lock().open(resume);
        let handle: Arc<dyn SourceHandle> = Arc::new(self.clone());
        Box::pin(async { Ok(handle) })
    }

    fn next_batch(&mut self) -> Boxed<'_, Result<Vec<Entry>, OpenFault>> {
        let mut batch = self.lock().next_batch(BATCH);
        batch.retain(|entry| !(self.keeps_back)(entry));
        Box::pin(async { Ok(batch) })
    }

    fn removable(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn remove(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        self.removable()
    }

    fn prerequisites(&mut self) -> Boxed<'_, Result<Vec<Fault>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl SourceHandle for Simulated {
    fn confirm(&self, upto: SourcePosition) {
        self.lock().confirm(upto);
    }

    fn progress(&self) -> Vec<TableProgress> {
        Vec::new()
    }
}

fn run(seed: u64, keeps_back: fn(&Entry) -> bool) {
    let done = pin!(suite(async || Simulated::new(seed, keeps_back))).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(done, Poll::Ready(()), "nothing in memory waits");
}

#[test]
fn the_simulated_source_keeps_the_contract() {
    (1..=20).for_each(|seed| run(seed, |_| false));
}

#[test]
fn a_source_that_keeps_something_back_is_found_out() {
    type KeepsBack = fn(&Entry) -> bool;
    let kept: [(&str, KeepsBack); 6] = [
        ("its start", |entry| matches!(entry, Entry::Snapshot { mark: SnapshotMark::Started { .. }, .. })),
        ("a shape", |entry| matches!(entry, Entry::Schema { .. })),
        ("a chunk", |entry| matches!(entry, Entry::Chunk(chunk) if chunk.number == 0)),
        ("a row of several", |entry| matches!(entry, Entry::Row(row) if row.commit.is_none())),
        ("an end", |entry| matches!(entry, Entry::Commit { commit, .. } if commit.count == 2)),
        ("rows of one", |entry| matches!(entry, Entry::Row(row) if row.commit.is_some())),
    ];
    for (what, keeps_back) in kept {
        let found = std::panic::catch_unwind(|| (1..=3).for_each(|seed| run(seed, keeps_back)));
        assert!(found.is_err(), "{what} may be missing");
    }
}
