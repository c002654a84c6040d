//! Read, vread, history, search, capability statement.
//!
//! Never changes anything, save that like HAPI a search, and how long a history is, are remembered for a minute. Pages are stable while others write:
//! a history's next page begins below the last write it showed, a search's above the last id.

use crate::Like;
use crate::json::write_text;
use crate::reply::{Reply, instant};
use crate::store::{Entry, HistoryPage, Store, Version};
use schemas::r4::ElementTable;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries of a page unless `_count` says otherwise.
const PAGE: usize = 100;
/// Entries of a page at most.
const PAGE_MAX: usize = 1_000;
/// How long HAPI answers from memory.
const STALE_FOR: Duration = Duration::from_secs(60);

/// What HAPI would repeat from memory: searches with their answers, histories with their counts.
#[derive(Default)]
pub struct Remembered {
    searches: Memory<Reply>,
    counts: Memory<usize>,
}

/// What was found, by the URL or path that was asked for.
struct Memory<T>(Mutex<BTreeMap<String, (Instant, T)>>);

impl<T> Default for Memory<T> {
    fn default() -> Memory<T> {
        Memory(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    /// What was found for `asked` within the last minute, else what `find` finds now.
    fn within_a_minute(&self, asked: &str, find: impl FnOnce() -> T) -> T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (at, _)| at.elapsed() < STALE_FOR);
        held.entry(asked.to_owned()).or_insert_with(|| (Instant::now(), find())).1.clone()
    }
}

/// What a read comes with.
pub struct Ask<'a> {
    pub like: Like,
    pub base: &'a str,
    /// Path and query below the base.
    pub url: &'a str,
    pub query: &'a [(String, String)],
    pub if_none_match: Option<&'a str>,
    pub no_cache: bool,
}

impl Ask<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(held, _)| held == name).map(|(_, value)| &**value)
    }

    /// A parameter that is not understood must not widen the answer.
    fn only(&self, known: &[&str]) -> Result<(), Reply> {
        match self.query.iter().find(|(name, _)| !known.contains(&name.as_str()) && name != "_format") {
            None => Ok(()),
            Some(_) => {
                let text = format!("a parameter is not supported here; these are: {}", known.join(", "));
                Err(Reply::outcome(400, "not-supported", &text))
            }
        }
    }

    fn count(&self) -> Result<usize, Reply> {
        let Some(count) = self.get("_count") else { return Ok(PAGE) };
        match count.parse::<usize>() {
            Ok(count) if count > 0 => Ok(count.min(PAGE_MAX)),
            _ => Err(Reply::outcome(400, "value", "_count is not a number above 0")),
        }
    }

    fn counts_only(&self) -> bool {
        self.get("_summary") == Some("count")
    }
}

/// The current version.
pub fn read(store: &Store, ask: &Ask<'_>, type_name: &'static str, id: &str) -> Reply {
    let inner = store.lock();
    let Some(version) = inner.versions(type_name, id).last() else { return unknown(ask, type_name, id) };
    let tag = ask.if_none_match.map(|tag| tag == "*" || tag.contains(&format!("\"{}\"", version.number)));
    if tag == Some(true) && version.body().is_some() {
        return Reply { status: 304, version: Some(version.number), behind: version.seq, ..Reply::default() };
    }
    one(version)
}

/// One version.
pub fn vread(store: &Store, ask: &Ask<'_>, type_name: &'static str, id: &str, version: &str) -> Reply {
    let inner = store.lock();
    let named = |held: &&Version| held.number.to_string() == version;
    inner.versions(type_name, id).iter().find(named).map_or_else(|| unknown(ask, type_name, id), one)
}

fn unknown(ask: &Ask<'_>, type_name: &str, id: &str) -> Reply {
    match ask.like {
        Like::Spec => Reply::outcome(404, "not-found", "no resource has that id and version"),
        Like::Hapi => Reply::outcome(404, "processing", &format!("HAPI-2001: Resource {type_name}/{id} is not known")),
    }
}

fn one(version: &Version) -> Reply {
    let mut reply = match version.body() {
        Some(body) => Reply::of(200, body.clone()),
        None => Reply::outcome(410, "deleted", "the resource was deleted"),
    };
    (reply.version, reply.modified, reply.behind) = (Some(version.number), Some(version.at), version.seq);
    reply
}

