//! A session: a user who works until it is told to stop, and goes on with a new connection when it left the old one.

use crate::sql::{Next, Statements};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// One user at work.
pub struct User {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64)>,
}

impl User {
    /// Begins at once.
    pub fn start(url: String, seed: u64, round: u64, session: u64) -> User {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(&url, Statements::new(seed, round, session), &told))
        });
        User { stop, thread }
    }

    /// Ends after the transaction at hand; statements that were taken, and those that were not.
    pub fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

async fn work(url: &str, mut statements: Statements, stop: &AtomicBool) -> (u64, u64) {
    let (mut taken, mut refused) = (0, 0);
    let mut client = connected(url).await;
    while !stop.load(Ordering::Relaxed) {
        for next in statements.transaction() {
            match next {
                Next::Run(sql) => match client.simple_query(&sql).await {
                    Ok(_) => taken += 1,
                    Err(_) => refused += 1,
                },
                Next::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                Next::Leave => client = connected(url).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (taken, refused)
}

async fn connected(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    client.simple_query("SET lock_timeout = '300ms'; SET deadlock_timeout = '50ms'").await.unwrap();
    client
}
