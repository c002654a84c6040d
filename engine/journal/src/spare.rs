//! The next segment's file, filled with zeros before it is needed, by a thread of its own.
//!
//! A missing spare costs time, never data: whoever finds none fills a file then and there.

use crate::{
    disk::{Disk, DiskFile},
    segment,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

const SPARE: &str = "spare";
const UNFINISHED: &str = "spare.new";

/// At most one file of `bytes` zeros.
pub(crate) struct Spare {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    bytes: u64,
    ready: bool,
    filling: Option<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
}

impl Spare {
    /// Takes over the spare of an earlier process, if there is one of the right length.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, bytes: u64) -> Spare {
        let found = disk.open(&dir.join(SPARE), false).and_then(|file| file.len());
        let ready = matches!(found, Ok(len) if len == bytes);
        // Half-filled, or of another length: only its space matters.
        let _ = disk.unlink(&dir.join(UNFINISHED));
        if found.is_ok() && !ready {
            let _ = disk.unlink(&dir.join(SPARE));
        }
        Spare { disk, dir: dir.to_path_buf(), bytes, ready, filling: None, stop: Arc::default() }
    }

    /// Begins to fill one, unless there is one or it is being filled.
    pub(crate) fn begin(&mut self) {
        if self.ready || self.filling.is_some() {
            return;
        }
        let (disk, dir, bytes, stop) = (self.disk.clone(), self.dir.clone(), self.bytes, self.stop.clone());
        let fill = move || {
            let mut go_on = |file: &dyn DiskFile| {
                if stop.load(Ordering::Relaxed) {
                    return Err(io::Error::from(io::ErrorKind::Interrupted));
                }
                // Piece by piece, so that the log's own flushes never stand behind one large one.
                file.sync_data()
            };
            segment::prepare(&*disk, &dir.join(UNFINISHED), bytes, &mut go_on)?;
            disk.rename(&dir.join(UNFINISHED), &dir.join(SPARE))
        };
        self.filling = std::thread::Builder::new().name("lockstep-spare".into()).spawn(fill).ok();
    }

    /// Hands the spare over, waiting for it if it is being filled; none if there is none.
    pub(crate) fn take(&mut self) -> Option<(PathBuf, Arc<dyn DiskFile>)> {
        if let Some(filling) = self.filling.take() {
            self.ready = matches!(filling.join(), Ok(Ok(())));
        }
        if !std::mem::take(&mut self.ready) {
            return None;
        }
        let path = self.dir.join(SPARE);
        let file = self.disk.open(&path, true).ok()?;
        Some((path, file))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(filling) = self.filling.take() {
            // Whatever became of it, the next process looks at the file.
            let _ = filling.join();
        }
    }
}
