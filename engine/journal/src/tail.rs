//! The `tail` file: how far the log is durable, for readers in this process and in others (J16).
//!
//! Written after each fsync and never fsynced itself: it may be behind after a power cut, and it is never ahead of what
//! was acknowledged. A page of one file, read and written whole; a torn or damaged one counts as missing.

use crate::{
    disk::{Disk, DiskFile},
    error::LogError,
    frame::{Break, u32_at, u64_at},
    segment::SegmentId,
};
use model::WriterId;
use std::{path::Path, sync::Arc};

/// Its name in the log's directory.
pub(crate) const TAIL: &str = "tail";
const MAGIC: &[u8; 8] = b"LKTAIL\0\0";
const BYTES: usize = 40;
const PAGE_BYTES: usize = 4_096;

/// How far the log is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub seq: u64,
    pub segment: SegmentId,
    pub writer: WriterId,
}

impl Mark {
    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.segment.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.writer.0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..BYTES - 4]);
        bytes[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let bytes = bytes.get(..BYTES).filter(|bytes| bytes.starts_with(MAGIC))?;
        let parse = || -> Result<Option<Mark>, Break> {
            let intact = crc32c::crc32c(&bytes[..BYTES - 4]) == u32_at(bytes, BYTES - 4)?;
            let (seq, segment) = (u64_at(bytes, 8)?, SegmentId(u64_at(bytes, 16)?));
            Ok(intact.then_some(Mark { seq, segment, writer: WriterId(u32_at(bytes, 24)?) }))
        };
        parse().ok().flatten()
    }
}

/// The file, open for writing.
pub(crate) struct TailFile(Arc<dyn DiskFile>);

impl TailFile {
    /// Opens it, or makes it with one page of zeros.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<TailFile, LogError> {
        let path = dir.join(TAIL);
        let file = match disk.open(&path, true) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => disk.create(&path),
            file => file,
        };
        let file = file.map_err(LogError::io("cannot open", TAIL))?;
        if file.len().map_err(LogError::io("cannot stat", TAIL))? < PAGE_BYTES as u64 {
            file.write_at(&[0; PAGE_BYTES], 0).map_err(LogError::io("cannot write", TAIL))?;
        }
        Ok(TailFile(file))
    }

    /// Called when everything is durable: a failure, a full disk too, never means that nothing was appended.
    pub(crate) fn write(&self, mark: Mark) -> Result<(), LogError> {
        self.0.write_at(&mark.encode(), 0).map_err(LogError::flush(TAIL))
    }
}

/// Reads the mark; none if the file is missing, damaged, or being written at every one of a few attempts.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Mark>, LogError> {
    const ATTEMPTS: usize = 4;
    for _ in 0..ATTEMPTS {
        let file = match disk.open(&dir.join(TAIL), false) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(LogError::io("cannot open", TAIL))?,
        };
        let mut bytes = [0; BYTES];
        let read = file.read_at(&mut bytes, 0).map_err(LogError::io("cannot read", TAIL))?;
        if let Some(mark) = Mark::decode(&bytes[..read]) {
            return Ok(Some(mark));
        }
        std::thread::yield_now();
    }
    Ok(None)
}
