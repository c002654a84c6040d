//! What a process has used, as /proc tells it.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// `/proc` counts CPU time in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process; none if it is gone.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    Some(TICK * (ticks(11)? + ticks(12)?))
}

/// CPU time of this process.
pub fn own_cpu() -> Duration {
    cpu(std::process::id()).unwrap_or_default()
}

/// The most memory that a process ever had resident, in MiB.
pub fn peak_rss_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// CPU time of the children that this process has waited for.
pub fn waited_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rfind(')').and_then(|at| stat.get(at + 2..)).unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).unwrap_or_default();
    TICK * (ticks(13) + ticks(14))
}

/// CPU time of a process's children whose title holds a text, also of those that end while they are watched.
pub struct Children {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<Duration>,
}

impl Children {
    /// Watches from here on.
    pub fn watch(parent: u32, title: &'static str) -> Children {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let base = sample(parent, title);
        let watcher = thread::spawn(move || {
            let mut seen = base.clone();
            loop {
                let last = stopped.load(Ordering::Acquire);
                seen.extend(sample(parent, title));
                if last {
                    let used =
                        |(pid, cpu): (&u32, &Duration)| cpu.saturating_sub(base.get(pid).copied().unwrap_or_default());
                    return seen.iter().map(used).sum();
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Children { stop, watcher }
    }

    /// What they used since.
    pub fn used(self) -> Duration {
        self.stop.store(true, Ordering::Release);
        self.watcher.join().unwrap_or_default()
    }
}

fn sample(parent: u32, title: &str) -> BTreeMap<u32, Duration> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    let titled = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(title))
    };
    pids.filter(titled).filter_map(|pid| Some((pid, cpu(pid)?))).collect()
}

/// The memory that a process has resident now, in MiB.
pub fn rss_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmRSS:")
}
