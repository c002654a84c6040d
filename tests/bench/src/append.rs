//! `append`: the embedded journal against raw pwrite and fdatasync of the same bytes, 100 entries a flush.
//!
//! The journal runs on a disk that notes where it writes; the raw writer then replays those very writes and flushes into
//! files of zeros. Entries are counted by reading the log back.

use crate::{
    Options,
    figure::{Figure, Run, alternate},
    outcome::{Failed, Outcome, counted},
    process,
};
use journal::{Config, Disk, DiskFile, EntryCodec, EntryLog, LocalDisk, LogReader, kernel_entropy};
use model::{Cell, Column, ColumnType, CommitEnd, Entry, Incarnation, RowChange, RowEntry, SourcePosition, Timestamp};
use ports::{Class, Journal};
use schemas::Plan;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Entries of one append.
const BATCH: u64 = 100;

/// Prints the figure.
pub fn run(options: &Options) -> Outcome<()> {
    let batches = options.scaled(1_000, 1);
    let entries = batches * BATCH;
    let bodies = bodies(batches)?;
    let notes = Notes::default();
    let root = tempfile::tempdir()?;
    ours(&root.path().join("first"), &bodies, Some(&notes))?;
    let writes = notes.writes();
    let flushes = writes.iter().filter(|write| matches!(write, Noted::Flush)).count() as u64;
    if flushes < batches {
        return Err(Failed::told(format!("{flushes} flushes for {batches} appends: not durable, no figure")));
    }
    let mut round = 0;
    let rounds = alternate(
        options,
        || {
            round += 1;
            let dir = root.path().join(format!("ours-{round}"));
            let run = ours(&dir, &bodies, None)?;
            let found = LogReader::<EntryCodec>::open(&dir)?.verify()?;
            // One of them is the log's own `Opened`.
            counted("entries", found.entries, entries + 1)?;
            std::fs::remove_dir_all(&dir)?;
            Ok(run)
        },
        || raw(&root.path().join("raw"), &writes, entries),
    )?;
    let figure = Figure { bench: "append", unit: "entries/s", against: "raw write + fdatasync", target: ">= 0.6" };
    figure.print(options, &rounds);
    Ok(())
}

/// A row as an observation table has it, some 200 bytes.
fn bodies(batches: u64) -> Outcome<Vec<Arc<[Entry]>>> {
    let broken = || Failed::told("the bench's own row does not fit its schema");
    let columns = [
        ("id", ColumnType::Int),
        ("patient_id", ColumnType::Int),
        ("value", ColumnType::Decimal),
        ("text", ColumnType::Text),
        ("uuid", ColumnType::Raw),
        ("at", ColumnType::Instant),
    ];
    let columns = columns.iter().map(|(name, ty)| Column { name: (*name).into(), ty: *ty, native: 0 }).collect();
    let plan = Plan::new(&model::TableSchema { table: "public.bench_records".into(), columns, key: vec![0] });
    let entry = |at: u64| {
        let text = format!("Observation {at} recorded at triage, reviewed by nurse {}", at % 97);
        let uuid = uuid::Uuid::from_u128(u128::from(at).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060)).to_string();
        let id = i64::try_from(at).map_err(|_| broken())?;
        let cells = [
            Cell::Int(id),
            Cell::Int(id % 50_000),
            Cell::Decimal("172.50"),
            Cell::Text(&text),
            Cell::Raw(&uuid),
            Cell::Instant(id * 7_000_000),
        ];
        let position = |n: u64| SourcePosition::new(&n.to_be_bytes()).ok_or_else(broken);
        Ok(Entry::Row(RowEntry {
            source: "legacy".into(),
            incarnation: Incarnation(1),
            position: position(at * 2)?,
            schema: plan.fingerprint(),
            change: RowChange::Insert(plan.row(&cells).map_err(|_| broken())?),
            commit: Some(CommitEnd {
                end: position(at * 2 + 1)?,
                count: 1,
                transaction: at.to_string().into(),
                committed_at: Timestamp(id),
                partitions: Vec::new(),
            }),
            author: None,
        }))
    };
    let batch = |batch: u64| (batch * BATCH..(batch + 1) * BATCH).map(entry).collect::<Outcome<Arc<[Entry]>>>();
    (0..batches).map(batch).collect()
}

fn ours(dir: &Path, bodies: &[Arc<[Entry]>], notes: Option<&Notes>) -> Outcome<Run> {
    let config = Config::new("bench", 1);
    let disk: Arc<dyn Disk> = match notes {
        Some(notes) => Arc::new(NotingDisk(notes.clone())),
        None => Arc::new(LocalDisk),
    };
    let (mut log, _) = EntryLog::open_on(disk, dir, config, kernel_entropy(), Timestamp(1))?;
    if let Some(notes) = notes {
        notes.clear();
    }
    let (cpu, started) = (process::own_cpu(), Instant::now());
    for batch in bodies {
        log.append(std::slice::from_ref(batch), Class::Capture, Timestamp(1))?;
    }
    Ok(measured(started, cpu, bodies.len() as u64 * BATCH))
}

