//! Runs a plan to its end and has the checkers read what happened.

use crate::{
    World,
    checkers::{self, Violation},
    fault::{Fault, Feature},
    history::History,
    plan::{Plan, What},
};
use flow::Limits;
use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

/// What became of a run.
pub struct Ran {
    /// Everything that happened.
    pub history: History,
    /// The first promise that was broken.
    pub verdict: Result<(), Violation>,
}

/// Small limits, so that every path is taken: steps, spills, read-backs, waiting for outcomes.
fn small() -> Limits {
    Limits {
        step_units_max: 3,
        effects_ahead_max: 6,
        visible_bytes_max: 3_000,
        transaction_bytes_max: 1_200,
        inferred_deletes_at_least: 2,
        ..Limits::default()
    }
}

/// Runs it. An assertion that fails, of the engine or of the world, is a violation like another one.
pub fn run(plan: &Plan) -> Ran {
    let limits = if plan.features.contains(&Feature::Small) { small() } else { Limits::default() };
    let mut world = World::new(plan.seed, limits);
    world.faults = plan.faults.clone();
    if plan.faults.iter().any(|fault| fault.is_of_disk()) {
        world.put_logs_on_a_disk();
    }
    world.source.wild = plan.features.contains(&Feature::Wild);
    world.source.faults = plan.faults.clone();
    let done = caught(|| go(plan, &mut world));
    let history = world.history;
    let verdict = match done {
        Ok(()) => caught(|| checkers::check(&history)).unwrap_or_else(Err),
        Err(panicked) => Err(panicked),
    };
    Ran { history, verdict }
}

fn go(plan: &Plan, world: &mut World) {
    world.open();
    for act in &plan.acts {
        world.reseed(act.seed);
        world.act_out(act.what);
    }
    world.settle_everything();
    if !world.journal.iter().any(|entry| matches!(entry.entry, model::Entry::Activated(_))) {
        world.activate();
        world.settle_everything();
    }
    if plan.faults.contains(&Fault::Crash) {
        world.crash();
        world.settle_everything();
    }
    world.rest();
}

impl World {
    fn act_out(&mut self, what: What) {
        match what {
            What::Commit(size) => self.source.commit(size),
            What::Abort => self.abort_one(),
            What::Events(n) => {
                for _ in 0..n {
                    self.event();
                }
            }
            What::Crash => self.crash(),
            What::Cut => self.cut_source(),
            What::LoseSlot => self.lose_slot(),
            What::GoBack(transactions) => self.send_source_back(transactions),
            What::Edit => self.edit_one(),
            What::Delete => self.delete_one(),
            What::Clock(seconds) => self.set_clock(seconds * 1_000_000),
            What::Activate => self.activate(),
            What::ActivateAnother => self.activate_another(),
            What::Answer => drop(self.look_at_holds(false)),
            What::Release => self.release_parked(),
            What::ReadAgain => self.read_a_table_again(),
            What::FillDisk(bytes) => self.leave_on_disk(Some(bytes)),
            What::FreeDisk => self.leave_on_disk(None),
            What::Rot => self.crash_and_rot(),
        }
    }
}

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// A panic of this thread is an answer here, and not printed.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Violation> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                PANICKED.set(Some(info.to_string().replace('\n', " ")));
            } else {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done.map_err(|_| Violation { checker: "panic", what: PANICKED.take().unwrap_or_default() })
}
