//! One process a `data_dir`: an exclusive lock on `data_dir/lock`, released by the kernel when the process ends.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The lock, held while this lives.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why `data_dir` is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by process {pid}; stop it, or name another data_dir", .dir.display())]
    Held {
        /// Which directory.
        dir: PathBuf,
        /// Its process, as the file says.
        pid: String,
    },
    /// The file cannot be made or locked.
    #[error("{} cannot be locked: {source}; this user must be able to write there", .dir.display())]
    Io {
        /// Which directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataLock {
    /// Takes the lock, making the directory where it is missing: for this user alone, for rows will lie in it.
    pub fn take(dir: &Path) -> Result<DataLock, LockError> {
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        make(dir).map_err(failed)?;
        let path = dir.join("lock");
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(LockError::Held { dir: dir.to_owned(), pid: pid.trim().to_owned() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        let say = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        say(&mut file).map_err(failed)?;
        Ok(DataLock { _file: file })
    }
}

/// Makes the directory with those above it, and makes their names durable: logs that a power cut leaves without a name are
/// lost, however well they were flushed.
fn make(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_made_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("above/data");
        let _held = DataLock::take(&data).unwrap();
        assert_eq!(fs::metadata(data).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_second_taker_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataLock::take(dir.path()).unwrap();
        let refused = DataLock::take(dir.path()).unwrap_err();
        assert!(matches!(&refused, LockError::Held { pid, .. } if *pid == std::process::id().to_string()), "{refused}");
        drop(held);
        assert!(DataLock::take(dir.path()).is_ok());
    }
}
