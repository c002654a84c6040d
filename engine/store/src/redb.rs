//! The store on disk: one redb table of bytes to bytes in one file.
//!
//! * Checkpoints are durable commits with `quick_repair`: opening after an abort takes a millisecond, not seconds (J20).
//! * A checkpoint is written by a thread of its own, which lives as long as it; the store itself never waits for a disk
//!   but where it is asked to.
//! * The cache is bounded, because its default of 1 GiB would break the process's own bound.
//! * A file that is not a store of this format is refused; none of its bytes is touched.

use crate::{
    layered::{Base, FirstFault, Layered},
    overlay::Layer,
};
use ports::{Failure, Fault, StateStore, StateTxn};
use redb::{
    CursorError, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, StorageError, Table, TableDefinition,
    TableError, WriteTransaction,
};
use std::{
    fs::{self, File},
    io,
    iter::Peekable,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

const FILE: &str = "state.redb";
/// A store under this name was not finished when its process died.
const FILE_NEW: &str = "state.redb.new";
const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
type State<'t> = Table<'t, &'static [u8], &'static [u8]>;
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const FORMAT_KEY: &str = "format";
/// Says whose file it is and how its keys are laid out; another text is refused (J5).
const FORMAT: &[u8] = b"lockstep store v0";
/// Measured over 1,000,000 steps of two rising keys with 200 bytes and one random key with 20, checkpoints as due (J19):
/// RSS of the process 37 MiB with a cache of 16 MiB, 55 with 32, 90 with 64, at 11 to 12 CPU s each.
const CACHE_BYTES: usize = 16 << 20;
const REBUILD: &str =
    "the store is a cache: stop the engine and run `lockstep state rebuild`, which folds the journal again";

/// So many new keys in a row are the beginning of a run, which is appended leaf by leaf: it costs a descent of the tree
/// once more, and then none for each of its keys. Chosen by that reasoning and not measured against other lengths.
const RUN_BEGINS: u32 = 2;

/// A state store in a file.
pub struct RedbStore {
    database: Arc<Database>,
    state: Layered<RedbBase>,
    path: PathBuf,
    /// The checkpoint that is being written.
    writing: Option<JoinHandle<Result<RedbBase, redb::Error>>>,
}

/// What the last checkpoint wrote. `None` only while everything is being removed: an open reader would keep the pages
/// that this frees. Those that a checkpoint frees wait for the next one.
struct RedbBase(Option<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl RedbStore {
    /// Opens the store in `dir`; makes an empty one if there is none.
    pub fn open(dir: &Path) -> Result<RedbStore, Fault> {
        let path = dir.join(FILE);
        match fs::exists(&path) {
            Ok(true) => {
                let database = builder().open(&path).map_err(|error| opening(&path, &error))?;
                require_format(&database, &path)?;
                RedbStore::new(database, path)
            }
            Ok(false) => RedbStore::create(dir),
            Err(error) => Err(no_directory(dir, &error)),
        }
    }

    /// Makes an empty store in `dir`, in the place of whatever store is there.
    pub fn create(dir: &Path) -> Result<RedbStore, Fault> {
        let (path, unfinished) = (dir.join(FILE), dir.join(FILE_NEW));
        fs::create_dir_all(dir).map_err(|error| no_directory(dir, &error))?;
        if path.exists() {
            // Held open by another process, it must not vanish beneath it.
            if let Err(error @ DatabaseError::DatabaseAlreadyOpen) = builder().open(&path) {
                return Err(opening(&path, &error));
            }
        }
        let prepare = || match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        prepare().map_err(|error| no_directory(dir, &error))?;
        let database = builder().create(&unfinished).map_err(|error| opening(&path, &error))?;
        begin(&database)
            .and_then(|write| {
                write.open_table(STATE)?;
                write.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
                Ok(write.commit()?)
            })
            .map_err(|error| storage(&path, "made", &error))?;
        // Only a finished store gets the name, and the name is durable before anything rests on it.
        fs::rename(&unfinished, &path)
            .and_then(|()| File::open(dir)?.sync_all())
            .and_then(|()| dir.canonicalize()?.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()))
            .map_err(|error| no_directory(dir, &error))?;
        RedbStore::new(database, path)
    }

    fn new(database: Database, path: PathBuf) -> Result<RedbStore, Fault> {
        let base = RedbBase::at_present(&database).map_err(|error| storage(&path, "read", &error))?;
        let state = Layered::new(base, FirstFault::default());
        Ok(RedbStore { database: Arc::new(database), state, path, writing: None })
    }

    /// Moves the readable base to what was written.
    fn settle(&mut self, written: Result<RedbBase, redb::Error>) -> Result<(), Fault> {
        match written {
            Ok(base) => {
                self.state.base = base;
                self.state.settle();
                Ok(())
            }
            Err(error) => Err(self.state.poison(storage(&self.path, "written", &error))),
        }
    }

    fn join(&mut self) -> Result<(), Fault> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.join().unwrap_or_else(|_| {
            // What it says of itself went to the panic hook; nobody knows what is in the file.
            Err(redb::Error::Corrupted("the thread that wrote the checkpoint panicked".to_owned()))
        });
        self.settle(written)
    }
}

