//! The target, read: an instance's versions by its history, a type's resources page by page.
//!
//! Never writes, and reads past every cache. Numbers stay as the server wrote them: a decimal is never rounded.

use crate::{
    client::{Answer, Client, version_in_tag, version_in_url},
    error::Error,
    request::{self, Requests},
    sink::FhirSink,
};
use model::{Json, ResourceType, Unit};
use ports::{Boxed, Fault, Page, Readback, Version};
use schemas::profile::History;
use std::collections::BTreeSet;

/// A unit may have so many versions; one that has more has gone mad.
const VERSIONS_MAX: usize = 100_000;

/// The parts that a look-up needs.
pub(crate) struct Reader<'a> {
    pub client: &'a Client,
    pub requests: &'a Requests,
    pub history: History,
    pub stamp_uri: &'a str,
}

impl Reader<'_> {
    /// The versions at `path`, newest first, down to `until` where that is among them, else all. Empty if there was
    /// never one. Where the server has no history, the current version alone.
    pub(crate) async fn versions(&self, path: &str, until: Option<&str>) -> Result<Vec<Version>, Error> {
        match self.history {
            History::Instance => self.past(path, until).await,
            History::None => Ok(self.current(path).await?.into_iter().collect()),
        }
    }

    async fn past(&self, path: &str, until: Option<&str>) -> Result<Vec<Version>, Error> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut call = self.requests.history(path);
        loop {
            let answer = self.client.call(call).await?;
            if matches!(answer.status, 404 | 410) && found.is_empty() {
                return Ok(found);
            }
            let (entries, next) = bundle(expect_ok(answer, "reading a history")?)?;
            let before = found.len();
            for entry in entries {
                let version = self.version(entry)?;
                let last = until == Some(&*version.version);
                // Pages that are counted from the top repeat what a write in between has pushed down.
                if seen.insert(version.version.clone()) {
                    found.push(version);
                }
                if last {
                    return Ok(found);
                }
            }
            match next {
                Some(_) if found.len() > VERSIONS_MAX => return Err(Error::Malformed("a history without an end")),
                Some(link) if found.len() > before => call = self.requests.follow(&link)?,
                Some(_) | None => return Ok(found),
            }
        }
    }

    /// What stands at `path` now; a deletion only if the server says which version it is.
    pub(crate) async fn current(&self, path: &str) -> Result<Option<Version>, Error> {
        let answer = self.client.call(self.requests.current(path)).await?;
        let tag = answer.version();
        match (answer.status, tag) {
            (404, _) | (410, None) => Ok(None),
            (410, Some(version)) => Ok(Some(Version { version, request: None, body: None })),
            (_, tag) => {
                let body = expect_ok(answer, "reading a resource")?.json()?;
                let version =
                    tag.or_else(|| version_of(&body)).ok_or(Error::Malformed("a resource without a version"))?;
                Ok(Some(Version { version, request: self.stamp(&body), body: Some(body) }))
            }
        }
    }

    /// What stands at `path` under this version's number, whatever came on top; none where the server knows no such version.
    pub(crate) async fn version_at(&self, path: &str, version: &str) -> Result<Option<Version>, Error> {
        let answer = self.client.call(self.requests.version(path, version)).await?;
        match answer.status {
            404 => Ok(None),
            410 => Ok(Some(Version { version: version.into(), request: None, body: None })),
            _ => {
                let body = expect_ok(answer, "reading a version")?.json()?;
                Ok(Some(Version { version: version.into(), request: self.stamp(&body), body: Some(body) }))
            }
        }
    }

    /// Whether a FHIR server answers at `base_url`: only then does "not there" say something about a resource.
    pub(crate) async fn at_home(&self) -> Result<(), Error> {
        let answer = expect_ok(self.client.call(self.requests.metadata()).await?, "looking for the server itself");
        let kind = match answer {
            Ok(answer) => answer.json()?.get("resourceType").and_then(Json::as_str).map(str::to_owned),
            Err(Error::Status { status: 400..=499, .. }) => None,
            Err(error) => return Err(error),
        };
        let stranger = "it has no CapabilityStatement, so what it does not know proves nothing";
        if kind.as_deref() == Some("CapabilityStatement") { Ok(()) } else { Err(Error::Malformed(stranger)) }
    }

    /// A page of a type's current resources: the first, or the one that a link names.
    async fn page(&self, kind: &ResourceType, next: Option<&str>) -> Result<Page, Error> {
        let call = next.map_or_else(|| Ok(self.requests.list(kind)), |link| self.requests.follow(link))?;
        let (entries, next) = bundle(expect_ok(self.client.call(call).await?, "listing a type")?)?;
        let mut resources = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let body = take(&mut entry, "resource").ok_or(Error::Malformed("a hit without its resource"))?;
            // A server may put warnings among its hits.
            if body.get("resourceType").and_then(Json::as_str) != Some(kind.as_str()) {
                continue;
            }
            let id = body.get("id").and_then(Json::as_str).ok_or(Error::Malformed("a resource without an id"))?.into();
            let version = version_of(&body).ok_or(Error::Malformed("a resource without a version"))?;
            resources.push((id, Version { version, request: self.stamp(&body), body: Some(body) }));
        }
        Ok(Page { resources, next })
    }

    /// An entry of a history; one without a resource is a deletion.
    pub(crate) fn version(&self, mut entry: Json) -> Result<Version, Error> {
        let body = take(&mut entry, "resource");
        let at = |outer: &str, inner: &str| entry.get(outer).and_then(|held| held.get(inner)).and_then(Json::as_str);
        let version = body
            .as_ref()
            .and_then(version_of)
            .or_else(|| at("response", "etag").and_then(version_in_tag).map(Into::into))
            .or_else(|| at("response", "location").and_then(version_in_url).map(Into::into))
            .or_else(|| at("request", "url").and_then(version_in_url).map(Into::into))
            .ok_or(Error::Malformed("an entry of a history without a version"))?;
        let body = body.filter(|_| at("request", "method") != Some("DELETE"));
        Ok(Version { version, request: body.as_ref().and_then(|body| self.stamp(body)), body })
    }

    /// The request that wrote it, if `meta.source` is of this pipeline.
    fn stamp(&self, body: &Json) -> Option<Box<str>> {
        let source = body.get("meta")?.get("source")?.as_str()?;
        source.strip_prefix(self.stamp_uri)?.strip_prefix('#').map(Into::into)
    }
}

