//! `deliver`: a backlog in PostgreSQL until every resource of it stands in the sandbox, by the real programs.
//!
//! The engine starts with everything read, its map in force and the backlog before it; the clock runs from the start of
//! its process to the last resource that the sandbox counts. CPU is that of both processes.

use crate::{
    Options,
    figure::{Figure, Run},
    outcome::{Outcome, counted},
    pipeline::{Clinic, SLOT, Target},
    process, spawn,
};
use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

const MASTER: &str = "master";
/// Resources a second that it should reach on two cores.
const WANTED: f64 = 4_000.0;

/// Prints the figure.
pub fn run(options: &Options) -> Outcome<()> {
    let clinic = Clinic::create()?;
    let patients = options.scaled(2_000, 100);
    let observations = options.scaled(98_000, 100);
    let before = clinic.folder("before");
    {
        let target = Target::start()?;
        let mut engine = clinic.configure(&before, target.base_url())?;
        engine.prepare()?;
        engine.stop()?;
    }
    clinic.cluster.copy_slot(SLOT, MASTER)?;
    clinic.fill(patients, observations)?;
    clinic.cluster.sql("CHECKPOINT")?;
    clinic.cluster.warm()?;
    let mut runs = Vec::new();
    for _ in 0..options.runs.max(1) * 2 {
        runs.push(one(&clinic, patients + observations)?);
    }
    let figure = Figure { bench: "deliver", unit: "resources/s", against: "the target", target: ">= 1.0 (4,000/s)" };
    figure.print_alone(options, &runs, WANTED);
    figure.print_equal(options, &runs);
    Ok(())
}

fn one(clinic: &Clinic, resources: u64) -> Outcome<Run> {
    clinic.cluster.copy_slot(MASTER, SLOT)?;
    let folder = clinic.folder("round");
    spawn::copy(&clinic.folder("before"), &folder)?;
    let target = Target::start()?;
    let mut engine = clinic.configure(&folder, target.base_url())?;
    let senders = clinic.cluster.backends("walsender");
    let started = Instant::now();
    engine.start()?;
    let limit = Duration::from_secs(60) + Duration::from_millis(resources);
    while target.puts(201)? < resources && started.elapsed() < limit {
        sleep(Duration::from_millis(20));
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = [engine.pid(), target.pid()].into_iter().filter_map(process::cpu).sum::<Duration>();
    let rss_mib = process::peak_rss_mib(engine.pid()).unwrap_or_default();
    let peer = senders.used();
    counted("resources at the sandbox", target.puts(201)?, resources)?;
    engine.wait("settling", Duration::from_secs(30), |status| {
        status["accepted"] == resources && status["unsettled"] == 0
    })?;
    engine.stop()?;
    fs::remove_dir_all(&folder)?;
    let million = resources as f64 / 1e6;
    Ok(Run {
        rate: resources as f64 / seconds,
        cpu_s_per_million: cpu.as_secs_f64() / million,
        rss_mib,
        peer_cpu_s_per_million: Some(peer.as_secs_f64() / million),
    })
}
