//! A step that panics again and again (J32): what it was about is left out, by a record that replay and recovery follow, and
//! everything else goes on. The panic is a real one, in the fold of a row.

use flow::{AfterPanic, Limits, Panics, Suspect};
use lockstep_sim::World;
use model::{EntryId, Record};
use ports::StateStore;

/// A family that no fold of these worlds survives.
const POISON: &str = "POISON";

/// Small enough for transactions that are read back, and for steps in several parts.
fn limits(small: bool) -> Limits {
    let few = Limits { step_units_max: 3, visible_bytes_max: 3_000, transaction_bytes_max: 1_200, ..Limits::default() };
    if small { few } else { Limits::default() }
}

/// A world in which folding one name panics, in its chunk or in the stream; run to rest, with a crash between.
fn poisoned(seed: u64) -> (World, EntryId) {
    let mut world = World::new(seed, limits(seed.is_multiple_of(2)));
    world.poison = Some(POISON.into());
    (0..10).for_each(|_| world.source.commit(3));
    let streamed = seed % 4 < 2;
    if !streamed {
        world.source.commit_name(POISON);
    }
    // A crash opens the flow with what it knows, the poison too.
    world.crash();
    world.activate();
    if streamed {
        world.drain();
        world.source.commit_name(POISON);
    }
    (0..10).for_each(|_| world.source.commit(4));
    for _ in 0..world.chance.below(400) {
        world.event();
    }
    world.crash();
    world.drain();
    let unfolded = world.decisions.iter().find_map(|recorded| match &recorded.record {
        Record::Unfolded { entry, .. } => Some(*entry),
        Record::Opened { .. } | Record::Decided(_) | Record::Skipped { .. } => None,
    });
    let unfolded = unfolded.expect("the name came");
    (world, unfolded)
}

fn held(world: &mut World) -> Vec<(String, String)> {
    let held = world.flow.held(world.store.txn());
    held.into_iter().map(|item| (item.name.into(), item.question.into())).collect()
}

#[test]
fn a_row_that_cannot_be_folded_holds_its_table_and_everything_else_goes_on() {
    for seed in 0..24 {
        println!("seed {seed}");
        let (mut world, unfolded) = poisoned(seed);
        let all = held(&mut world);
        let asked = all.iter().find(|(name, _)| name == "table:public.patient_name");
        let (_, question) = asked.unwrap_or_else(|| panic!("the table is held: {all:?}"));
        for word in [
            &*format!("entry {unfolded} of public.patient_name at 0x"),
            "stopped the engine twice",
            "read the table again",
        ] {
            assert!(question.contains(word), "{question}");
        }
        assert_eq!(all.len(), 1, "and nothing else: {all:?}");
        // What does not use the table is decided on.
        let decided = world.decided().len();
        (0..6).for_each(|_| world.source.commit(4));
        world.drain();
        assert!(world.decided().len() > decided, "the others go on");
        assert_eq!(world.replayed(), world.decided(), "a replay leaves out the same");
        assert_eq!(world.panics.quarantine().stuck, None);

        // Another process knows by the record alone, and one that can fold the row reads the table again.
        world.panics = Panics::default();
        world.crash();
        world.drain();
        assert_eq!(held(&mut world), all);
        assert!(world.panics.quarantine().entries.is_empty(), "nothing panicked again");
        world.poison = None;
        world.crash();
        world.settle_everything();
        assert_eq!(held(&mut world), []);
        world.check();
    }
}

#[test]
fn reading_again_what_still_panics_asks_again() {
    let (mut world, first) = poisoned(1);
    world.look_at_holds(true);
    world.drain();
    let all = held(&mut world);
    assert!(
        all.iter()
            .all(|(name, question)| name == "table:public.patient_name" && !question.contains(&first.to_string()))
    );
    world.poison = None;
    world.crash();
    world.settle_everything();
    world.check();
}

#[test]
fn what_panics_in_every_life_stops_the_source() {
    let (mut world, first) = poisoned(0);
    // As if leaving it out panicked, too.
    let next = EntryId::new(1, world.journal.len() as u64 + 1);
    let suspect = Suspect::Entry { input: next, entry: next };
    let after = [(); 3].map(|()| world.panics.note(suspect));
    assert_eq!(after, [AfterPanic::Again, AfterPanic::LeftOut, AfterPanic::Stuck]);
    assert!(next > first && world.panics.quarantine().stuck == Some(next));
    world.crash();
    world.source.commit(3);
    world.drain();
    let status = world.flow.status(world.store.txn());
    assert_eq!((status.source.state, status.folding), ("stopped", next));
    let what = world.halted.iter().find(|what| what.contains("cannot be left out")).expect("it says so");
    assert!(what.contains(&next.to_string()) && what.contains("replace the binary"), "{what}");
    // A binary that can goes on where it stood.
    (world.panics, world.poison) = (Panics::default(), None);
    world.crash();
    world.settle_everything();
    world.check();
}
