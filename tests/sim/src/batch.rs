//! Many seeds, on several threads; one is the same whoever runs it.

use crate::{checkers::Violation, fired::Fired, plan::Plan, run};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// What became of a batch.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// What fired.
    pub fired: Fired,
    /// Events in all histories.
    pub events: u64,
    /// Seeds that broke a promise, in order.
    pub failed: Vec<(u64, Violation)>,
}

/// A batch stops when so many seeds have failed: more teach nothing.
const FAILED_MAX: usize = 10;

/// Runs the seeds from `from` on, until `seeds` are run, or `go_on` says no; it is asked before each, and told how many
/// are done. A seed is never begun out of order.
pub fn run(from: u64, seeds: u64, threads: usize, go_on: &(dyn Fn(u64) -> bool + Sync)) -> Report {
    let (next, report) = (AtomicU64::new(from), Mutex::new(Report::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let (done, failed) = {
                let report = report.lock().unwrap_or_else(PoisonError::into_inner);
                (report.fired.runs, report.failed.len())
            };
            if seed >= from.saturating_add(seeds) || failed >= FAILED_MAX || !go_on(done) {
                return;
            }
            let ran = run::run(&Plan::of(seed));
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            report.fired.take(&ran.history);
            report.events += ran.history.events.len() as u64;
            if let Err(violation) = ran.verdict {
                report.failed.push((seed, violation));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failed.sort_by_key(|(seed, _)| *seed);
    report
}
