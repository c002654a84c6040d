//! After a run nothing differs: quiet, crashed, with lost replies, and while the world goes on.

use crate::setting::{Setting, counts, rested, setting};
use flow::Limits;
use lockstep_verify::Report;
use sim::World;

fn small() -> Limits {
    Limits {
        step_units_max: 3,
        effects_ahead_max: 6,
        visible_bytes_max: 3_000,
        transaction_bytes_max: 1_200,
        ..Limits::default()
    }
}

fn seeds() -> std::ops::Range<u64> {
    let many = std::env::var("LOCKSTEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    0..many
}

/// A run with crashes and lost replies.
fn rough(seed: u64) -> World {
    let mut world = World::new(seed, small());
    world.faults.insert(sim::fault::Fault::LostReply);
    world.source.commit(3);
    world.open();
    world.activate();
    for _ in 0..20 {
        let size = 1 + world.chance.below(5);
        world.source.commit(size);
        for _ in 0..world.chance.below(60) {
            world.event();
        }
        if world.chance.one_in(4) {
            world.crash();
        }
    }
    world
}

/// Everything was compared, but for units that wait or are parked.
fn compared(report: &Report) -> bool {
    let moving = report.moved + report.unsettled + report.in_flight;
    moving == 0 && report.left_out.is_empty() && report.complete() == (report.open == 0)
}

#[test]
fn a_quiet_run_is_clean_and_every_version_is_ours() {
    for seed in seeds() {
        println!("seed {seed}");
        let report = setting(&mut rested(seed)).verify();
        assert_eq!(counts(&report), [], "{:?}", report.findings);
        assert!(compared(&report), "{report:?}");
        assert_eq!((report.ours, report.others), (report.versions, 0));
        assert_eq!((report.accepted, report.wrote), (report.ours, report.ours), "ours are the decisions that wrote");
        assert!(report.equal > 10 && report.rows > 20 && report.references > 5 && report.listed > 10);
    }
}

#[test]
fn a_run_with_crashes_and_lost_replies_is_clean() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = rough(seed);
        world.drain();
        let report = setting(&mut world).verify();
        assert_eq!(counts(&report), [], "{:?}", report.findings);
        assert!(compared(&report), "{report:?}");
        assert_eq!((report.accepted, report.wrote), (report.versions, report.ours));
    }
}

#[test]
fn nothing_rests_on_idling() {
    for seed in seeds() {
        println!("seed {seed}");
        // The fence falls into the middle of the traffic, and the world goes on before the target is read.
        let mut world = rough(seed);
        let mut setting = setting(&mut world);
        for _ in 0..5 {
            world.source.commit(4);
            for _ in 0..world.chance.below(120) {
                world.event();
            }
        }
        setting.target = (&world.target).into();
        setting.journal = world.journal.clone();
        setting.decisions = world.decisions.clone();
        let report = setting.verify();
        assert_eq!(counts(&report), [], "{:?}", report.findings);
    }
}

#[test]
fn a_fence_that_the_fold_has_passed_already_is_as_good() {
    let mut moved = 0;
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = rested(seed);
        let fence = world.source.fence();
        for _ in 0..6 {
            world.source.commit(4);
            world.drain();
        }
        let state = world.pass(fence.position);
        let (target, journal, decisions) = ((&world.target).into(), world.journal.clone(), world.decisions.clone());
        let report = Setting { fence, state, target, journal, decisions }.verify();
        assert_eq!(counts(&report), [], "{:?}", report.findings);
        moved += report.moved;
    }
    assert!(moved > 0, "what moved is counted");
}

#[test]
fn edits_of_others_are_attributed_once_they_were_met() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut world = rested(seed);
        let units: Vec<String> = world.target.units.keys().cloned().collect();
        units.iter().for_each(|unit| world.target.edit(unit));
        for _ in 0..20 {
            world.source.commit(3);
            world.drain();
        }
        let report = setting(&mut world).verify();
        // What was written since was met and taken in; the others' edits on top are nobody's, and only those.
        assert!(report.others > 0, "some were met");
        for finding in &report.findings {
            let on_top = finding.class.as_str() == "unattributed" && finding.fields.is_empty();
            let differs = finding.class.as_str() == "different" && finding.fields == ["language"];
            assert!(on_top || differs, "{finding:?}");
        }
    }
}
