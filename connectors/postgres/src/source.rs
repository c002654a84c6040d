//! The source: opens where the journal says, hands over what the stream made, leaves nothing behind.
//!
//! Invariants:
//! * A slot is made only for a resume that wants one and has not started (J6); a started one that does not fit is a gap.
//! * What is asked of the server is `passed`, what is confirmed to it is at or below the durable `passed` (J10).
//! * What is published is read before anything else is looked at: what changes behind that look is a difference to the next.

use crate::{
    batch::Batch,
    catalog::Shape,
    config::Options,
    copy::Lines,
    error::Error,
    handoff::Handoff,
    pace::Pace,
    position::Lsn,
    prerequisites::{self, Stopped},
    relation::Relations,
    session::{Sql, Task, connect, literal},
    slot::{self, Identity, SlotState},
    snapshot::{Place as ReadPlace, Progress, Seen, SnapshotReader},
    socket::Bytestream,
    status::Status,
    stream::Stream,
    watch::{self, Published, Watch},
    wire::{Frames, Incoming, Outgoing, Wire},
};
use model::{Entry, SnapshotMark, SourcePosition, TableName};
use ports::{
    Boxed, Fault, OpenFault, Resume, Source, SourceHandle, TableProgress, TableResume, resume::IDENTITY_PREFIX,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Status updates go at least this often, and three times in the server's own patience.
const UPDATE_EVERY_MAX: Duration = Duration::from_secs(10);

/// A PostgreSQL database as a source.
pub struct PostgresSource {
    options: Arc<Options>,
    open: Option<(Stream, Watch)>,
}

/// Where a stream begins.
struct Begin {
    resume: Resume,
    passed: Lsn,
    batch: Batch,
    watched: Published,
    stopped: Stopped,
}

/// Whom positions belong to, and under which publishing the tables are read.
fn identify(here: &Identity, published: &Published, at: Lsn, batch: &mut Batch) {
    let text = format!("{}{}", here.text(), published.text());
    batch.message(at.change(0), IDENTITY_PREFIX, text.as_bytes());
}

struct Handle {
    status: Arc<Status>,
    progress: Progress,
}

impl SourceHandle for Handle {
    fn confirm(&self, upto: SourcePosition) {
        if let Some(lsn) = Lsn::of(&upto) {
            self.status.confirm(lsn);
        }
    }

    fn progress(&self) -> Vec<TableProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Source for PostgresSource {
    fn open(&mut self, resume: Resume) -> Boxed<'_, Result<Arc<dyn SourceHandle>, OpenFault>> {
        Box::pin(async move {
            // Whatever was open lets go of the slot first.
            self.open = None;
            let (stream, watch, handle) = self.opened(resume).await?;
            self.open = Some((stream, watch));
            Ok(Arc::new(handle) as Arc<dyn SourceHandle>)
        })
    }

    fn next_batch(&mut self) -> Boxed<'_, Result<Vec<Entry>, OpenFault>> {
        Box::pin(async move {
            let Some((stream, watch)) = &mut self.open else {
                return Err(Fault::from(Error::Protocol("the source is not open".to_owned())).into());
            };
            // What the stream has made and not handed over comes again: it is behind `passed`.
            let ended = tokio::select! {
                batch = stream.next_batch() => match batch {
                    Ok(batch) => return Ok(batch),
                    Err(error) => error,
                },
                error = watch.found() => error,
            };
            let passed = stream.passed;
            self.open = None;
            Err(self.unpublished(&ended, passed).await.unwrap_or_else(|| Fault::from(ended).into()))
        })
    }

    fn removable(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async move { Ok(self.standing().await?) })
    }

    fn remove(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            self.open = None;
            Ok(self.removed().await?)
        })
    }

    fn prerequisites(&mut self) -> Boxed<'_, Result<Vec<Fault>, Fault>> {
        Box::pin(async move { Ok(prerequisites::all(&self.options).await?) })
    }
}

impl PostgresSource {
    /// A source that is not connected yet.
    pub fn new(options: Options) -> PostgresSource {
        PostgresSource { options: Arc::new(options), open: None }
    }

