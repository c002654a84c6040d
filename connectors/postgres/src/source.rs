//! The source: opens where the journal says, hands over what the stream made, leaves nothing behind.
//!
//! Invariants:
//! * A slot is made only for a resume that wants one and has not started (J6); a started one that does not fit is a gap.
//! * What is asked of the server is `passed`, what is confirmed to it is at or below the durable `passed` (J10).

use crate::{
    batch::Batch,
    catalog::Shape,
    config::{Options, Place},
    error::Error,
    handoff::Handoff,
    pace::Pace,
    position::Lsn,
    prerequisites,
    relation::Relations,
    session::{Bytestream, Sql, Task, connect, literal},
    slot::{self, Identity, SlotState},
    snapshot::{Place as ReadPlace, Progress, Seen, SnapshotReader},
    status::Status,
    stream::Stream,
    wire::{Frames, Wire},
};
use model::{Entry, SnapshotMark, SourcePosition, TableName};
use ports::{
    Boxed, Fault, OpenFault, Resume, Source, SourceHandle, TableProgress, TableResume, resume::IDENTITY_PREFIX,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{ReadHalf, WriteHalf},
    sync::mpsc,
};

/// Status updates go at least this often, and three times in the server's own patience.
const UPDATE_EVERY_MAX: Duration = Duration::from_secs(10);

/// A PostgreSQL database as a source.
pub struct PostgresSource {
    options: Arc<Options>,
    stream: Option<Stream>,
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
            self.stream = None;
            let (stream, handle) = self.opened(resume).await?;
            self.stream = Some(stream);
            Ok(Arc::new(handle) as Arc<dyn SourceHandle>)
        })
    }

    fn next_batch(&mut self) -> Boxed<'_, Result<Vec<Entry>, Fault>> {
        Box::pin(async move {
            let Some(stream) = &mut self.stream else {
                return Err(Error::Protocol("the source is not open".to_owned()).into());
            };
            let batch = stream.next_batch().await;
            if batch.is_err() {
                self.stream = None;
            }
            Ok(batch?)
        })
    }

    fn remove(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>> {
        Box::pin(async move {
            self.stream = None;
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
        PostgresSource { options: Arc::new(options), stream: None }
    }

    async fn opened(&self, resume: Resume) -> Result<(Stream, Handle), OpenFault> {
        let options = &self.options;
        let sql = Sql::open(options).await.map_err(Fault::from)?;
        if let Some(fault) = prerequisites::blocking(&sql, options).await.map_err(Fault::from)? {
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
            self.new_slot(&sql, &mut wire, &here, &mut batch).await.map_err(Fault::from)?
        };
        let (frames, write) = wire.start(&self.start_command(passed)).await.map_err(Fault::from)?;
        if resume.started {
            // Once more, now that nobody else can move it: the server silently begins where its slot stands (J10).
            let slot = SlotState::find(&sql, &options.name()).await.map_err(Fault::from)?;
            slot::check(options, slot.as_ref(), &here, resume.identity.as_deref(), passed)?;
            self.start_tables(&resume, passed, &mut batch);
        }
        Ok(self.streaming(sql, frames, write, resume, passed, batch).await.map_err(Fault::from)?)
    }

    /// Wanted and not started: whatever slot is there holds nothing of ours (J6).
    async fn new_slot(
        &self,
        sql: &Sql,
        wire: &mut Wire<Bytestream>,
        here: &Identity,
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
        batch.message(point.change(0), IDENTITY_PREFIX, here.text().as_bytes());
        Ok(point)
    }

    /// Starts the tables that the journal does not know yet, and those that it knows and the configuration leaves out: their
    /// changes are missed from here on, so nobody may take them for read when they are named again.
    fn start_tables(&self, resume: &Resume, passed: Lsn, batch: &mut Batch) {
        const UNREAD: TableResume = TableResume::Open { next_chunk: 0, done_upto: None };
        let named = &self.options.tables;
        let new = named.iter().filter(|table| !resume.tables.contains_key(*table));
        let known = resume.tables.iter().filter(|(_, state)| **state != UNREAD).map(|(table, _)| table);
        let tables: Vec<TableName> = new.chain(known.filter(|table| !named.contains(table))).cloned().collect();
        if !tables.is_empty() {
            batch.snapshot(SnapshotMark::Started { tables, at: passed.position() });
        }
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
        frames: Frames<ReadHalf<Bytestream>>,
        write: WriteHalf<Bytestream>,
        resume: Resume,
        passed: Lsn,
        batch: Batch,
    ) -> Result<(Stream, Handle), Error> {
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
        let (handoff, progress) = self.first_read(&resume, &shapes).await?;
        let stream = Stream {
            name: options.name(),
            frames,
            pace: Pace::new(matches!(options.address.place, Place::Tcp(..))),
            relations: Relations::new(&options.tables, &shapes),
            sql,
            handoff,
            status: Arc::clone(&status),
            _updates: updates,
            announced: resume.schemas.iter().map(|(table, (fingerprint, _))| (table.clone(), *fingerprint)).collect(),
            passed,
            moved_at: Instant::now(),
            silent: 0,
            transaction: None,
            batch,
            options,
        };
        Ok((stream, Handle { status, progress }))
    }

    /// Starts reading the tables that are not ready; none if all are.
    async fn first_read(&self, resume: &Resume, shapes: &[Shape]) -> Result<(Option<Handoff>, Progress), Error> {
        let place = |table: &TableName| match resume.tables.get(table) {
            Some(TableResume::Ready) => None,
            Some(TableResume::Open { next_chunk, done_upto }) => {
                Some(ReadPlace { table: table.clone(), number: *next_chunk, after: done_upto.clone() })
            }
            None => Some(ReadPlace { table: table.clone(), number: 0, after: None }),
        };
        let tables: Vec<ReadPlace> = self.options.tables.iter().filter_map(place).collect();
        let estimate =
            |table: &TableName| shapes.iter().find(|shape| shape.table() == table).map_or(0, |shape| shape.estimate);
        let progress = tables
            .iter()
            .map(|place| TableProgress {
                table: place.table.clone(),
                rows_done: 0,
                rows_estimate: estimate(&place.table),
            })
            .collect();
        let progress = Arc::new(Mutex::new(progress));
        if tables.is_empty() {
            return Ok((None, progress));
        }
        let sql = Sql::open(&self.options).await?;
        let pid = sql.one("looking at the session", "SELECT pg_backend_pid()").await?;
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros());
        let nonce = format!("{pid}.{micros}");
        let seen = Seen::default();
        let (reads_in, reads) = mpsc::channel(1);
        let (verdicts, verdicts_out) = mpsc::channel(4);
        let reader = SnapshotReader {
            sql,
            options: Arc::clone(&self.options),
            nonce: nonce.clone(),
            progress: Arc::clone(&progress),
            seen: Arc::clone(&seen),
            reads: reads_in,
            verdicts: verdicts_out,
        };
        let task = Task(tokio::spawn(reader.run(tables)));
        Ok((Some(Handoff::new(reads, verdicts, nonce, seen, task)), progress))
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
