//! Both stores on disk over the same steps: what `cargo x bench store` prints and ADR 0009 quotes.
//!
//! A step writes what a row does: a rising key with 200 bytes (a row of the shadow), one of before or behind it with 200
//! (an aggregate), and a random key with 20 (an id). Checkpoints are due as in the engine (J19). Each phase is a process
//! of its own: one that writes and aborts with writes that no checkpoint has, one that opens what is left and reads all of
//! it, one that asks for a view. The stores take turns.

use lockstep_store::{RedbStore, SledStore};
use ports::{Fault, StateStore};
use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode, abort},
    time::Instant,
};

const STEPS: u64 = 400_000;
const ROUNDS: usize = 3;
/// When a checkpoint is due (J19).
const CHECKPOINT_STEPS: u64 = 20_000;
const CHECKPOINT_BYTES: usize = 8 << 20;

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(),
        [store, phase, dir] => run(store, phase, Path::new(dir)),
        _ => Err("no arguments: cargo x bench store".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failed> {
    let own = env::current_exe()?;
    for round in 1..=ROUNDS {
        for store in ["redb", "sled"] {
            let dir = tempfile::tempdir()?;
            for phase in ["write", "open", "view"] {
                let child = Command::new(&own).args([store, phase]).arg(dir.path()).output()?;
                let told = String::from_utf8_lossy(&child.stdout);
                print!("round {round} {store} {phase}: {told}");
                // The writer ends by abort.
                if told.is_empty() || (phase != "write" && !child.status.success()) {
                    return Err(String::from_utf8_lossy(&child.stderr).into());
                }
            }
            println!("round {round} {store} on disk: {:.0} MB", size(dir.path())? as f64 / 1e6);
        }
    }
    Ok(())
}

fn run(store: &str, phase: &str, dir: &Path) -> Result<(), Failed> {
    let started = Instant::now();
    let mut state = open(store, dir)?;
    let opened = started.elapsed();
    match phase {
        "write" => {
            write(&mut *state)?;
            let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_s()?);
            let rate = STEPS as f64 / seconds;
            println!("{rate:.0} steps/s, {seconds:.1} s, {cpu:.1} CPU s, {} MB at most", rss_mb()?);
            abort();
        }
        "open" => {
            let mut pairs = 0;
            state.txn().range(&[], &[0xff], &mut |_, _| {
                pairs += 1;
                true
            });
            let (open_ms, read_s) = (opened.as_secs_f64() * 1e3, (started.elapsed() - opened).as_secs_f64());
            println!("{open_ms:.1} ms, then {pairs} pairs in {read_s:.2} s, {} MB at most", rss_mb()?);
        }
        _ => {
            let asked = Instant::now();
            let view = state.view()?;
            let found = view.get(&key(b'r', 7)).is_some();
            let ms = asked.elapsed().as_secs_f64() * 1e3;
            println!("{ms:.1} ms (a row is {}), {} MB at most", if found { "there" } else { "missing" }, rss_mb()?);
        }
    }
    Ok(())
}

fn open(store: &str, dir: &Path) -> Result<Box<dyn StateStore>, Fault> {
    match store {
        "redb" => Ok(Box::new(RedbStore::open(dir)?)),
        _ => Ok(Box::new(SledStore::open(dir)?)),
    }
}

fn write(state: &mut dyn StateStore) -> Result<(), Fault> {
    let mut random = 0x5EED_u64;
    for step in 1..=STEPS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut value = [0; 200];
        value.chunks_mut(8).for_each(|word| word.copy_from_slice(&(random ^ step).to_be_bytes()[..word.len()]));
        // Every fourth step corrects what an earlier one made.
        let unit = if step % 4 == 0 { 1 + random % step } else { step };
        let txn = state.txn();
        txn.put(&key(b'r', step), &value);
        let before = txn.get(&key(b'a', unit));
        txn.put(&key(b'a', unit), &before.map_or(value, |_| [7; 200]));
        txn.put(&key(b'i', random), &value[..20]);
        state.accept();
        if step % CHECKPOINT_STEPS == 0 || state.overlay_bytes() >= CHECKPOINT_BYTES {
            state.begin_checkpoint()?;
        }
    }
    state.finish_checkpoint()
}

fn key(family: u8, number: u64) -> [u8; 9] {
    let mut key = [family; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// CPU seconds of this process; `/proc` counts hundredths.
fn cpu_s() -> Result<f64, Failed> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rfind(')').ok_or("no name in /proc/self/stat")?;
    let ticks = stat[behind + 2..].split(' ').skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

fn rss_mb() -> Result<u64, Failed> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024 / 1_000_000)
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { allocated(&entry.metadata()?) };
    }
    Ok(bytes)
}

/// What it takes from the disk: sled's file has holes.
fn allocated(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}
