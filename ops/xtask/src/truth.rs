//! `cargo x truth`: random SQL and kills, then the journal against `SELECT *` (tests/truth).

use crate::peers;
use crate::steps::{Fault, Steps, cargo, root};

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
        let postgres = steps.time("postgresql", peers::ensure)?;
        let packages = ["build", "-p", "lockstep", "-p", "lockstep-sandbox", "-p", "lockstep-truth", "--bins"];
        steps.run("build", &mut cargo(&packages))?;
        let mut truth = cargo(&["run", "--quiet", "-p", "lockstep-truth", "--"]);
        let numbers = [("--seed", self.seed), ("--rounds", self.rounds)];
        for (name, value) in numbers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            truth.arg(name).arg(value.to_string());
        }
        if self.json {
            truth.arg("--json");
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
        truth.env("LOCKSTEP_BIN_DIR", target.join("debug"));
        postgres.tell(&mut truth);
        steps.run("truth", &mut truth)
    }
}
