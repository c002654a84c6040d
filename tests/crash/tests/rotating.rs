//! Some of the points on every run of the tests; another choice every day.

use lockstep_crash::{Options, cannot, run};
use std::time::{SystemTime, UNIX_EPOCH};

/// About two seconds each: 80 were a fifth of the whole run on two cores.
const POINTS: usize = 40;

/// `LOCKSTEP_CRASH_FROM`, or the day.
fn from() -> usize {
    let told = std::env::var("LOCKSTEP_CRASH_FROM").ok().and_then(|text| text.parse().ok());
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    told.unwrap_or(usize::try_from(days).unwrap_or(0))
}

#[test]
fn a_kill_before_any_io_call_changes_nothing() {
    let _timed = e2e::Timed::new("crash points");
    if let Some(why) = cannot() {
        println!("left out: {why}");
        return;
    }
    let from = from();
    let points = if e2e::long() { None } else { Some(POINTS) };
    println!("cargo x crash --points {POINTS} --from {from}");
    let report = run(&Options { points, from, at: None });
    println!("{}", report.json());
    assert!(report.failed.is_empty() && report.points() >= POINTS as u64, "{}", report.json());
}