    async fn opened(&self, resume: Resume) -> Result<(Stream, Watch, Handle), OpenFault> {
        let options = &self.options;
        let sql = Sql::open(options).await.map_err(Fault::from)?;
        let published = Published::read(&sql, options).await.map_err(Fault::from)?;
        let known = if resume.started { resume.tables.keys().cloned().collect() } else { BTreeSet::new() };
        let blocking = prerequisites::blocking(&sql, options, &known).await.map_err(Fault::from)?;
        if let Some(fault) = blocking.everything {
            return Err(fault.into());
        }
        let mut wire = Wire::open(connect(options).await.map_err(Fault::from)?, options).await.map_err(Fault::from)?;
        let here = Identity::ask(&mut wire).await.map_err(Fault::from)?;
        let mut batch = Batch::new(options.system.clone(), resume.incarnation);
        let passed = if resume.started {
            let slot = slot::released(&sql, &options.name()).await.map_err(Fault::from)?;
            let passed = resume.passed.as_ref().and_then(Lsn::of).unwrap_or_default();
            slot::check(options, slot.as_ref(), &here, resume.identity.as_deref(), passed)?;
            passed
        } else {
            self.new_slot(&sql, &mut wire, &here, &published, &mut batch).await.map_err(Fault::from)?
        };
        let (frames, write) = wire.start(&self.start_command(passed)).await.map_err(Fault::from)?;
        let (mut resume, mut watched, mut stopped) = (resume, published, blocking.tables);
        if resume.started {
            // Once more, now that nobody else can move it: the server silently begins where its slot stands (J10).
            let slot = SlotState::find(&sql, &options.name()).await.map_err(Fault::from)?;
            slot::check(options, slot.as_ref(), &here, resume.identity.as_deref(), passed)?;
            watched = self.start_tables(&mut resume, passed, &here, &watched, &stopped, &mut batch);
        }
        for (table, what) in &stopped {
            tracing::error!(source = %options.system, %table, "captured no longer, and read again once this is mended: {what}");
        }
        for (table, what) in blocking.unreadable {
            if resume.tables.get(&table) == Some(&TableResume::Ready) {
                tracing::warn!(source = %options.system, %table, "its changes are captured, but it cannot be read: {what}");
                continue;
            }
            tracing::error!(source = %options.system, %table, "not read further until this is mended: {what}");
            prerequisites::tell(&mut stopped, table, &what);
        }
        let from = Begin { resume, passed, batch, watched, stopped };
        Ok(self.streaming(sql, frames, write, from).await.map_err(Fault::from)?)
    }

    /// Wanted and not started: whatever slot is there holds nothing of ours (J6).
    async fn new_slot(
        &self,
        sql: &Sql,
        wire: &mut Wire<Bytestream>,
        here: &Identity,
        published: &Published,
        batch: &mut Batch,
    ) -> Result<Lsn, Error> {
        let name = self.options.name();
        if slot::released(sql, &name).await?.is_some() {
            slot::drop(sql, &name).await?;
        }
        let system = self.options.system.clone();
        let mut told = |pids: Vec<i32>| {
            tracing::warn!(source = %system, ?pids, "the slot waits until these processes have ended their transactions");
        };
        let (point, _) = slot::create(wire, sql, &name, false, &mut told).await?;
        batch.snapshot(SnapshotMark::Started { tables: self.options.tables.clone(), at: point.position() });
        identify(here, published, point, batch);
        Ok(point)
    }

