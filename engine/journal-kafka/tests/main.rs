//! The suite of the port over librdkafka and its mock brokers, and what J36 says of loss, repeats and zombies.
#![cfg(feature = "kafka")]

use conformance::journal::{Harness, all, resume_is_the_fold_of_the_sources_entries};
use lockstep_journal_kafka::{Config, KafkaLog};
use model::{Entry, EntryId, Header, Journaled, Pins, Timestamp};
use ports::{Class, Failure, Journal};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use std::{sync::Arc, time::Duration};

const TOPIC: &str = "journal";
const LONG: Duration = Duration::from_secs(20);

/// Three brokers in this process, with one topic.
struct Brokers(MockCluster<'static, DefaultProducerContext>);

impl Brokers {
    fn start() -> Brokers {
        let cluster = MockCluster::new(3).expect("mock brokers");
        cluster.create_topic(TOPIC, 1, 3).expect("a topic");
        Brokers(cluster)
    }

    fn config(&self) -> Config {
        Config {
            brokers: self.0.bootstrap_servers(),
            topic: TOPIC.to_owned(),
            patience: LONG,
            binary: "lockstep test".into(),
            behaviour: 1,
            pins: Pins::default(),
        }
    }

    fn open(&self) -> KafkaLog {
        KafkaLog::open(self.config(), Timestamp(0)).expect("a log")
    }

    /// Every record of the partition as it stands there.
    fn records(&self) -> Vec<OwnedMessage> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers()).set("group.id", "test");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("a place");
        consumer.assign(&places).expect("assigned");
        let (_, end) = consumer.fetch_watermarks(TOPIC, 0, LONG).expect("watermarks");
        (0..end).map(|_| consumer.poll(LONG).expect("there").expect("read").detach()).collect()
    }

    /// Sends a record as it is, behind the last.
    fn copy(&self, record: &OwnedMessage) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.bootstrap_servers());
        let producer: BaseProducer = config.create().expect("a producer");
        let headers = Message::headers(record).expect("stamped").clone();
        let body = record.payload().expect("a body");
        let copy: BaseRecord<'_, (), [u8]> = BaseRecord::to(TOPIC).partition(0).payload(body).headers(headers);
        producer.send(copy).map_err(|(error, _)| error).expect("sent");
        producer.flush(LONG).expect("delivered");
    }
}

fn message(n: u64) -> Entry {
    Entry::Message {
        source: "legacy".into(),
        incarnation: model::Incarnation(1),
        position: model::SourcePosition::new(&n.to_be_bytes()).expect("short"),
        prefix: "test".into(),
        content: vec![7; (n * 100 % 4_000) as usize].into(),
    }
}

fn add(log: &mut KafkaLog, n: u64) -> Result<EntryId, ports::Fault> {
    log.append(&[Arc::new([message(n)])], Class::Vital, Timestamp(0)).map(|appended| appended[0].last)
}

fn bodies(log: &KafkaLog) -> Vec<Entry> {
    let all = log.read(EntryId::new(1, 1), usize::MAX).expect("read");
    all.into_iter().map(|stored| stored.entry).filter(|entry| !matches!(entry, Entry::Opened { .. })).collect()
}

impl Harness for Brokers {
    type Body = Entry;
    type Stored = Journaled;
    type Log = KafkaLog;

    fn open(&mut self, last: Option<KafkaLog>, now: Timestamp) -> KafkaLog {
        drop(last);
        KafkaLog::open(self.config(), now).expect("a log")
    }
    fn body(&self, n: u64) -> Entry {
        message(n)
    }
    fn split(&self, stored: Journaled) -> (Header, Entry) {
        (stored.header, stored.entry)
    }
}

#[test]
fn the_journal_keeps_the_contract() {
    all(Brokers::start);
}

#[test]
fn a_source_resumes_where_its_entries_say() {
    resume_is_the_fold_of_the_sources_entries(&mut Brokers::start());
}

