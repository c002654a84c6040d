//! Status updates: a task of their own, so that they go on while nobody reads (back-pressure, a long transaction).
//!
//! Reports what was confirmed and nothing else (J10): never what was only received, never a keepalive's position.

use crate::{pgoutput::POSTGRES_EPOCH, position::Lsn, session::Task};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::Instant,
};

/// Confirmations in quick succession go as one.
const APART: Duration = Duration::from_millis(50);

/// What the other tasks tell the status task.
#[derive(Default)]
pub(crate) struct Status {
    confirmed: AtomicU64,
    at_once: AtomicBool,
    ask: AtomicBool,
    wake: Notify,
}

impl Status {
    /// Everything at or below `upto` is durable. Never goes back.
    pub(crate) fn confirm(&self, upto: Lsn) {
        if self.confirmed.fetch_max(upto.0, Ordering::AcqRel) < upto.0 {
            self.wake.notify_one();
        }
    }

    /// The server wants to hear from us.
    pub(crate) fn reply(&self) {
        self.at_once.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// We want to hear from the server: it answers with a keepalive, which says how far its log is.
    pub(crate) fn ask(&self) {
        self.ask.store(true, Ordering::Release);
        self.reply();
    }

    /// Sends updates until the connection is gone: at once when asked, soon after a confirmation, else every `every`.
    pub(crate) fn run(self: Arc<Self>, mut to: impl AsyncWrite + Send + Unpin + 'static, every: Duration) -> Task {
        Task(tokio::spawn(async move {
            let mut sent = Instant::now();
            loop {
                let _ = tokio::time::timeout_at(sent + every, self.wake.notified()).await;
                if !self.at_once.swap(false, Ordering::AcqRel) {
                    tokio::time::sleep_until(sent + APART).await;
                }
                let ask = self.ask.swap(false, Ordering::AcqRel);
                let update = update(Lsn(self.confirmed.load(Ordering::Acquire)), ask);
                // A broken connection shows itself to the reader, who reports it.
                if to.write_all(&update).await.is_err() || to.flush().await.is_err() {
                    return;
                }
                sent = Instant::now();
            }
        }))
    }
}

/// A standby status update: written, flushed and applied are one position to us.
fn update(confirmed: Lsn, ask: bool) -> [u8; 39] {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros());
    let clock = i64::try_from(micros).unwrap_or(i64::MAX).saturating_sub(POSTGRES_EPOCH);
    let mut bytes = [0; 39];
    bytes[0] = b'd';
    bytes[1..5].copy_from_slice(&38u32.to_be_bytes());
    bytes[5] = b'r';
    for start in [6, 14, 22] {
        bytes[start..start + 8].copy_from_slice(&confirmed.0.to_be_bytes());
    }
    bytes[30..38].copy_from_slice(&clock.to_be_bytes());
    bytes[38] = u8::from(ask);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn updates_go_on_while_nobody_reads_and_never_go_back() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 12);
        let status = Arc::new(Status::default());
        let _task = Arc::clone(&status).run(ours, Duration::from_millis(200));
        let mut seen = Vec::new();
        for confirm in [7, 3, 9] {
            status.confirm(Lsn(confirm));
            let mut bytes = [0; 39];
            theirs.read_exact(&mut bytes).await.unwrap();
            seen.push(u64::from_be_bytes(bytes[6..14].try_into().unwrap()));
        }
        assert_eq!(seen, [7, 7, 9]);
    }
}
