//! The disk reserve: a file of real bytes that is given up, piece by piece, when the disk is full and something vital must
//! be written (J24).
//!
//! Captured rows never touch it, and stop while it is not whole.

use crate::{
    disk::{Disk, DiskFile, write_zeros},
    error::LogError,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const RESERVE: &str = "reserve";

/// The file, and how much of it is there.
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    bytes: u64,
    held: u64,
}

impl Reserve {
    /// Opens the reserve and makes it whole if the disk has room; a full disk is no fault here.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, bytes: u64) -> Result<Reserve, LogError> {
        let path = dir.join(RESERVE);
        let file = match disk.open(&path, true) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && bytes == 0 => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match disk.create(&path) {
                Err(error) if crate::disk::is_full(&error) => None,
                file => Some(file.map_err(LogError::io("cannot make", RESERVE))?),
            },
            file => Some(file.map_err(LogError::io("cannot open", RESERVE))?),
        };
        let held = match &file {
            Some(file) => file.len().map_err(LogError::io("cannot stat", RESERVE))?,
            None => 0,
        };
        let mut reserve = Reserve { disk, dir: dir.to_path_buf(), file, bytes, held };
        if held > bytes {
            reserve.cut_to(bytes)?;
        }
        reserve.refill(0)?;
        Ok(reserve)
    }

    /// How many bytes are in use by something vital.
    pub(crate) fn missing(&self) -> u64 {
        self.bytes - self.held
    }

    /// The size that it should have.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives up `bytes`, or what is left; false if nothing is left.
    pub(crate) fn give_up(&mut self, bytes: u64) -> Result<bool, LogError> {
        if self.held == 0 {
            return Ok(false);
        }
        self.cut_to(self.held.saturating_sub(bytes))?;
        Ok(true)
    }

    /// Makes it whole again if the disk has room for it and `beside`; says whether it is whole.
    pub(crate) fn refill(&mut self, beside: u64) -> Result<bool, LogError> {
        let missing = self.missing();
        if missing == 0 {
            return Ok(true);
        }
        if self.disk.free_bytes(&self.dir).is_some_and(|free| free < missing.saturating_add(beside)) {
            return Ok(false);
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => match self.disk.create(&self.dir.join(RESERVE)) {
                Err(error) if crate::disk::is_full(&error) => return Ok(false),
                file => file.map_err(LogError::io("cannot make", RESERVE))?,
            },
        };
        self.file = Some(file.clone());
        let filled = write_zeros(&*file, self.held, self.bytes, &mut || Ok(())).and_then(|()| file.sync_data());
        match filled {
            Ok(()) => {
                self.held = self.bytes;
                Ok(true)
            }
            Err(error) if crate::disk::is_full(&error) => {
                self.cut_to(self.held)?;
                Ok(false)
            }
            Err(error) => Err(LogError::flush(RESERVE)(error)),
        }
    }

    fn cut_to(&mut self, bytes: u64) -> Result<(), LogError> {
        if let Some(file) = &self.file {
            file.truncate(bytes).map_err(LogError::io("cannot cut", RESERVE))?;
        }
        self.held = bytes;
        Ok(())
    }
}