    /// Starts the tables that must be read from their beginning: those that the journal does not know yet; those whose
    /// publishing changed, or that cannot be captured for now; and those that the configuration leaves out, because their
    /// changes are missed from here on. What it says of publishing comes behind, so that a crash in between starts them again.
    fn start_tables(
        &self,
        resume: &mut Resume,
        passed: Lsn,
        here: &Identity,
        published: &Published,
        stopped: &Stopped,
        batch: &mut Batch,
    ) -> Published {
        const UNREAD: TableResume = TableResume::Open { next_chunk: 0, done_upto: None };
        let recorded = Published::recorded(resume.identity.as_deref().unwrap_or_default());
        let differs = recorded.differs(published);
        let named = &self.options.tables;
        let mut tables: BTreeSet<&TableName> =
            named.iter().filter(|table| !resume.tables.contains_key(table)).collect();
        // Rows of a table may have come by the stream before its first chunk: started is not enough, if publishing changed.
        let known = resume.tables.iter().filter(|(table, state)| **state != UNREAD || differs.contains_key(*table));
        let known = known.map(|(table, _)| table);
        tables
            .extend(known.filter(|table| {
                !named.contains(table) || differs.contains_key(*table) || stopped.contains_key(*table)
            }));
        let tables: Vec<TableName> = tables.into_iter().cloned().collect();
        let again: BTreeMap<_, _> = differs.into_iter().filter(|(table, _)| !stopped.contains_key(table)).collect();
        if !again.is_empty() {
            tracing::warn!(source = %self.options.system, "read again: {}", watch::said(&again));
        }
        for table in &tables {
            resume.tables.insert(table.clone(), UNREAD);
        }
        if !tables.is_empty() {
            batch.snapshot(SnapshotMark::Started { tables, at: passed.position() });
        }
        let renewed = recorded.renewed(published);
        if renewed != recorded {
            identify(here, &renewed, passed, batch);
        }
        renewed
    }

    fn start_command(&self, from: Lsn) -> String {
        let name = self.options.name();
        format!(
            "START_REPLICATION SLOT \"{name}\" LOGICAL {from} \
             (proto_version '1', publication_names '\"{name}\"', messages 'true')"
        )
    }

    async fn streaming(
        &self,
        sql: Sql,
        frames: Frames<Incoming>,
        write: Outgoing,
        from: Begin,
    ) -> Result<(Stream, Watch, Handle), Error> {
        let Begin { resume, passed, batch, watched, stopped } = from;
        let options = Arc::clone(&self.options);
        let mut shapes = Vec::new();
        for table in &options.tables {
            shapes.extend(Shape::read(&sql, table).await?);
        }
        let timeout =
            sql.one("reading a setting", "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'").await?;
        let patience = Duration::from_millis(timeout.parse().unwrap_or(0));
        let every = if patience.is_zero() { UPDATE_EVERY_MAX } else { UPDATE_EVERY_MAX.min(patience / 3) };
        let status = Arc::new(Status::default());
        status.confirm(passed);
        let updates = Arc::clone(&status).run(write, every);
        let (handoff, progress) = self.first_read(&resume, &shapes, &stopped).await?;
        let watch = Watch::start(Sql::open(&options).await?, Arc::clone(&options), watched, stopped);
        let stream = Stream {
            name: options.name(),
            frames,
            pace: Pace::new(),
            relations: Relations::new(&options.tables, &shapes, sql),
            handoff,
            status: Arc::clone(&status),
            _updates: updates,
            announced: resume.schemas.iter().map(|(table, (fingerprint, _))| (table.clone(), *fingerprint)).collect(),
            passed,
            moved_at: Instant::now(),
            silent: 0,
            silent_max: silent_max(patience),
            transaction: None,
            batch,
            options,
        };
        Ok((stream, watch, Handle { status, progress }))
    }

