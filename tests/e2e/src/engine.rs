//! The real `lockstep`: its configuration, its commands, the running engine. Keeps everything that it ever printed.

use crate::postgres::{self, PASSWORD, TABLES};
use crate::process::Process;
use crate::target::TOKEN;
use crate::transcript::Transcript;
use crate::{PATIENCE, binaries, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The clinic's map as it is shipped.
pub const MAP: &str = include_str!("../../../schemas/maps/clinic/map.yaml");

/// What a test may choose of `lockstep.toml`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the source.
    pub source_url: String,
    /// Of the sink.
    pub base_url: String,
    /// Of the sink.
    pub profile: String,
    /// Rows of a chunk of the first read.
    pub chunk_rows: u32,
    /// When idle, of both sides.
    pub heartbeat_seconds: u32,
    /// Requests in flight.
    pub concurrency: u32,
    /// Seconds until an answer counts as lost.
    pub request_timeout_seconds: u32,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Bytes of disk that captured rows leave free.
    pub reserve_bytes: u64,
    /// What is captured.
    pub tables: Vec<String>,
    /// Where the logs and the store are; `data` beside the configuration unless a test says otherwise.
    pub data_dir: String,
}

impl Settings {
    /// Small enough that every limit is met in a short test.
    pub fn new(source_url: String, base_url: String, profile: &str) -> Settings {
        Settings {
            source_url,
            base_url,
            profile: profile.to_owned(),
            chunk_rows: 200,
            heartbeat_seconds: 1,
            concurrency: 8,
            request_timeout_seconds: 5,
            segment_bytes: 4 << 20,
            reserve_bytes: 4 << 20,
            tables: TABLES.map(str::to_owned).to_vec(),
            data_dir: "data".to_owned(),
        }
    }

    fn toml(&self) -> String {
        let tables: Vec<String> = self.tables.iter().map(|table| format!("{table:?}")).collect();
        let Settings { source_url, base_url, profile, chunk_rows, heartbeat_seconds, concurrency, .. } = self;
        let Settings { request_timeout_seconds, segment_bytes, reserve_bytes, data_dir, .. } = self;
        let mut out = String::new();
        writeln!(out, "pipeline = \"clinic\"\nsite = \"north\"\nnamespace = {{ file = \"secrets/namespace\" }}")
            .unwrap();
        writeln!(out, "data_dir = \"{data_dir}\"\n[journal]\nsegment_bytes = {segment_bytes}").unwrap();
        writeln!(out, "reserve_bytes = {reserve_bytes}\n[system.legacy]\nmap = \"map.yaml\"").unwrap();
        writeln!(out, "[system.legacy.source]\nkind = \"postgres\"\nurl = \"{source_url}\"").unwrap();
        writeln!(out, "password = {{ file = \"secrets/capture\" }}\ntables = [{}]", tables.join(", ")).unwrap();
        writeln!(out, "synthetic = true\nchunk_rows = {chunk_rows}\nheartbeat_seconds = {heartbeat_seconds}").unwrap();
        writeln!(out, "[system.cloud.sink]\nkind = \"fhir\"\nbase_url = \"{base_url}\"").unwrap();
        writeln!(out, "profile = \"{profile}\"\nstamp_uri = \"https://ids.hospital.example/lockstep/clinic\"").unwrap();
        writeln!(out, "auth = {{ bearer = {{ file = \"secrets/token\" }} }}\nconcurrency = {concurrency}").unwrap();
        writeln!(out, "request_timeout_seconds = {request_timeout_seconds}\nheartbeat_seconds = {heartbeat_seconds}")
            .unwrap();
        out
    }
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Standard output and standard error.
    pub text: String,
}

impl Ran {
    /// Every line that is a JSON object.
    pub fn json(&self) -> Vec<Value> {
        self.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// It must have ended like this.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    /// It must have said this.
    #[track_caller]
    pub fn says(self, what: &str) -> Ran {
        assert!(self.text.contains(what), "`{what}` is not in: {}", self.text);
        self
    }
}

/// A pipeline, running or not.
pub struct Engine {
    folder: PathBuf,
    /// In force at the next start.
    pub settings: Settings,
    /// Variables of the next start.
    pub environment: Vec<(String, String)>,
    running: Option<Process>,
}

impl Engine {
    /// Writes configuration, map and secrets into a folder of its own.
    pub fn create(folder: &Path, settings: Settings) -> Engine {
        std::fs::create_dir_all(folder.join("secrets")).unwrap();
        let engine = Engine { folder: folder.to_owned(), settings, environment: Vec::new(), running: None };
        engine.write("map.yaml", MAP);
        for (name, secret) in
            [("namespace", "6f0e3a52-4c3b-4d57-9a55-0d3a2f8f1b77"), ("capture", PASSWORD), ("token", TOKEN)]
        {
            engine.write(&format!("secrets/{name}"), secret);
        }
        engine
    }

