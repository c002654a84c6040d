//! Files of a log: damaged ones, and batches whose checksums are right around any content.

use crate::world;
use journal::{Config, Disk, DiskFile, EntryCodec, EntryLog, LogReader, Recovered, fuzz};
use model::{EntryId, Timestamp};
use ports::{Class, Journal};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

const DIR: &str = "journal";
const SEGMENT_BYTES: u64 = 8 << 10;

type Content = Arc<Mutex<Vec<u8>>>;
type Files = BTreeMap<PathBuf, Content>;

/// Files in memory. Clones share them.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Files>>);

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn copy(&self) -> Memory {
        let files = lock(&self.0);
        let copied = files.iter().map(|(path, file)| (path.clone(), Arc::new(Mutex::new(lock(file).clone()))));
        Memory(Arc::new(Mutex::new(copied.collect())))
    }
}

impl Disk for Memory {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = lock(&self.0);
        let inside = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }
    fn open(&self, path: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = lock(&self.0).get(path).cloned();
        Ok(Arc::new(File(file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?)))
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let content = Content::default();
        lock(&self.0).insert(path.to_path_buf(), content.clone());
        Ok(Arc::new(File(content)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        let content = files.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        files.insert(to.to_path_buf(), content);
        Ok(())
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn free_bytes(&self, _: &Path) -> Option<u64> {
        None
    }
}

struct File(Content);

impl DiskFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.0);
        let from = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut content, offset) = (lock(&self.0), usize::try_from(offset).map_err(io::Error::other)?);
        let len = content.len().max(offset + bytes.len());
        content.resize(len, 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&self, bytes: u64) -> io::Result<()> {
        lock(&self.0).resize(usize::try_from(bytes).map_err(io::Error::other)?, 0);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }
}

fn config() -> Config {
    Config { segment_bytes: SEGMENT_BYTES, reserve_bytes: 0, spare_ahead: false, ..Config::new("fuzz", 1) }
}

fn births() -> journal::Entropy {
    let mut birth = 0;
    Box::new(move || {
        birth += 1;
        Ok(birth)
    })
}

/// A journal of several segments, every append acknowledged.
static WHOLE: LazyLock<Memory> = LazyLock::new(|| {
    let disk = Memory::default();
    let opened = EntryLog::open_on(Arc::new(disk.clone()), Path::new(DIR), config(), births(), Timestamp(0));
    let (mut log, _) = opened.expect("an empty disk is a new log");
    for entry in world::journal().into_iter().filter(|entry| !matches!(entry.entry, model::Entry::Activated(_))) {
        log.append(&[Arc::from([entry.entry])], Class::Capture, Timestamp(5)).expect("memory takes all");
    }
    disk
});

/// Damage by four bytes (file, place, what), or by a copy of another place; then the log is opened, read, written to.
pub fn disk(bytes: &[u8]) {
    let disk = WHOLE.copy();
    let paths: Vec<PathBuf> = lock(&disk.0).keys().cloned().collect();
    for damage in bytes.chunks_exact(4).take(64) {
        let path = &paths[usize::from(damage[0]) % paths.len()];
        let content = lock(&disk.0).get(path).cloned();
        let Some(content) = content else { continue };
        let mut content = lock(&content);
        let at = usize::from(u16::from_le_bytes([damage[1], damage[2]])) % content.len().max(1);
        match damage[0] >> 4 {
            0 => content.truncate(at),
            1 => drop(lock(&disk.0).remove(path)),
            2 => {
                let end = (at + 8 * usize::from(damage[3])).min(content.len());
                content[at..end].fill(0);
            }
            3 => {
                let (from, end) = (8 * usize::from(damage[3]), content.len());
                content.copy_within(from.min(end)..(from + 512).min(end), at.min(end.saturating_sub(512)));
            }
            _ => {
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= damage[3];
                }
            }
        }
    }
    let disk: Arc<dyn Disk> = Arc::new(disk);
    if let Ok(reader) = LogReader::<EntryCodec>::open_on(disk.clone(), Path::new(DIR)) {
        drop((reader.tail(), reader.verify(), reader.read(EntryId::new(1, 1), usize::MAX)));
        drop((reader.read(EntryId::new(1, 20), 100), reader.locate(EntryId::new(1, 7))));
    }
    let Ok(found) = Recovered::<EntryCodec>::recover_on(disk, Path::new(DIR)) else { return };
    let last = found.report().last;
    let Ok(mut log) = found.open(config(), births(), Timestamp(9)) else { return };
    assert!(log.tail() > last, "a log that is opened goes on behind what it has");
    let appended = log.append(&[Arc::from([model::Entry::Clock])], Class::Capture, Timestamp(10));
    let Ok(appended) = appended else { return };
    let read = log.read(appended[0].last, 1).expect("what was just appended is read");
    assert!(read.first().is_some_and(|entry| entry.entry == model::Entry::Clock), "another entry is read");
}

pub fn disk_seeds() -> Vec<Vec<u8>> {
    vec![
        vec![],
        vec![0x40, 0, 17, 1],
        vec![0x41, 40, 17, 0x80, 0x52, 0, 16, 0xff],
        vec![0x00, 0, 18],
        vec![0x01, 200, 17, 0, 0x13, 0, 0, 0],
        vec![0x21, 0, 16, 200, 0x34, 0, 17, 8],
        vec![0x45, 8, 0, 1, 0x45, 16, 0, 1, 0x45, 0, 0, 1],
    ]
}

/// Batches whose checksums are right.
pub fn frames(bytes: &[u8]) {
    fuzz::sealed(bytes);
    fuzz::entry(bytes);
}

pub fn frame_seeds() -> Vec<Vec<u8>> {
    let mut resume = ports::Resume::default();
    let entries = world::journal();
    entries.iter().for_each(|entry| resume.fold(&entry.entry));
    resume.schemas.clear();
    let with: journal::Resumes = [("legacy".into(), resume)].into();
    let seeds = entries.iter().flat_map(|entry| {
        [fuzz::sealed_seed(&entry.entry, &journal::Resumes::new()), fuzz::sealed_seed(&entry.entry, &with)]
    });
    seeds.filter(|seed| fuzz::sealed(seed) > 0).take(40).collect()
}
