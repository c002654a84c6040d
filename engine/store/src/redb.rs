//! The store on disk: one redb table of bytes to bytes in one file.
//!
//! * Checkpoints are durable commits with `quick_repair`: opening after an abort takes a millisecond, not seconds (J20).
//! * The cache is bounded, because its default of 1 GiB would break the process's own bound.
//! * A file that is not a store of this format is refused; none of its bytes is touched.

use crate::{
    disk::{self, Disk, DiskStore, FORMAT, Met, REBUILD, no_base, no_directory, other_format, storage},
    layered::Base,
    overlay::Layer,
};
use ports::{Failure, Fault};
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
};

const FILE: &str = "state.redb";
/// A store under this name was not finished when its process died.
const FILE_NEW: &str = "state.redb.new";
const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
type State<'t> = Table<'t, &'static [u8], &'static [u8]>;
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const FORMAT_KEY: &str = "format";
/// Measured over 1,000,000 steps of two rising keys with 200 bytes and one random key with 20, checkpoints as due (J19):
/// RSS of the process 37 MiB with a cache of 16 MiB, 55 with 32, 90 with 64, at 11 to 12 CPU s each.
const CACHE_BYTES: usize = 16 << 20;
/// So many new keys in a row are the beginning of a run, which is appended leaf by leaf: it costs a descent of the tree
/// once more, and then none for each of its keys. Chosen by that reasoning and not measured against other lengths.
const RUN_BEGINS: u32 = 2;

/// A state store in one file of redb.
pub type RedbStore = DiskStore<RedbFile>;

/// The file.
pub struct RedbFile {
    database: Database,
    path: PathBuf,
}

/// What the last checkpoint wrote. `None` only while everything is being removed: an open reader would keep the pages
/// that this frees. Those that a checkpoint frees wait for the next one.
#[derive(Default)]
pub struct RedbBase(Option<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl DiskStore<RedbFile> {
    /// Opens the store in `dir`; makes an empty one if there is none.
    pub fn open(dir: &Path) -> Result<RedbStore, Fault> {
        let path = dir.join(FILE);
        match fs::exists(&path) {
            Ok(true) => {
                let database = builder().open(&path).map_err(|error| opening(&path, &error))?;
                require_format(&database, &path)?;
                DiskStore::over(RedbFile { database, path })
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
            .map_err(|error| storage(&path, "made", met(&error), &error))?;
        // Only a finished store gets the name, and the name is durable before anything rests on it.
        fs::rename(&unfinished, &path)
            .and_then(|()| File::open(dir)?.sync_all())
            .and_then(|()| dir.canonicalize()?.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()))
            .map_err(|error| no_directory(dir, &error))?;
        DiskStore::over(RedbFile { database, path })
    }
}

impl Disk for RedbFile {
    type Base = RedbBase;

    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<RedbBase, Fault> {
        self.present().map_err(|error| storage(&self.path, "read", met(&error), &error))
    }

    fn write(&self, layer: &Layer) -> Result<(), Fault> {
        self.commit(|write| insert(&mut write.open_table(STATE)?, layer))
    }

    fn clear(&self) -> Result<(), Fault> {
        self.commit(|write| {
            write.delete_table(STATE)?;
            write.open_table(STATE)?;
            Ok(())
        })
    }
}

impl RedbFile {
    fn present(&self) -> Result<RedbBase, redb::Error> {
        Ok(RedbBase(Some(self.database.begin_read()?.open_table(STATE)?)))
    }

    /// Makes the changes in one durable transaction.
    fn commit(&self, change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>) -> Result<(), Fault> {
        begin(&self.database)
            .and_then(|write| {
                change(&write)?;
                Ok(write.commit()?)
            })
            .map_err(|error| storage(&self.path, "written", met(&error), &error))
    }
}

impl RedbBase {
    fn table(&self) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, Fault> {
        self.0.as_ref().ok_or_else(no_base)
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
    if format().map_err(|error| storage(path, "read", met(&error), &error))? {
        return Ok(());
    }
    Err(other_format(path))
}

fn opening(path: &Path, error: &DatabaseError) -> Fault {
    let held = matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch);
    let met = if let DatabaseError::Storage(StorageError::Io(io)) = error { Met::Io(io) } else { Met::Content };
    disk::opening(path, held, met, error)
}

fn met(error: &redb::Error) -> Met<'_> {
    if let redb::Error::Io(error) = error { Met::Io(error) } else { Met::Content }
}

fn reading(error: StorageError) -> Fault {
    Fault::new(Failure::Corrupt, format!("the state store cannot be read: {error}")).cure(REBUILD)
}
