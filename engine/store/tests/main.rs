//! Both stores against the one suite, and what is the disk's alone.

use conformance::state::{Place, content, suite};
use lockstep_store::{MemoryDisk, MemoryStore, RedbStore};
use ports::{Failure, Fault, StateStore};
use std::{fs, path::Path, rc::Rc};

fn open(dir: &Path) -> RedbStore {
    RedbStore::open(dir).expect("a store")
}

#[test]
fn memory_keeps_the_contract() {
    suite(|| {
        let disk = MemoryDisk::default();
        Box::new(move || Box::new(MemoryStore::open(&disk)) as Box<dyn StateStore>) as Place
    });
}

#[test]
fn redb_keeps_the_contract() {
    suite(|| {
        let dir = Rc::new(tempfile::tempdir().expect("a directory"));
        Box::new(move || Box::new(open(&dir.path().join("store"))) as Box<dyn StateStore>) as Place
    });
}

#[test]
fn a_crash_of_the_twin_loses_what_no_checkpoint_wrote() {
    let mut store = MemoryStore::default();
    store.txn().put(b"a", b"1");
    store.accept();
    store.checkpoint().expect("a checkpoint");
    store.txn().put(b"b", b"2");
    store.accept();
    store.crash();
    assert_eq!(content(store.txn()).len(), 1);
}

#[test]
fn a_poisoned_store_writes_nothing_more() {
    let mut store = MemoryStore::default();
    store.fail(Fault::new(Failure::Corrupt, "the disk is gone"));
    store.txn().put(b"a", b"1");
    store.accept();
    assert_eq!(store.checkpoint().expect_err("poisoned").what, "the disk is gone");
    assert!(store.clear().is_err() && store.view().is_err() && store.fault().is_some());
}

#[test]
fn a_second_process_is_told_who_to_ask() {
    let dir = tempfile::tempdir().expect("a directory");
    let _first = open(dir.path());
    for fault in [RedbStore::open(dir.path()), RedbStore::create(dir.path())].map(|second| second.err().expect("held"))
    {
        assert_eq!(fault.failure, Failure::Misconfigured);
        assert!(fault.cure.contains("lockstep status"), "{fault}");
    }
}

#[test]
fn a_file_of_another_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.redb");
    drop(redb::Database::create(&path).expect("a foreign database"));
    let fault = RedbStore::open(dir.path()).err().expect("refused");
    assert_eq!(fault.failure, Failure::Misconfigured);
    assert!(fault.to_string().contains("format v0"), "{fault}");

    for len in [20, 1 << 20] {
        fs::write(&path, vec![b'x'; len]).expect("written");
        let fault = RedbStore::open(dir.path()).err().expect("refused");
        assert_eq!(fault.failure, Failure::Corrupt);
        assert!(fault.cure.contains("state rebuild"), "{fault}");
        assert!(fs::read(&path).expect("there") == vec![b'x'; len]);
    }

    let mut fresh = RedbStore::create(dir.path()).expect("a new one in its place");
    assert!(content(fresh.txn()).is_empty());
}

#[test]
fn a_store_that_was_not_finished_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("state.redb.new"), b"torn").expect("written");
    drop(open(dir.path()));
    assert!(content(open(dir.path()).txn()).is_empty());
}
