//! `cargo x demo`: the whole loop on this machine, temporary.

use crate::peers;
use crate::steps::{Fault, Steps, cargo, root};

/// Options of `cargo x demo`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x demo                a clinic, Lockstep, a FHIR server; Ctrl-C takes them away\n  cargo x demo --rate 20      with users at work, 20 transactions a second\n  cargo x demo --seconds 10   ends by itself"
)]
pub struct Demo {
    /// Users at work: transactions a second.
    #[arg(long)]
    rate: Option<f64>,
    /// End by itself after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// The FHIR server answers like HAPI, not by the specification.
    #[arg(long)]
    hapi: bool,
}

impl Demo {
    /// Builds, then runs it in the foreground.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        let postgres = steps.time("postgresql", peers::ensure)?;
        let packages = ["build", "-p", "lockstep", "-p", "lockstep-sandbox", "-p", "lockstep-e2e", "--bins"];
        steps.run("build", &mut cargo(&packages))?;
        let mut demo = cargo(&["run", "--quiet", "-p", "lockstep-e2e", "--bin", "lockstep-demo", "--"]);
        for (name, value) in [("--rate", self.rate), ("--seconds", self.seconds)] {
            if let Some(value) = value {
                demo.arg(name).arg(value.to_string());
            }
        }
        if self.hapi {
            demo.arg("--hapi");
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
        demo.env("LOCKSTEP_BIN_DIR", target.join("debug"));
        postgres.tell(&mut demo);
        steps.run("demo", &mut demo)
    }
}
