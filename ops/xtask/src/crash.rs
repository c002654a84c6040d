//! `cargo x crash`: a kill of the real binary before each I/O call that it makes (tests/crash).

use crate::harness;
use crate::steps::{Fault, Steps};

/// Options of `cargo x crash`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x crash                            every call of every shape; about an hour on two cores\n  cargo x crash --points 40 --from 20300   as the tests do on one day\n  cargo x crash --at spec-first:137        one point, as a failure names it\n  cargo x test crash                       the short version, as in CI"
)]
pub struct Crash {
    /// So many points, spread over all; all of them when left out.
    #[arg(long)]
    points: Option<u64>,
    /// Which of them: the next number takes their neighbours.
    #[arg(long, value_name = "K")]
    from: Option<u64>,
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
        let mut crash = harness::program(&mut steps, "lockstep-crash", "lockstep-crash")?;
        harness::numbers(&mut crash, [("--points", self.points), ("--from", self.from)]);
        if let Some(at) = &self.at {
            crash.arg("--at").arg(at);
        }
        if self.json {
            crash.arg("--json");
        }
        steps.run("crash", &mut crash)
    }
}
