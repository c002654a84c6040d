//! Benches: ours beside a reference on the same data, in the same rounds.
//!
//! Asserts no figure: a bench fails only when its counts do not hold. Every figure is one JSON object a line.
//! Invariants:
//! * Ours and the reference alternate, and each round holds an A/A pair: two equal runs of the reference.
//! * Rows, entries and resources are counted where they arrive; a rate is printed only for what really came.

mod append;
mod capture;
mod cluster;
mod deliver;
mod engine;
mod figure;
mod mapping;
mod outcome;
mod pipeline;
mod process;
mod recovery;
mod rss;
mod snapshot;
mod spawn;
mod workload;

use clap::{Parser, ValueEnum};
use outcome::Outcome;
use std::process::ExitCode;

/// How much of everything, how often, how printed.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Rounds; each holds one run of ours and two of the reference.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Part of the full data: 0.05 for a look, 1 for a figure to quote.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// Only the figures whose name holds this.
    #[arg(long)]
    pub only: Option<String>,
}

impl Options {
    /// Whether a figure is asked for.
    pub fn wants(&self, figure: &str) -> bool {
        self.only.as_ref().is_none_or(|only| figure.contains(only.as_str()))
    }

    /// So many of `full`, at this scale; a multiple of `step`.
    pub fn scaled(&self, full: u64, step: u64) -> u64 {
        ((full as f64 * self.scale / step as f64).round() as u64).max(1) * step
    }
}

/// Benches of Lockstep.
#[derive(Parser)]
#[command(name = "lockstep-bench", bin_name = "cargo x bench")]
struct Cli {
    /// Which; all when left out.
    names: Vec<Bench>,
    #[command(flatten)]
    options: Options,
    /// Be the engine of a bench.
    #[arg(long, hide = true)]
    engine: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Bench {
    /// The embedded journal against raw write and fdatasync of the same bytes.
    Append,
    /// A row to a FHIR Observation, against a template of fixed functions.
    Mapping,
    /// A backlog into the journal, against pg_recvlogical over the same transport.
    Capture,
    /// The first read of a table into the journal, against COPY TO STDOUT.
    Snapshot,
    /// A backlog in PostgreSQL until every resource stands in the sandbox, by the real programs.
    Deliver,
    /// Memory of `lockstep run` over a million changes.
    Rss,
    /// From kill -9 to the next acknowledgement in the journal, with a cold page cache.
    Recovery,
}

impl Bench {
    fn run(self, options: &Options) -> Outcome<()> {
        match self {
            Bench::Append => append::run(options),
            Bench::Mapping => mapping::run(options),
            Bench::Capture => capture::run(options),
            Bench::Snapshot => snapshot::run(options),
            Bench::Deliver => deliver::run(options),
            Bench::Rss => rss::run(options),
            Bench::Recovery => recovery::run(options),
        }
    }
}

/// As the binary `lockstep` has it, since this program is the engine of some benches.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(order) = cli.engine {
        return match engine::run(&order) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("engine: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let names = if cli.names.is_empty() { Bench::value_variants().to_vec() } else { cli.names };
    let mut failed = false;
    for bench in names {
        if let Err(error) = bench.run(&cli.options) {
            eprintln!("bench {bench:?}: {error}");
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
