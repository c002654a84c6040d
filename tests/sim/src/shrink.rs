//! Makes a failing plan smaller for as long as the same promise is broken: acts are dropped, ever fewer at a time, faults and
//! features are switched off, numbers are halved.

use crate::{
    checkers::Violation,
    plan::{Plan, What},
    run::{self, Ran},
};

/// Runs that a minimiser may take.
const RUNS_MAX: usize = 3_000;

/// The smallest plan that was found, its run, and in how many runs.
pub fn shrink(plan: &Plan) -> (Plan, Ran, usize) {
    let ran = run::run(plan);
    let Err(violation) = ran.verdict.clone() else { return (plan.clone(), ran, 1) };
    let mut smallest = Smallest { violation, plan: plan.clone(), ran, runs: 1 };
    loop {
        let before = smallest.plan.clone();
        smallest.drop_acts();
        smallest.switch_off();
        smallest.halve();
        if smallest.plan == before || smallest.runs >= RUNS_MAX {
            return (smallest.plan, smallest.ran, smallest.runs);
        }
    }
}

struct Smallest {
    violation: Violation,
    plan: Plan,
    ran: Ran,
    runs: usize,
}

impl Smallest {
    /// Takes the smaller plan if it fails alike.
    fn try_one(&mut self, plan: Plan) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let ran = run::run(&plan);
        let alike = ran.verdict.as_ref().is_err_and(|found| is_alike(&self.violation, found));
        if alike {
            (self.plan, self.ran) = (plan, ran);
        }
        alike
    }

    fn drop_acts(&mut self) {
        let mut size = self.plan.acts.len().max(1);
        loop {
            let mut from = 0;
            while from < self.plan.acts.len() {
                let mut plan = self.plan.clone();
                plan.acts.drain(from..(from + size).min(plan.acts.len()));
                // What follows slides into the place of what was dropped.
                from += if self.try_one(plan) { 0 } else { size };
            }
            if size == 1 {
                return;
            }
            size /= 2;
        }
    }

    fn switch_off(&mut self) {
        for fault in self.plan.faults.clone() {
            let mut plan = self.plan.clone();
            plan.faults.remove(&fault);
            self.try_one(plan);
        }
        for feature in self.plan.features.clone() {
            let mut plan = self.plan.clone();
            plan.features.remove(&feature);
            self.try_one(plan);
        }
    }

    fn halve(&mut self) {
        for at in 0..self.plan.acts.len() {
            while let Some(half) = half(self.plan.acts[at].what) {
                let mut plan = self.plan.clone();
                plan.acts[at].what = half;
                if !self.try_one(plan) {
                    break;
                }
            }
        }
    }
}

fn half(what: What) -> Option<What> {
    match what {
        What::Commit(n @ 2..) => Some(What::Commit(n / 2)),
        What::Events(n @ 1..) => Some(What::Events(n / 2)),
        _ => None,
    }
}

/// The same promise; of panics, the same place in the code.
fn is_alike(one: &Violation, other: &Violation) -> bool {
    let place = |violation: &Violation| violation.what.split(": ").next().map(str::to_owned);
    one.checker == other.checker && (one.checker != "panic" || place(one) == place(other))
}
