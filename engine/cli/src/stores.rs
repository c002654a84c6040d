//! Opens what lies in `data_dir`: both logs and the store, for writing or beside the engine.

use crate::{config::Settings, error::CliError, exit::Exit};
use journal::{Config, EntryCodec, EntryLog, LogReader, RecordCodec, Recovered, kernel_entropy};
use model::{Entry, EntryId, Record};
use ports::{Clock, Failure, Fault, StateStore};
use runtime::{DataLock, LockError, Stores, SystemClock};
use std::time::{Duration, Instant};
use store::RedbStore;

/// Bytes of one read of a log.
pub const READ_BYTES_MAX: usize = 4 << 20;

/// The journal, read beside whoever writes it.
pub type EntryReader = LogReader<EntryCodec>;
/// The decisions log, likewise.
pub type RecordReader = LogReader<RecordCodec>;

/// A process that was killed a moment ago may not have let go of its lock yet.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Takes `data_dir` for this process, if the configuration names the deployment that wrote what lies there.
pub fn lock(settings: &Settings) -> Result<DataLock, CliError> {
    let since = Instant::now();
    let taken = loop {
        match DataLock::take(&settings.data_dir) {
            Err(LockError::Held { .. }) if since.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_RETRY),
            taken => break taken,
        }
    };
    let lock = taken.map_err(|error| match error {
        LockError::Held { .. } => CliError::new(Exit::NotRunning, error.to_string(), "lockstep status"),
        LockError::Io { .. } => CliError::new(Exit::Usage, error.to_string(), ""),
    })?;
    // What cannot be read here is judged by whoever opens it.
    read_journal(settings).map_or(Ok(()), |journal| same_deployment(settings, &journal))?;
    Ok(lock)
}

/// Opens everything for writing; whoever calls holds the lock.
pub fn open(settings: &Settings) -> Result<Stores, Fault> {
    let Recoveries { journal, decisions, store } = recover(settings)?;
    let now = SystemClock::default().now();
    let journal = journal.open(log_config(settings), kernel_entropy(), now)?;
    let decisions = decisions.open(log_config(settings), kernel_entropy(), now)?;
    let term = journal.term();
    Ok(Stores { journal: Box::new(journal), decisions: Box::new(decisions), term, store: Box::new(store) })
}

/// Opens the journal alone for writing; whoever calls holds the lock. Compared first, too: what a command appends would
/// otherwise stand where entries are missing, and nobody would see the gap any more.
pub fn open_journal(settings: &Settings) -> Result<(EntryLog, RedbStore), Fault> {
    let Recoveries { journal, store, .. } = recover(settings)?;
    Ok((journal.open(log_config(settings), kernel_entropy(), SystemClock::default().now())?, store))
}

/// Both logs as they lie there, for reading to their last whole entry; whoever calls holds the lock. Made durable first if
/// `keep`, because a state that is kept must not be ahead of them.
pub fn read_recovered(settings: &Settings, keep: bool) -> Result<(EntryReader, RecordReader), Fault> {
    let journal = Recovered::<EntryCodec>::recover(&settings.data("journal"))?;
    let decisions = Recovered::<RecordCodec>::recover(&settings.data("decisions"))?;
    compare(&decisions, journal.report().last)?;
    if keep {
        journal.settle()?;
        decisions.settle()?;
    }
    Ok((journal.reader()?, decisions.reader()?))
}

/// What lies in `data_dir`, not opened for writing yet.
struct Recoveries {
    journal: Recovered<EntryCodec>,
    decisions: Recovered<RecordCodec>,
    store: RedbStore,
}

/// Both logs and the store as they lie there, compared before anything is cut or appended (J16): an opening appends, and
/// would fill the places of what is gone.
fn recover(settings: &Settings) -> Result<Recoveries, Fault> {
    let journal = Recovered::<EntryCodec>::recover(&settings.data("journal"))?;
    let decisions = Recovered::<RecordCodec>::recover(&settings.data("decisions"))?;
    let mut store = RedbStore::open(&settings.data("store"))?;
    let (last, decided) = (journal.report().last, decisions.report().last);
    compare(&decisions, last)?;
    let seq = |last: Option<EntryId>| last.map_or(0, |id| id.seq);
    flow::tails_hold(&*store.view()?, seq(last), seq(decided))?;
    Ok(Recoveries { journal, decisions, store })
}

