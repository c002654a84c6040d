//! The stores against the one suite, and what is the disk's alone. sled's cases run with the feature: `cargo x test store`.

use conformance::state::{Place, content, suite};
#[cfg(feature = "sled")]
use lockstep_store::SledStore;
use lockstep_store::{MemoryDisk, MemoryStore, RedbStore};
use ports::{Failure, Fault, StateStore};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};

fn open(dir: &Path) -> RedbStore {
    RedbStore::open(dir).expect("a store")
}

#[cfg(feature = "sled")]
fn open_sled(dir: &Path) -> SledStore {
    SledStore::open(dir).expect("a store")
}

/// The suite over a store on disk.
fn on_disk<S: StateStore + 'static>(open: fn(&Path) -> S) {
    suite(|| {
        let dir = Rc::new(tempfile::tempdir().expect("a directory"));
        Box::new(move || Box::new(open(&dir.path().join("store"))) as Box<dyn StateStore>) as Place
    });
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
    on_disk(open);
}

#[cfg(feature = "sled")]
#[test]
fn sled_keeps_the_contract() {
    on_disk(open_sled);
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
    is_told_who_to_ask([RedbStore::open(dir.path()), RedbStore::create(dir.path())]);
}

#[cfg(feature = "sled")]
#[test]
fn a_second_process_is_told_who_to_ask_by_sled() {
    let dir = tempfile::tempdir().expect("a directory");
    let _first = open_sled(dir.path());
    is_told_who_to_ask([SledStore::open(dir.path()), SledStore::create(dir.path())]);
}

fn is_told_who_to_ask<S>(seconds: [Result<S, Fault>; 2]) {
    for fault in seconds.map(|second| second.err().expect("held")) {
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

#[cfg(feature = "sled")]
#[test]
fn a_folder_of_another_format_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(sled::open(dir.path().join("state.sled")).expect("a foreign database"));
    let fault = SledStore::open(dir.path()).err().expect("refused");
    assert_eq!(fault.failure, Failure::Misconfigured);
    assert!(fault.to_string().contains("format v0"), "{fault}");

    let mut fresh = SledStore::create(dir.path()).expect("a new one in its place");
    assert!(content(fresh.txn()).is_empty());
}

#[test]
fn a_store_that_was_not_finished_is_made_again() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("state.redb.new"), b"torn").expect("written");
    drop(open(dir.path()));
    assert!(content(open(dir.path()).txn()).is_empty());
}

const KEYS: u16 = 300;
const CHILD_DIR: &str = "STORE_TEST_CHILD_DIR";

/// Writes one round number under every key and checkpoints, for ever; prints the rounds that are durable.
fn write_rounds<S: StateStore>(mut store: S) -> ! {
    let mut round =
        u64::from_be_bytes(store.txn().get(&[0, 0]).map_or([0; 8], |last| last.try_into().expect("a round")));
    loop {
        round += 1;
        for key in 0..KEYS {
            store.txn().put(&key.to_be_bytes(), &round.to_be_bytes());
        }
        store.accept();
        store.checkpoint().expect("a checkpoint");
        println!("\nround {round}");
    }
}

#[test]
fn a_checkpoint_is_whole_or_absent_after_kill_9() {
    is_whole_or_absent("a_checkpoint_is_whole_or_absent_after_kill_9", open);
}

#[cfg(feature = "sled")]
#[test]
fn a_checkpoint_of_sled_is_whole_or_absent_after_kill_9() {
    is_whole_or_absent("a_checkpoint_of_sled_is_whole_or_absent_after_kill_9", open_sled);
}

/// Kills the process of the test `name`, which writes rounds, again and again.
fn is_whole_or_absent<S: StateStore>(name: &str, open: fn(&Path) -> S) {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        write_rounds(open(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut before = 0;
    for kill in 0..6 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", name, "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let round = |line: &String| line.strip_prefix("round ").and_then(|round| round.parse::<u64>().ok());
        let first = lines.find_map(|line| round(&line)).expect("a durable round");
        std::thread::sleep(Duration::from_millis(7 * kill));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let told = lines.filter_map(|line| round(&line)).last().unwrap_or(first);
        assert!(first > before, "a new process goes on where the last one was killed");

        let mut store = open(dir.path());
        let rounds: Vec<_> = content(store.txn()).into_values().collect();
        assert_eq!(rounds.len(), usize::from(KEYS));
        assert!(rounds.iter().all(|round| *round == rounds[0]), "one checkpoint under every key");
        before = u64::from_be_bytes(rounds[0].clone().try_into().expect("a round"));
        assert!(before >= told, "what was told durable is there");
    }
}
