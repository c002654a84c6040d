//! The suite of [`StateStore`]: what a step sees, what is kept, what survives.
//!
//! An implementation's test calls [`suite`] with a way to make places; opening a place twice must show what the last
//! checkpoint left there, whatever was accepted after it.

use crate::random::Random;
use ports::{StateStore, StateTxn};
use std::collections::BTreeMap;

/// Opens the store at one place, again and again.
pub type Place = Box<dyn Fn() -> Box<dyn StateStore>>;

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Runs every case, each at a new place.
pub fn suite(place: impl Fn() -> Place) {
    reads_its_own_writes(&place());
    a_range_merges_all_layers_in_key_order(&place());
    a_range_stops_when_told(&place());
    a_range_that_ends_before_it_begins_is_empty(&place());
    a_discarded_step_never_happened(&place());
    only_a_checkpoint_survives(&place());
    a_checkpoint_leaves_the_open_step_out(&place());
    steps_go_on_while_a_checkpoint_is_written(&place());
    new_keys_come_between_old_ones(&place());
    clearing_is_durable(&place());
    a_view_stands_still(&place());
    empty_and_large_values_are_kept(&place());
    the_overlay_is_counted(&place());
    for seed in 1..=8 {
        any_history_equals_its_model(&place(), seed);
    }
}

/// Everything between the first key and `ff`.
pub fn content(txn: &dyn StateTxn) -> Content {
    let mut content = Content::new();
    let mut last: Option<Vec<u8>> = None;
    txn.range(&[], &[0xff], &mut |key, value| {
        assert!(last.as_deref().is_none_or(|last| last < key), "a range rises");
        last = Some(key.to_vec());
        content.insert(key.to_vec(), value.to_vec());
        true
    });
    content
}

fn pairs(pairs: &[(&str, &str)]) -> Content {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn put(store: &mut dyn StateStore, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        store.txn().put(key.as_bytes(), value.as_bytes());
    }
}

fn keep(store: &mut dyn StateStore, pairs: &[(&str, &str)]) {
    put(store, pairs);
    store.accept();
    store.checkpoint().expect("a checkpoint");
}

fn reads_its_own_writes(place: &Place) {
    let mut store = place();
    let txn = store.txn();
    assert_eq!(txn.get(b"a"), None);
    txn.put(b"a", b"1");
    assert_eq!(txn.get(b"a"), Some(b"1".to_vec()));
    txn.put(b"a", b"2");
    assert_eq!(txn.get(b"a"), Some(b"2".to_vec()));
    txn.delete(b"a");
    txn.delete(b"never there");
    assert_eq!(txn.get(b"a"), None);
}

fn a_range_merges_all_layers_in_key_order(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "base"), ("c", "base"), ("e", "base"), ("g", "base"), ("i", "base")]);
    put(&mut *store, &[("b", "accepted"), ("c", "accepted"), ("g", "accepted")]);
    store.txn().delete(b"e");
    store.accept();
    put(&mut *store, &[("c", "step"), ("e", "step"), ("h", "step")]);
    store.txn().delete(b"g");
    let mut seen = Content::new();
    store.txn().range(b"b", b"i", &mut |key, value| {
        seen.insert(key.to_vec(), value.to_vec());
        true
    });
    assert_eq!(seen, pairs(&[("b", "accepted"), ("c", "step"), ("e", "step"), ("h", "step")]));
}

fn a_range_stops_when_told(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1"), ("c", "3")]);
    put(&mut *store, &[("b", "2"), ("d", "4")]);
    for wanted in 1..=4 {
        let mut seen = 0;
        store.txn().range(b"a", b"z", &mut |_, _| {
            seen += 1;
            seen < wanted
        });
        assert_eq!(seen, wanted);
    }
}

fn a_range_that_ends_before_it_begins_is_empty(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("b", "1")]);
    put(&mut *store, &[("c", "2")]);
    for (from, to) in [(b"z", b"a"), (b"b", b"b")] {
        store.txn().range(from, to, &mut |_, _| panic!("nothing lies between"));
    }
}

