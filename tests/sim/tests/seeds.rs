//! Seeds: what `cargo x sim` runs, some of it in every test run. More: `LOCKSTEP_SEEDS=500`, and `cargo x sim --seeds`.

use lockstep_sim::{
    Chance, batch,
    fault::{Fault, Faults},
    history::History,
    later,
    plan::{Act, Plan, What},
    run, tell,
};
use std::collections::BTreeSet;

fn seeds() -> u64 {
    std::env::var("LOCKSTEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn every_promise_holds_for_the_first_seeds() {
    let report = batch::run(0, seeds(), 2, &|_| true);
    println!("{} seeds; not once: {:?}", report.fired.runs, report.fired.missing());
    for (seed, violation) in &report.failed {
        println!("seed {seed} {violation}\n  again: cargo x sim {seed}");
    }
    assert!(report.failed.is_empty());
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..3 {
        let (once, again) = (run::run(&Plan::of(seed)), run::run(&Plan::of(seed)));
        assert_eq!(once.history.hash(), again.history.hash());
        assert_eq!(tell::lines(&once.history), tell::lines(&again.history));
    }
}

#[test]
fn an_accepted_outcome_that_comes_later_changes_no_decision() {
    let mut moved = 0;
    for seed in 0..seeds().min(20) {
        let history = run::run(&Plan::of(seed)).history;
        moved += later::check(&history, &mut Chance::new(seed)).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
    assert!(moved > 0, "something moved");
}

/// A run of these acts and nothing else.
fn ran(seed: u64, faults: &[Fault], acts: impl IntoIterator<Item = What>) -> History {
    let mut chance = Chance::new(seed);
    let acts = acts.into_iter().map(|what| Act { seed: chance.below(u64::MAX), what }).collect();
    let faults: Faults = faults.iter().copied().collect();
    let ran = run::run(&Plan { seed, features: BTreeSet::new(), faults, acts });
    if let Err(violation) = ran.verdict {
        panic!("seed {seed}: {violation}\n{}", tell::lines(&ran.history));
    }
    ran.history
}

/// Records are read back in pages: one that ended with what lay behind the next entry was taken for the end of the log, and
/// inputs that had been passed over were passed over once more.
#[test]
fn what_is_recorded_as_skipped_is_not_recorded_again_wherever_a_page_ends() {
    let round = [What::Commit(2), What::Events(40), What::Crash];
    for seed in 0..12 {
        ran(seed, &[Fault::Crash], round.into_iter().cycle().take(36));
    }
}
