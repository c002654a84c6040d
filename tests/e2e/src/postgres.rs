//! A real PostgreSQL in a temporary folder, on a port and a unix socket of its own, as an ordinary user.
//!
//! `fsync` is as PostgreSQL ships it. The superuser `clinic` comes by the socket without a password; everybody who comes by
//! TCP needs one, and so does `capture`, the role that Lockstep is given.

use crate::{PATIENCE, process::Process, process::free_port, target::Jdbc, wait_for};
use rustix::process::Signal;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The password of `capture`; appears in no output.
pub const PASSWORD: &str = "CANARY-password-4711";
/// What every text of a patient carries; appears in no output.
pub const CANARY: &str = "CANARY";
/// With what every row key begins; appears in no output.
pub const KEY_CANARY: &str = "77000000";
/// The captured tables.
pub const TABLES: [&str; 5] =
    ["public.patient", "public.patient_name", "public.patient_address", "public.encounter", "public.observation"];

/// Marks every text that a writer puts in, keeps what was deleted, and lets keys begin where a search finds them.
const MARKS_SQL: &str = "
CREATE FUNCTION mark_patient() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.mrn := 'CANARY-' || NEW.mrn; NEW.notes := 'CANARY-' || NEW.notes; RETURN NEW; END $$;
CREATE FUNCTION mark_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.family := 'CANARY-' || replace(NEW.family, 'CANARY-', ''); NEW.given := 'CANARY-' || replace(NEW.given, 'CANARY-', '');
  RETURN NEW; END $$;
CREATE FUNCTION mark_address() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.street := 'CANARY-' || replace(NEW.street, 'CANARY-', ''); RETURN NEW; END $$;
CREATE FUNCTION mark_observation() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.note := 'CANARY-' || NEW.note; NEW.label := 'CANARY-' || NEW.label; RETURN NEW; END $$;
CREATE TRIGGER mark BEFORE INSERT ON patient FOR EACH ROW EXECUTE FUNCTION mark_patient();
CREATE TRIGGER mark BEFORE INSERT OR UPDATE ON patient_name FOR EACH ROW EXECUTE FUNCTION mark_name();
CREATE TRIGGER mark BEFORE INSERT OR UPDATE ON patient_address FOR EACH ROW EXECUTE FUNCTION mark_address();
CREATE TRIGGER mark BEFORE INSERT ON observation FOR EACH ROW EXECUTE FUNCTION mark_observation();
CREATE TABLE deleted_observation (LIKE observation);
CREATE FUNCTION keep_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO deleted_observation SELECT OLD.*; RETURN NULL; END $$;
CREATE TRIGGER keep AFTER DELETE ON observation FOR EACH ROW EXECUTE FUNCTION keep_deleted();
INSERT INTO patient (patient_id, mrn, sex, born) VALUES (770000000001, 'MRN-first', 'F', '1950-02-03');
INSERT INTO patient_name VALUES (770000000002, 770000000001, 'L', 'First', 'Nomen');
";

/// A cluster with the clinic in it.
pub struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
    server: Option<Process>,
}