/// A page of an instance's, a type's or the system's history.
pub fn history(
    store: &Store,
    ask: &Ask<'_>,
    remembered: &Remembered,
    type_name: Option<&'static str>,
    id: Option<&str>,
) -> Reply {
    history_page(store, ask, remembered, type_name, id).unwrap_or_else(|refused| refused)
}

fn history_page(
    store: &Store,
    ask: &Ask<'_>,
    remembered: &Remembered,
    type_name: Option<&'static str>,
    id: Option<&str>,
) -> Result<Reply, Reply> {
    ask.only(&["_count", "_since", "_summary", "_before"])?;
    let since = match ask.get("_since") {
        None => i64::MIN,
        Some(text) => {
            let moment: Result<jiff::Timestamp, _> = text.parse();
            moment.map_err(|_| Reply::outcome(400, "value", "_since is not an instant"))?.as_millisecond()
        }
    };
    let before = ask.get("_before").map_or(Ok(u64::MAX), str::parse);
    let before = before.map_err(|_| Reply::outcome(400, "value", "_before is not from a link of ours"))?;
    let page = HistoryPage { type_name, id, before, since, count: ask.count()? };
    let inner = store.lock();
    if let (Some(type_name), Some(id)) = (type_name, id)
        && inner.versions(type_name, id).is_empty()
    {
        return Err(unknown(ask, type_name, id));
    }
    let (mut total, seq) = (inner.history_total(type_name, id), inner.seq());
    let (mut entries, mut more) = inner.history(&page);
    // HAPI counts a history once and shows no more versions than that, the newest ones (its issue 7897); where a time is
    // named it does not count, and `no-cache` does not help.
    if ask.like == Like::Hapi && ask.get("_since").is_none() {
        let path = ask.url.split('?').next().unwrap_or_default();
        total = remembered.counts.within_a_minute(path, || total);
        if let (Some(type_name), Some(id)) = (type_name, id) {
            let above = inner.versions(type_name, id).iter().filter(|version| version.seq >= before).count();
            let left = total.saturating_sub(above);
            more &= left > entries.len();
            entries.truncate(left);
        }
    }
    drop(inner);
    if ask.counts_only() {
        return Ok(Reply::of(200, bundle("history", total, ask, None, [].into_iter())).behind(seq));
    }
    let next = entries.last().filter(|_| more).map(|last| link(ask, "_before", &last.version.seq.to_string()));
    let body = bundle("history", total, ask, next.as_deref(), entries.iter().map(|entry| history_entry(ask, entry)));
    Ok(Reply::of(200, body).behind(seq))
}

fn history_entry(ask: &Ask<'_>, entry: &Entry) -> String {
    let Entry { type_name, id, version } = entry;
    let created = version.number == 1;
    let (method, status) = match (version.body(), ask.like) {
        (None, _) => ("DELETE", "204 No Content"),
        (Some(_), Like::Hapi) if created => ("POST", "201 Created"),
        (Some(_), _) if created => ("PUT", "201 Created"),
        (Some(_), _) => ("PUT", "200 OK"),
    };
    let mut out = format!("{{\"fullUrl\":\"{}/{type_name}/{id}\",", ask.base);
    if let Some(body) = version.body() {
        out.push_str("\"resource\":");
        out.push_str(&String::from_utf8_lossy(body));
        out.push(',');
    }
    write!(
        out,
        "\"request\":{{\"method\":\"{method}\",\"url\":\"{type_name}/{id}\"}},\"response\":{{\"status\":\"{status}\",\"etag\":\"W/\\\"{}\\\"\",\"lastModified\":\"{}\"}}}}",
        version.number,
        instant(version.at)
    )
    .expect("a String takes all");
    out
}

/// A page of what is there, by `_id` or all.
pub fn search(store: &Store, ask: &Ask<'_>, remembered: &Remembered, type_name: &'static str) -> Reply {
    let remembers = ask.like == Like::Hapi && !ask.no_cache && !ask.counts_only();
    if !remembers {
        return search_page(store, ask, type_name).unwrap_or_else(|refused| refused);
    }
    remembered
        .searches
        .within_a_minute(ask.url, || search_page(store, ask, type_name).unwrap_or_else(|refused| refused))
}

