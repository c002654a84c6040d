//! A whole pipeline of real programs: PostgreSQL with the test clinic, `lockstep run`, `lockstep-sandbox`.
//!
//! The programs lie beside this one: `cargo x bench` builds them.

use crate::{
    cluster::{Cluster, Transport},
    outcome::{Failed, Outcome},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const CLINIC: &str = include_str!("../../sandbox/clinic.sql");
const MAP: &str = include_str!("../../../schemas/maps/clinic/map.yaml");
const TABLES: [&str; 5] =
    ["public.patient", "public.patient_name", "public.patient_address", "public.encounter", "public.observation"];
/// A table that no map reads: its rows fill journal and shadow, and decide nothing.
pub const FILLER: &str = "public.filler";
/// Slot and publication.
pub const SLOT: &str = "lockstep_clinic";
/// Patients, each with a name; transactions of 100.
const PATIENTS: &str = "\
CREATE PROCEDURE bench_patients(n bigint) LANGUAGE plpgsql AS $$
DECLARE lo bigint := 1; hi bigint;
BEGIN
    WHILE lo <= n LOOP
        hi := least(lo + 99, n);
        INSERT INTO patient (patient_id, mrn, sex, born)
        SELECT g, 'MRN-' || g, CASE g % 2 WHEN 0 THEN 'F' ELSE 'M' END, date '1950-01-01' + (g % 20000)::int
        FROM generate_series(lo, hi) g;
        INSERT INTO patient_name (name_id, patient_id, kind, family, given)
        SELECT g, g, 'L', 'Family' || g, 'Given' || g FROM generate_series(lo, hi) g;
        COMMIT;
        lo := hi + 1;
    END LOOP;
END $$";
/// Observations of those patients; transactions of 100.
const OBSERVATIONS: &str = "\
CREATE PROCEDURE bench_observations(n bigint, patients bigint) LANGUAGE plpgsql AS $$
DECLARE lo bigint := 1; hi bigint;
BEGIN
    WHILE lo <= n LOOP
        hi := least(lo + 99, n);
        INSERT INTO observation (observation_id, patient_id, loinc, label, value, unit, status, taken_at)
        SELECT g, 1 + g % patients, '8867-4', 'Heart rate', 50 + g % 100, '/min', 'F',
            timestamptz '2024-01-01' + g * interval '7 seconds'
        FROM generate_series(lo, hi) g;
        COMMIT;
        lo := hi + 1;
    END LOOP;
END $$";

/// The clinic in its cluster, and the folder of the pipeline.
pub struct Clinic {
    /// The source.
    pub cluster: Cluster,
    root: tempfile::TempDir,
}

impl Clinic {
    /// Tables without rows, and their publication.
    pub fn create() -> Outcome<Clinic> {
        let cluster = Cluster::start()?;
        cluster.sql(CLINIC)?;
        cluster.sql(&format!("CREATE TABLE {FILLER} (id bigint PRIMARY KEY, note text NOT NULL)"))?;
        cluster.sql(PATIENTS)?;
        cluster.sql(OBSERVATIONS)?;
        let tables = TABLES.iter().chain([&FILLER]).copied().collect::<Vec<_>>().join(", ");
        cluster.sql(&format!("CREATE PUBLICATION {SLOT} FOR TABLE {tables}"))?;
        Ok(Clinic { cluster, root: tempfile::Builder::new().prefix("lockstep-bench-").tempdir()? })
    }

    /// A folder of this bench.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Rows that become so many patients and observations.
    pub fn fill(&self, patients: u64, observations: u64) -> Outcome<()> {
        self.cluster.sql(&format!("CALL bench_patients({patients})"))?;
        self.cluster.sql(&format!("CALL bench_observations({observations}, {patients})"))?;
        Ok(())
    }

    /// Configuration, map and secrets, for a server at `base_url`; `data_dir` is the folder's own.
    pub fn configure(&self, folder: &Path, base_url: &str) -> Outcome<Engine> {
        let secrets = folder.join("secrets");
        fs::create_dir_all(&secrets)?;
        let secret = secrets.join("namespace");
        fs::write(&secret, "6f0e3a52-4c3b-4d57-9a55-0d3a2f8f1b77")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        fs::write(folder.join("map.yaml"), MAP)?;
        let tables: Vec<String> = TABLES.iter().chain([&FILLER]).map(|table| format!("{table:?}")).collect();
        let config = format!(
            "pipeline = \"clinic\"\nsite = \"north\"\nnamespace = {{ file = \"secrets/namespace\" }}\ndata_dir = \"data\"\n\
             [system.legacy]\nmap = \"map.yaml\"\n\
             [system.legacy.source]\nkind = \"postgres\"\nurl = \"{}\"\ntables = [{}]\nsynthetic = true\n\
             [system.cloud.sink]\nkind = \"fhir\"\nbase_url = \"{base_url}\"\nprofile = \"sandbox\"\n\
             stamp_uri = \"https://ids.hospital.example/lockstep/clinic\"\n",
            self.cluster.url(Transport::Tcp),
            tables.join(", ")
        );
        fs::write(folder.join("lockstep.toml"), config)?;
        Ok(Engine { folder: folder.to_owned(), running: None })
    }
}

/// One of our programs.
fn program(name: &str) -> Outcome<Command> {
    let beside = env::current_exe()?.with_file_name(name);
    if beside.is_file() {
        return Ok(Command::new(beside));
    }
    let cure = "cargo build --release -p lockstep -p lockstep-sandbox";
    Err(Failed::told(format!("{} is not built; {cure}", beside.display())))
}

/// `lockstep` with its folder.
pub struct Engine {
    folder: PathBuf,
    running: Option<Child>,
}

impl Engine {
    /// `data_dir`.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self) -> Outcome<Command> {
        let mut command = program("lockstep")?;
        command.arg("--config").arg(self.folder.join("lockstep.toml")).stdin(Stdio::null());
        Ok(command)
    }

    /// Starts `lockstep run`.
    pub fn start(&mut self) -> Outcome<()> {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("run.log"))?;
        let mut command = self.command()?;
        command.args(["run", "--log", "json"]).stdout(Stdio::null()).stderr(log);
        self.running = Some(command.spawn()?);
        Ok(())
    }

    /// Puts the map in force.
    pub fn activate(&self) -> Outcome<()> {
        let done = self.command()?.arg("activate").output()?;
        match done.status.success() {
            true => Ok(()),
            false => Err(Failed::told(format!("lockstep activate: {}", String::from_utf8_lossy(&done.stderr)))),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, Child::id)
    }

    /// `lockstep status --json`, asked at its socket; none while it does not answer.
    pub fn status(&self) -> Option<Value> {
        let mut socket = UnixStream::connect(self.data().join("control.sock")).ok()?;
        ask(&mut socket, "/status").ok()
    }

    /// Waits until its status says so.
    pub fn wait(&mut self, what: &str, limit: Duration, done: impl Fn(&Value) -> bool) -> Outcome<()> {
        let deadline = Instant::now() + limit;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            if let Some(status) = self.status() {
                if done(&status) {
                    return Ok(());
                }
                last = status;
            }
            if let Some(ended) = self.running.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                let log = fs::read_to_string(self.folder.join("run.log")).unwrap_or_default();
                let from = log.len().saturating_sub(2_000);
                return Err(Failed::told(format!("lockstep ended ({ended}): {}", log.get(from..).unwrap_or(&log))));
            }
            sleep(Duration::from_millis(10));
        }
        Err(Failed::told(format!("{what} did not come within {} s: {last}", limit.as_secs())))
    }

    /// Every table is read and the map is in force.
    pub fn prepare(&mut self) -> Outcome<()> {
        self.start()?;
        let ready = |status: &Value| {
            let tables = status["source"]["tables"].as_array();
            tables.is_some_and(|tables| !tables.is_empty() && tables.iter().all(|table| table["ready"] == true))
        };
        self.wait("the first read", Duration::from_secs(120), ready)?;
        self.activate()?;
        self.wait("the map", Duration::from_secs(30), |status| status["map"]["name"].is_string())
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> Outcome<()> {
        self.end(Signal::TERM)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Outcome<()> {
        self.end(Signal::KILL)
    }

    fn end(&mut self, signal: Signal) -> Outcome<()> {
        if let Some(mut child) = self.running.take() {
            tell(&child, signal);
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ended = self.kill();
        drop(ended);
    }
}

/// `lockstep-sandbox`, in memory, answering by the specification.
pub struct Target {
    process: Child,
    base_url: String,
}

impl Target {
    /// Starts one on a free port.
    pub fn start() -> Outcome<Target> {
        let mut process = program("lockstep-sandbox")?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = process.stdout.take().ok_or_else(|| Failed::told("the sandbox has no output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        match line.trim().strip_prefix("READY ") {
            Some(url) => Ok(Target { process, base_url: url.to_owned() }),
            None => Err(Failed::told("the sandbox does not start")),
        }
    }

    /// Its FHIR base.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How often it answered a PUT with this status.
    pub fn puts(&self, status: u16) -> Outcome<u64> {
        let host = self.base_url.trim_start_matches("http://").trim_end_matches("/fhir");
        let stats = ask(&mut TcpStream::connect(host)?, "/_stats")?;
        Ok(stats[format!("PUT {status}")].as_u64().unwrap_or_default())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        tell(&self.process, Signal::KILL);
        let ended = self.process.wait();
        drop(ended);
    }
}

fn tell(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may be gone already; the wait that follows knows.
        kill_process(pid, signal).ok();
    }
}

/// A GET over a connection of its own.
fn ask(stream: &mut (impl Read + Write), path: &str) -> Outcome<Value> {
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|error| Failed::told(format!("the answer to {path} is not JSON: {error}")))
}
