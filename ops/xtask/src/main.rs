//! Project tasks: `cargo x demo | check | test | sim | model | crash | truth | fuzz | bench | gen | pg`.
//!
//! Runs other programs and says how long they took; holds no logic of the engine, and nothing depends on it.
//! Every command works from any folder of the checkout and ends with 0 only when each of its steps did.

mod bench;
mod check;
mod crash;
mod demo;
mod fuzz;
mod gen_r4;
mod harness;
mod model;
mod peers;
mod sim;
mod steps;
mod test;
mod truth;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tasks of this project: check, test, measure, generate.
#[derive(Parser)]
#[command(
    name = "cargo x",
    bin_name = "cargo x",
    after_help = "Examples:\n  cargo x demo              the whole loop, to look at\n  cargo x check             formatting, lints, the rules of the house\n  cargo x test              everything, from a fresh clone\n  cargo x test flow         the tests of one crate\n  cargo x sim 4711          one simulated run, told line by line\n  cargo x model             the contracts, every state of them\n  cargo x crash             a kill before every I/O call\n  cargo x truth             random SQL against the journal\n  cargo x fuzz map          one parser under libFuzzer\n  cargo x bench capture     one bench\n  cargo x pg --install      make sure there is a PostgreSQL to test with"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole loop on this machine: a clinic, Lockstep, a FHIR server; temporary.
    Demo(demo::Demo),
    /// Formatting, clippy without warnings, and the rules of the house (tests/tidy).
    Check(check::Check),
    /// Formatting and tidy, then every test; finds or installs PostgreSQL first.
    Test(test::Test),
    /// The exhaustive model of the contracts: no promise breaks with every rule, one does without each.
    Model(model::Model),
    /// Kills `lockstep run` before each I/O call of a small workload, and checks what comes back.
    Crash(crash::Crash),
    /// Random SQL and kills: the journal's fold equals `SELECT *` of every captured table after every round.
    Truth(truth::Truth),
    /// Every parser under libFuzzer: what breaks one is kept in tests/fuzz/found.
    Fuzz(fuzz::Fuzz),
    /// The simulator: one seed told line by line, or many.
    Sim(sim::Sim),
    /// The benches, in release mode: ours beside a reference, alternating on the same data.
    Bench(bench::Bench),
    /// Files that are generated and committed.
    #[command(subcommand)]
    Gen(Gen),
    /// Prints the folder of PostgreSQL's programs that the tests will use.
    Pg(peers::Pg),
}

#[derive(Subcommand)]
enum Gen {
    /// The R4 element table, `schemas/r4/elements.tsv`.
    R4(gen_r4::R4),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Check(check) => check.run(),
        Command::Test(test) => test.run(),
        Command::Model(model) => model.run(),
        Command::Crash(crash) => crash.run(),
        Command::Truth(truth) => truth.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Sim(sim) => sim.run(),
        Command::Bench(bench) => bench.run(),
        Command::Gen(Gen::R4(options)) => gen_r4::run(&options),
        Command::Pg(pg) => pg.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cargo x: {fault}");
            ExitCode::FAILURE
        }
    }
}
