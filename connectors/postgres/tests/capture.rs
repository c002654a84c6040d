//! What the engine does with a source, as far as these tests need it: fold, confirm, and a shadow by J7 and J8.

use crate::cluster::Cluster;
use conformance::{shadow::Shadow, source::repeats};
use lockstep_postgres::{Address, Options, Place, PostgresSource, Tls};
use model::{CommitEnd, Entry, Incarnation, Row, RowChange, SystemId, TableName, Value};
use ports::{OpenFault, Resume, Source, SourceHandle, TableResume};
use schemas::Plan;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// A database of the test's own with tables and their publication.
pub struct Setup {
    pub cluster: &'static Cluster,
    pub name: String,
    pub sql: tokio_postgres::Client,
}

impl Setup {
    pub async fn new(cluster: &'static Cluster, tables: &str) -> Setup {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cluster.sql("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let sql = cluster.sql(&name).await;
        sql.batch_execute(tables).await.unwrap();
        sql.batch_execute(&format!("CREATE PUBLICATION lockstep_{name} FOR ALL TABLES")).await.unwrap();
        Setup { cluster, name, sql }
    }

    pub fn options(&self, tables: &[&str]) -> Options {
        Options {
            pipeline: self.name.clone(),
            system: SystemId::from("legacy"),
            address: Address {
                place: Place::Tcp("127.0.0.1".into(), self.cluster.port),
                user: "postgres".into(),
                database: self.name.clone(),
                tls: Tls::Disable,
            },
            password: None,
            ca: None,
            tables: tables.iter().map(|table| TableName::from(*table)).collect(),
            chunk_rows: 50,
            heartbeat: Duration::from_secs(1),
        }
    }

    pub async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    pub fn capture(&self, tables: &[&str]) -> Capture {
        Capture::new(self.options(tables))
    }
}

/// A source with a journal in memory behind it.
pub struct Capture {
    pub options: Options,
    pub source: PostgresSource,
    pub handle: Option<Arc<dyn SourceHandle>>,
    pub journal: Vec<Entry>,
    pub resume: Resume,
    pub confirms: bool,
}

impl Capture {
    pub fn new(options: Options) -> Capture {
        let source = PostgresSource::new(options.clone());
        let mut capture =
            Capture { options, source, handle: None, journal: Vec::new(), resume: Resume::default(), confirms: true };
        capture.want();
        capture
    }

    pub fn want(&mut self) {
        let incarnation = Incarnation(self.resume.incarnation.0 + 1);
        self.append(Entry::Slot { source: "legacy".into(), incarnation, wanted: self.options.name().into() });
    }

    fn append(&mut self, entry: Entry) {
        self.resume.fold(&entry);
        self.journal.push(entry);
    }

    pub async fn try_open(&mut self) -> Result<(), OpenFault> {
        self.handle = Some(self.source.open(self.resume.clone()).await?);
        Ok(())
    }

    pub async fn open(&mut self) {
        if let Err(fault) = self.try_open().await {
            panic!("{fault:?}");
        }
    }

    /// As after a crash: the tail of an open transaction is void, everything else stands.
    pub async fn crash_and_open(&mut self) {
        self.source = PostgresSource::new(self.options.clone());
        self.handle = None;
        let closed = self.journal.iter().rposition(|entry| {
            !matches!(entry, Entry::Row(row) if row.commit.is_none()) && !matches!(entry, Entry::Truncate { .. })
        });
        self.journal.truncate(closed.map_or(0, |last| last + 1));
        self.resume = Resume::default();
        self.journal.iter().for_each(|entry| self.resume.fold(entry));
        self.open().await;
    }

    /// One batch into the journal, repeats dropped as ingest does.
    pub async fn pull(&mut self) -> usize {
        self.try_pull().await.unwrap()
    }

    pub async fn try_pull(&mut self) -> Result<usize, OpenFault> {
        let batch = self.source.next_batch().await?;
        let count = batch.len();
        for entry in batch {
            if !repeats(&self.resume, &entry) {
                self.append(entry);
            }
        }
        if self.confirms
            && let (Some(handle), Some(passed)) = (&self.handle, self.resume.passed)
        {
            handle.confirm(passed);
        }
        Ok(count)
    }

