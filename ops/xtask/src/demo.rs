//! `cargo x demo`: the whole loop on this machine, temporary.

use crate::harness;
use crate::steps::{Fault, Steps};

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
        let mut demo = harness::program(&mut steps, "lockstep-e2e", "lockstep-demo")?;
        for (name, value) in [("--rate", self.rate), ("--seconds", self.seconds)] {
            if let Some(value) = value {
                demo.arg(name).arg(value.to_string());
            }
        }
        if self.hapi {
            demo.arg("--hapi");
        }
        steps.run("demo", &mut demo)
    }
}
