//! What the engine does with a source, as far as these tests need it: fold, confirm, and a shadow by J7 and J8.

use crate::cluster::Cluster;
use lockstep_postgres::{Address, Options, Place, PostgresSource, Tls};
use model::{
    Chunk, CommitEnd, Entry, Incarnation, Row, RowChange, RowKey, SnapshotMark, SourcePosition, SystemId, TableName,
    Value,
};
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
            if !self.repeats(&entry) {
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

    fn repeats(&self, entry: &Entry) -> bool {
        let passed = |position: &SourcePosition| self.resume.passed.is_some_and(|passed| *position < passed);
        match entry {
            Entry::Row(row) => passed(&row.position),
            Entry::Commit { position, .. } | Entry::Truncate { position, .. } => passed(position),
            _ => false,
        }
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

/// Rows with their as-of, folded from a journal (J7, J8, J11).
#[derive(Default)]
pub struct Shadow {
    rows: BTreeMap<(TableName, RowKey), (Option<Row>, SourcePosition)>,
    plans: BTreeMap<model::Fingerprint, Plan>,
    open: Vec<model::RowEntry>,
    ready: Vec<TableName>,
    pub inferred: usize,
}

impl Shadow {
    pub fn fold(journal: &[Entry], upto: SourcePosition) -> Shadow {
        let mut shadow = Shadow::default();
        for entry in journal {
            shadow.take(entry, upto);
        }
        shadow
    }

    fn take(&mut self, entry: &Entry, upto: SourcePosition) {
        match entry {
            Entry::Schema { fingerprint, schema, .. } => drop(self.plans.insert(*fingerprint, Plan::new(schema))),
            Entry::Row(row) => {
                self.open.push(row.clone());
                if let Some(commit) = &row.commit {
                    self.close(commit, upto);
                }
            }
            Entry::Commit { commit, .. } => self.close(commit, upto),
            Entry::Chunk(chunk) => self.chunk(chunk),
            Entry::Snapshot { mark: SnapshotMark::Ready { table, .. }, .. } => self.ready.push(table.clone()),
            Entry::Snapshot { mark: SnapshotMark::Started { tables, .. }, .. } => {
                self.ready.retain(|table| !tables.contains(table));
            }
            _ => {}
        }
    }

    fn close(&mut self, commit: &CommitEnd, upto: SourcePosition) {
        let rows = std::mem::take(&mut self.open);
        assert_eq!(rows.len() as u64, commit.count, "a transaction is whole");
        if commit.end > upto {
            return;
        }
        for row in rows {
            let plan = self.plans[&row.schema].clone();
            let table = plan.schema().table.clone();
            // While a table had no key its rows have no name: it is read again.
            if plan.schema().key.is_empty() {
                continue;
            }
            let (before, after) = match &row.change {
                RowChange::Insert(after) => (None, Some(after)),
                RowChange::Update { before, after } => (before.as_ref(), Some(after)),
                RowChange::Delete { before } => (Some(before), None),
            };
            let key = |row: &Row| plan.key(row).unwrap().expect("a key");
            let old_key = before.map(key);
            let base = old_key
                .clone()
                .or(after.map(key))
                .and_then(|key| self.rows.get(&(table.clone(), key)).and_then(|(row, _)| row.clone()));
            if let Some(old) = old_key {
                self.put(&table, old, None, row.position);
            }
            if let Some(after) = after {
                let filled = fill(&plan, after, base.as_ref());
                self.put(&table, key(after), Some(filled), row.position);
            }
        }
    }

    fn put(&mut self, table: &TableName, key: RowKey, row: Option<Row>, at: SourcePosition) {
        if let Some((_, as_of)) = self.rows.insert((table.clone(), key), (row, at)) {
            assert!(as_of <= at, "a stale change: the chunk claimed more than it saw");
        }
    }

    fn chunk(&mut self, chunk: &Chunk) {
        assert!(self.open.is_empty() && chunk.low < chunk.high);
        let plan = self.plans[&chunk.schema].clone();
        let table = plan.schema().table.clone();
        assert!(!self.ready.contains(&table));
        let mut inside = BTreeMap::new();
        for row in &chunk.rows {
            let key = plan.key(row).unwrap().expect("a key");
            assert!(
                chunk.key_from.as_ref().is_none_or(|from| *from < key)
                    && chunk.key_to.as_ref().is_none_or(|to| key <= *to)
            );
            inside.insert(key, row.clone());
        }
        let gone: Vec<RowKey> = self
            .rows
            .iter()
            .filter(|((of, key), (row, as_of))| {
                *of == table
                    && row.is_some()
                    && *as_of <= chunk.low
                    && !inside.contains_key(key)
                    && chunk.key_from.as_ref().is_none_or(|from| from < key)
                    && chunk.key_to.as_ref().is_none_or(|to| key <= to)
            })
            .map(|((_, key), _)| key.clone())
            .collect();
        self.inferred += gone.len();
        for key in gone {
            self.rows.insert((table.clone(), key), (None, chunk.high));
        }
        for (key, row) in inside {
            match self.rows.get_mut(&(table.clone(), key.clone())) {
                Some((known, as_of)) if *as_of > chunk.low => {
                    if let Some(known) = known {
                        *known = fill(&plan, known, Some(&row));
                    }
                }
                _ => drop(self.rows.insert((table.clone(), key), (Some(row), chunk.high))),
            }
        }
    }

    pub fn live(&self, table: &str) -> BTreeMap<RowKey, Row> {
        let live = self.rows.iter().filter(|((of, _), _)| of.as_str() == table);
        live.filter_map(|((_, key), (row, _))| Some((key.clone(), row.clone()?))).collect()
    }
}

/// Unknown cells of `row` from `base`.
fn fill(plan: &Plan, row: &Row, base: Option<&Row>) -> Row {
    let Some(base) = base else { return row.clone() };
    let cells = plan.cells(row).unwrap();
    // A base of another shape could not be read by this plan.
    if !cells.contains(&model::Cell::Unchanged) {
        return row.clone();
    }
    let base = plan.cells(base).unwrap();
    let filled: Vec<_> = cells
        .iter()
        .zip(&base)
        .map(|(cell, base)| if *cell == model::Cell::Unchanged { *base } else { *cell })
        .collect();
    plan.row(&filled).unwrap()
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