impl FhirSink {
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            client: &self.client,
            requests: &self.requests,
            history: self.options.profile.history,
            stamp_uri: &self.options.stamp_uri,
        }
    }
}

impl Readback for FhirSink {
    fn versions<'a>(&'a self, unit: &'a Unit) -> Boxed<'a, Result<Vec<Version>, Fault>> {
        Box::pin(async move { Ok(self.reader().versions(&request::path(unit), None).await?) })
    }

    fn keeps_history(&self) -> bool {
        self.reader().history == History::Instance
    }

    fn list<'a>(&'a self, kind: &'a ResourceType, next: Option<&'a str>) -> Boxed<'a, Result<Page, Fault>> {
        Box::pin(async move { Ok(self.reader().page(kind, next).await?) })
    }
}

/// The answer, if it is a 200.
pub(crate) fn expect_ok(answer: Answer, during: &'static str) -> Result<Answer, Error> {
    match answer.status {
        200 => Ok(answer),
        status @ (401 | 403) => Err(Error::Refused { during, status }),
        status => Err(Error::Status { during, status }),
    }
}

/// Entries of a Bundle, and the link to its next page.
pub(crate) fn bundle(answer: Answer) -> Result<(Vec<Json>, Option<Box<str>>), Error> {
    let mut bundle = answer.json()?;
    if bundle.get("resourceType").and_then(Json::as_str) != Some("Bundle") {
        return Err(Error::Malformed("a Bundle was due"));
    }
    let is_next = |link: &&Json| link.get("relation").and_then(Json::as_str) == Some("next");
    let links = bundle.get("link").and_then(Json::items).unwrap_or_default();
    let next = links.iter().find(is_next).and_then(|link| link.get("url")).and_then(Json::as_str).map(Into::into);
    match take(&mut bundle, "entry") {
        Some(Json::Array(entries)) => Ok((entries, next)),
        None => Ok((Vec::new(), next)),
        Some(_) => Err(Error::Malformed("a Bundle whose entry is no list")),
    }
}

/// Takes a member out of an object, so that nothing is copied.
fn take(json: &mut Json, name: &str) -> Option<Json> {
    let Json::Object(members) = json else { return None };
    let at = members.iter().position(|(held, _)| **held == *name)?;
    Some(members.swap_remove(at).1)
}

fn version_of(body: &Json) -> Option<Box<str>> {
    body.get("meta")?.get("versionId")?.as_str().map(Into::into)
}