    /// Starts reading the tables that are not ready; none if all are, or cannot be.
    async fn first_read(
        &self,
        resume: &Resume,
        shapes: &[Shape],
        stopped: &Stopped,
    ) -> Result<(Option<Handoff>, Progress), Error> {
        let place = |table: &TableName| match resume.tables.get(table) {
            Some(TableResume::Ready) => None,
            Some(TableResume::Open { next_chunk, done_upto }) => {
                Some(ReadPlace { table: table.clone(), number: *next_chunk, after: done_upto.clone() })
            }
            None => Some(ReadPlace { table: table.clone(), number: 0, after: None }),
        };
        let reads = self.options.tables.iter().filter(|table| !stopped.contains_key(*table));
        let tables: Vec<ReadPlace> = reads.filter_map(place).collect();
        let estimate =
            |table: &TableName| shapes.iter().find(|shape| shape.table() == table).map_or(0, |shape| shape.estimate);
        let progress = tables
            .iter()
            .map(|place| TableProgress {
                table: place.table.clone(),
                rows_done: 0,
                rows_estimate: estimate(&place.table),
                stopped: None,
            })
            .chain(stopped.iter().map(|(table, what)| TableProgress {
                table: table.clone(),
                rows_done: 0,
                rows_estimate: 0,
                stopped: Some(what.clone()),
            }))
            .collect();
        let progress = Arc::new(Mutex::new(progress));
        if tables.is_empty() {
            return Ok((None, progress));
        }
        let wire = Wire::open_sql(connect(&self.options).await?, &self.options).await?;
        let pid = wire.pid();
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros());
        let nonce = format!("{pid}.{micros}");
        let seen = Seen::default();
        let (reads_in, reads) = mpsc::channel(1);
        let (verdicts, verdicts_out) = mpsc::channel(4);
        let reader = SnapshotReader {
            wire,
            options: Arc::clone(&self.options),
            nonce: nonce.clone(),
            progress: Arc::clone(&progress),
            seen: Arc::clone(&seen),
            reads: reads_in,
            verdicts: verdicts_out,
            lines: Lines::default(),
        };
        let task = Task(tokio::spawn(reader.run(tables)));
        Ok((Some(Handoff::new(reads, verdicts, nonce, seen, task)), progress))
    }

    /// The server reads its log with the catalogue as it was then, and before 18 it cannot send a change from a time in which
    /// there was no publication: it would say so for ever, although there is one now. Only a new slot leads past that.
    async fn unpublished(&self, error: &Error, passed: Lsn) -> Option<OpenFault> {
        if error.code() != Some("42704") {
            return None;
        }
        let name = self.options.name();
        let sql = Sql::open(&self.options).await.ok()?;
        let query = format!("SELECT 1 FROM pg_publication WHERE pubname = {}", literal(&name));
        let there = !sql.rows("looking at the publication", &query).await.ok()?.is_empty();
        let what = format!(
            "the publication {name} was missing for a while behind {passed}, and the server cannot send what was changed then"
        );
        there.then(|| OpenFault::Gap {
            passed: Some(passed.position()),
            slot: None,
            what,
            plan: slot::gap_plan(&name, passed),
        })
    }

    async fn standing(&self) -> Result<Vec<String>, Error> {
        let name = self.options.name();
        let sql = Sql::open(&self.options).await?;
        let mut said = Vec::new();
        if let Some(slot) = SlotState::find(&sql, &name).await? {
            let reader = slot.active_pid.map(|pid| format!(", ending its reader, pid {pid}")).unwrap_or_default();
            said.push(format!("would drop the slot {name}{reader}"));
        }
        let publication = format!("SELECT 1 FROM pg_publication WHERE pubname = {}", literal(&name));
        if !sql.rows("looking at the publication", &publication).await?.is_empty() {
            said.push(format!("would drop the publication {name}, if the role owns it"));
        }
        Ok(said)
    }

    async fn removed(&self) -> Result<Vec<String>, Error> {
        let name = self.options.name();
        let sql = Sql::open(&self.options).await?;
        let mut said = Vec::new();
        let slots = format!("SELECT slot_name FROM pg_replication_slots WHERE slot_name = {}", literal(&name));
        if sql.rows("looking at the slot", &slots).await?.is_empty() {
            said.push(format!("there was no slot {name}"));
        } else if slot::drop(&sql, &name).await? {
            said.push(format!("dropped the slot {name}"));
        }
        let publication = format!("SELECT 1 FROM pg_publication WHERE pubname = {}", literal(&name));
        if !sql.rows("looking at the publication", &publication).await?.is_empty() {
            match sql.run("dropping the publication", &format!("DROP PUBLICATION \"{name}\"")).await {
                Ok(()) => said.push(format!("dropped the publication {name}")),
                Err(_) => said.push(format!("the publication is its owner's to drop: DROP PUBLICATION {name};")),
            }
        }
        Ok(said)
    }
}

/// How many silent seconds end the patience. While the server decodes a transaction of tables that are not ours it gives a
/// sign each half of its `wal_sender_timeout`, and none at all without one: given up there, it would begin it again, for ever.
fn silent_max(wal_sender_timeout: Duration) -> u64 {
    const LEAST: u64 = 60;
    const WITHOUT: u64 = 3_600;
    if wal_sender_timeout.is_zero() { WITHOUT } else { LEAST.max(wal_sender_timeout.as_secs().saturating_mul(2)) }
}
