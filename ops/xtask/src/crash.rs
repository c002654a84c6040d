//! `cargo x crash`: a kill of the real binary before each I/O call that it makes (tests/crash).

use crate::peers;
use crate::steps::{Fault, Steps, cargo, root};

/// Options of `cargo x crash`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x crash                            every call of every shape; about an hour on two cores\n  cargo x crash --points 80 --from 20300   as the tests do on one day\n  cargo x crash --at spec-first:137        one point, as a failure names it\n  cargo x test crash                       the short version, as in CI"
)]
pub struct Crash {
    /// So many points, spread over all; all of them when left out.
    #[arg(long)]
    points: Option<usize>,
    /// Which of them: the next number takes their neighbours.
    #[arg(long, value_name = "K")]
    from: Option<usize>,
    /// One point, as a failure names it.
    #[arg(long, value_name = "SHAPE:NUMBER", conflicts_with_all = ["points", "from"])]
    at: Option<String>,
    /// The report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Crash {
    /// Builds, then enumerates in the foreground.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        let postgres = steps.time("postgresql", peers::ensure)?;
        let packages = ["build", "-p", "lockstep", "-p", "lockstep-sandbox", "-p", "lockstep-crash", "--bins"];
        steps.run("build", &mut cargo(&packages))?;
        let mut crash = cargo(&["run", "--quiet", "-p", "lockstep-crash", "--"]);
        let numbers = [("--points", self.points), ("--from", self.from)];
        for (name, value) in numbers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            crash.arg(name).arg(value.to_string());
        }
        if let Some(at) = &self.at {
            crash.arg("--at").arg(at);
        }
        if self.json {
            crash.arg("--json");
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
        crash.env("LOCKSTEP_BIN_DIR", target.join("debug"));
        postgres.tell(&mut crash);
        steps.run("crash", &mut crash)
    }
}