/// The same writes and flushes, nothing else.
fn raw(path: &Path, writes: &[Noted], entries: u64) -> Outcome<Run> {
    let end = |write: &Noted| match write {
        Noted::Write { file: _, at, bytes } => at + *bytes as u64,
        Noted::Flush => 0,
    };
    let longest = writes.iter().map(end).max().unwrap_or_default();
    let files = writes.iter().filter_map(|write| match write {
        Noted::Write { file, .. } => Some(*file + 1),
        Noted::Flush => None,
    });
    let files = files.max().unwrap_or_default();
    let bytes = vec![0xA5; writes.iter().map(Noted::len).max().unwrap_or_default()];
    let open = |file: usize| -> Outcome<(PathBuf, File)> {
        let path = path.with_extension(file.to_string());
        let open = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let zeros = vec![0; 1 << 20];
        for at in 0..longest.div_ceil(1 << 20) {
            open.write_all_at(&zeros, at << 20)?;
        }
        open.sync_all()?;
        Ok((path, open))
    };
    let files: Vec<(PathBuf, File)> = (0..files).map(open).collect::<Outcome<_>>()?;
    let (cpu, started) = (process::own_cpu(), Instant::now());
    let mut last = 0;
    for write in writes {
        match write {
            Noted::Write { file, at, bytes: len } => {
                last = *file;
                files[*file].1.write_all_at(&bytes[..*len], *at)?;
            }
            Noted::Flush => files[last].1.sync_data()?,
        }
    }
    let run = measured(started, cpu, entries);
    for (path, _) in files {
        std::fs::remove_file(path)?;
    }
    Ok(run)
}

fn measured(started: Instant, cpu: std::time::Duration, entries: u64) -> Run {
    let elapsed = started.elapsed().as_secs_f64();
    Run {
        rate: entries as f64 / elapsed,
        cpu_s_per_million: (process::own_cpu() - cpu).as_secs_f64() / entries as f64 * 1e6,
        rss_mib: process::peak_rss_mib(std::process::id()).unwrap_or_default(),
        peer_cpu_s_per_million: None,
    }
}

/// What the journal did to its segments.
#[derive(Clone, Copy)]
enum Noted {
    Write { file: usize, at: u64, bytes: usize },
    Flush,
}

impl Noted {
    fn len(&self) -> usize {
        match self {
            Noted::Write { bytes, .. } => *bytes,
            Noted::Flush => 0,
        }
    }
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<(usize, Vec<Noted>)>>);

impl Notes {
    fn with<T>(&self, act: impl FnOnce(&mut (usize, Vec<Noted>)) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn clear(&self) {
        self.with(|notes| notes.1.clear());
    }

    fn note(&self, noted: Noted) {
        self.with(|notes| notes.1.push(noted));
    }

    fn writes(&self) -> Vec<Noted> {
        self.with(|notes| notes.1.clone())
    }
}

/// The local disk; notes what happens to a segment after it was filled with zeros.
struct NotingDisk(Notes);

struct NotingFile {
    inner: Arc<dyn DiskFile>,
    number: usize,
    notes: Notes,
    noted: bool,
}

impl NotingDisk {
    fn file(&self, path: &Path, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let number = self.0.with(|notes| {
            notes.0 += 1;
            notes.0 - 1
        });
        // Readers trust the tail file but nobody waits for it; the reserve is never written to while there is room.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let noted = !(name.starts_with("tail") || name.starts_with("reserve"));
        Arc::new(NotingFile { inner, number, notes: self.0.clone(), noted })
    }
}

impl Disk for NotingDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        LocalDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        LocalDisk.list(dir)
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, LocalDisk.open(path, write)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, LocalDisk.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        LocalDisk.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        LocalDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        LocalDisk.free_bytes(dir)
    }
}

impl DiskFile for NotingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Zeros fill a segment ahead of its use.
        if self.noted && bytes.iter().any(|byte| *byte != 0) {
            self.notes.note(Noted::Write { file: self.number, at: offset, bytes: bytes.len() });
        }
        self.inner.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.notes.with(|notes| {
            // A flush behind zeros alone is the spare's, on a thread of its own.
            let after_write = matches!(notes.1.last(), Some(Noted::Write { file, .. }) if *file == self.number);
            if self.noted && after_write {
                notes.1.push(Noted::Flush);
            }
        });
        self.inner.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.inner.truncate(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}
