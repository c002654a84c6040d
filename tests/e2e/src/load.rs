//! Users at work: a writer in a thread of its own that connects again when the database was away.

use sandbox::{Limit, Mix, Plan, Writer, WriterError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running writer.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Load {
    /// Writes so many transactions a second until it is stopped.
    pub fn start(url: &str, seed: u64, rate: f64) -> Load {
        let plan = Plan { seed, rate: Some(rate), limit: Limit::Seconds(36_000), mix: Mix::default() };
        Load::run(url, plan)
    }

    fn run(url: &str, plan: Plan) -> Load {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), url.to_owned());
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || work(&url, plan, &told));
        Load { stop, thread: Some(thread) }
    }

    /// Ends after the transaction at hand; how many were committed.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(0, |thread| thread.join().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// So many transactions, at once.
pub fn write(url: &str, seed: u64, transactions: u64) -> u64 {
    let limit = Limit::Transactions(transactions);
    work(url, Plan { seed, rate: None, limit, mix: Mix::default() }, &AtomicBool::new(false))
}

fn work(url: &str, mut plan: Plan, stop: &AtomicBool) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut committed = 0;
        while !stop.load(Ordering::Relaxed) {
            // Equal moments would make equal rows, which no checker could tell apart.
            plan.seed = plan.seed.wrapping_mul(31).wrapping_add(7);
            let done = match Writer::connect(url).await {
                Ok(mut writer) => writer.run(&plan, stop).await,
                Err(fault) => Err(fault),
            };
            match done {
                Ok(done) => return committed + done.transactions,
                Err(WriterError::Lost { done, .. }) => committed += done.transactions,
                Err(WriterError::Connect(_)) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        committed
    })
}