/// Refuses a configuration that names another deployment than the one that wrote this journal: ids would be minted and
/// stamps written that nobody recognises any more.
pub fn same_deployment(settings: &Settings, journal: &EntryReader) -> Result<(), CliError> {
    let first = journal.read(EntryId::new(1, 1), 1).unwrap_or_default();
    let Some(Entry::Opened { pins, .. }) = first.first().map(|first| &first.entry) else { return Ok(()) };
    let here = settings.flow_config(flow::BEHAVIOUR).deployment();
    let Some((name, now, before)) = here.differs(&pins.deployment) else { return Ok(()) };
    let what = format!("{name} is `{now}` in the configuration, and `{before}` wrote the journal in data_dir");
    let cure = format!("put {name} back; another deployment takes another data_dir (and another pipeline)");
    Err(CliError::new(Exit::Usage, what, cure))
}

fn log_config(settings: &Settings) -> Config {
    let binary = concat!("lockstep ", env!("CARGO_PKG_VERSION"));
    let config = Config::new(binary, flow::BEHAVIOUR);
    let (segment_bytes, reserve_bytes) = (settings.segment_bytes, settings.reserve_bytes);
    Config { segment_bytes, reserve_bytes, pins: settings.flow_config(flow::BEHAVIOUR).pins(), ..config }
}

/// The journal for reading.
pub fn read_journal(settings: &Settings) -> Result<EntryReader, Fault> {
    EntryReader::open(&settings.data("journal"))
}

/// The decisions log for reading.
pub fn read_decisions(settings: &Settings) -> Result<RecordReader, Fault> {
    RecordReader::open(&settings.data("decisions"))
}

/// Visits a log from `from` to its durable tail, until `visit` says no.
pub fn visit<C: journal::Codec>(
    reader: &LogReader<C>,
    mut from: EntryId,
    mut visit: impl FnMut(C::Stored) -> bool,
) -> Result<(), Fault> {
    loop {
        let page = reader.read(from, READ_BYTES_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        from = C::header(last).id.next();
        for stored in page {
            if !visit(stored) {
                return Ok(());
            }
        }
    }
}

/// Decisions ahead of the journal mean that acknowledged entries are gone (J16).
fn compare(decisions: &Recovered<RecordCodec>, journal: Option<EntryId>) -> Result<(), Fault> {
    let Some(last) = decisions.report().last else { return Ok(()) };
    let decided = last_input(&decisions.reader()?, last)?;
    let tail = journal.map_or(0, |id| id.seq);
    if decided <= tail {
        return Ok(());
    }
    let what = format!(
        "the decisions log speaks of entry {decided}, but the journal ends at {tail}: acknowledged entries are gone"
    );
    Err(Fault::new(Failure::Corrupt, what).cure("restore data_dir from a backup made before; nothing was cut or sent"))
}

/// The last input that is recorded, 0 if none is. Behind it only `Opened` records can lie, as many as there were starts
/// since: the look goes back until it is found.
fn last_input(reader: &RecordReader, last: EntryId) -> Result<u64, Fault> {
    const LOOK_BACK: u64 = 64;
    let mut back = LOOK_BACK;
    loop {
        let from = EntryId { seq: last.seq.saturating_sub(back).max(1), ..last };
        let mut found = None;
        visit(reader, from, |recorded| {
            found = match recorded.record {
                Record::Decided(record) => Some(record.input.seq),
                Record::Skipped { to, .. } => Some(to.seq),
                Record::Unfolded { input, .. } => Some(input.seq),
                Record::Opened { .. } => found,
            };
            true
        })?;
        match found {
            Some(seq) => return Ok(seq),
            None if from.seq == 1 => return Ok(0),
            None => back = back.saturating_mul(8),
        }
    }
}
