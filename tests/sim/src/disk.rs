//! A disk that loses what was not flushed: any part of it, sector by sector, and names of files that their directory did not
//! flush either. It also fails a flush, is full, and stops in the middle of whatever is being done.

use crate::Chance;
use journal::{Disk, DiskFile};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

const SECTOR: usize = 512;
/// The kernel writes back by itself what has waited behind so many writes.
const PENDING_MAX: usize = 24;

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What a process sees.
    files: BTreeMap<PathBuf, Inode>,
    /// Names that stand whatever happens, and their changes since.
    kept: BTreeMap<PathBuf, Inode>,
    changes: Vec<Change>,
    capacity: Option<usize>,
    /// The next flush fails.
    fails: bool,
    /// So many calls are left before nothing answers any more.
    calls_left: Option<u64>,
}

/// A change of names: all of it survives, or nothing.
enum Change {
    Put(PathBuf, Inode),
    Gone(PathBuf),
    Moved { from: PathBuf, to: PathBuf, inode: Inode },
}

impl Change {
    fn apply(self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Change::Put(path, inode) => drop(names.insert(path, inode)),
            Change::Gone(path) => drop(names.remove(&path)),
            Change::Moved { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let (Change::Put(path, _) | Change::Gone(path) | Change::Moved { to: path, .. }) = self;
        path.parent() == Some(dir)
    }
}

type Inode = Arc<Mutex<Content>>;

#[derive(Default)]
struct Content {
    seen: Vec<u8>,
    kept: Vec<u8>,
    pending: VecDeque<Write>,
}

enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

/// What a power cut took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Lost {
    /// Sectors that were written and are not there.
    pub sectors: u64,
    /// A write of which some sectors are there and some are not.
    pub torn: bool,
    /// Changes of names that are not there.
    pub names: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put(bytes: &mut Vec<u8>, offset: usize, piece: &[u8]) {
    if bytes.len() < offset + piece.len() {
        bytes.resize(offset + piece.len(), 0);
    }
    bytes[offset..offset + piece.len()].copy_from_slice(piece);
}

impl Content {
    fn apply(&mut self, write: Write) {
        match write {
            Write::Bytes(offset, bytes) => put(&mut self.kept, offset, &bytes),
            Write::Length(bytes) => self.kept.resize(bytes, 0),
        }
    }

    fn flush(&mut self) {
        while let Some(write) = self.pending.pop_front() {
            self.apply(write);
        }
    }

    fn write(&mut self, write: Write) {
        match &write {
            Write::Bytes(offset, bytes) => put(&mut self.seen, *offset, bytes),
            Write::Length(bytes) => self.seen.resize(*bytes, 0),
        }
        self.pending.push_back(write);
        if self.pending.len() > PENDING_MAX
            && let Some(first) = self.pending.pop_front()
        {
            self.apply(first);
        }
    }

    /// Any subset of what was not flushed is there.
    fn cut(&mut self, chance: &mut Chance, tears: bool, lost: &mut Lost) {
        for write in std::mem::take(&mut self.pending) {
            let Write::Bytes(offset, bytes) = write else {
                if chance.one_in(2) {
                    self.apply(write);
                }
                continue;
            };
            let (mut from, mut there, mut gone) = (0, 0, 0);
            let whole = chance.one_in(2);
            while from < bytes.len() {
                let to = bytes.len().min(from + SECTOR - (offset + from) % SECTOR);
                if if tears { chance.one_in(2) } else { whole } {
                    put(&mut self.kept, offset + from, &bytes[from..to]);
                    there += 1;
                } else {
                    gone += 1;
                }
                from = to;
            }
            lost.sectors += gone;
            lost.torn |= there > 0 && gone > 0;
        }
        self.seen = self.kept.clone();
    }
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// The power is gone, and back: every write that was not flushed is there or not, and so is every name.
    pub fn cut(&self, chance: &mut Chance, tears: bool, loses_names: bool) -> Lost {
        let (mut state, mut lost) = (self.state(), Lost::default());
        for change in std::mem::take(&mut state.changes) {
            if loses_names && chance.one_in(2) {
                lost.names += 1;
            } else {
                change.apply(&mut state.kept);
            }
        }
        state.files = state.kept.clone();
        state.files.values().for_each(|inode| lock(inode).cut(chance, tears, &mut lost));
        (state.fails, state.calls_left) = (false, None);
        lost
    }