impl Drop for RedbStore {
    /// The file is held while it is written.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            drop(writing.join());
        }
    }
}

impl RedbBase {
    fn at_present(database: &Database) -> Result<RedbBase, redb::Error> {
        Ok(RedbBase(Some(database.begin_read()?.open_table(STATE)?)))
    }

    fn table(&self) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, Fault> {
        self.0
            .as_ref()
            .ok_or_else(|| Fault::new(Failure::Corrupt, "the state store's last checkpoint failed").cure(REBUILD))
    }
}

impl Base for RedbBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.table()?.get(key) {
            Ok(found) => Ok(found.map(|value| value.value().to_vec())),
            Err(error) => Err(reading(error)),
        }
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
        for pair in self.table()?.range(from..to).map_err(reading)? {
            let (key, value) = pair.map_err(reading)?;
            if !visit(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }
}

impl StateStore for RedbStore {
    fn txn(&mut self) -> &mut dyn StateTxn {
        &mut self.state
    }

    fn accept(&mut self) {
        self.state.overlay.accept();
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) {
            // Remembered, if it is a fault: whoever drives the store asks for it before the next step counts.
            self.join().ok();
        }
    }

    fn discard(&mut self) {
        self.state.overlay.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.state.overlay.bytes()
    }

    fn begin_checkpoint(&mut self) -> Result<(), Fault> {
        self.finish_checkpoint()?;
        let layer = self.state.overlay.freeze();
        if layer.is_empty() {
            self.state.settle();
            return Ok(());
        }
        let database = self.database.clone();
        let begun = thread::Builder::new().name("store".to_owned()).spawn(move || write(&database, &layer));
        match begun {
            Ok(writing) => {
                self.writing = Some(writing);
                Ok(())
            }
            Err(error) => {
                let what = format!("no thread can be started for the checkpoint: {error}");
                let fault = Fault::new(Failure::Misconfigured, what).cure("raise the limit of threads of this user");
                Err(self.state.poison(fault))
            }
        }
    }

    fn finish_checkpoint(&mut self) -> Result<(), Fault> {
        self.join()?;
        self.state.sound()
    }

    fn is_checkpointing(&self) -> bool {
        self.writing.is_some()
    }

    fn clear(&mut self) -> Result<(), Fault> {
        self.finish_checkpoint()?;
        self.state.base = RedbBase(None);
        let emptied = begin(&self.database).and_then(|write| {
            write.delete_table(STATE)?;
            write.open_table(STATE)?;
            write.commit()?;
            RedbBase::at_present(&self.database)
        });
        self.settle(emptied)?;
        self.state.clear();
        Ok(())
    }

    fn fault(&self) -> Option<Fault> {
        self.state.fault.get().cloned()
    }

    fn view(&mut self) -> Result<Box<dyn StateTxn + Send>, Fault> {
        self.finish_checkpoint()?;
        let base = RedbBase::at_present(&self.database).map_err(|error| storage(&self.path, "read", &error))?;
        Ok(Box::new(Layered::new(base, self.state.fault.clone())))
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

/// Writes a layer in one durable transaction.
fn write(database: &Database, layer: &Layer) -> Result<RedbBase, redb::Error> {
    let write = begin(database)?;
    insert(&mut write.open_table(STATE)?, layer)?;
    write.commit()?;
    RedbBase::at_present(database)
}

fn insert(table: &mut State<'_>, layer: &Layer) -> Result<(), redb::Error> {
    let mut writes = layer.iter().peekable();
    let mut fresh = 0;
    while let Some((key, value)) = writes.next() {
        let Some(value) = value else {
            table.remove(key)?;
            continue;
        };
        let new = table.insert(key, value)?.is_none();
        fresh = if new { fresh + 1 } else { 0 };
        if fresh == RUN_BEGINS {
            fresh = 0;
            append_run(table, key, &mut writes)?;
        }
    }
    Ok(())
}

/// Writes what follows `after` as long as the table has nothing there.
fn append_run<'a>(
    table: &mut State<'_>,
    after: &[u8],
    writes: &mut Peekable<impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>>,
) -> Result<(), redb::Error> {
    let mut cursor = table.upper_bound_mut(Bound::Included(after))?;
    while let Some((key, Some(value))) = writes.peek() {
        match cursor.insert_before(*key, *value) {
            Ok(()) => writes.next(),
            Err(CursorError::UnorderedKey) => break,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(cursor.close()?)
}

fn require_format(database: &Database, path: &Path) -> Result<(), Fault> {
    let format = || -> Result<bool, redb::Error> {
        match database.begin_read()?.open_table(ABOUT) {
            Ok(about) => Ok(about.get(FORMAT_KEY)?.is_some_and(|found| found.value() == FORMAT)),
            Err(TableError::TableDoesNotExist(_) | TableError::TableTypeMismatch { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };
    if format().map_err(|error| storage(path, "read", &error))? {
        return Ok(());
    }
    let what = format!("{} is not a state store of format v0, the only one that this binary reads", path.display());
    Err(Fault::new(Failure::Misconfigured, what)
        .cure(format!("use the binary that wrote it, or make a new one: {REBUILD}")))
}

fn no_directory(dir: &Path, error: &io::Error) -> Fault {
    Fault::new(Failure::Misconfigured, format!("the state store cannot be made in {}: {error}", dir.display()))
        .cure("give the engine's user a writable directory as data_dir, with space on its disk")
}

fn opening(path: &Path, error: &DatabaseError) -> Fault {
    let what = format!("the state store {} cannot be opened: {error}", path.display());
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Fault::new(Failure::Misconfigured, what)
                .cure("another process holds it: ask the running engine, or stop it first (`lockstep status`)")
        }
        DatabaseError::Storage(StorageError::Io(io)) if !is_content(io) => {
            Fault::new(Failure::Misconfigured, what).cure("look at the permissions and the disk, then start again")
        }
        _ => Fault::new(Failure::Corrupt, what).cure(REBUILD),
    }
}

/// Whether the bytes are at fault, not the access to them.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// A fault while the store is in use: what the disk did is unknown, so nothing that follows would count.
fn storage(path: &Path, done: &str, error: &redb::Error) -> Fault {
    let what = format!("the state store {} cannot be {done}: {error}", path.display());
    match error {
        redb::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            Fault::new(Failure::Transient, what).cure("make space on its disk: nothing is lost, it is opened again")
        }
        redb::Error::Io(_) => Fault::new(Failure::Misconfigured, what)
            .cure("look at the disk, then start the engine again: it folds from the last checkpoint"),
        _ => Fault::new(Failure::Corrupt, what).cure(REBUILD),
    }
}

fn reading(error: StorageError) -> Fault {
    Fault::new(Failure::Corrupt, format!("the state store cannot be read: {error}")).cure(REBUILD)
}
