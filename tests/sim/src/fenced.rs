//! What verify reads, in memory: the source's rows at a fence, the target's versions. Open to planting.

use super::target::Target;
use model::{ResourceType, Row, RowKey, SourcePosition, TableName, TableSchema, Unit};
use ports::{Boxed, Fault, Fence, FencedRows, Page, Readback, Version};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    ops::Bound,
    task::{Context, Poll, Waker},
};

/// The tables at one position.
#[derive(Clone)]
pub struct MemoryFence {
    pub position: SourcePosition,
    pub tables: BTreeMap<TableName, (TableSchema, BTreeMap<RowKey, Row>)>,
}

impl Fence for MemoryFence {
    fn position(&self) -> SourcePosition {
        self.position
    }

    fn rows<'a>(
        &'a mut self,
        table: &'a TableName,
        after: Option<&'a RowKey>,
        max: usize,
    ) -> Boxed<'a, Result<FencedRows, Fault>> {
        let (schema, rows) = &self.tables[table];
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        // Small pages, so that every run crosses some.
        let page = rows.range::<RowKey, _>((from, Bound::Unbounded)).take(max.min(4));
        let rows = page.map(|(key, row)| (key.clone(), row.clone())).collect();
        let page = FencedRows { schema: schema.clone(), rows };
        Box::pin(async move { Ok(page) })
    }
}

/// Every version of every resource, by `Type/id`, oldest first.
#[derive(Clone, Default)]
pub struct MemoryReadback(pub BTreeMap<String, Vec<Version>>);

impl From<&Target> for MemoryReadback {
    fn from(target: &Target) -> MemoryReadback {
        let version = |(n, version): (usize, &super::target::Version)| Version {
            version: (n + 1).to_string().into(),
            request: version.request.map(|request| request.as_str().into()),
            body: version.body.clone(),
        };
        let versions = |versions: &Vec<_>| versions.iter().enumerate().map(version).collect();
        MemoryReadback(target.units.iter().map(|(unit, all)| (unit.clone(), versions(all))).collect())
    }
}

impl Readback for MemoryReadback {
    fn versions<'a>(&'a self, unit: &'a Unit) -> Boxed<'a, Result<Vec<Version>, Fault>> {
        let versions = self.0.get(&unit.to_string()).cloned().unwrap_or_default();
        Box::pin(async move {
            later().await;
            Ok(versions.into_iter().rev().collect())
        })
    }

    fn list<'a>(&'a self, kind: &'a ResourceType, next: Option<&'a str>) -> Boxed<'a, Result<Page, Fault>> {
        let prefix = format!("{kind}/");
        let current = self.0.iter().filter_map(|(unit, versions)| {
            let version = versions.last().filter(|version| version.body.is_some())?;
            Some((Box::from(unit.strip_prefix(&prefix)?), version.clone()))
        });
        let from: usize = next.map_or(0, |next| next.parse().expect("a page of ours"));
        let resources: Vec<_> = current.skip(from).take(3).collect();
        let next = (resources.len() == 3).then(|| (from + 3).to_string().into());
        Box::pin(async move { Ok(Page { resources, next }) })
    }
}

/// Is not there at the first asking.
async fn later() {
    let mut asked = false;
    poll_fn(|context| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a future whose waiting is all in memory.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
