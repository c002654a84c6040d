//! The append-only file behind a sandbox that survives its own kill.
//!
//! ```text
//! file:  frame*                 frame: length u32 le, crc32c u32 le, payload
//! payload: "PUT type id version at_ms\n" body      or      "DELETE type id version at_ms\n"
//! ```
//! * A reply leaves only when its frame, and every frame that it can have seen, is synced: many waiters share one sync.
//! * A torn tail is cut at open; nothing behind it was ever answered.
//! * A write or sync that fails ends the process: what is on the disk is then unknown.

use crate::store::{Version, What};
use bytes::Bytes;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::watch;

/// Appends frames; a thread of its own syncs them in groups.
pub struct Log {
    queue: Arc<Queue>,
    durable: watch::Receiver<u64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    frames: Vec<u8>,
    upto: u64,
    closed: bool,
}

/// A write as the file holds it.
pub struct Held {
    pub type_name: String,
    pub id: String,
    pub version: Version,
}

impl Log {
    /// Opens or creates the file; what it holds is given to `each`, in order. Sequence numbers go on from there.
    pub fn open(path: &Path, mut each: impl FnMut(Held)) -> std::io::Result<Log> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut held = Vec::new();
        file.read_to_end(&mut held)?;
        let held = Bytes::from(held);
        let (mut at, mut count) = (0, 0);
        while let Some((entry, next)) = frame(&held, at, count + 1) {
            each(entry);
            (at, count) = (next, count + 1);
        }
        if at < held.len() {
            file.set_len(at as u64)?;
            file.sync_all()?;
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let queue = Arc::new(Queue::default());
        let (tell, durable) = watch::channel(count);
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("sync".into()).spawn(move || theirs.run(file, &tell))?;
        Ok(Log { queue, durable, thread: Some(thread) })
    }

    /// Queues the frame of write number `version.seq`; called under the store's lock, so in order.
    pub fn append(&self, type_name: &str, id: &str, version: &Version) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let start = waiting.frames.len();
        waiting.frames.extend_from_slice(&[0; 8]);
        let (method, body): (_, &[u8]) = match &version.what {
            What::Put { body, .. } => ("PUT", body),
            What::Deleted => ("DELETE", &[]),
        };
        writeln!(waiting.frames, "{method} {type_name} {id} {} {}", version.number, version.at)
            .expect("a Vec takes all");
        waiting.frames.extend_from_slice(body);
        let payload = &waiting.frames[start + 8..];
        let (length, sum) = (payload.len() as u32, crc32c::crc32c(payload));
        waiting.frames[start..start + 4].copy_from_slice(&length.to_le_bytes());
        waiting.frames[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
        waiting.upto = version.seq;
        self.queue.more.notify_one();
    }

    /// Waits until write number `seq` is on the disk.
    pub async fn durable(&self, seq: u64) {
        let mut durable = self.durable.clone();
        // The thread ends only with the process or the store; then there is nobody left to answer.
        if durable.wait_for(|upto| *upto >= seq).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.queue.more.notify_one();
        // Whoever opens the file next must not find us still writing.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Queue {
    fn run(&self, mut file: File, tell: &watch::Sender<u64>) {
        loop {
            let (frames, upto) = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                while waiting.frames.is_empty() && !waiting.closed {
                    waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                if waiting.frames.is_empty() {
                    return;
                }
                (std::mem::take(&mut waiting.frames), waiting.upto)
            };
            if let Err(fault) = file.write_all(&frames).and_then(|()| file.sync_data()) {
                eprintln!("lockstep-sandbox: the file cannot be written ({fault}); free the disk and start again");
                std::process::exit(70);
            }
            tell.send_replace(upto);
        }
    }
}

/// The frame at `at`, and where the next one begins; none at the end or at a torn tail.
fn frame(held: &Bytes, at: usize, seq: u64) -> Option<(Held, usize)> {
    let head = held.get(at..at + 8)?;
    let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
    let end = (at + 8).checked_add(length)?;
    let payload = held.get(at + 8..end)?;
    if crc32c::crc32c(payload) != u32::from_le_bytes(head[4..].try_into().ok()?) {
        return None;
    }
    let line_end = payload.iter().position(|byte| *byte == b'\n')?;
    let mut words = std::str::from_utf8(&payload[..line_end]).ok()?.split(' ');
    let (method, type_name, id) = (words.next()?, words.next()?.to_owned(), words.next()?.to_owned());
    let (number, moment) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let what = match method {
        "PUT" => What::Put { body: held.slice(at + 8 + line_end + 1..end) },
        "DELETE" => What::Deleted,
        _ => return None,
    };
    Some((Held { type_name, id, version: Version { number, seq, at: moment, what } }, end))
}
