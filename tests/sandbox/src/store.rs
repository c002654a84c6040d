//! Every version of every resource, for ever.
//!
//! Never forgets and never rewrites a version. Invariants:
//! * `seq` numbers all writes of the server, without gaps: it is the place in the system's history and in the file.
//! * Times never go back, so that history is ordered by time too.
//! * The lock is held for map work only; bodies are made before, except for the stamp of version and time.

use crate::durable::{Held, Log};
use crate::rules::Standing;
use bytes::Bytes;
use schemas::r4::ElementTable;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One version.
#[derive(Clone)]
pub struct Version {
    pub number: u64,
    /// The how many-th write of the server.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    pub what: What,
}

/// What a version is.
#[derive(Clone)]
pub enum What {
    Put { body: Bytes },
    Deleted,
}

impl Version {
    /// The body, unless it is a deletion.
    pub fn body(&self) -> Option<&Bytes> {
        match &self.what {
            What::Put { body } => Some(body),
            What::Deleted => None,
        }
    }
}

/// A version with its instance.
#[derive(Clone)]
pub struct Entry {
    pub type_name: &'static str,
    pub id: Arc<str>,
    pub version: Version,
}

/// What a page of history asks for.
pub struct HistoryPage<'a> {
    pub type_name: Option<&'static str>,
    pub id: Option<&'a str>,
    /// Only writes below this `seq`; pages are stable while others write.
    pub before: u64,
    /// Only versions at or after this time.
    pub since: i64,
    pub count: usize,
}

/// The store of one server.
pub struct Store {
    inner: Mutex<Inner>,
    log: Option<Log>,
}

/// The instances of one type. The counts save a walk for every page's total.
#[derive(Default)]
struct OfType {
    instances: BTreeMap<Arc<str>, Vec<Version>>,
    live: usize,
    versions: usize,
}

/// What the lock protects.
#[derive(Default)]
pub struct Inner {
    types: BTreeMap<&'static str, OfType>,
    order: Vec<(&'static str, Arc<str>, u32)>,
    last_at: i64,
}

impl Store {
    /// A store in memory, or over the file, which it first reads.
    pub fn open(file: Option<&Path>) -> std::io::Result<Store> {
        let mut inner = Inner::default();
        let mut unknown = 0;
        let log = file.map(|path| Log::open(path, |held| unknown += usize::from(!inner.restore(held)))).transpose()?;
        if unknown > 0 {
            return Err(std::io::Error::other(format!("{unknown} writes in it are of no R4 type: it is not ours")));
        }
        Ok(Store { inner: Mutex::new(inner), log })
    }

    /// The state, for reading or for one write.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a version; `make` gets its number and time. The write is answered only behind [`Store::durable`].
    pub fn add(
        &self,
        inner: &mut Inner,
        type_name: &'static str,
        id: &str,
        make: impl FnOnce(u64, i64) -> What,
    ) -> Version {
        let at = jiff::Timestamp::now().as_millisecond().max(inner.last_at);
        let number = inner.versions(type_name, id).last().map_or(1, |last| last.number + 1);
        let version = Version { number, seq: inner.order.len() as u64 + 1, at, what: make(number, at) };
        inner.push(type_name, id, version.clone());
        if let Some(log) = &self.log {
            log.append(type_name, id, &version);
        }
        version
    }

    /// Waits until write number `seq` would survive a kill.
    pub async fn durable(&self, seq: u64) {
        if let Some(log) = &self.log {
            log.durable(seq).await;
        }
    }
}

impl Inner {
    fn restore(&mut self, held: Held) -> bool {
        let Some(type_name) = ElementTable::r4().resource_type(&held.type_name) else { return false };
        self.push(type_name, &held.id, held.version);
        true
    }

    fn push(&mut self, type_name: &'static str, id: &str, version: Version) {
        self.last_at = version.at;
        let of_type = self.types.entry(type_name).or_default();
        let id = of_type.instances.get_key_value(id).map_or_else(|| Arc::from(id), |(id, _)| Arc::clone(id));
        let versions = of_type.instances.entry(Arc::clone(&id)).or_default();
        of_type.versions += 1;
        of_type.live += usize::from(version.body().is_some());
        of_type.live -= usize::from(versions.last().is_some_and(|last| last.body().is_some()));
        self.order.push((type_name, id, versions.len() as u32));
        versions.push(version);
    }

    /// The versions of an instance, oldest first.
    pub fn versions(&self, type_name: &str, id: &str) -> &[Version] {
        self.types.get(type_name).and_then(|held| held.instances.get(id)).map_or(&[], Vec::as_slice)
    }

    /// What stands at an id.
    pub fn standing(&self, type_name: &str, id: &str) -> Standing {
        match self.versions(type_name, id).last() {
            None => Standing::Missing,
            Some(Version { number, what: What::Put { .. }, .. }) => Standing::Live(*number),
            Some(Version { number, what: What::Deleted, .. }) => Standing::Deleted(*number),
        }
    }

    /// The number of writes so far.
    pub fn seq(&self) -> u64 {
        self.order.len() as u64
    }

    /// Versions, newest first, and whether there are more.
    pub fn history(&self, page: &HistoryPage<'_>) -> (Vec<Entry>, bool) {
        let mut found = Vec::new();
        let entry = |type_name, id: &Arc<str>, version: &Version| Entry {
            type_name,
            id: Arc::clone(id),
            version: version.clone(),
        };
        if let (Some(type_name), Some(id)) = (page.type_name, page.id) {
            let Some((id, versions)) = self.types.get(type_name).and_then(|held| held.instances.get_key_value(id))
            else {
                return (found, false);
            };
            let asked = versions.iter().rev().filter(|version| version.seq < page.before && version.at >= page.since);
            found.extend(asked.take(page.count + 1).map(|version| entry(type_name, id, version)));
        } else {
            let below = usize::try_from(page.before.saturating_sub(1)).unwrap_or(usize::MAX).min(self.order.len());
            for (type_name, id, at) in self.order[..below].iter().rev() {
                if page.type_name.is_some_and(|asked| asked != *type_name) {
                    continue;
                }
                let version = &self.versions(type_name, id)[*at as usize];
                if version.at < page.since || found.len() > page.count {
                    break;
                }
                found.push(entry(type_name, id, version));
            }
        }
        let more = found.len() > page.count;
        found.truncate(page.count);
        (found, more)
    }

    /// How many versions a history has in all.
    pub fn history_total(&self, type_name: Option<&str>, id: Option<&str>) -> usize {
        match (type_name, id) {
            (Some(type_name), Some(id)) => self.versions(type_name, id).len(),
            (Some(type_name), None) => self.types.get(type_name).map_or(0, |held| held.versions),
            (None, _) => self.order.len(),
        }
    }

    /// Live resources of a type above `after`, in the order of their ids, and whether there are more.
    pub fn live(&self, type_name: &'static str, after: &str, count: usize) -> (Vec<Entry>, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let Some(OfType { instances, .. }) = self.types.get(type_name) else { return (Vec::new(), false) };
        let last = |(id, versions): (&Arc<str>, &Vec<Version>)| {
            let version = versions.last().filter(|version| version.body().is_some())?;
            Some(Entry { type_name, id: Arc::clone(id), version: version.clone() })
        };
        let mut found: Vec<Entry> =
            instances.range::<str, _>((Excluded(after), Unbounded)).filter_map(last).take(count + 1).collect();
        let more = found.len() > count;
        found.truncate(count);
        (found, more)
    }

    /// How many live resources a type has.
    pub fn live_total(&self, type_name: &str) -> usize {
        self.types.get(type_name).map_or(0, |held| held.live)
    }
}
