//! Programs of tests/* that run the real binaries: built together with them, told where they and PostgreSQL are.

use crate::peers;
use crate::steps::{Fault, Steps, cargo, root};
use std::process::Command;

/// The program `bin` of `package`, ready to run.
pub fn program(steps: &mut Steps, package: &str, bin: &str) -> Result<Command, Fault> {
    let postgres = steps.time("postgresql", peers::ensure)?;
    let packages = ["build", "-p", "lockstep", "-p", "lockstep-sandbox", "-p", package, "--bins"];
    steps.run("build", &mut cargo(&packages))?;
    let mut program = cargo(&["run", "--quiet", "-p", package, "--bin", bin, "--"]);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    program.env("LOCKSTEP_BIN_DIR", target.join("debug"));
    postgres.tell(&mut program);
    Ok(program)
}

/// `--name value` for each that was told.
pub fn numbers<const N: usize>(program: &mut Command, told: [(&str, Option<u64>); N]) {
    for (name, value) in told {
        if let Some(value) = value {
            program.arg(name).arg(value.to_string());
        }
    }
}
