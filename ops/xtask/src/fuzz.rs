//! `cargo x fuzz`: every parser under libFuzzer, on the toolchain that builds everything else.
//!
//! The program is a workspace of its own (`tests/fuzz/libfuzzer`) in a target folder of its own; it wants a C++ compiler. No
//! sanitizer and so no nightly: our code has no `unsafe`. What is found is written to `tests/fuzz/found/TARGET/`, where
//! `cargo x test fuzz` reads it for ever.

use crate::steps::{Fault, Steps, cargo, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes the coverage that libFuzzer is led by, as cargo-fuzz has it.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Options of `cargo x fuzz`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x fuzz                        every target for a minute each\n  cargo x fuzz map --seconds 600      one target\n  cargo x fuzz --list                 their names\n  cargo x test fuzz                   the short version without libFuzzer, as in CI"
)]
pub struct Fuzz {
    /// Targets by name; all of them when left out.
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Prints the names of the targets and ends.
    #[arg(long)]
    list: bool,
}

impl Fuzz {
    /// Builds, then runs one target after the other; the first that breaks ends it.
    pub fn run(&self) -> Result<(), Fault> {
        let known = targets();
        if self.list {
            known.iter().for_each(|name| println!("{name}"));
            return Ok(());
        }
        if let Some(unknown) = self.targets.iter().find(|name| !known.contains(name)) {
            return Err(Fault::Unknown { what: "target", name: unknown.clone(), known: known.join(", ") });
        }
        let mut steps = Steps::default();
        let program = build(&mut steps)?;
        for name in if self.targets.is_empty() { &known } else { &self.targets } {
            steps.run(name, &mut self.libfuzzer(&program, name)?)?;
        }
        steps.report();
        Ok(())
    }

    fn libfuzzer(&self, program: &Path, name: &str) -> Result<Command, Fault> {
        // What libFuzzer keeps is ours alone; what breaks a promise is for the repository.
        let corpus = folder(root().join("target/fuzz/corpus").join(name))?;
        let found = folder(root().join("tests/fuzz/found").join(name))?;
        let mut command = Command::new(program);
        command.env("LOCKSTEP_FUZZ", name).env("LOCKSTEP_FUZZ_SEEDS", &corpus);
        command.arg(&corpus).arg(&found).arg(format!("-artifact_prefix={}/", found.display()));
        command.arg(format!("-max_total_time={}", self.seconds));
        command.args(["-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=10", "-verbosity=1", "-max_len=4096"]);
        Ok(command)
    }
}

/// The names in `tests/fuzz/src/lib.rs`.
fn targets() -> Vec<String> {
    const TARGETS: &str = include_str!("../../../tests/fuzz/src/lib.rs");
    let name = |line: &str| line.trim().strip_prefix("Target { name: \"")?.split('"').next().map(str::to_owned);
    TARGETS.lines().filter_map(name).collect()
}

fn build(steps: &mut Steps) -> Result<PathBuf, Fault> {
    let (host, into) = (host(), root().join("target/fuzz"));
    let mut build = cargo(&["build", "--release", "--manifest-path", "tests/fuzz/libfuzzer/Cargo.toml"]);
    // Told the target, cargo keeps the flags from build scripts and macros.
    build.args(["--target", &host]).arg("--target-dir").arg(&into).env("RUSTFLAGS", COVERAGE);
    steps.run("build", &mut build)?;
    Ok(into.join(host).join("release/lockstep-libfuzzer"))
}

/// What this machine is called.
fn host() -> String {
    let arch = std::env::consts::ARCH;
    format!("{arch}-unknown-linux-gnu")
}

fn folder(path: PathBuf) -> Result<PathBuf, Fault> {
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(Fault::File { act: "cannot make", path, source }),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_targets_are_read_from_their_list() {
        let names = super::targets();
        assert!(names.len() > 20 && names.iter().any(|name| name == "pg_pgoutput"), "{names:?}");
    }
}
