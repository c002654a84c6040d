//! The log over librdkafka: one producer, one consumer that follows the partition, one that reads it again.

use crate::reading::{Reading, stamp, step};
use model::{Entry, EntryId, Hash, Header, Journaled, Pins, SystemId, Term, Timestamp};
use ports::{Appended, Class, Failure, Fault, Journal, Resume};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header as MessageHeader, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The header that holds the stamp.
const STAMP: &str = "lockstep";
const PARTITION: i32 = 0;
/// Races to open that are lost before somebody is told.
const OPENINGS_MAX: u32 = 8;
const POLL: Duration = Duration::from_millis(20);

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// Brokers, `host:port` with commas.
    pub brokers: String,
    /// The topic; it has one partition, `cleanup.policy=delete` without limits, and more than one replica in sync.
    pub topic: String,
    /// How long an answer of the brokers may take.
    pub patience: Duration,
    /// This binary's name and version, for `Opened`.
    pub binary: Box<str>,
    /// This binary's behaviour number, for `Opened` (J38).
    pub behaviour: u32,
    /// What it decides by, for `Opened` (J38).
    pub pins: Pins,
}

/// A journal in a partition, open for appending.
pub struct KafkaLog {
    config: Config,
    term: Term,
    producer: BaseProducer<Reports>,
    follower: BaseConsumer,
    reader: BaseConsumer,
    reading: Reading,
    /// The offset behind the last record that was read back.
    followed: i64,
    poisoned: Option<Fault>,
}

impl KafkaLog {
    /// Reads the partition to its end and opens it under the next term.
    pub fn open(config: Config, now: Timestamp) -> Result<KafkaLog, Fault> {
        let producer = producer(&config).map_err(|error| unreachable(&config, &error))?;
        let consumer = || consumer(&config).map_err(|error| unreachable(&config, &error));
        let (follower, reader) = (consumer()?, consumer()?);
        let (reading, term) = (Reading::default(), Term(0));
        let mut log = KafkaLog { config, term, producer, follower, reader, reading, followed: 0, poisoned: None };
        log.follow_to_end()?;
        for _ in 0..OPENINGS_MAX {
            log.term = Term(log.reading.term().0 + 1);
            let Config { binary, behaviour, pins, .. } = log.config.clone();
            let opened = log.produce(&[Arc::new([Entry::Opened { binary, behaviour, pins }])], now)?;
            if log.are_taken(&opened.offsets, opened.first)? {
                return Ok(log);
            }
        }
        Err(Fault::new(Failure::Misconfigured, format!("{} is opened by others again and again", log.config.topic))
            .cure("stop the other engines of this pipeline"))
    }

    /// The term of this opening.
    pub fn term(&self) -> Term {
        self.term
    }

    fn follow_to_end(&mut self) -> Result<(), Fault> {
        let Config { topic, patience, .. } = &self.config;
        let ends = self.follower.fetch_watermarks(topic, PARTITION, *patience);
        let (_, end) = ends.map_err(|error| unreachable(&self.config, &error))?;
        assign(&self.follower, topic, Offset::Beginning).map_err(|error| unreachable(&self.config, &error))?;
        self.follow(end)
    }

    /// Takes what stands before the offset `end`.
    fn follow(&mut self, end: i64) -> Result<(), Fault> {
        let deadline = Instant::now() + self.config.patience;
        while self.followed < end {
            let Some(message) = poll(&self.follower, deadline).map_err(|error| unreachable(&self.config, &error))?
            else {
                return Err(silent(&self.config));
            };
            let (offset, body) = (message.offset(), message.payload().unwrap_or_default());
            self.reading.read(offset, header(&message), body)?;
            self.followed = offset + 1;
        }
        Ok(())
    }

    /// Whether the records are the entries from `first` on, as every reader sees it.
    fn are_taken(&mut self, offsets: &[i64], first: u64) -> Result<bool, Fault> {
        self.follow(offsets.iter().max().map_or(0, |last| last + 1))?;
        let is_taken =
            |(seq, offset): (u64, &i64)| self.reading.taken(seq).is_some_and(|taken| taken.offset == *offset);
        Ok((first..).zip(offsets).all(is_taken))
    }

    /// Sends the batches and waits for all of their reports.
    fn produce(&mut self, batches: &[Arc<[Entry]>], now: Timestamp) -> Result<Produced, Fault> {
        let appended_at = self.reading.appended_at().map_or(now, |last| last.max(now));
        let (mut id, mut chain, mut appended) = (self.reading.next(), self.reading.chain(), Vec::new());
        let (first, deadline) = (id.seq, Instant::now() + self.config.patience);
        for batch in batches {
            let begin = id;
            for entry in batch.iter() {
                let mut body = Vec::new();
                schemas::encode_journaled(&Header { id, term: self.term, appended_at }, entry, &mut body);
                self.send(&body, chain, deadline).map_err(|error| unreachable(&self.config, &error))?;
                chain = step(chain, &body);
                id = id.next();
            }
            appended.push(Appended { first: begin, last: EntryId { seq: id.seq - 1, ..id }, appended_at });
        }
        let offsets = self.reports(id.seq - first, deadline)?;
        Ok(Produced { appended, first, offsets })
    }

