//! `cargo x check`: what can be said without running the engine.

use crate::steps::{Fault, Steps, cargo, works};

/// Options of `cargo x check`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x check           all three\n  cargo x check --quick   without clippy: seconds, not minutes"
)]
pub struct Check {
    /// Leave out clippy, which compiles everything.
    #[arg(long)]
    quick: bool,
}

impl Check {
    /// Runs the checks; what the toolchain lacks is skipped aloud.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        quick(&mut steps)?;
        if !self.quick {
            clippy(&mut steps)?;
        }
        steps.report();
        Ok(())
    }
}

/// Formatting and the rules of the house.
pub fn quick(steps: &mut Steps) -> Result<(), Fault> {
    if works(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), &["fmt", "--version"]) {
        steps.run("fmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    } else {
        steps.skip("fmt", "this toolchain has no rustfmt (rustup component add rustfmt)");
    }
    steps.run("tidy", &mut cargo(&["test", "--quiet", "--package", "lockstep-tidy"]))
}

fn clippy(steps: &mut Steps) -> Result<(), Fault> {
    if !works(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), &["clippy", "--version"]) {
        steps.skip("clippy", "this toolchain has no clippy (rustup component add clippy)");
        return Ok(());
    }
    let features = ["--features", "lockstep-store/sled"];
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets"];
    let arguments = [&arguments[..], &features, &["--", "-D", "warnings"]].concat();
    steps.run("clippy", &mut cargo(&arguments))
}