fn a_discarded_step_never_happened(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1")]);
    put(&mut *store, &[("b", "2")]);
    store.accept();
    put(&mut *store, &[("a", "x"), ("c", "x")]);
    store.txn().delete(b"b");
    store.discard();
    assert_eq!(content(store.txn()), pairs(&[("a", "1"), ("b", "2")]));
    store.checkpoint().expect("a checkpoint");
    drop(store);
    assert_eq!(content(place().txn()), pairs(&[("a", "1"), ("b", "2")]));
}

fn only_a_checkpoint_survives(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1"), ("b", "1")]);
    put(&mut *store, &[("a", "2"), ("c", "2")]);
    store.txn().delete(b"b");
    store.accept();
    drop(store);
    let mut store = place();
    assert_eq!(content(store.txn()), pairs(&[("a", "1"), ("b", "1")]));
    put(&mut *store, &[("c", "3")]);
    store.txn().delete(b"b");
    store.accept();
    store.checkpoint().expect("a checkpoint");
    drop(store);
    assert_eq!(content(place().txn()), pairs(&[("a", "1"), ("c", "3")]));
}

fn a_checkpoint_leaves_the_open_step_out(place: &Place) {
    let mut store = place();
    put(&mut *store, &[("a", "1")]);
    store.accept();
    put(&mut *store, &[("b", "2")]);
    store.checkpoint().expect("a checkpoint");
    assert_eq!(content(store.txn()), pairs(&[("a", "1"), ("b", "2")]), "the step goes on");
    drop(store);
    assert_eq!(content(place().txn()), pairs(&[("a", "1")]));
}

fn steps_go_on_while_a_checkpoint_is_written(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1"), ("b", "1"), ("c", "1")]);
    put(&mut *store, &[("a", "2"), ("d", "2")]);
    store.txn().delete(b"b");
    store.accept();
    store.begin_checkpoint().expect("begun");
    assert_eq!(content(store.txn()), pairs(&[("a", "2"), ("c", "1"), ("d", "2")]));
    put(&mut *store, &[("a", "3"), ("b", "3")]);
    store.txn().delete(b"d");
    assert_eq!(content(store.txn()), pairs(&[("a", "3"), ("b", "3"), ("c", "1")]));
    assert_eq!(store.txn().get(b"d"), None, "deleted above what is being written");
    store.discard();
    assert_eq!(store.txn().get(b"b"), None, "deleted by what is being written");
    put(&mut *store, &[("c", "4")]);
    store.accept();
    store.finish_checkpoint().expect("durable");
    assert!(!store.is_checkpointing());
    assert_eq!(content(store.txn()), pairs(&[("a", "2"), ("c", "4"), ("d", "2")]));
    drop(store);
    let mut store = place();
    assert_eq!(content(store.txn()), pairs(&[("a", "2"), ("c", "1"), ("d", "2")]), "what was accepted when it began");
    put(&mut *store, &[("a", "5")]);
    store.accept();
    store.begin_checkpoint().expect("begun");
    put(&mut *store, &[("a", "6")]);
    store.accept();
    store.begin_checkpoint().expect("the former one is finished first");
    let view = store.view().expect("waits for the one under way");
    assert_eq!(content(&*view), pairs(&[("a", "6"), ("c", "1"), ("d", "2")]));
}

/// Runs of rising keys at the end, in gaps, over keys that are there, and with deletions among them.
fn new_keys_come_between_old_ones(place: &Place) {
    let mut random = Random(7);
    let (mut store, mut model) = (place(), Content::new());
    for round in 0..12 {
        for _ in 0..4 {
            let from = random.below(3_000) as u16;
            let step = 1 + random.below(3);
            for key in (from..from.saturating_add(400)).step_by(step) {
                let (key, value) = (key.to_be_bytes(), vec![round; 20 + random.below(90)]);
                if random.below(20) == 0 {
                    store.txn().delete(&key);
                    model.remove(&key[..]);
                } else {
                    store.txn().put(&key, &value);
                    model.insert(key.to_vec(), value);
                }
            }
        }
        store.accept();
        store.checkpoint().expect("a checkpoint");
        assert!(content(store.txn()) == model, "round {round}");
    }
    drop(store);
    assert!(content(place().txn()) == model);
}