    fn send(&self, body: &[u8], prev: Hash, deadline: Instant) -> Result<(), KafkaError> {
        let stamp = stamp(prev);
        let headers = OwnedHeaders::new().insert(MessageHeader { key: STAMP, value: Some(&stamp[..]) });
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(&self.config.topic).partition(PARTITION).payload(body).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    self.producer.poll(POLL);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// The offsets of the records that were sent, in their order.
    fn reports(&self, count: u64, deadline: Instant) -> Result<Vec<i64>, Fault> {
        let reports = self.producer.context();
        // librdkafka gives each message up by itself (message.timeout.ms); the deadline is for a library that does not.
        while (reports.count() as u64) < count && Instant::now() < deadline + self.config.patience {
            self.producer.poll(POLL);
        }
        let all = reports.take();
        if (all.len() as u64) < count {
            return Err(silent(&self.config));
        }
        all.into_iter().collect::<Result<_, _>>().map_err(|error| unreachable(&self.config, &error))
    }

    fn appended(&mut self, batches: &[Arc<[Entry]>], now: Timestamp) -> Result<Vec<Appended>, Fault> {
        let produced = self.produce(batches, now)?;
        if self.are_taken(&produced.offsets, produced.first)? {
            return Ok(produced.appended);
        }
        let (topic, term) = (&self.config.topic, self.reading.term());
        let what = format!("{topic} was opened by another engine (term {} behind {})", term.0, self.term.0);
        Err(Fault::new(Failure::Misconfigured, what).cure("stop this engine, or the other one; nothing of it is lost"))
    }
}

impl Journal for KafkaLog {
    type Body = Entry;
    type Stored = Journaled;

    fn append(&mut self, batches: &[Arc<[Entry]>], _: Class, now: Timestamp) -> Result<Vec<Appended>, Fault> {
        if let Some(fault) = &self.poisoned {
            return Err(fault.clone());
        }
        if batches.iter().any(|batch| batch.is_empty()) {
            return Err(Fault::new(Failure::Rejected, "a batch without entries cannot be appended"));
        }
        // Whatever failed, nobody knows what the partition holds of it: the next opening looks.
        self.appended(batches, now).inspect_err(|fault| self.poisoned = Some(fault.clone()))
    }

    fn read(&self, from: EntryId, bytes_max: usize) -> Result<Vec<Journaled>, Fault> {
        let (from, tail) = (from.seq.max(1), self.reading.next().seq);
        let (mut out, mut bytes) = (Vec::new(), 0);
        let deadline = Instant::now() + self.config.patience;
        let Some(first) = self.reading.taken(from) else { return Ok(out) };
        let failed = |error: KafkaError| unreachable(&self.config, &error);
        assign(&self.reader, &self.config.topic, Offset::Offset(first.offset)).map_err(failed)?;
        for seq in from..tail {
            let wanted = self.reading.taken(seq).map_or(i64::MAX, |taken| taken.offset);
            let message = loop {
                match poll(&self.reader, deadline).map_err(failed)? {
                    // What is void or repeated stands between the entries.
                    Some(message) if message.offset() < wanted => {}
                    Some(message) => break message,
                    None => return Err(silent(&self.config)),
                }
            };
            if message.offset() != wanted {
                let what = format!("entry {seq} is not at offset {wanted} of {} any more", self.config.topic);
                return Err(Fault::new(Failure::Corrupt, what).cure("restore the topic"));
            }
            let body = message.payload().unwrap_or_default();
            if !out.is_empty() && bytes + body.len() > bytes_max {
                break;
            }
            bytes += body.len();
            let stored = schemas::decode_journaled(body);
            out.push(stored.map_err(|error| Fault::new(Failure::Corrupt, format!("entry {seq}: {error}")))?);
        }
        Ok(out)
    }

    fn tail(&self) -> Option<EntryId> {
        self.reading.tail()
    }

    fn resume(&self) -> BTreeMap<SystemId, Resume> {
        self.reading.resumes().clone()
    }
}

/// What was sent.
struct Produced {
    appended: Vec<Appended>,
    first: u64,
    offsets: Vec<i64>,
}

/// Collects the reports of one append; they come in the order of sending, because one partition has one order.
#[derive(Default)]
struct Reports(Mutex<Vec<Result<i64, KafkaError>>>);

impl Reports {
    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<Result<i64, KafkaError>> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    }
}

fn producer(config: &Config) -> Result<BaseProducer<Reports>, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        // With it acks=all, and no repeats or other order by what is sent again (what a new process sends is not covered).
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", config.patience.as_millis().to_string())
        .create_with_context(Reports::default())
}

fn consumer(config: &Config) -> Result<BaseConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        // librdkafka wants a name; nothing is subscribed and nothing committed.
        .set("group.id", "lockstep")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "10")
        .create()
}

fn assign(consumer: &BaseConsumer, topic: &str, offset: Offset) -> Result<(), KafkaError> {
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, PARTITION, offset)?;
    consumer.assign(&places)
}

/// The next message; none when the deadline is over. What librdkafka mends by itself is waited for.
fn poll(consumer: &BaseConsumer, deadline: Instant) -> Result<Option<BorrowedMessage<'_>>, KafkaError> {
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => return Ok(Some(message)),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset));
            }
            Some(Err(_)) | None if Instant::now() < deadline => {}
            Some(Err(error)) => return Err(error),
            None => return Ok(None),
        }
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    (0..headers.count()).map(|at| headers.get(at)).find(|header| header.key == STAMP)?.value
}

fn unreachable(config: &Config, error: &KafkaError) -> Fault {
    let what = format!("topic {} at {}: {error}", config.topic, config.brokers);
    Fault::new(Failure::Transient, what).cure("look at the brokers, then open the log again").unreachable()
}

fn silent(config: &Config) -> Fault {
    let what = format!("topic {} at {} did not answer for {:?}", config.topic, config.brokers, config.patience);
    Fault::new(Failure::Transient, what).cure("look at the brokers, then open the log again").unreachable()
}