    /// Behind so many calls nothing answers any more; none ends it.
    pub fn stop_behind(&self, calls: Option<u64>) {
        self.state().calls_left = calls;
    }

    /// The next flush fails, and what it should have flushed may never be.
    pub fn fail_flush(&self) {
        self.state().fails = true;
    }

    /// .. and may do so still.
    pub fn is_failing(&self) -> bool {
        self.state().fails
    }

    /// Room for so many bytes beside what is there; none is without an end.
    pub fn leave(&self, bytes: Option<usize>) {
        let used = self.used();
        self.state().capacity = bytes.map(|bytes| used + bytes);
    }

    fn used(&self) -> usize {
        self.state().files.values().map(|inode| lock(inode).seen.len()).sum()
    }

    /// Flips a bit of a file whose name ends like this, among the first bytes that are not zeros; says what undoes it.
    pub fn rot(&self, chance: &mut Chance) -> Option<(PathBuf, usize, u8)> {
        let state = self.state();
        let segments: Vec<_> =
            state.files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "log")).collect();
        let (path, inode) = segments.get(chance.below(segments.len() as u64) as usize)?;
        let mut content = lock(inode);
        let used = content.seen.iter().rposition(|byte| *byte != 0)? as u64 + 1;
        let (at, bit) = (chance.below(used) as usize, 1 << chance.below(8));
        content.flip(at, bit);
        Some((path.to_path_buf(), at, bit))
    }

    /// Flips it back.
    pub fn mend(&self, (path, at, bit): &(PathBuf, usize, u8)) {
        if let Some(inode) = self.state().files.get(path) {
            lock(inode).flip(*at, *bit);
        }
    }

    fn call(&self) -> io::Result<()> {
        match &mut self.state().calls_left {
            Some(0) => Err(io::Error::other("the process is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Inode> {
        self.state().files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Content {
    fn flip(&mut self, at: usize, bit: u8) {
        for bytes in [&mut self.seen, &mut self.kept] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.call()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn open(&self, path: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.call()?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode: self.find(path)? }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.call()?;
        let inode = Inode::default();
        let mut state = self.state();
        state.files.insert(path.to_path_buf(), inode.clone());
        state.changes.push(Change::Put(path.to_path_buf(), inode.clone()));
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        let inode = self.find(from)?;
        let mut state = self.state();
        state.files.remove(from);
        state.files.insert(to.to_path_buf(), inode.clone());
        state.changes.push(Change::Moved { from: from.to_path_buf(), to: to.to_path_buf(), inode });
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        let mut state = self.state();
        state.changes.push(Change::Gone(path.to_path_buf()));
        state.files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call()?;
        let mut state = self.state();
        let changes = std::mem::take(&mut state.changes);
        let (inside, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.is_in(dir));
        state.changes = others;
        inside.into_iter().for_each(|change| change.apply(&mut state.kept));
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> Option<u64> {
        let capacity = self.state().capacity?;
        Some(capacity.saturating_sub(self.used()) as u64)
    }
}

struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.inode);
        let from = content.seen.get(offset as usize..).unwrap_or_default();
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.call()?;
        let end = offset as usize + bytes.len();
        let grows = end.saturating_sub(lock(&self.inode).seen.len());
        let capacity = self.disk.state().capacity;
        if grows > 0 && capacity.is_some_and(|capacity| self.disk.used() + grows > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        lock(&self.inode).write(Write::Bytes(offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.call()?;
        let fails = std::mem::take(&mut self.disk.state().fails);
        let mut content = lock(&self.inode);
        if fails {
            // The kernel holds the pages as clean now: no later flush writes what this one lost.
            let pending = std::mem::take(&mut content.pending);
            pending.into_iter().enumerate().filter(|(n, _)| n % 2 == 1).for_each(|(_, write)| content.apply(write));
            return Err(io::Error::other("input/output error"));
        }
        content.flush();
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.disk.call()?;
        lock(&self.inode).write(Write::Length(bytes as usize));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).seen.len() as u64)
    }
}
