//! The writer against a real PostgreSQL: what it says it did is what is there, and a seed does the same twice.
//!
//! Needs PostgreSQL's programs: `cargo x test sandbox` finds or installs them.

use lockstep_sandbox::{Limit, Mix, Plan, Summary, Writer};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use tokio_postgres::NoTls;

/// A cluster on a unix socket in a temporary folder.
struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Cluster {
    #[expect(clippy::unwrap_used, reason = "only tests call it: its panic is their report")]
    fn start() -> Cluster {
        let told = std::env::var_os("LOCKSTEP_PG_BIN").map(PathBuf::from);
        let programs = told.unwrap_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin"));
        assert!(programs.join("initdb").exists(), "no PostgreSQL: run `cargo x test sandbox`, or set LOCKSTEP_PG_BIN");
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user when we are root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let cluster = Cluster { folder, programs };
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-A", "trust", "-U", "clinic", "-E", "UTF8", "--no-sync", "--no-locale"]);
        let options = format!("-k {} -c listen_addresses=''", cluster.folder.path().display());
        let log = cluster.path("log");
        cluster.run("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"]);
        cluster
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn url(&self, database: &str) -> String {
        format!("host={} user=clinic dbname={database}", self.folder.path().display())
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = as_user(&self.programs.join(program));
        let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{program} failed");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = as_user(&self.programs.join("pg_ctl"));
        stop.args(["-D", &self.data(), "-m", "immediate", "stop"]).stdout(Stdio::null()).status().ok();
    }
}

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

/// Every row of the clinic, and how many there are.
#[expect(clippy::unwrap_used, reason = "only tests call it: its panic is their report")]
async fn rows(url: &str) -> (u64, String) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    let (mut count, mut sums) = (0, String::new());
    for (table, key) in [
        ("patient", "patient_id"),
        ("patient_name", "name_id"),
        ("patient_address", "address_id"),
        ("encounter", "encounter_id"),
        ("observation", "observation_id"),
    ] {
        let sql = format!("SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY {key})), '') FROM {table} t");
        let row = client.query_one(&sql, &[]).await.unwrap();
        count += u64::try_from(row.get::<_, i64>(0)).unwrap();
        sums.push_str(row.get::<_, &str>(1));
    }
    (count, sums)
}

#[expect(clippy::unwrap_used, reason = "only tests call it: its panic is their report")]
async fn written(url: &str, seed: u64, transactions: u64) -> Summary {
    let plan = Plan { seed, rate: None, limit: Limit::Transactions(transactions), mix: Mix::default() };
    let mut writer = Writer::connect(url).await.unwrap();
    writer.run(&plan, &AtomicBool::new(false)).await.unwrap()
}

#[test]
fn what_it_tells_is_what_is_there_and_a_seed_does_the_same_twice() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut found = Vec::new();
        for database in ["one", "two"] {
            cluster.run("createdb", &["-h", &cluster.path(""), "-U", "clinic", database]);
            let url = cluster.url(database);
            Writer::create_tables(&url).await.unwrap();
            let first = written(&url, 7, 200).await;
            let (count, _) = rows(&url).await;
            assert_eq!(count, first.inserted - first.deleted);
            assert!(
                first.deleted > 0 && first.updated > 20 && first.rolled_back > 0 && first.held_open > 0,
                "{first:?}"
            );
            // A second writer goes on from what is there.
            let second = written(&url, 8, 40).await;
            let (count, sums) = rows(&url).await;
            assert_eq!(count, first.inserted - first.deleted + second.inserted - second.deleted);
            found.push((first, second, sums));
        }
        assert_eq!(found[0], found[1]);
    });
}
