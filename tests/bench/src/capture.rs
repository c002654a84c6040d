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
    engine,
    figure::{Figure, Run, alternate},
    outcome::{Failed, Outcome, counted},
    spawn::{self, Order, SLOT, Until},
    workload,
};
use count::Backlog;
use std::{
    fs,
    process::{Command, Stdio},
};

const MASTER: &str = "master";
const PEER: &str = "peer";

/// What one backlog is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    A,
    B,
}

const FIGURES: [(Kind, Transport, &str, &str); 4] = [
    (Kind::A, Transport::Tcp, "capture.tcp.a", ">= 1.0, <= 2.5 CPU s per million"),
    (Kind::A, Transport::Unix, "capture.unix.a", ">= 0.8"),
    (Kind::B, Transport::Tcp, "capture.tcp.b", ">= 2.0, <= 2.5 CPU s per million"),
    (Kind::B, Transport::Unix, "capture.unix.b", ">= 0.8"),
];

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
        let wanted = FIGURES.iter().filter(|(of, ..)| *of == kind).filter(|(_, _, bench, _)| options.wants(bench));
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            continue;
        }
        let prepared = Prepared::new(kind, options)?;
        for (_, transport, bench, target) in wanted {
            prepared.print(*transport, bench, target, options)?;
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
        workload::create(&cluster)?;
        if kind == Kind::B {
            workload::insert(&cluster, rows)?;
        }
        let order = Order { url: cluster.url(Transport::Tcp), data: root.path().join("before"), until: Until::Ready };
        spawn::engine(&order)?;
        cluster.copy_slot(SLOT, MASTER)?;
        match kind {
            Kind::A => workload::insert(&cluster, rows)?,
            Kind::B => workload::update(&cluster, rows)?,
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

    fn print(&self, transport: Transport, bench: &str, target: &str, options: &Options) -> Outcome<()> {
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
        let figure = Figure { bench, unit: "rows/s", against: "pg_recvlogical", target };
        figure.print(options, &rounds);
        Ok(())
    }

    fn ours(&self, transport: Transport, round: usize) -> Outcome<Run> {
        self.cluster.copy_slot(MASTER, SLOT)?;
        let data = self.root.path().join(format!("round-{round}"));
        spawn::copy(&self.root.path().join("before"), &data)?;
        let until = Until::Passed(self.backlog.end);
        let order = Order { url: self.cluster.url(transport), data: data.clone(), until };
        let senders = self.cluster.backends("walsender");
        let used = spawn::engine(&order)?;
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
        let used = spawn::reference(&mut self.recvlogical(transport))?;
        let rows = self.backlog.rows as f64;
        let server = senders.used();
        self.cluster.drop_slot(PEER)?;
        Ok(Run {
            rate: rows / used.seconds,
            cpu_s_per_million: used.cpu_s / rows * 1e6,
            rss_mib: used.rss_mib,
            peer_cpu_s_per_million: Some(server.as_secs_f64() / rows * 1e6),
        })
    }

    fn recvlogical(&self, transport: Transport) -> Command {
        let mut command = self.cluster.program("pg_recvlogical", transport);
        command.args(["-S", PEER, "--start", "--no-loop", "-F", "0", "-f", "-", "--endpos", &self.upto]);
        command.args(["-o", "proto_version=1", "-o", &format!("publication_names={}", SLOT)]);
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