fn clearing_is_durable(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1")]);
    put(&mut *store, &[("b", "2")]);
    store.accept();
    put(&mut *store, &[("c", "3")]);
    store.clear().expect("cleared");
    assert_eq!(content(store.txn()), Content::new());
    assert_eq!(store.overlay_bytes(), 0);
    drop(store);
    let mut store = place();
    assert_eq!(content(store.txn()), Content::new());
    keep(&mut *store, &[("d", "4")]);
    assert_eq!(content(store.txn()), pairs(&[("d", "4")]));
}

fn a_view_stands_still(place: &Place) {
    let mut store = place();
    keep(&mut *store, &[("a", "1")]);
    put(&mut *store, &[("b", "2")]);
    store.accept();
    let view = store.view().expect("a view");
    keep(&mut *store, &[("a", "x")]);
    let seen = std::thread::spawn(move || (view.get(b"a"), content(&*view))).join().expect("the thread ends");
    assert_eq!(
        seen,
        (Some(b"1".to_vec()), pairs(&[("a", "1")])),
        "the last checkpoint, not what was accepted after it"
    );
    assert_eq!(content(&*store.view().expect("a view")), pairs(&[("a", "x"), ("b", "2")]));
    let mut view = store.view().expect("a view");
    view.put(b"a", b"y");
    assert_eq!(content(store.txn()), pairs(&[("a", "x"), ("b", "2")]), "nothing goes from a view into the store");
}

fn empty_and_large_values_are_kept(place: &Place) {
    let mut store = place();
    let large = vec![7; 3 << 20];
    store.txn().put(b"empty", b"");
    store.txn().put(b"large", &large);
    store.txn().put(b"", b"under the empty key");
    store.accept();
    store.checkpoint().expect("a checkpoint");
    drop(store);
    let mut store = place();
    assert_eq!(store.txn().get(b"empty"), Some(Vec::new()));
    assert!(store.txn().get(b"large") == Some(large));
    assert_eq!(store.txn().get(b""), Some(b"under the empty key".to_vec()));
}

fn the_overlay_is_counted(place: &Place) {
    let mut store = place();
    assert_eq!(store.overlay_bytes(), 0);
    store.txn().put(b"a", &[0; 10_000]);
    store.accept();
    store.txn().put(b"b", &[0; 10_000]);
    assert!((20_000..22_000).contains(&store.overlay_bytes()));
    store.accept();
    store.txn().delete(b"a");
    store.accept();
    assert!((10_000..11_000).contains(&store.overlay_bytes()));
    store.checkpoint().expect("a checkpoint");
    assert_eq!(store.overlay_bytes(), 0);
    assert!(store.fault().is_none());
}

/// Random steps, checkpoints and re-openings against three maps.
fn any_history_equals_its_model(place: &Place, seed: u64) {
    let mut random = Random(seed);
    let (mut durable, mut accepted, mut step) = (Content::new(), Content::new(), Content::new());
    let (mut store, mut written) = (place(), None);
    for _ in 0..250 {
        match random.below(12) {
            0..=5 => {
                let (key, value) = (vec![b'k', random.below(40) as u8], vec![random.below(200) as u8; random.below(9)]);
                store.txn().put(&key, &value);
                step.insert(key, value);
            }
            6..=7 => {
                let key = vec![b'k', random.below(40) as u8];
                store.txn().delete(&key);
                step.remove(&key);
            }
            8..=9 => {
                store.accept();
                accepted = step.clone();
            }
            10 if random.below(2) == 0 => {
                store.discard();
                step = accepted.clone();
            }
            10 if random.below(2) == 0 => {
                store.checkpoint().expect("a checkpoint");
                (durable, written) = (accepted.clone(), None);
            }
            10 => {
                // Whether it is there after a crash is told by the next one, or by nobody.
                store.begin_checkpoint().expect("a checkpoint");
                written = Some(accepted.clone());
            }
            _ => {
                if let Some(written) = written.take() {
                    store.finish_checkpoint().expect("a checkpoint");
                    durable = written;
                }
                drop(store);
                store = place();
                (accepted, step) = (durable.clone(), durable.clone());
            }
        }
        assert_eq!(content(store.txn()), step, "seed {seed}");
        let key = [b'k', random.below(40) as u8];
        assert_eq!(store.txn().get(&key), step.get(&key[..]).cloned(), "seed {seed}");
    }
}