    /// Writes a file beside the configuration, readable by us alone.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        // A process that was just started may be reading it.
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return;
        }
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `data_dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join(&self.settings.data_dir)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.configure();
        self.command_with("lockstep.toml", arguments)
    }

    fn command_with(&self, file: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::folder().join("lockstep"));
        command.arg("--config").arg(self.folder.join(file)).args(arguments);
        command.env_remove("LOCKSTEP_CONFIG").env_remove("LOCKSTEP_KILL_AT").env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Writes the configuration if it is another one; nobody ever reads half of it.
    fn configure(&self) {
        let (path, text) = (self.folder.join("lockstep.toml"), self.settings.toml());
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            self.write("lockstep.toml.new", &text);
            std::fs::rename(self.folder.join("lockstep.toml.new"), path).unwrap();
        }
    }

    /// Runs a command to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(arguments), arguments)
    }

    /// As [`Engine::cli`], with another configuration file in the same folder.
    pub fn cli_with(&self, file: &str, arguments: &[&str]) -> Ran {
        self.ran(self.command_with(file, arguments), arguments)
    }

    fn ran(&self, mut command: Command, arguments: &[&str]) -> Ran {
        let done = command.stdin(Stdio::null()).output().unwrap();
        let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&done.stderr));
        let mut file = std::fs::File::options().create(true).append(true).open(self.said()).unwrap();
        writeln!(file, "$ lockstep {}\n{text}", arguments.join(" ")).unwrap();
        Ran { code: done.status.code().unwrap_or(-1), text }
    }

    /// Puts the map in force.
    pub fn activate(&self) {
        self.cli(&["activate"]).exits(0);
    }

    /// Starts `lockstep run`.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.running = Some(Process::start(&mut self.run_command(), &self.log()));
    }

    /// `lockstep run`, for who starts it in a way of its own; what it prints belongs into [`Engine::log`].
    pub fn run_command(&self) -> Command {
        self.command(&["run", "--log", "json"])
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.running.take() {
            process.kill();
        }
    }

    /// SIGTERM; it must end by itself, and well.
    pub fn stop(&mut self) {
        let Some(mut process) = self.running.take() else { return };
        process.signal(Signal::TERM);
        let status = process.wait(PATIENCE);
        assert!(status.is_some_and(|status| status.success()), "after SIGTERM: {status:?}\n{}", self.log_end());
    }

    /// Waits for its end; its exit code, -1 for a signal.
    pub fn ends(&mut self, limit: Duration) -> i32 {
        let mut process = self.running.take().unwrap();
        match process.wait(limit) {
            Some(status) => status.code().unwrap_or(-1),
            None => panic!("it still runs after {} s\n{}", limit.as_secs(), self.log_end()),
        }
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().is_none_or(|process| process.ended().is_some())
    }

    /// Where everything stands; none while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let done = self.command(&["status", "--json"]).stdin(Stdio::null()).output().ok()?;
        done.status.success().then(|| serde_json::from_slice(&done.stdout).ok()).flatten()
    }

    /// Waits until its status says so; panics when it ends before.
    #[track_caller]
    pub fn wait_status(&mut self, what: &str, limit: Duration, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let mut last = None;
        let mut ended = false;
        let started = std::time::Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.status() {
                if holds(&status) {
                    return status;
                }
                last = Some(status);
            } else if self.has_ended() {
                ended = true;
                break;
            }
            std::thread::sleep(Duration::from_millis(60));
        }
        let last = last.map(|status| status.to_string()).unwrap_or_default();
        panic!("{} ({what})\n{last}\n{}", if ended { "it ended" } else { "waited in vain" }, self.log_end());
    }

    /// Waits until every table is ready, everything up to `lsn` is captured, decided and settled.
    #[track_caller]
    pub fn settle(&mut self, lsn: u64) -> Value {
        self.settle_within(lsn, PATIENCE)
    }

    /// As [`Engine::settle`], with another patience.
    #[track_caller]
    pub fn settle_within(&mut self, lsn: u64, limit: Duration) -> Value {
        let mut quiet = None;
        self.wait_status("everything settled", limit, |status| {
            let settled = is_settled(status, lsn);
            let now = (status["accepted"].clone(), status["unsettled"].clone(), status["parked"].clone());
            let same = settled && quiet.as_ref() == Some(&now);
            quiet = settled.then_some(now);
            same
        })
    }

    /// Waits until the map is in force and answers come.
    pub fn wait_up(&mut self) {
        self.wait_status("the control socket answers", PATIENCE, |_| true);
    }

    /// Waits for words in its log.
    #[track_caller]
    pub fn wait_log(&self, what: &str) {
        wait_for(&format!("`{what}` in the log"), PATIENCE, || self.log_text().contains(what));
    }

    /// All that `run` ever printed here.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log_end(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Where `run` prints to.
    pub fn log(&self) -> PathBuf {
        self.folder.join("run.log")
    }

    fn said(&self) -> PathBuf {
        self.folder.join("commands.log")
    }

    /// Everything that was printed.
    pub fn transcript(&self) -> Transcript {
        Transcript::of(vec![self.log(), self.said()])
    }
}

/// Whether nothing is left to do up to `lsn`. What waits for a row that is not there waits for ever.
pub fn is_settled(status: &Value, lsn: u64) -> bool {
    let source = &status["source"];
    let tables = source["tables"].as_array().is_some_and(|tables| !tables.is_empty());
    let ready = source["tables"].as_array().into_iter().flatten().all(|table| table["ready"] == true);
    let passed = source["passed"].as_str().is_some_and(|passed| passed.contains('/') && postgres::lsn(passed) >= lsn);
    // Folding stands at the next entry.
    let seq = |name: &str| status[name].as_str().and_then(|id| id.split(':').nth(1)?.parse::<u64>().ok());
    let folded = seq("folding").zip(seq("journal")).is_some_and(|(folding, journal)| folding > journal);
    let number = |name: &str| status[name].as_u64().unwrap_or(u64::MAX);
    let quiet = number("in_flight") == 0 && number("unsettled") == number("waiting") && status["blocked"].is_null();
    tables && ready && passed && folded && quiet
}
