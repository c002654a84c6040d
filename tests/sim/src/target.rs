//! The target: guarded PUTs with versions, as a correct sink sees them.

use crate::wild::REFUSED;
use model::{Json, Outcome, RequestId, Write};
use ports::{ForeignVersion, Look, NotApplied, SendBase, SendRequest, SinkReply, Written};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Default)]
pub struct Target {
    /// By `Type/id`; version n is at place n - 1.
    pub units: BTreeMap<String, Vec<Version>>,
    /// Every version in the order in which they came, by unit and number.
    pub applied: Vec<(Box<str>, usize)>,
    /// Units that somebody else deleted at some time.
    pub deleted: BTreeSet<String>,
}

#[derive(Clone)]
pub struct Version {
    pub request: Option<RequestId>,
    /// None: deleted.
    pub body: Option<Json>,
}

pub fn lost() -> SinkReply {
    SinkReply::Unknown { what: "cut".into() }
}

impl Target {
    fn put(&mut self, unit: &str, version: Version) {
        let versions = self.units.entry(unit.into()).or_default();
        versions.push(version);
        self.applied.push((unit.into(), versions.len()));
    }

    pub fn send(&mut self, request: &SendRequest) -> SinkReply {
        let versions = self.units.entry(request.unit.to_string()).or_default();
        let guarded = match &request.base {
            SendBase::Create => versions.is_empty(),
            SendBase::Version(version) | SendBase::Deleted(version) => versions.len().to_string() == **version,
        };
        if !guarded {
            return self.settle(request);
        }
        let body = String::from_utf8_lossy(&request.body);
        if body.contains(REFUSED) && body.contains("\"final\"") {
            let outcome = Outcome::Rejected { code: "422".into(), detail: "a value out of range".into() };
            return SinkReply::Final { outcome, foreign: Vec::new() };
        }
        let body = (request.write == Write::Put).then(|| Json::parse(&request.body).expect("we send JSON"));
        let version = (versions.len() + 1).to_string().into();
        self.put(&request.unit.to_string(), Version { request: Some(request.request), body });
        SinkReply::Final { outcome: Outcome::Accepted { version, by: "reply".into() }, foreign: Vec::new() }
    }

    pub fn settle(&mut self, request: &SendRequest) -> SinkReply {
        let versions = self.units.entry(request.unit.to_string()).or_default();
        let ours = versions.iter().position(|version| version.request == Some(request.request));
        if let Some(at) = ours {
            let foreign = versions[at + 1..].iter().enumerate().map(|(n, version)| ForeignVersion {
                version: (at + n + 2).to_string().into(),
                deleted: version.body.is_none(),
                body: version.body.clone().unwrap_or(Json::Null),
                beneath: false,
            });
            let outcome = Outcome::Accepted { version: (at + 1).to_string().into(), by: "stamp".into() };
            return SinkReply::Final { outcome, foreign: foreign.collect() };
        }
        let stands = match &request.base {
            SendBase::Create => versions.is_empty(),
            SendBase::Version(version) | SendBase::Deleted(version) => versions.len().to_string() == **version,
        };
        let version: Box<str> = versions.len().to_string().into();
        match versions.last() {
            _ if stands => {
                SinkReply::NotApplied { what: "base stands".into(), retry_after_ms: None, why: NotApplied::Busy }
            }
            Some(Version { body: Some(body), .. }) => {
                let outcome = Outcome::Stale { version, current: Some(body.clone()), over: None };
                SinkReply::Final { outcome, foreign: Vec::new() }
            }
            _ => SinkReply::Final { outcome: Outcome::Gone { version: Some(version) }, foreign: Vec::new() },
        }
    }

    /// What stands where `written` was written last.
    pub fn look(&self, written: &Written) -> Look {
        let versions = self.units.get(&written.unit.to_string()).map_or(&[][..], Vec::as_slice);
        let Some(top) = versions.last() else { return Look::Gone(None) };
        let stands = versions.len().to_string().into();
        let known: Option<&Version> = written.version.parse().ok().and_then(|n: usize| versions.get(n.checked_sub(1)?));
        let is_ours = |version: &Version| {
            version.body.is_some() == written.exists
                && (written.request.is_none() || version.request == written.request)
        };
        match known {
            Some(known) if !is_ours(known) => Look::Behind(stands),
            None => Look::Behind(stands),
            Some(_) if stands == written.version => Look::Ours,
            Some(_) if top.body.is_none() => Look::Gone(Some(stands)),
            Some(_) => Look::Foreign(stands),
        }
    }

    /// Somebody else deletes.
    pub fn delete(&mut self, unit: &str) {
        let Some(versions) = self.units.get(unit) else { return };
        if versions.last().is_some_and(|version| version.body.is_some()) {
            self.put(unit, Version { request: None, body: None });
            self.deleted.insert(unit.into());
        }
    }

    /// Somebody else writes: a note is added.
    pub fn edit(&mut self, unit: &str) {
        let Some(versions) = self.units.get(unit) else { return };
        let Some(Version { body: Some(Json::Object(members)), .. }) = versions.last().cloned() else { return };
        let mut members: Vec<_> = members.into_iter().filter(|(name, _)| &**name != "language").collect();
        members.push(("language".into(), Json::text(if versions.len() % 2 == 0 { "en" } else { "de" })));
        self.put(unit, Version { request: None, body: Some(Json::Object(members)) });
    }
}
