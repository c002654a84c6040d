//! `cargo x demo`: a legacy clinic, Lockstep and a FHIR server, running, with the commands to look at them.
//!
//! Everything is real and temporary; it goes when the demo ends (Ctrl-C, or `--seconds N`).

use lockstep_e2e::{Flag, Load, Shape, World};
use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<f64>().ok()
    };
    let like = if arguments.iter().any(|argument| argument == "--hapi") { Flag::Hapi } else { Flag::Spec };
    eprintln!("-- a PostgreSQL with the test clinic, a FHIR R4 server, a pipeline between them");
    let mut world = World::new(Shape { preload: 100, ..Shape::new(like) });
    world.engine.start();
    world.engine.wait_up();
    let load = number("--rate").map(|rate| Load::start(&world.cluster.writer_url(), 7, rate));
    let config = world.engine.folder().join("lockstep.toml");
    let lockstep =
        format!("LOCKSTEP_CONFIG={} {}", config.display(), lockstep_e2e::binaries::folder().join("lockstep").display());
    println!("\nThe legacy database, the cloud, and what stands between:\n");
    println!("  psql \"{}\" -c \"update patient set sex = 'F' where patient_id = 1\"", world.cluster.writer_url());
    println!("  curl -s '{}/Patient?_count=2'", world.target.base_url());
    for command in ["status", "journal ls --max 20", "verify", "parked ls", "replay check"] {
        println!("  {lockstep} {command}");
    }
    println!("\nKill it (kill -9 of `lockstep run`), start it again, and look: nothing lost, nothing twice.");
    println!("Ctrl-C ends the demo and takes everything away.\n");
    wait(number("--seconds"));
    drop(load);
}

/// Waits for Ctrl-C, or for so many seconds.
fn wait(seconds: Option<f64>) {
    let (told, end) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime
            && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
        {
            // Whoever waits may have gone because its time was over.
            let _gone = told.send(());
        }
    });
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    loop {
        let left = until.map_or(Duration::from_secs(3_600), |until| until.saturating_duration_since(Instant::now()));
        match end.recv_timeout(left) {
            Err(mpsc::RecvTimeoutError::Timeout) if until.is_none() => {}
            _ => return,
        }
    }
}
