//! `cargo x bench`: runs tests/bench in release mode.

use crate::peers;
use crate::steps::{Fault, Steps, cargo};

/// Options of `cargo x bench`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x bench                     all of them\n  cargo x bench capture --json      one, an object a line\n  cargo x bench store               redb and sled over the same steps, as text\n  cargo x bench append -- --runs 5  what stands behind `--` goes to the bench"
)]
pub struct Bench {
    /// The bench to run; all of them when left out.
    name: Option<String>,
    /// One object a line: bench, ours, reference, ratio, cpu_s_per_million, rss_mib, runs.
    #[arg(long)]
    json: bool,
    /// Handed on to the bench as it stands.
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Bench {
    /// Builds, then measures; the build is not part of any figure.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        if self.name.as_deref() == Some("store") {
            // Two stores and nothing else of the engine: an example of their crate, with the feature that brings the second.
            let package = ["--package", "lockstep-store", "--features", "sled", "--example", "measure"];
            return steps.run("store", cargo(&["run", "--quiet", "--release"]).args(package));
        }
        let postgres = steps.time("postgresql", peers::ensure)?;
        let packages = ["--package", "lockstep-bench", "--package", "lockstep", "--package", "lockstep-sandbox"];
        steps.run("build", cargo(&["build", "--release"]).args(packages))?;
        let mut bench = cargo(&["run", "--quiet", "--release", "--package", "lockstep-bench", "--"]);
        bench.args(&self.name);
        if self.json {
            bench.arg("--json");
        }
        bench.args(&self.rest);
        postgres.tell(&mut bench);
        steps.run("bench", &mut bench)?;
        steps.report();
        Ok(())
    }
}
