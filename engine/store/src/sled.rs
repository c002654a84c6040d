//! The second store on disk, over sled, behind the cargo feature `sled`: it keeps the port honest. What runs is redb
//! (ops/adr/0009 has both measured).
//!
//! * A checkpoint is one batch, which sled's log takes whole or not at all, and a flush.
//! * Removing everything is naming an empty tree: one key is written, and the old tree goes behind it.
//! * sled has no snapshots: a view is a copy of everything in memory.

use crate::{
    disk::{Disk, DiskStore, FORMAT, Met, no_base, no_directory, opening, other_format, storage},
    layered::{Base, FirstFault, Layered},
    memory::MemoryDisk,
    overlay::Layer,
};
use ports::{Fault, StateTxn};
use sled::{Batch, Db, Mode, Tree};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const FOLDER: &str = "state.sled";
/// A store under this name was not finished when its process died.
const FOLDER_NEW: &str = "state.sled.new";
const FORMAT_KEY: &str = "format";
/// The name of the tree that holds the state.
const STATE_KEY: &str = "state";
/// What redb has, so that they can be compared; sled goes beyond it.
const CACHE_BYTES: u64 = 16 << 20;

/// A state store in a folder of sled.
pub type SledStore = DiskStore<SledFolder>;

/// The folder.
pub struct SledFolder {
    database: Db,
    path: PathBuf,
}

/// The tree that holds the state. sled changes it in place: what a checkpoint changes lies in a layer above meanwhile.
#[derive(Default)]
pub struct SledBase(Option<Tree>);

impl DiskStore<SledFolder> {
    /// Opens the store in `dir`; makes an empty one if there is none.
    pub fn open(dir: &Path) -> Result<SledStore, Fault> {
        let path = dir.join(FOLDER);
        match fs::exists(&path) {
            Ok(true) => {}
            Ok(false) => return SledStore::create(dir),
            Err(error) => return Err(no_directory(dir, &error)),
        }
        let database = open(&path)?;
        let format = database.get(FORMAT_KEY).map_err(|error| failed(&path, "read", &error))?;
        if format.is_none_or(|format| *format != *FORMAT) {
            return Err(other_format(&path));
        }
        let folder = SledFolder { database, path };
        folder.sweep().map_err(|error| failed(&folder.path, "read", &error))?;
        DiskStore::over(folder)
    }

    /// Makes an empty store in `dir`, in the place of whatever store is there.
    pub fn create(dir: &Path) -> Result<SledStore, Fault> {
        let (path, unfinished) = (dir.join(FOLDER), dir.join(FOLDER_NEW));
        fs::create_dir_all(dir).map_err(|error| no_directory(dir, &error))?;
        if path.exists() {
            // Held open by another process, it must not vanish beneath it.
            drop(open(&path)?);
        }
        remove(&unfinished).map_err(|error| no_directory(dir, &error))?;
        let made = || -> sled::Result<()> {
            let database = config(&unfinished).open()?;
            database.insert(FORMAT_KEY, FORMAT)?;
            name_state(&database)
        };
        made().map_err(|error| failed(&path, "made", &error))?;
        // Only a finished store gets the name, and the name is durable before anything rests on it.
        remove(&path)
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(|error| no_directory(dir, &error))?;
        DiskStore::over(SledFolder { database: open(&path)?, path })
    }
}

impl Disk for SledFolder {
    type Base = SledBase;

    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<SledBase, Fault> {
        self.tree().map(|tree| SledBase(Some(tree))).map_err(|error| failed(&self.path, "read", &error))
    }

    fn frozen(&self, fault: FirstFault) -> Result<Box<dyn StateTxn + Send>, Fault> {
        let copied = || self.tree()?.iter().collect::<sled::Result<Vec<_>>>();
        let pairs = copied().map_err(|error| failed(&self.path, "read", &error))?;
        let copy = MemoryDisk::of(pairs.iter().map(|(key, value)| (&**key, &**value)));
        Ok(Box::new(Layered::new(copy, fault)))
    }

    fn write(&self, layer: &Layer) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (key, value) in layer.iter() {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let written = || -> sled::Result<usize> {
            self.tree()?.apply_batch(batch)?;
            self.database.flush()
        };
        written().map(drop).map_err(|error| failed(&self.path, "written", &error))
    }

    fn clear(&self) -> Result<(), Fault> {
        let cleared = || -> sled::Result<()> {
            name_state(&self.database)?;
            self.sweep()
        };
        cleared().map_err(|error| failed(&self.path, "written", &error))
    }
}

impl SledFolder {
    fn tree(&self) -> sled::Result<Tree> {
        self.database.open_tree(self.name()?)
    }

    /// The name of the tree that holds the state: never one of sled's own.
    fn name(&self) -> sled::Result<Vec<u8>> {
        let number = self.database.get(STATE_KEY)?.unwrap_or_default();
        Ok([b"state-", &*number].concat())
    }

    /// Drops the trees that hold the state no more.
    fn sweep(&self) -> sled::Result<()> {
        let kept = self.name()?;
        for name in self.database.tree_names() {
            if name.starts_with(b"state-") && *name != *kept {
                self.database.drop_tree(name)?;
            }
        }
        Ok(())
    }
}

impl SledBase {
    fn tree(&self) -> Result<&Tree, Fault> {
        self.0.as_ref().ok_or_else(no_base)
    }
}

impl Base for SledBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let found = self.tree()?.get(key).map_err(|error| failed(Path::new(FOLDER), "read", &error))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
        for pair in self.tree()?.range(from..to) {
            let (key, value) = pair.map_err(|error| failed(Path::new(FOLDER), "read", &error))?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}

/// The state is in a tree from here on whose name was never another's.
fn name_state(database: &Db) -> sled::Result<()> {
    database.insert(STATE_KEY, database.generate_id()?.to_string().as_bytes())?;
    database.flush().map(drop)
}

/// A checkpoint flushes; nothing else has to reach the disk at a time of its own.
fn config(path: &Path) -> sled::Config {
    sled::Config::new().path(path).cache_capacity(CACHE_BYTES).mode(Mode::LowSpace).flush_every_ms(None)
}

/// sled lets go of its lock a moment after the last handle is dropped, when its own threads have ended; only one that stays
/// is somebody else's.
const LOCK_LINGERS: Duration = Duration::from_secs(3);

fn open(path: &Path) -> Result<Db, Fault> {
    let began = Instant::now();
    loop {
        let error = match config(path).open() {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        let held = matches!(&error, sled::Error::Io(io) if is_lock(io));
        if !held || began.elapsed() > LOCK_LINGERS {
            return Err(opening(path, held, met(&error), &error));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// sled tells a folder that another process holds by its text only.
fn is_lock(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn failed(path: &Path, done: &str, error: &sled::Error) -> Fault {
    storage(path, done, met(error), error)
}

fn met(error: &sled::Error) -> Met<'_> {
    if let sled::Error::Io(error) = error { Met::Io(error) } else { Met::Content }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