impl Cluster {
    /// A running cluster with an empty database `ehr` and the role `capture`.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::create();
        cluster.up();
        cluster
    }

    /// Made and not started.
    pub fn create() -> Cluster {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("ls-pg-").tempdir().unwrap();
        // PostgreSQL runs as another user when we are root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let cluster = Cluster { folder, programs, port: free_port(), settings: Vec::new(), server: None };
        let data = cluster.data();
        let mut initdb = as_user(&cluster.programs.join("initdb"));
        initdb.args(["-D", &data, "-U", "clinic", "-E", "UTF8", "--no-locale", "--no-sync"]);
        initdb.args(["--auth-local", "trust", "--auth-host", "scram-sha-256"]);
        let done = initdb.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
        cluster
    }

    /// The whole clinic: tables, marks, the role's grants, the publication as a DBA would make it.
    pub fn clinic() -> Cluster {
        let cluster = Cluster::start();
        cluster.sql("postgres", "CREATE DATABASE ehr");
        cluster.run(sandbox::CLINIC_SQL);
        cluster.run(MARKS_SQL);
        cluster.run(&format!("CREATE ROLE capture LOGIN REPLICATION PASSWORD '{PASSWORD}'"));
        cluster.run(&format!("GRANT SELECT ON {} TO capture", TABLES.join(", ")));
        cluster.run(&format!("CREATE PUBLICATION lockstep_clinic FOR TABLE {}", TABLES.join(", ")));
        cluster
    }

    /// A database of its own for a HAPI.
    pub fn database_for_hapi(&self) -> Jdbc {
        self.run(&format!("CREATE ROLE hapi LOGIN PASSWORD '{PASSWORD}'"));
        self.sql("postgres", "CREATE DATABASE fhir OWNER hapi");
        let url = format!("jdbc:postgresql://127.0.0.1:{}/fhir", self.port);
        Jdbc { url, user: "hapi".to_owned(), password: PASSWORD.to_owned() }
    }

    /// Starts the server, or starts it again; a killed one may still be dying.
    pub fn up(&mut self) {
        let log = self.folder.path().join("log");
        for _ in 0..50 {
            let mut command = as_user(&self.programs.join("postgres"));
            command.args(["-D", &self.data(), "-p", &self.port.to_string(), "-k", &self.socket_dir()]);
            for (name, value) in
                [("listen_addresses", "127.0.0.1"), ("wal_level", "logical"), ("max_wal_size", "256MB")]
            {
                command.args(["-c", &format!("{name}={value}")]);
            }
            // The last word wins.
            for (name, value) in &self.settings {
                command.args(["-c", &format!("{name}={value}")]);
            }
            let mut server = Process::start(&mut command, &log);
            let started = std::time::Instant::now();
            while server.ended().is_none() && started.elapsed() < PATIENCE {
                if self.try_sql("postgres", "SELECT 1").is_ok() {
                    self.server = Some(server);
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(30));
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("PostgreSQL does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// `kill -9` of the whole server.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// A fast shutdown: clients are cut, everything is written.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::INT);
            assert!(server.wait(PATIENCE).is_some(), "PostgreSQL does not stop");
        }
    }

    /// Another setting from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// As `ALTER SYSTEM` and a reload.
    pub fn alter(&self, setting: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET {setting}"));
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Runs statements in the clinic as its owner.
    pub fn run(&self, sql: &str) {
        self.sql("ehr", sql);
    }

    /// The only value of a query in the clinic; the empty text for null.
    pub fn value(&self, sql: &str) -> String {
        self.rows(sql).first().and_then(|row| row.first().cloned()).unwrap_or_default()
    }

    /// Every row of a query in the clinic, as texts.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.sql("ehr", sql)
    }

    /// Where the log ends.
    pub fn lsn(&self) -> u64 {
        lsn(&self.value("SELECT pg_current_wal_insert_lsn()"))
    }

    /// For [`sandbox::Writer`], through the unix socket.
    pub fn writer_url(&self) -> String {
        format!("host={} port={} user=clinic dbname=ehr", self.socket_dir(), self.port)
    }

    /// For `lockstep.toml`, over TCP.
    pub fn tcp_url(&self) -> String {
        format!("postgres://capture@127.0.0.1:{}/ehr?sslmode=disable", self.port)
    }

    /// For `lockstep.toml`, through the unix socket.
    pub fn socket_url(&self) -> String {
        format!("postgres://capture@:{}/ehr?host={}", self.port, self.socket_dir())
    }

    fn sql(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        self.try_sql(database, sql).unwrap_or_else(|fault| panic!("{fault}: {sql}"))
    }

    /// What the server says to it.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let url = format!("host={} port={} user=clinic dbname={database}", self.socket_dir(), self.port);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(async move { connection.await.ok() });
            client.simple_query(sql).await
        });
        let messages = done.map_err(|fault| match fault.as_db_error() {
            Some(told) => told.message().to_owned(),
            None => fault.to_string(),
        })?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    fn socket_dir(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Waits until nobody streams: a cut walsender is noticed a little later.
    pub fn wait_unused_slot(&self) {
        wait_for("the slot to be free", PATIENCE, || {
            self.value("SELECT count(*) FROM pg_replication_slots WHERE active") == "0"
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Without a checkpoint, but with its children: kill -9 would leave them to find out by themselves.
        if let Some(server) = &mut self.server {
            server.signal(Signal::QUIT);
            server.wait(std::time::Duration::from_secs(10));
        }
    }
}

/// `16/B374D848` as a number.
pub fn lsn(text: &str) -> u64 {
    let part = |part: &str| u64::from_str_radix(part, 16).ok();
    let parsed = text.split_once('/').and_then(|(high, low)| Some((part(high)? << 32) | part(low)?));
    parsed.unwrap_or_else(|| panic!("not a position: {text}"))
}

/// LOCKSTEP_PG_BIN, or the newest of Debian's folders.
fn programs() -> PathBuf {
    let told = std::env::var_os("LOCKSTEP_PG_BIN").map(PathBuf::from);
    let newest = || {
        let folders = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let versions = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
        Some(PathBuf::from(format!("/usr/lib/postgresql/{}/bin", versions.max()?)))
    };
    let programs = told.or_else(newest).unwrap_or_default();
    assert!(programs.join("initdb").exists(), "no PostgreSQL: run `cargo x test e2e`, or set LOCKSTEP_PG_BIN");
    programs
}

/// PostgreSQL refuses root.
fn as_user(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !root {
        return Command::new(program);
    }
    let user = std::env::var("LOCKSTEP_PG_USER").unwrap_or_else(|_| "postgres".to_owned());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program).current_dir("/");
    command
}
