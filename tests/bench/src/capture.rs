//! `capture`: a backlog of the source's log into the journal, every cell decoded and durable, against pg_recvlogical to
//! nothing over the same transport in the same round.
//!
//! * `a`: 2,000,000 inserts, 1,000 a transaction. `b`: 300,000 one-row updates, each its own transaction: so an EHR writes.
//! * Each run drains a fresh copy of one slot. Both sides are timed from the start of their process to the last commit.
//! * pg_recvlogical's stream is counted once, the journal's rows and cells after every run.

mod count;

use crate::{
    Options,
    cluster::{Cluster, Transport},
    engine::{self, Order, Until},
    figure::{Figure, Run, alternate},
    outcome::{Failed, Outcome, counted},
    process,
};
use count::Backlog;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const MASTER: &str = "master";
const PEER: &str = "peer";

/// What one backlog is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    A,
    B,
}

/// A cluster with one backlog, and a `data_dir` that stands before it.
struct Prepared {
    cluster: Cluster,
    root: tempfile::TempDir,
    backlog: Backlog,
    upto: String,
}

/// Prints the figures of both backlogs over both transports.
pub fn run(options: &Options) -> Outcome<()> {
    for kind in [Kind::A, Kind::B] {
        let prepared = Prepared::new(kind, options)?;
        for transport in [Transport::Tcp, Transport::Unix] {
            prepared.print(kind, transport, options)?;
        }
    }
    Ok(())
}

impl Prepared {
    fn new(kind: Kind, options: &Options) -> Outcome<Prepared> {
        let cluster = Cluster::start()?;
        let root = tempfile::Builder::new().prefix("lockstep-bench-").tempdir()?;
        let rows = match kind {
            Kind::A => options.scaled(2_000_000, 1_000),
            Kind::B => options.scaled(300_000, 1_000),
        };
        create_table(&cluster)?;
        if kind == Kind::B {
            insert(&cluster, rows)?;
        }
        let order =
            Order { url: cluster.url(Transport::Tcp), data: text(&root.path().join("before")), until: Until::Ready };
        engine(&order)?;
        cluster.copy_slot(engine::SLOT, MASTER)?;
        match kind {
            Kind::A => insert(&cluster, rows)?,
            Kind::B => update(&cluster, rows)?,
        }
        // Not what is written: the last commits may still be on their way to the disk.
        let upto = cluster.value("SELECT pg_current_wal_insert_lsn()")?;
        cluster.sql("SELECT pg_switch_wal()")?;
        cluster.sql("CHECKPOINT")?;
        let mut prepared = Prepared { cluster, root, backlog: Backlog::default(), upto };
        prepared.backlog = prepared.counted_backlog()?;
        let commits = if kind == Kind::A { rows / 1_000 } else { rows };
        counted("rows from pg_recvlogical", prepared.backlog.rows, rows)?;
        counted("commits from pg_recvlogical", prepared.backlog.commits, commits)?;
        Ok(prepared)
    }

    fn print(&self, kind: Kind, transport: Transport, options: &Options) -> Outcome<()> {
        self.cluster.warm()?;
        let mut round = 0;
        let rounds = alternate(
            options,
            || {
                round += 1;
                self.ours(transport, round)
            },
            || self.reference(transport),
        )?;
        let (bench, target) = match (transport, kind) {
            (Transport::Tcp, Kind::A) => ("capture.tcp.a", ">= 1.0, <= 2.5 CPU s per million"),
            (Transport::Tcp, Kind::B) => ("capture.tcp.b", ">= 2.0, <= 2.5 CPU s per million"),
            (Transport::Unix, Kind::A) => ("capture.unix.a", ">= 0.8"),
            (Transport::Unix, Kind::B) => ("capture.unix.b", ">= 0.8"),
        };
        let figure = Figure { bench, unit: "rows/s", against: "pg_recvlogical", target };
        figure.print(options, &rounds);
        Ok(())
    }

    fn ours(&self, transport: Transport, round: usize) -> Outcome<Run> {
        self.cluster.copy_slot(MASTER, engine::SLOT)?;
        let data = self.root.path().join(format!("round-{round}"));
        copy(&self.root.path().join("before"), &data)?;
        let until = Until::Passed(self.backlog.end);
        let order = Order { url: self.cluster.url(transport), data: text(&data), until };
        let senders = self.cluster.backends("walsender");
        let used = engine(&order)?;
        let peer = senders.used();
        let found = engine::journaled(&data)?;
        counted("rows in the journal", found.rows, self.backlog.rows)?;
        counted("unknown cells in the journal", found.unknown, 0)?;
        fs::remove_dir_all(&data)?;
        let rows = self.backlog.rows as f64;
        Ok(Run {
            rate: rows / used.seconds,
            cpu_s_per_million: used.cpu_s / rows * 1e6,
            rss_mib: used.rss_mib,
            peer_cpu_s_per_million: Some(peer.as_secs_f64() / rows * 1e6),
        })
    }

