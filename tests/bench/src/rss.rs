//! `rss`: memory of `lockstep run` over a million captured row changes, and whether it stays flat.
//!
//! Transactions of ten rows: one corrects an observation, which becomes a write to the sandbox, nine change a column
//! that no map reads. Resident memory is sampled all the while; the figure is the highest sample of each tenth.

use crate::{
    Options,
    figure::{Figure, Run},
    outcome::{Failed, Outcome, counted},
    pipeline::{Clinic, Target},
    process,
};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENTS: u64 = 1_000;
const OBSERVATIONS: u64 = 10_000;
/// MiB that it may have.
const WANTED: f64 = 100.0;
const UPDATES: &str = "\
CREATE PROCEDURE bench_mixed(n bigint, observations bigint, patients bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. n LOOP
        UPDATE observation SET value = value + 0.5 WHERE observation_id = 1 + i % observations;
        UPDATE patient SET weight = i WHERE patient_id BETWEEN 1 + i % (patients - 9) AND 9 + i % (patients - 9);
        COMMIT;
    END LOOP;
END $$";

/// Prints the figure.
pub fn run(options: &Options) -> Outcome<()> {
    let clinic = Clinic::create()?;
    clinic.cluster.sql(UPDATES)?;
    clinic.fill(PATIENTS, OBSERVATIONS)?;
    let target = Target::start()?;
    let mut engine = clinic.configure(&clinic.folder("rss"), target.base_url())?;
    engine.prepare()?;
    let created = PATIENTS + OBSERVATIONS;
    engine.wait("the first load", Duration::from_secs(120), |status| status["accepted"] == created)?;
    let transactions = options.scaled(100_000, 100);
    let cpu = process::cpu(engine.pid()).unwrap_or_default();
    let role = crate::cluster::ROLE;
    clinic.cluster.sql(&format!("ALTER ROLE {role} SET synchronous_commit = off"))?;
    let mut samples: Vec<f64> = vec![0.0; 10];
    let load = format!("CALL bench_mixed({transactions}, {OBSERVATIONS}, {PATIENTS})");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| clinic.cluster.sql(&load));
        let deadline = Instant::now() + Duration::from_secs(60) + Duration::from_millis(transactions * 10);
        while Instant::now() < deadline {
            let accepted = engine.status().and_then(|status| status["accepted"].as_u64()).unwrap_or_default();
            let done = accepted.saturating_sub(created);
            if let Some(rss) = process::rss_mib(engine.pid()) {
                let tenth = (done * 10 / transactions).min(9) as usize;
                samples[tenth] = samples[tenth].max(rss);
            }
            if done >= transactions {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        writer.join().map_err(|_| Failed::told("the writer panicked"))?
    })?;
    counted("corrections at the sandbox", target.puts(200)?, transactions)?;
    let events = (transactions * 10) as f64;
    let used = process::cpu(engine.pid()).unwrap_or_default() - cpu;
    let runs: Vec<Run> = samples
        .into_iter()
        .map(|rss| Run {
            rate: rss,
            cpu_s_per_million: used.as_secs_f64() / events * 1e6,
            rss_mib: process::peak_rss_mib(engine.pid()).unwrap_or_default(),
            peer_cpu_s_per_million: None,
        })
        .collect();
    engine.stop()?;
    let figure = Figure { bench: "rss", unit: "MiB by tenth", against: "the limit", target: "<= 1.0 (100 MiB), flat" };
    figure.print_alone(options, &runs, WANTED);
    figure.print_pair(options, "last tenth / fifth", &runs[9..], &runs[4..5]);
    Ok(())
}