    pub async fn until(&mut self, what: &str, mut done: impl FnMut(&Capture) -> bool) {
        let since = Instant::now();
        while !done(self) {
            assert!(since.elapsed() < Duration::from_secs(40), "{what} did not come; {} entries", self.journal.len());
            self.pull().await;
        }
    }

    pub async fn until_ready(&mut self) {
        self.until("ready", |capture| {
            !capture.resume.tables.is_empty()
                && capture.resume.tables.values().all(|table| *table == TableResume::Ready)
        })
        .await;
    }

    pub async fn until_rows(&mut self, count: usize) {
        self.until("rows", |capture| capture.rows().len() >= count).await;
        // A transaction is whole with its end.
        self.until(
            "commit",
            |capture| !matches!(capture.journal.last(), Some(Entry::Row(row)) if row.commit.is_none()),
        )
        .await;
    }

    /// Rows in the journal as `(kind, before, after)` with values.
    pub fn rows(&self) -> Vec<Change> {
        let mut plans = BTreeMap::new();
        let mut changes = Vec::new();
        for entry in &self.journal {
            match entry {
                Entry::Schema { fingerprint, schema, .. } => drop(plans.insert(*fingerprint, Plan::new(schema))),
                Entry::Row(row) => {
                    let plan = &plans[&row.schema];
                    let values = |row: &Row| plan.cells(row).unwrap().into_iter().map(|cell| cell.to_value()).collect();
                    let (kind, before, after) = match &row.change {
                        RowChange::Insert(after) => ("insert", None, Some(values(after))),
                        RowChange::Update { before, after } => {
                            ("update", before.as_ref().map(values), Some(values(after)))
                        }
                        RowChange::Delete { before } => ("delete", Some(values(before)), None),
                    };
                    changes.push(Change { kind, before, after, commit: row.commit.clone() });
                }
                _ => {}
            }
        }
        changes
    }

    pub fn commits(&self) -> Vec<CommitEnd> {
        let commit = |entry: &Entry| match entry {
            Entry::Commit { commit, .. } => Some(commit.clone()),
            Entry::Row(row) => row.commit.clone(),
            _ => None,
        };
        self.journal.iter().filter_map(commit).collect()
    }

    pub fn count(&self, is: impl Fn(&Entry) -> bool) -> usize {
        self.journal.iter().filter(|entry| is(entry)).count()
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    pub kind: &'static str,
    pub before: Option<Vec<Value>>,
    pub after: Option<Vec<Value>>,
    pub commit: Option<CommitEnd>,
}

pub fn int(x: i64) -> Value {
    Value::Int(x)
}

pub fn text(x: &str) -> Value {
    Value::Text(x.into())
}

/// Compares the shadow with the tables themselves, at a fence.
pub async fn equals_source(capture: &mut Capture) -> Shadow {
    use lockstep_postgres::PostgresFences;
    use ports::FenceSource as _;
    let mut fences = PostgresFences::new(capture.options.clone());
    let mut fence = fences.fence(&mut |_| {}).await.unwrap();
    let at = fence.position();
    capture.until("the fence", |capture| {
        capture.journal.iter().any(|entry| matches!(entry, Entry::Message { position, prefix, .. } if *position > at && prefix.starts_with("lockstep_")))
    })
    .await;
    let shadow = Shadow::fold(&capture.journal, at);
    for table in capture.options.tables.clone() {
        let (mut rows, mut after) = (BTreeMap::new(), None);
        loop {
            let page = fence.rows(&table, after.as_ref(), 70).await.unwrap();
            let Some((last, _)) = page.rows.last() else { break };
            assert!(page.rows.is_sorted_by(|(a, _), (b, _)| a < b), "in key order");
            after = Some(last.clone());
            rows.extend(page.rows);
        }
        let shadowed = shadow.live(table.as_str());
        assert_eq!(shadowed.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "{table}: keys");
        assert!(shadowed == rows, "{table}: rows");
    }
    shadow
}