    fn reference(&self, transport: Transport) -> Outcome<Run> {
        self.cluster.copy_slot(MASTER, PEER)?;
        let senders = self.cluster.backends("walsender");
        let (cpu, started) = (process::waited_cpu(), Instant::now());
        let mut peer = self.recvlogical(transport).stdout(Stdio::null()).spawn()?;
        let mut rss = 0.0f64;
        let ended = loop {
            rss = rss.max(process::peak_rss_mib(peer.id()).unwrap_or_default());
            match peer.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        let elapsed = started.elapsed().as_secs_f64();
        if !ended.success() {
            return Err(Failed::told(format!("pg_recvlogical: {ended}")));
        }
        let rows = self.backlog.rows as f64;
        let server = senders.used();
        self.cluster.drop_slot(PEER)?;
        Ok(Run {
            rate: rows / elapsed,
            cpu_s_per_million: (process::waited_cpu() - cpu).as_secs_f64() / rows * 1e6,
            rss_mib: rss,
            peer_cpu_s_per_million: Some(server.as_secs_f64() / rows * 1e6),
        })
    }

    fn recvlogical(&self, transport: Transport) -> Command {
        let mut command = self.cluster.program("pg_recvlogical", transport);
        command.args(["-S", PEER, "--start", "--no-loop", "-F", "0", "-f", "-", "--endpos", &self.upto]);
        command.args(["-o", "proto_version=1", "-o", &format!("publication_names={}", engine::SLOT)]);
        command
    }

    fn counted_backlog(&self) -> Outcome<Backlog> {
        self.cluster.copy_slot(MASTER, PEER)?;
        let mut peer = self.recvlogical(Transport::Unix).stdout(Stdio::piped()).spawn()?;
        let stream = peer.stdout.take().ok_or_else(|| Failed::told("pg_recvlogical has no output"))?;
        let found = count::count(stream);
        let ended = peer.wait()?;
        self.cluster.drop_slot(PEER)?;
        if !ended.success() {
            return Err(Failed::told(format!("pg_recvlogical: {ended}")));
        }
        found
    }
}

/// One row as a table of clinical observations has it, some 200 bytes in the stream.
pub fn create_table(cluster: &Cluster) -> Outcome<()> {
    cluster.sql(
        "CREATE TABLE bench_records (id bigint PRIMARY KEY, patient_id int NOT NULL, encounter_id int NOT NULL, \
         concept_id int NOT NULL, value_numeric numeric, value_text text, obs_datetime timestamptz NOT NULL, \
         voided boolean NOT NULL DEFAULT false, uuid uuid NOT NULL, ts timestamptz NOT NULL DEFAULT clock_timestamp())",
    )?;
    cluster.sql(
        "CREATE PROCEDURE bench_insert(n bigint, per bigint) LANGUAGE plpgsql AS $$ DECLARE lo bigint := 1; BEGIN \
         WHILE lo <= n LOOP \
           INSERT INTO bench_records (id, patient_id, encounter_id, concept_id, value_numeric, value_text, obs_datetime, \
             voided, uuid) \
           SELECT g, 1 + g % 50000, 1 + g % 400000, 5000 + g % 700, round((g % 20000) / 100.0, 2), \
             'Observation ' || g || ' recorded at triage, reviewed by nurse ' || (g % 97), \
             timestamptz '2024-01-01' + g * interval '7 seconds', g % 211 = 0, gen_random_uuid() \
           FROM generate_series(lo, least(lo + per - 1, n)) g; \
           COMMIT; lo := lo + per; END LOOP; END $$",
    )?;
    cluster.sql(
        "CREATE PROCEDURE bench_update(n bigint) LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. n LOOP \
           UPDATE bench_records SET value_numeric = value_numeric + 0.5, voided = NOT voided, ts = clock_timestamp() \
           WHERE id = i; COMMIT; END LOOP; END $$",
    )?;
    cluster.sql(&format!("CREATE PUBLICATION {} FOR TABLE bench_records", engine::SLOT))?;
    Ok(())
}

/// Rows in transactions of a thousand.
pub fn insert(cluster: &Cluster, rows: u64) -> Outcome<()> {
    cluster.sql(&format!("CALL bench_insert({rows}, 1000)"))?;
    cluster.sql("VACUUM ANALYZE bench_records")?;
    Ok(())
}

fn update(cluster: &Cluster, rows: u64) -> Outcome<()> {
    // The table is of interest, not how fast it was written. The setting is the role's, because a procedure that commits
    // must be a statement of its own.
    cluster.sql(&format!("ALTER ROLE {} SET synchronous_commit = off", crate::cluster::ROLE))?;
    cluster.sql(&format!("CALL bench_update({rows})"))?;
    cluster.sql(&format!("ALTER ROLE {} RESET synchronous_commit", crate::cluster::ROLE))?;
    Ok(())
}

/// What an engine used until its work was done.
pub struct Used {
    pub seconds: f64,
    pub cpu_s: f64,
    pub rss_mib: f64,
}

/// Starts the engine in a process of its own, and stops it when its work is done.
pub fn engine(order: &Order) -> Outcome<Used> {
    let started = Instant::now();
    let mut child = engine_command()?.args(["--engine", &order.text()]).stdout(Stdio::piped()).spawn()?;
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
fn engine_command() -> Outcome<Command> {
    let own = std::env::current_exe()?;
    let under = std::env::var("LOCKSTEP_BENCH_UNDER").unwrap_or_default();
    let mut words = under.split_whitespace();
    let Some(first) = words.next() else { return Ok(Command::new(own)) };
    let mut command = Command::new(first);
    command.args(words).arg(own);
    Ok(command)
}

/// A copy of a `data_dir`.
fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (from, to): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