#[test]
fn a_lost_record_is_noticed_when_the_log_is_opened() {
    let brokers = Brokers::start();
    let mut log = brokers.open();
    for n in 0..3 {
        add(&mut log, n).expect("appended");
    }
    drop(log);
    let (records, lossy) = (brokers.records(), Brokers::start());
    records.iter().enumerate().filter(|(at, _)| *at != 2).for_each(|(_, record)| lossy.copy(record));
    let fault = KafkaLog::open(lossy.config(), Timestamp(0)).err().expect("refused");
    assert_eq!(fault.failure, Failure::Corrupt);
    assert!(fault.what.contains("entries 3 to 3 are missing before offset 2"), "{fault}");
}

#[test]
fn a_repeated_record_is_taken_once() {
    let brokers = Brokers::start();
    let mut log = brokers.open();
    add(&mut log, 1).expect("appended");
    let records = brokers.records();
    records.iter().for_each(|record| brokers.copy(record));
    assert_eq!(add(&mut log, 2).expect("appended"), EntryId::new(1, 3));
    assert_eq!(bodies(&log), [message(1), message(2)]);
    drop(log);
    let log = brokers.open();
    assert_eq!((log.tail(), bodies(&log)), (Some(EntryId::new(1, 4)), vec![message(1), message(2)]));
}

#[test]
fn a_zombie_is_told_and_nobody_reads_what_it_appended() {
    let brokers = Brokers::start();
    let mut zombie = brokers.open();
    add(&mut zombie, 1).expect("appended");
    let mut second = brokers.open();
    let fault = add(&mut zombie, 2).expect_err("overtaken");
    assert_eq!(fault.failure, Failure::Misconfigured);
    assert!(fault.what.contains("term 2 behind 1"), "{fault}");
    assert_eq!(add(&mut zombie, 3), Err(fault), "it stays so");
    add(&mut second, 4).expect("appended");
    assert_eq!(bodies(&second), [message(1), message(4)]);
    assert_eq!(bodies(&brokers.open()), [message(1), message(4)]);
}

#[test]
fn an_opening_that_lost_the_race_is_made_again() {
    let other = Brokers::start();
    drop(other.open());
    drop(other.open());
    let late = &other.records()[1];

    // The same first opening; its writer appends, and then comes the second opening that had not seen that.
    let brokers = Brokers::start();
    let mut zombie = brokers.open();
    add(&mut zombie, 1).expect("appended");
    brokers.copy(late);
    assert!(add(&mut zombie, 2).is_err(), "the late opening ends its term, though it is no entry");
    let mut log = brokers.open();
    assert_eq!(log.term().0, 3);
    assert_eq!(add(&mut log, 3).expect("appended"), EntryId::new(1, 4));
    assert_eq!(bodies(&log), [message(1), message(3)]);
}

#[test]
fn what_the_brokers_refuse_for_a_while_is_appended_once() {
    let brokers = Brokers::start();
    let mut log = brokers.open();
    let refusals = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    ];
    brokers.0.request_errors(RDKafkaApiKey::Produce, &refusals);
    for n in 0..5 {
        add(&mut log, n).expect("appended");
    }
    assert_eq!(bodies(&log), (0..5).map(message).collect::<Vec<_>>());
}

#[test]
fn brokers_that_are_gone_stop_the_log_until_it_is_opened_again() {
    let brokers = Brokers::start();
    let config = Config { patience: Duration::from_millis(500), ..brokers.config() };
    let mut log = KafkaLog::open(config, Timestamp(0)).expect("a log");
    add(&mut log, 1).expect("appended");
    (1..=3).for_each(|broker| brokers.0.broker_down(broker).expect("down"));
    let fault = add(&mut log, 2).expect_err("nobody answers");
    assert!(fault.failure == Failure::Transient && fault.unreachable, "{fault}");
    (1..=3).for_each(|broker| brokers.0.broker_up(broker).expect("up"));
    assert!(add(&mut log, 3).is_err(), "what became of the second is not known here");
    drop(log);
    let mut log = brokers.open();
    add(&mut log, 3).expect("appended");
    let bodies = bodies(&log);
    assert!(bodies == [message(1), message(3)] || bodies == [message(1), message(2), message(3)]);
}
