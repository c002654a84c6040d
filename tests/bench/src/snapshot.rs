//! `snapshot`: the first read of a table into the journal, against `COPY … TO STDOUT` to nothing.
//!
//! Ours begins with an empty `data_dir` and makes its slot; it is done when the table's `Ready` is durable.

use crate::{
    Options,
    cluster::{Cluster, Transport},
    engine,
    figure::{Figure, Run, alternate},
    outcome::{Outcome, counted},
    spawn::{self, Order, SLOT, Until, Used},
    workload,
};
use std::{fs, time::Duration};

/// Prints the figures over both transports.
pub fn run(options: &Options) -> Outcome<()> {
    let cluster = Cluster::start()?;
    let rows = options.scaled(2_000_000, 1_000);
    workload::create(&cluster)?;
    workload::insert(&cluster, rows)?;
    cluster.sql("CHECKPOINT")?;
    let found = cluster.value("SELECT count(*) FROM bench_records")?;
    counted("rows in the table", found.parse().unwrap_or_default(), rows)?;
    let root = tempfile::Builder::new().prefix("lockstep-bench-").tempdir()?;
    for (bench, transport) in [("snapshot.tcp", Transport::Tcp), ("snapshot.unix", Transport::Unix)] {
        if !options.wants(bench) {
            continue;
        }
        let data = root.path().join("data");
        let ours = || {
            cluster.drop_slot(SLOT)?;
            let order = Order { url: cluster.url(transport), data: data.clone(), until: Until::Ready };
            // A backend's title names its role and database until it does something.
            let backends = cluster.backends("postgres: ");
            let used = spawn::engine(&order)?;
            let peer = backends.used();
            let found = engine::journaled(&data)?;
            counted("rows in chunks", found.chunk_rows, rows)?;
            counted("rows beside chunks", found.rows, 0)?;
            fs::remove_dir_all(&data)?;
            Ok(run_of(rows, &used, peer))
        };
        let reference = || {
            let mut copy = cluster.program("psql", transport);
            copy.args(["-X", "-q", "-c", "COPY bench_records TO STDOUT"]);
            let backends = cluster.backends("postgres: ");
            let used = spawn::reference(&mut copy)?;
            Ok(run_of(rows, &used, backends.used()))
        };
        let rounds = alternate(options, ours, reference)?;
        let figure = Figure { bench, unit: "rows/s", against: "COPY TO STDOUT", target: ">= 0.4" };
        figure.print(options, &rounds);
    }
    Ok(())
}

fn run_of(rows: u64, used: &Used, server: Duration) -> Run {
    let million = rows as f64 / 1e6;
    Run {
        rate: rows as f64 / used.seconds,
        cpu_s_per_million: used.cpu_s / million,
        rss_mib: used.rss_mib,
        peer_cpu_s_per_million: Some(server.as_secs_f64() / million),
    }
}