fn search_page(store: &Store, ask: &Ask<'_>, type_name: &'static str) -> Result<Reply, Reply> {
    ask.only(&["_id", "_count", "_summary", "_total", "_after"])?;
    let count = ask.count()?;
    let inner = store.lock();
    let seq = inner.seq();
    let (entries, more, total) = match ask.get("_id") {
        Some(ids) => {
            let live = |id: &str| {
                let version = inner.versions(type_name, id).last().filter(|version| version.body().is_some())?;
                Some(Entry { type_name, id: id.into(), version: version.clone() })
            };
            let entries: Vec<Entry> = ids.split(',').filter_map(live).collect();
            let total = entries.len();
            (entries, false, total)
        }
        None => {
            let (entries, more) = inner.live(type_name, ask.get("_after").unwrap_or_default(), count);
            (entries, more, inner.live_total(type_name))
        }
    };
    drop(inner);
    if ask.counts_only() {
        return Ok(Reply::of(200, bundle("searchset", total, ask, None, [].into_iter())).behind(seq));
    }
    let next = entries.last().filter(|_| more).map(|last| link(ask, "_after", &last.id));
    let found = entries.iter().map(|entry| {
        let body = entry.version.body().map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
        let url = format!("{}/{type_name}/{}", ask.base, entry.id);
        format!("{{\"fullUrl\":\"{url}\",\"resource\":{body},\"search\":{{\"mode\":\"match\"}}}}")
    });
    Ok(Reply::of(200, bundle("searchset", total, ask, next.as_deref(), found)).behind(seq))
}

/// The asked URL with one parameter replaced.
fn link(ask: &Ask<'_>, name: &str, value: &str) -> String {
    let (path, query) = ask.url.split_once('?').unwrap_or((ask.url, ""));
    let kept = query.split('&').filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let mut url = format!("{}{path}?", ask.base);
    for pair in kept {
        url.push_str(pair);
        url.push('&');
    }
    url.push_str(&format!("{name}={value}"));
    url
}

fn bundle(
    kind: &str,
    total: usize,
    ask: &Ask<'_>,
    next: Option<&str>,
    entries: impl Iterator<Item = String>,
) -> String {
    let mut out = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\",\"total\":{total},\"link\":[{{\"relation\":\"self\",\"url\":"
    );
    write_text(&mut out, &format!("{}{}", ask.base, ask.url));
    out.push('}');
    if let Some(next) = next {
        out.push_str(",{\"relation\":\"next\",\"url\":");
        write_text(&mut out, next);
        out.push('}');
    }
    out.push(']');
    // FHIR has no empty lists: without entries there is no member.
    let mut before = ",\"entry\":[";
    for entry in entries {
        out.push_str(before);
        out.push_str(&entry);
        before = ",";
    }
    out.push_str(if before == "," { "]}" } else { "}" });
    out
}

/// What this server can do. Like HAPI it keeps silent about update as create, which works.
pub fn capabilities(ask: &Ask<'_>) -> Reply {
    let update_create = if ask.like == Like::Spec { ",\"updateCreate\":true" } else { "" };
    let name = if ask.like == Like::Spec { "Lockstep sandbox" } else { "HAPI FHIR Server" };
    let mut out = format!(
        "{{\"resourceType\":\"CapabilityStatement\",\"status\":\"active\",\"date\":\"2026-11-22\",\"kind\":\"instance\",\"software\":{{\"name\":\"{name}\"}},\"implementation\":{{\"description\":\"{name}\",\"url\":\"{}\"}},\"fhirVersion\":\"4.0.1\",\"format\":[\"application/fhir+json\",\"json\"],\"rest\":[{{\"mode\":\"server\",\"resource\":[",
        ask.base
    );
    for (at, type_name) in ElementTable::r4().resource_types().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let interactions = ["read", "vread", "update", "delete", "history-instance", "history-type", "search-type"];
        let interactions = interactions.map(|code| format!("{{\"code\":\"{code}\"}}")).join(",");
        write!(out, "{comma}{{\"type\":\"{type_name}\",\"interaction\":[{interactions}],\"versioning\":\"versioned-update\",\"readHistory\":true{update_create},\"conditionalRead\":\"not-match\",\"searchParam\":[{{\"name\":\"_id\",\"type\":\"token\"}}]}}")
            .expect("a String takes all");
    }
    out.push_str("],\"interaction\":[{\"code\":\"history-system\"}]}]}");
    Reply::of(200, out)
}
