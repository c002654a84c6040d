//! A PostgreSQL of the test's own: in a temporary directory, on a free port, as a user that may, gone when the test is.
//!
//! A shell stands between: it stops the server when its standard input closes, so even a test that is killed leaves nothing.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
wal_level = logical
max_replication_slots = 60
max_wal_senders = 60
max_connections = 200
max_prepared_transactions = 5
shared_buffers = 32MB
log_min_messages = warning
# Sessions that set synchronous_commit = on wait for a standby that never comes.
synchronous_standby_names = 'nobody'
synchronous_commit = local
";

/// A running server.
pub struct Cluster {
    pub bin: PathBuf,
    pub dir: PathBuf,
    pub port: u16,
    /// Whether it speaks TLS: not every build can.
    pub tls: bool,
    guard: Child,
}

/// The cluster of this test binary; none, with the reason printed, where there is no PostgreSQL.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start("")).as_ref()
}

fn find() -> Option<PathBuf> {
    let told = std::env::var_os("LOCKSTEP_PG_BIN").map(PathBuf::from);
    let debian =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    told.into_iter().chain(debian).find(|bin| bin.join("initdb").is_file())
}

/// User and group number of whoever runs the server: PostgreSQL refuses root.
fn user() -> Option<(u32, u32)> {
    let id = |flag: &str, who: &[&str]| {
        let output = Command::new("id").arg(flag).args(who).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id("-u", &[])? != 0 {
        return None;
    }
    let told = std::env::var("LOCKSTEP_PG_USER").unwrap_or_else(|_| "postgres".to_owned());
    Some((id("-u", &[&told])?, id("-g", &[&told])?))
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command.current_dir("/").env_remove("LC_ALL").env("LANG", "C.UTF-8");
    command
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Cluster {
    /// Makes and starts one; `settings` come last and so hold.
    pub fn start(settings: &str) -> Option<Cluster> {
        let Some(bin) = find() else {
            println!("skipped: no PostgreSQL here (LOCKSTEP_PG_BIN, or /usr/lib/postgresql)");
            return None;
        };
        let made = command(Path::new("mktemp")).args(["-d", "/tmp/lockstep-pg-XXXXXX"]).output().expect("mktemp");
        let dir = PathBuf::from(String::from_utf8(made.stdout).expect("a path").trim());
        let data = dir.join("data");
        succeed(
            command(&bin.join("initdb"))
                .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
                .arg(&data),
        );
        let host = "host all scram 127.0.0.1/32 scram-sha-256\nhostssl all tls 127.0.0.1/32 trust\nhost all tls 127.0.0.1/32 reject\n";
        let trust = "local all all trust\nhost all all 127.0.0.1/32 trust\n";
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        write(&data.join("pg_hba.conf"), &format!("{host}{trust}"));
        let sockets = dir.display();
        let tls = command(&bin.join("postgres")).args(["-C", "ssl", "-c", "ssl=on", "-D"]).arg(&data).output();
        let tls = tls.is_ok_and(|asked| asked.status.success());
        let ssl = if tls { "ssl = on" } else { "" };
        write(
            &data.join("postgresql.auto.conf"),
            &format!("{SETTINGS}{ssl}\nport = {port}\nunix_socket_directories = '{sockets}'\n{settings}\n"),
        );
        if tls {
            certificate(&data, &dir);
        }
        let script =
            "\"$0\" -D \"$1\" >\"$2/log\" 2>&1 & server=$!; read -r _; kill -INT $server; wait $server; rm -rf \"$2\"";
        let guard = command(Path::new("sh"))
            .args(["-c", script])
            .arg(bin.join("postgres"))
            .arg(&data)
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let cluster = Cluster { bin, dir, port, tls, guard };
        cluster.wait();
        Some(cluster)
    }

    fn wait(&self) {
        let since = Instant::now();
        while std::os::unix::net::UnixStream::connect(self.dir.join(format!(".s.PGSQL.{}", self.port))).is_err() {
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(since.elapsed() < Duration::from_secs(30), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        // It listens before it is ready.
        while !command(&self.bin.join("pg_isready"))
            .arg("-q")
            .arg("-h")
            .arg(&self.dir)
            .arg("-p")
            .arg(self.port.to_string())
            .status()
            .is_ok_and(|status| status.success())
            && self.bin.join("pg_isready").is_file()
        {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its version as a number: 150018.
    pub async fn version(&self) -> i32 {
        let version = "SELECT current_setting('server_version_num')::int4";
        self.sql("postgres").await.query_one(version, &[]).await.expect("a version").get(0)
    }

    /// A session as superuser.
    pub async fn sql(&self, database: &str) -> tokio_postgres::Client {
        let config = format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port);
        for attempt in 0.. {
            match tokio_postgres::connect(&config, tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) if attempt == 100 => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        unreachable!()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn write(path: &Path, content: &str) {
    let mut child = command(Path::new("sh"))
        .args(["-c", "umask 077; cat > \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    child.stdin.take().expect("piped").write_all(content.as_bytes()).expect("written");
    assert!(child.wait().expect("waited").success());
}

/// An authority of the test's own and the server's certificate for 127.0.0.1.
fn certificate(data: &Path, dir: &Path) {
    let script = "cd \"$0\" && umask 077 && \
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out \"$1/ca.pem\" -days 2 -subj /CN=test-authority 2>/dev/null && \
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1 2>/dev/null && \
        printf 'subjectAltName=IP:127.0.0.1\\n' > ext && \
        openssl x509 -req -in server.csr -CA \"$1/ca.pem\" -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt 2>/dev/null";
    succeed(command(Path::new("sh")).args(["-c", script]).arg(data).arg(dir));
}
