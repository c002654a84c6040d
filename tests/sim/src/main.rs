//! `cargo x sim`: one seed, told line by line, or many, with what fired.

use clap::Parser;
use lockstep_sim::{batch, fired::Fired, plan::Plan, run, shrink, tell};
use std::{
    io::Write,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Runs the simulator.
#[derive(Parser)]
#[command(name = "cargo x sim", bin_name = "cargo x sim")]
struct Cli {
    /// One seed: its history is printed, and what became of it.
    seed: Option<u64>,
    /// Makes the seed's plan smaller for as long as it breaks the same promise.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// Runs so many seeds instead.
    #[arg(long, conflicts_with = "seed")]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Ends after so many minutes, however many seeds are left; alone: as many seeds as fit.
    #[arg(long, conflicts_with = "seed")]
    minutes: Option<u64>,
    /// Runs so many seeds side by side; as many as there are processors when left out.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints the result as JSON.
    #[arg(long, conflicts_with = "seed")]
    json: bool,
}

/// A batch of so many seeds fires everything; a smaller one only prints what it did not.
const SEEDS_THAT_FIRE_ALL: u64 = 1_500;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.seed {
        Some(seed) => one(seed, cli.shrink),
        None => many(&cli),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Whoever reads may stop to read.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn one(seed: u64, smaller: bool) -> std::io::Result<bool> {
    let (mut plan, mut out) = (Plan::of(seed), std::io::stdout().lock());
    let ran = if smaller {
        let (small, ran, runs) = shrink::shrink(&plan);
        writeln!(out, "{plan}\nsmaller, found in {runs} runs:")?;
        small.acts.iter().try_for_each(|act| writeln!(out, "> {:?}", act.what))?;
        plan = small;
        ran
    } else {
        run::run(&plan)
    };
    write!(out, "{plan}\n{}", tell::lines(&ran.history))?;
    match &ran.verdict {
        Ok(()) => writeln!(out, "every promise holds; history {}", ran.history.hash())?,
        Err(violation) => writeln!(out, "BROKEN {violation}")?,
    }
    Ok(ran.verdict.is_ok())
}

fn many(cli: &Cli) -> std::io::Result<bool> {
    let started = Instant::now();
    let seeds = cli.seeds.unwrap_or(if cli.minutes.is_some() { u64::MAX } else { 200 });
    let threads = cli.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let shown = Mutex::new(Instant::now());
    let go_on = |done: u64| {
        if let Ok(mut shown) = shown.try_lock()
            && shown.elapsed() > Duration::from_secs(2)
        {
            *shown = Instant::now();
            eprintln!("{done} seeds, {:.0} a second", done as f64 / started.elapsed().as_secs_f64());
        }
        cli.minutes.is_none_or(|minutes| started.elapsed() < Duration::from_secs(60 * minutes))
    };
    let report = batch::run(cli.from, seeds, threads, &go_on);
    let seconds = started.elapsed().as_secs_f64();
    let missing = report.fired.missing();
    let complete = missing.is_empty() || report.fired.runs < SEEDS_THAT_FIRE_ALL;
    let mut out = std::io::stdout().lock();
    if cli.json {
        let failed: Vec<_> = report
            .failed
            .iter()
            .map(|(seed, what)| serde_json::json!({"seed": seed, "checker": what.checker, "what": what.what}))
            .collect();
        let (runs, fired) = (report.fired.runs, &report.fired.faults);
        let line = serde_json::json!({"runs": runs, "events": report.events, "seconds": seconds, "threads": threads, "fired": fired, "crashed_behind": report.fired.rows, "missing": missing, "failed": failed});
        writeln!(out, "{line}")?;
    } else {
        told(&mut out, &report.fired, &missing)?;
        let (runs, a_second) = (report.fired.runs, report.fired.runs as f64 / seconds);
        writeln!(
            out,
            "{runs} seeds, {} events, {seconds:.1} s on {threads} threads: {a_second:.0} seeds a second",
            report.events
        )?;
        for (seed, violation) in &report.failed {
            writeln!(
                out,
                "seed {seed} BROKEN {violation}\n  again: cargo x sim {seed}; smaller: cargo x sim {seed} --shrink"
            )?;
        }
    }
    if !complete {
        eprintln!(
            "{} things never happened in {} seeds: a batch proves nothing about them",
            missing.len(),
            report.fired.runs
        );
    }
    Ok(report.failed.is_empty() && complete)
}

fn told(out: &mut impl Write, fired: &Fired, missing: &[String]) -> std::io::Result<()> {
    for (name, runs) in &fired.faults {
        writeln!(out, "{runs:>8}  {name}")?;
    }
    for (row, runs) in &fired.rows {
        writeln!(out, "{runs:>8}  a crash behind: {row}")?;
    }
    writeln!(out, "{:>8}  pairs of faults in one run", fired.pairs.len())?;
    if !missing.is_empty() {
        writeln!(out, "{:>8}  not once: {}", missing.len(), missing.join(", "))?;
    }
    Ok(())
}
