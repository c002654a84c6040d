//! Crash enumeration: `lockstep run` is killed exactly before each I/O call of a small workload, started again, and checked.
//!
//! A dry run of each shape ([`shape`]) counts the calls of all threads ([`traced`], [`calls`]); then one life per call, a
//! next one, and the check that every end-to-end test ends with ([`e2e::check`]). A point is named `SHAPE:NUMBER`; threads
//! meet in other orders at every run, so the same number falls before the same call or one nearby.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a harness: its panic is the report of the test")]

pub mod calls;
pub mod point;
pub mod shape;
pub mod traced;

use calls::Call;
use e2e::{Flag, World};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use shape::{SHAPES, Shape};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// What to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// So many points, spread over all; all of them without it.
    pub points: Option<usize>,
    /// Which of them: another start takes the neighbours.
    pub from: usize,
    /// One point by its name, `SHAPE:NUMBER`.
    pub at: Option<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Calls that each shape makes.
    pub counted: BTreeMap<&'static str, u64>,
    /// Calls before which a life was killed, and how often.
    pub killed: BTreeMap<Call, u64>,
    /// Points that failed, with the folder that is kept.
    pub failed: Vec<(String, PathBuf)>,
    /// From the first point to the last.
    pub seconds: f64,
}

impl Report {
    /// How many lives were killed and came back whole.
    pub fn points(&self) -> u64 {
        self.killed.values().sum()
    }

    /// For `--json`.
    pub fn json(&self) -> Value {
        let calls: BTreeMap<String, u64> = self.killed.iter().map(|(call, times)| (call.to_string(), *times)).collect();
        let failed: Vec<Value> = self.failed.iter().map(|(at, kept)| json!({"at": at, "kept": kept})).collect();
        json!({"points": self.points(), "failed": failed, "counted": self.counted, "killed_before": calls,
            "seconds": self.seconds})
    }
}

/// Why no process can be traced here; nothing if one can.
pub fn cannot() -> Option<&'static str> {
    let known = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    (!known).then_some("calls are read from the registers of Linux on x86-64")
}

/// Counts, chooses, kills; both lanes side by side.
pub fn run(options: &Options) -> Report {
    let started = Instant::now();
    let report = Mutex::new(Report::default());
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} left {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    std::thread::scope(|scope| {
        for flag in [Flag::Spec, Flag::Hapi] {
            let (report, bar) = (&report, &bar);
            scope.spawn(move || lane(flag, options, report, bar));
        }
    });
    bar.finish_and_clear();
    let mut report = report.into_inner().unwrap();
    report.seconds = started.elapsed().as_secs_f64();
    report
}

/// The points of one kind of target, one after the other.
fn lane(flag: Flag, options: &Options, report: &Mutex<Report>, bar: &ProgressBar) {
    let mine: Vec<Shape> = SHAPES.into_iter().filter(|shape| shape.flag == flag).collect();
    let mut points = Vec::new();
    let mut world = None;
    if let Some(at) = &options.at {
        let (name, number) = at.split_once(':').unwrap_or((at, "1"));
        let shape = Shape::named(name).unwrap_or_else(|| panic!("there is no shape `{name}`"));
        let number = number.parse().unwrap_or_else(|_| panic!("`{number}` is no number of a call"));
        points.extend((shape.flag == flag).then_some((shape, number)));
    } else {
        let world = world.get_or_insert_with(|| shape::world(flag));
        for shape in mine {
            let count = point::count(world, shape).count;
            report.lock().unwrap().counted.insert(shape.name, count);
            points.extend((1..=count).map(|number| (shape, number)));
        }
        // Half of them is this lane's.
        points = spread(points, options.points.map(|wanted| wanted.div_ceil(2)), options.from);
    }
    bar.inc_length(points.len() as u64);
    for (shape, number) in points {
        let mut there = world.take().unwrap_or_else(|| shape::world(flag));
        match catch_unwind(AssertUnwindSafe(|| point::kill(&mut there, shape, number))) {
            Ok(call) => {
                *report.lock().unwrap().killed.entry(call).or_default() += 1;
                world = Some(there);
            }
            Err(_) => {
                let at = format!("{}:{number}", shape.name);
                let kept = keep(&there, &at);
                bar.suspend(|| {
                    println!("FAILED at {at}: cargo x crash --at {at}\n  kept: {}", kept.display());
                });
                report.lock().unwrap().failed.push((at, kept));
            }
        }
        bar.inc(1);
    }
}

/// So many of them, evenly; `from` moves the choice by one.
fn spread<T: Clone>(all: Vec<T>, wanted: Option<usize>, from: usize) -> Vec<T> {
    let Some(wanted) = wanted.filter(|wanted| *wanted < all.len()) else { return all };
    (0..wanted).map(|n| all[(from + n * all.len() / wanted) % all.len()].clone()).collect()
}

/// Configuration, data and outputs of a failed point, for whoever looks for the reason.
fn keep(world: &World, at: &str) -> PathBuf {
    let to = std::env::temp_dir().join(format!("lockstep-crash-{}", at.replace(':', "-")));
    std::fs::remove_dir_all(&to).ok();
    let copied = Command::new("cp").arg("-a").arg(world.folder()).arg(&to).status();
    if copied.is_ok_and(|status| status.success()) { to } else { Path::new("nothing").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_choice_is_spread_and_moves_with_its_start() {
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(spread(all.clone(), None, 3), all);
        assert_eq!(spread(all.clone(), Some(5), 0), [0, 2, 4, 6, 8]);
        assert_eq!(spread(all.clone(), Some(5), 1), [1, 3, 5, 7, 9]);
        assert_eq!(spread(all, Some(4), 9), [9, 1, 4, 6]);
    }
}
