//! `cargo x crash`: kills `lockstep run` before each I/O call of a small workload.

use clap::Parser;
use lockstep_crash::{Options, cannot, run};
use std::process::ExitCode;

/// Kills `lockstep run` exactly before each I/O call of a small workload, and checks what comes back.
#[derive(Parser)]
#[command(name = "cargo x crash")]
struct Cli {
    /// So many points, spread over all; all of them when left out.
    #[arg(long)]
    points: Option<usize>,
    /// Which of them: the next number takes their neighbours.
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// One point, as a failure names it.
    #[arg(long, value_name = "SHAPE:NUMBER", conflicts_with_all = ["points", "from"])]
    at: Option<String>,
    /// The report as one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Cli { points, from, at, json } = Cli::parse();
    if let Some(why) = cannot() {
        println!("left out: {why}");
        return ExitCode::SUCCESS;
    }
    let report = run(&Options { points, from, at });
    if json {
        println!("{}", report.json());
    } else {
        for (shape, count) in &report.counted {
            println!("{count:>6} calls in {shape}");
        }
        for (call, times) in &report.killed {
            println!("{times:>6} killed before {call}");
        }
        println!("{} points, {} failed, {:.0} s", report.points(), report.failed.len(), report.seconds);
    }
    if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
