//! `recovery`: from the start of `lockstep run` behind a `kill -9` to its first acknowledgement in the journal.
//!
//! The journal and the store hold about 1 GB each (rows of a table that no map reads), somebody goes on correcting
//! observations, and the page cache is cold: dropped by the kernel where we may ask for it, else file by file. An
//! acknowledgement is counted by the engine when its entry is durable.

use crate::{
    Options,
    figure::{Figure, Run},
    outcome::{Failed, Outcome},
    pipeline::{Clinic, Engine, FILLER, Target},
    process,
};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

const PATIENTS: u64 = 200;
const OBSERVATIONS: u64 = 1_000;
/// Seconds that it may take.
const WANTED: f64 = 2.0;

/// Prints the figure.
pub fn run(options: &Options) -> Outcome<()> {
    let clinic = Clinic::create()?;
    clinic.fill(PATIENTS, OBSERVATIONS)?;
    let target = Target::start()?;
    let mut engine = clinic.configure(&clinic.folder("recovery"), target.base_url())?;
    engine.prepare()?;
    let created = PATIENTS + OBSERVATIONS;
    engine.wait("the first load", Duration::from_secs(120), |status| status["accepted"] == created)?;
    fill(&clinic, &mut engine, options.scaled(1_000_000, 10_000))?;
    let sizes = [bytes(&engine.data().join("journal"))?, bytes(&engine.data().join("store"))?];
    eprintln!("recovery: journal {} MiB, store {} MiB", sizes[0] >> 20, sizes[1] >> 20);
    let stop = AtomicBool::new(false);
    let runs = scope(|scope| {
        let writer = scope.spawn(|| write(&clinic, &stop));
        let runs = kills(options, &mut engine);
        stop.store(true, Ordering::Release);
        let wrote = writer.join().map_err(|_| Failed::told("the writer panicked"))?;
        wrote.and(runs)
    })?;
    engine.stop()?;
    let figure = Figure { bench: "recovery", unit: "s", against: "the limit", target: "<= 1.0 (2 s)" };
    figure.print_alone(options, &runs, WANTED);
    figure.print_equal(options, &runs);
    Ok(())
}

/// Rows of a thousand bytes, until they are journaled and folded.
fn fill(clinic: &Clinic, engine: &mut Engine, rows: u64) -> Outcome<()> {
    for from in (0..rows).step_by(10_000) {
        let ids = format!("generate_series({}, {})", from + 1, from + 10_000);
        clinic.cluster.sql(&format!("INSERT INTO {FILLER} SELECT g, repeat(md5(g::text), 30) FROM {ids} g"))?;
    }
    let seq = |status: &serde_json::Value, field: &str| {
        let text = status[field].as_str().unwrap_or_default().to_owned();
        text.rsplit(':').next().and_then(|seq| seq.parse::<u64>().ok()).unwrap_or_default()
    };
    let limit = Duration::from_secs(120) + Duration::from_micros(rows * 300);
    engine.wait("the filler", limit, |status| {
        seq(status, "journal") >= rows && seq(status, "folding") > seq(status, "journal")
    })
}

/// Corrects an observation now and then, whether the engine is there or not.
fn write(clinic: &Clinic, stop: &AtomicBool) -> Outcome<()> {
    let mut at = 0;
    while !stop.load(Ordering::Acquire) {
        at = at % OBSERVATIONS + 1;
        clinic.cluster.sql(&format!("UPDATE observation SET value = value + 0.5 WHERE observation_id = {at}"))?;
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn kills(options: &Options, engine: &mut Engine) -> Outcome<Vec<Run>> {
    let mut runs = Vec::new();
    let mut how = "";
    for _ in 0..options.runs.max(1) * 2 {
        sleep(Duration::from_secs(1));
        engine.kill()?;
        how = drop_caches(&engine.data())?;
        let started = Instant::now();
        engine.start()?;
        engine.wait("an acknowledgement", Duration::from_secs(60), |status| {
            status["accepted"].as_u64().is_some_and(|accepted| accepted > 0)
        })?;
        runs.push(Run {
            rate: started.elapsed().as_secs_f64(),
            cpu_s_per_million: 0.0,
            rss_mib: process::peak_rss_mib(engine.pid()).unwrap_or_default(),
            peer_cpu_s_per_million: None,
        });
    }
    eprintln!("recovery: the page cache was dropped by {how}");
    Ok(runs)
}

/// Empties the page cache: all of it where we may, else that of the files in `data_dir`. Says which.
fn drop_caches(data: &Path) -> Outcome<&'static str> {
    rustix::fs::sync();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok("/proc/sys/vm/drop_caches");
    }
    for file in files(data)? {
        let file = fs::File::open(file)?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(std::io::Error::from)?;
    }
    Ok("posix_fadvise")
}

fn files(folder: &Path) -> Outcome<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        match entry.file_type()? {
            kind if kind.is_dir() => found.extend(files(&entry.path())?),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(found)
}

fn bytes(folder: &Path) -> Outcome<u64> {
    files(folder)?.iter().map(|file| Ok(fs::metadata(file)?.len())).sum()
}
