//! `cargo x truth`: random SQL and kills, then the journal against `SELECT *` (tests/truth).

use crate::harness;
use crate::steps::{Fault, Steps};

/// Options of `cargo x truth`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x truth                          twenty rounds from a new seed\n  cargo x truth --seed 7 --rounds 200    as a failure prints it\n  cargo x test truth                     the short version, as in CI"
)]
pub struct Truth {
    /// Whose statements; a new one when left out, and it is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds.
    #[arg(long)]
    rounds: Option<u64>,
    /// The report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Truth {
    /// Builds, then runs it in the foreground.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        let mut truth = harness::program(&mut steps, "lockstep-truth", "lockstep-truth")?;
        harness::numbers(&mut truth, [("--seed", self.seed), ("--rounds", self.rounds)]);
        if self.json {
            truth.arg("--json");
        }
        steps.run("truth", &mut truth)
    }
}
