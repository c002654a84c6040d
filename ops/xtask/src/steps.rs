//! Steps: programs run one after the other, each with its name and its duration.
//!
//! Never reads standard input: a tool that asks would hang CI.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Why a task stopped; each names the next act.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The step ran and said no.
    #[error("step `{name}` failed ({status}); run it alone: {command}")]
    Failed { name: String, status: ExitStatus, command: String },
    /// The program could not be started.
    #[error("cannot start `{program}`: {source}; is it installed and on PATH?")]
    NotStarted { program: String, source: std::io::Error },
    /// A name that is none of ours.
    #[error("there is no {what} `{name}`; there are: {known}")]
    Unknown { what: &'static str, name: String, known: String },
    /// A file or folder of ours could not be made.
    #[error("{act} {}: {source}", path.display())]
    File { act: &'static str, path: PathBuf, source: std::io::Error },
    /// There is no PostgreSQL, and we could not get one.
    #[error(
        "no PostgreSQL to test with: {why}\n  install Debian's `postgresql-15`, or set LOCKSTEP_PG_BIN to the folder that holds initdb, pg_ctl and postgres"
    )]
    NoPostgres { why: String },
}

/// The steps of one task, with what they took.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Runs `command` to its end; the first step that fails ends the task.
    pub fn run(&mut self, name: &str, command: &mut Command) -> Result<(), Fault> {
        eprintln!("-- {name}");
        let started = Instant::now();
        run(name, command)?;
        self.done.push((name.to_owned(), started.elapsed()));
        Ok(())
    }

    /// Counts the time of something that is not one program.
    pub fn time<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let started = Instant::now();
        let made = work()?;
        self.done.push((name.to_owned(), started.elapsed()));
        Ok(made)
    }

    /// Says that a step was left out, and why: silence would look like success.
    pub fn skip(&mut self, name: &str, why: &str) {
        eprintln!("-- {name}: skipped, {why}");
    }

    /// Prints what each step took.
    pub fn report(&self) {
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        for (name, took) in &self.done {
            eprintln!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        eprintln!("{:>8.1} s  together", total.as_secs_f64());
    }
}

/// Runs one program without input; not ending with 0 is a fault.
pub fn run(name: &str, command: &mut Command) -> Result<(), Fault> {
    let status = command.stdin(Stdio::null()).status().map_err(|source| not_started(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::Failed { name: name.to_owned(), status, command: spelled(command) })
}

/// Whether the program starts and ends with 0; its output is dropped.
pub fn works(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The cargo that runs us, in the root of the checkout.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// The root of the checkout that xtask was built in.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("ops/xtask lies two folders below the root")
}

fn not_started(command: &Command, source: std::io::Error) -> Fault {
    Fault::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn spelled(command: &Command) -> String {
    let program =
        Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| format!("{line} {}", argument.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_names_the_command_to_run_alone() {
        let fault = run("no", &mut Command::new("false")).unwrap_err();
        assert!(fault.to_string().contains("run it alone: false"), "{fault}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let fault = run("none", &mut Command::new("no-such-program-here")).unwrap_err();
        assert!(fault.to_string().contains("`no-such-program-here`"), "{fault}");
    }
}
