//! A disk in memory that can be bent: full, failing, torn; and what the tests append.

#![expect(dead_code, reason = "every test file uses its part of it")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

use lockstep_journal::{Codec, Config, Disk, DiskFile, EmbeddedLog, Entropy, Recovery};
use model::{Entry, Fingerprint, Header, Incarnation, SourcePosition, Timestamp};
use ports::Fault;
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

pub const DIR: &str = "journal";

/// A disk in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Content>,
    /// Bytes that all files together may have; none = no limit.
    capacity: Option<usize>,
    failing: Option<(Call, io::ErrorKind)>,
    /// Calls that succeed before those fail.
    spared: usize,
    calls: BTreeMap<Call, usize>,
}

type Content = Arc<Mutex<Vec<u8>>>;

/// Calls that can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Call {
    Write,
    Sync,
    SyncDir,
    Rename,
}

impl MemDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The next call of this kind, and every later one, fails like this; none ends it.
    pub fn fail(&self, failing: Option<(Call, io::ErrorKind)>) {
        self.state().failing = failing;
    }

    /// The same behind `spared` calls of this kind.
    pub fn fail_behind(&self, spared: usize, call: Call, kind: io::ErrorKind) {
        self.state().spared = spared;
        self.fail(Some((call, kind)));
    }

    /// How often it was called.
    pub fn calls(&self, call: Call) -> usize {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    pub fn used(&self) -> usize {
        self.state().files.values().map(|file| file.lock().unwrap().len()).sum()
    }

    /// A copy that shares nothing.
    pub fn copy(&self) -> MemDisk {
        let copy = MemDisk::default();
        for (path, file) in &self.state().files {
            copy.state().files.insert(path.clone(), Arc::new(Mutex::new(file.lock().unwrap().clone())));
        }
        copy
    }

    pub fn names(&self) -> Vec<String> {
        self.list(Path::new(DIR)).unwrap()
    }

    pub fn segments(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(".log")).collect()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.state().files[&Path::new(DIR).join(name)].lock().unwrap().clone()
    }

    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.state().files.insert(Path::new(DIR).join(name), Arc::new(Mutex::new(bytes)));
    }

    pub fn remove(&self, name: &str) {
        self.state().files.remove(&Path::new(DIR).join(name));
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let file = self.state().files[&Path::new(DIR).join(name)].clone();
        change(&mut file.lock().unwrap());
    }

    fn call(&self, call: Call) -> io::Result<()> {
        let mut state = self.state();
        *state.calls.entry(call).or_default() += 1;
        match state.failing {
            Some((failing, _)) if failing == call && state.spared > 0 => {
                state.spared -= 1;
                Ok(())
            }
            Some((failing, kind)) if failing == call => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Content> {
        self.state().files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemDisk {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }
    fn open(&self, path: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(MemFile { disk: self.clone(), content: self.find(path)? }))
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let content = Content::default();
        self.state().files.insert(path.to_path_buf(), content.clone());
        Ok(Arc::new(MemFile { disk: self.clone(), content }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename)?;
        let content = self.find(from)?;
        let mut state = self.state();
        state.files.remove(from);
        state.files.insert(to.to_path_buf(), content);
        Ok(())
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.state().files.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.call(Call::SyncDir)
    }
    fn free_bytes(&self, _: &Path) -> Option<u64> {
        let capacity = self.state().capacity?;
        Some(capacity.saturating_sub(self.used()) as u64)
    }
}

struct MemFile {
    disk: MemDisk,
    content: Content,
}

impl DiskFile for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.lock().unwrap();
        let from = content.get(offset as usize..).unwrap_or_default();
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.call(Call::Write)?;
        let end = offset as usize + bytes.len();
        let grows = end.saturating_sub(self.content.lock().unwrap().len());
        let capacity = self.disk.state().capacity;
        if grows > 0 && capacity.is_some_and(|capacity| self.disk.used() + grows > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut content = self.content.lock().unwrap();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.disk.call(Call::Sync)
    }
    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.content.lock().unwrap().resize(bytes as usize, 0);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().len() as u64)
    }
}

/// Rising numbers in the place of random ones, the same in every run.
pub fn births(mut from: u64) -> Entropy {
    Box::new(move || {
        from += 1;
        Ok(from.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    })
}

pub fn config(segment_bytes: u64, reserve_bytes: u64) -> Config {
    Config { segment_bytes, reserve_bytes, spare_ahead: false, ..Config::new("lockstep test", 1) }
}

pub fn open<C: Codec>(disk: &MemDisk, config: Config) -> Result<(EmbeddedLog<C>, Recovery), Fault> {
    let births = births(disk.segments().len() as u64 * 1_000);
    EmbeddedLog::open_on(Arc::new(disk.clone()), Path::new(DIR), config, births, Timestamp(0))
}

/// A small body for the tests that open a log a million times: a number and some bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob(pub u64, pub usize);

pub enum BlobCodec {}

impl Codec for BlobCodec {
    type Body = Blob;
    type Stored = (Header, Blob);

    fn fingerprint() -> Fingerprint {
        Fingerprint(0xb10b)
    }
    fn encode(header: &Header, body: &Blob, out: &mut Vec<u8>) {
        out.extend_from_slice(&header.id.seq.to_le_bytes());
        out.extend_from_slice(&header.term.0.to_le_bytes());
        out.extend_from_slice(&header.appended_at.0.to_le_bytes());
        out.extend_from_slice(&body.0.to_le_bytes());
        out.extend(std::iter::repeat_n(0xa5, body.1));
    }
    fn decode(bytes: &[u8]) -> Result<(Header, Blob), String> {
        let number = |at: usize| {
            let eight: [u8; 8] = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).ok_or("too short")?;
            Ok::<u64, String>(u64::from_le_bytes(eight))
        };
        let header = Header {
            id: model::EntryId::new(1, number(0)?),
            term: model::Term(number(8)?),
            appended_at: Timestamp(number(16)?.cast_signed()),
        };
        Ok((header, Blob(number(24)?, bytes.len() - 32)))
    }
    fn header(stored: &(Header, Blob)) -> &Header {
        &stored.0
    }
    fn body(stored: &(Header, Blob)) -> &Blob {
        &stored.1
    }
    fn opened(_: &Config) -> Blob {
        Blob(u64::MAX, 0)
    }
    fn fold(_: &mut lockstep_journal::Resumes, _: &Blob) {}
}

/// A journal entry that is `n` in position and, by its length, in size.
pub fn message(n: u64) -> Entry {
    Entry::Message {
        source: "legacy".into(),
        incarnation: Incarnation(1),
        position: SourcePosition::new(&n.to_be_bytes()).unwrap(),
        prefix: "lockstep_clinic".into(),
        content: vec![0x5a; n as usize / 100].into(),
    }
}
