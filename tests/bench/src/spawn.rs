//! Starts this program again as the engine of a bench, and measures it from outside.

use crate::{
    outcome::{Failed, Outcome},
    process,
};
use postgres::position::Lsn;
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Names slot and publication.
pub const PIPELINE: &str = "bench";
/// The slot that the engine reads, and its publication.
pub const SLOT: &str = "lockstep_bench";
/// The captured table.
pub const TABLE: &str = "public.bench_records";

/// When the engine's work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Everything before this place of the source's log is durable.
    Passed(Lsn),
    /// The table was read whole, and that is durable.
    Ready,
}

/// What the engine is told, on its command line.
pub struct Order {
    /// The source.
    pub url: String,
    /// Where logs and store are.
    pub data: PathBuf,
    /// When it is done.
    pub until: Until,
}

impl Order {
    fn text(&self) -> String {
        let until = match self.until {
            Until::Passed(lsn) => json!(lsn.0),
            Until::Ready => Value::Null,
        };
        json!({"url": self.url, "data": self.data.display().to_string(), "until": until}).to_string()
    }

    /// Reads what `text` wrote.
    pub fn parse(text: &str) -> Outcome<Order> {
        let order: Value = serde_json::from_str(text).map_err(|error| Failed::told(error.to_string()))?;
        let field = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
        let until = order["until"].as_u64().map_or(Until::Ready, |lsn| Until::Passed(Lsn(lsn)));
        Ok(Order { url: field("url"), data: field("data").into(), until })
    }
}

/// What an engine used until its work was done.
pub struct Used {
    /// From the start of its process.
    pub seconds: f64,
    /// CPU seconds.
    pub cpu_s: f64,
    /// The most memory it had.
    pub rss_mib: f64,
}

/// Starts the engine in a process of its own, and stops it when its work is done.
pub fn engine(order: &Order) -> Outcome<Used> {
    let started = Instant::now();
    let mut child = command()?.args(["--engine", &order.text()]).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or_else(|| Failed::told("the engine has no output"))?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_s = process::cpu(child.id()).unwrap_or_default().as_secs_f64();
    let rss_mib = process::peak_rss_mib(child.id()).unwrap_or_default();
    let ended = child.wait()?;
    if line.trim() != "DONE" || !ended.success() {
        return Err(Failed::told(format!("the engine did not finish its work ({ended})")));
    }
    Ok(Used { seconds, cpu_s, rss_mib })
}

/// This program, run by another one where LOCKSTEP_BENCH_UNDER names it (`perf record -g`): for a profile, not a figure.
fn command() -> Outcome<Command> {
    let own = env::current_exe()?;
    let under = env::var("LOCKSTEP_BENCH_UNDER").unwrap_or_default();
    let mut words = under.split_whitespace();
    let Some(first) = words.next() else { return Ok(Command::new(own)) };
    let mut command = Command::new(first);
    command.args(words).arg(own);
    Ok(command)
}

/// A reference program with its output thrown away: seconds, CPU seconds, the most memory it had.
pub fn reference(command: &mut Command) -> Outcome<Used> {
    let (cpu, started) = (process::waited_cpu(), Instant::now());
    let mut peer = command.stdout(Stdio::null()).spawn()?;
    let mut rss_mib = 0.0f64;
    let ended = loop {
        rss_mib = rss_mib.max(process::peak_rss_mib(peer.id()).unwrap_or_default());
        match peer.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if !ended.success() {
        return Err(Failed::told(format!("{}: {ended}", command.get_program().display())));
    }
    Ok(Used { seconds, cpu_s: (process::waited_cpu() - cpu).as_secs_f64(), rss_mib })
}

/// A copy of a `data_dir`.
pub fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
