//! A throw-away PostgreSQL: made in a temporary folder, run as a user other than root, gone with the bench.
//!
//! Settings are the server's own but for logical decoding, memory and the distance of checkpoints; fsync stays on.

use crate::{
    outcome::{Failed, Outcome},
    process,
};
use std::{
    env,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The role of everything in here; it may do all.
pub const ROLE: &str = "bench";
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 40
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 30min
autovacuum = off
jit = off
";

/// A running server.
pub struct Cluster {
    root: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    server: Child,
    tokio: tokio::runtime::Runtime,
}

impl Cluster {
    /// Makes and starts one.
    pub fn start() -> Outcome<Cluster> {
        let bin = bin()?;
        let user = user()?;
        let root = tempfile::Builder::new().prefix("lockstep-bench-pg-").tempdir()?;
        fs::set_permissions(root.path(), Permissions::from_mode(0o711))?;
        let data = root.path().join("pg");
        fs::create_dir(&data)?;
        fs::set_permissions(&data, Permissions::from_mode(0o700))?;
        if let Some((uid, gid)) = user {
            chown(&data, Some(uid), Some(gid))?;
        }
        let program = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let made = program("initdb")
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", ROLE, "-D"])
            .arg(&data)
            .status()?;
        if !made.success() {
            return Err(Failed::told(format!("initdb failed ({made})")));
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let own = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n", data.display());
        let conf = data.join("postgresql.conf");
        fs::write(&conf, fs::read_to_string(&conf)? + &own)?;
        let log = fs::File::create(root.path().join("server.log"))?;
        let server = program("postgres").arg("-D").arg(&data).stderr(log).spawn()?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cluster = Cluster { root, bin, port, server, tokio };
        cluster.wait()?;
        Ok(cluster)
    }

    fn wait(&self) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.sql("SELECT 1") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let log = fs::read_to_string(self.root.path().join("server.log")).unwrap_or_default();
                    return Err(Failed::told(format!("PostgreSQL does not start ({error}): {log}")));
                }
                Err(_) => sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Runs one statement (or several in one transaction); the first column of the last result.
    pub fn sql(&self, sql: &str) -> Outcome<Vec<String>> {
        let failed = |error: tokio_postgres::Error| {
            let said = error.as_db_error().map(|said| said.message().to_owned());
            Failed::told(format!("SQL: {}", said.unwrap_or_else(|| error.to_string())))
        };
        self.tokio.block_on(async {
            let config = format!("host=127.0.0.1 port={} user={ROLE} dbname=postgres", self.port);
            let (client, connection) = tokio_postgres::connect(&config, NoTls).await.map_err(failed)?;
            let connection = tokio::spawn(connection);
            let answer = client.simple_query(sql).await.map_err(failed)?;
            let first = |message: SimpleQueryMessage| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            drop(client);
            // The connection ends with its client; how does not matter any more.
            let ended = connection.await;
            drop(ended);
            Ok(answer.into_iter().filter_map(first).collect())
        })
    }

    /// The only value of a statement.
    pub fn value(&self, sql: &str) -> Outcome<String> {
        self.sql(sql)?.pop().ok_or_else(|| Failed::told(format!("no answer to: {sql}")))
    }

    /// `slot` as a fresh copy of `master`: every run drains the very same log.
    pub fn copy_slot(&self, master: &str, slot: &str) -> Outcome<()> {
        self.drop_slot(slot)?;
        self.value(&format!("SELECT lsn FROM pg_copy_logical_replication_slot('{master}', '{slot}')"))?;
        Ok(())
    }

    /// Drops the slot if it is there, as soon as nobody reads it.
    pub fn drop_slot(&self, slot: &str) -> Outcome<()> {
        let sql =
            format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{slot}'");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.sql(&sql) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Reads the log once, so that every run finds it in the page cache.
    pub fn warm(&self) -> Outcome<()> {
        for entry in fs::read_dir(self.root.path().join("pg/pg_wal"))?.flatten() {
            if entry.file_type()?.is_file() {
                fs::read(entry.path())?;
            }
        }
        Ok(())
    }

    /// Where it listens, as a client's host: an address, or the folder of its socket.
    pub fn host(&self, transport: Transport) -> String {
        match transport {
            Transport::Tcp => "127.0.0.1".to_owned(),
            Transport::Unix => self.root.path().join("pg").display().to_string(),
        }
    }

    /// As a connector's URL.
    pub fn url(&self, transport: Transport) -> String {
        match transport {
            Transport::Tcp => format!("postgres://{ROLE}@127.0.0.1:{}/postgres?sslmode=disable", self.port),
            Transport::Unix => {
                format!("postgres://{ROLE}@:{}/postgres?host={}", self.port, self.host(transport))
            }
        }
    }

    /// One of PostgreSQL's own programs, told how to reach this server.
    pub fn program(&self, name: &str, transport: Transport) -> Command {
        let mut command = Command::new(self.bin.join(name));
        let port = self.port.to_string();
        command.args(["-h", &self.host(transport), "-p", &port, "-U", ROLE, "-d", "postgres"]);
        command
    }

    /// CPU of the server's processes for this kind of work, watched while it runs.
    pub fn backends(&self, title: &'static str) -> process::Children {
        process::Children::watch(self.server.id(), title)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw);
        // SIGINT is PostgreSQL's fast shutdown; if that cannot be sent there is only the hard way.
        let told = pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::INT).is_ok());
        if !told && self.server.kill().is_err() {
            return;
        }
        // Nothing is left to do with an error.
        let ended = self.server.wait();
        drop(ended);
    }
}

/// How clients reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// The loopback.
    Tcp,
    /// A socket of this machine.
    Unix,
}

/// The folder of PostgreSQL's programs: `cargo x bench` tells it, else the newest of Debian's.
fn bin() -> Outcome<PathBuf> {
    if let Some(told) = env::var_os("LOCKSTEP_PG_BIN") {
        return Ok(told.into());
    }
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = folders.filter_map(|folder| Some((version(&folder.path())?, folder.path().join("bin")))).max();
    newest.map(|(_, bin)| bin).ok_or_else(|| Failed::told("no PostgreSQL; `cargo x pg --install` installs one"))
}

/// Whom the server runs as; none for ourselves.
fn user() -> Outcome<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let name = env::var("LOCKSTEP_PG_USER").unwrap_or_else(|_| "postgres".to_owned());
    let users = fs::read_to_string("/etc/passwd")?;
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (*fields.first()? == name).then_some(())?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    });
    match found {
        Some(ids) => Ok(Some(ids)),
        None => Err(Failed::told(format!("PostgreSQL refuses root, and there is no user {name}"))),
    }
}
