//! What an answer to a write means: read against what we meant and our own base, never by its number alone (clinical S9).
//!
//! Pure. Never repeats a server's words: of an OperationOutcome only issue codes and `HAPI-` numbers go on.

use crate::{client::Answer, error::RENEW};
use model::{Json, Outcome, Write};
use ports::{Failure, Fault, NotApplied, SendBase, SendRequest, SinkReply};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use schemas::Profile;

/// A server that asks for more patience than this is asked again all the same: it may have come back.
const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

pub(crate) const ALLOW_IDS: &str = "have the server's owner allow create by update with client ids (HAPI: `client_id_strategy: ANY`); \
                         does `base_url` end at the FHIR base?";
/// How servers say in words that they take no ids of ours; compared without case and hyphens.
const NO_IDS: [&str; 3] = ["client assigned id", "client defined id", "client supplied id"];

/// What a server says of a write.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// It stands as this version, right above its base.
    Done(Box<str>),
    /// It stands as this version; what lies beneath must be looked at (J26).
    Stands(Box<str>),
    /// Nothing changed at the base.
    Unchanged(Box<str>),
    /// It was refused, or done without a version: only the history tells (J27). `true` = the target itself refused.
    Ask(bool),
    /// We may not touch this one.
    Forbidden,
    /// A create was refused in a way that a server has, too, which takes no ids of ours; else it is what is said here.
    Placeless(SinkReply),
    /// The server took it and will do it later, perhaps at this time.
    Later(Option<u64>),
    /// What it is already.
    Reply(SinkReply),
}

/// Reads the answer to `request`.
pub(crate) fn read(request: &SendRequest, answer: &Answer, profile: &Profile) -> Said {
    let create = !matches!(request.base, SendBase::Version(_));
    match (answer.status, request.write) {
        (200 | 201, Write::Put) | (200 | 204, Write::Delete) => done(request, answer, profile),
        (304 | 409 | 410 | 412, _) | (404, Write::Delete) => reference(answer).map_or(Said::Ask(true), Said::Reply),
        (404, Write::Put) if !create => reference(answer).map_or(Said::Ask(true), Said::Reply),
        (400 | 404 | 405, Write::Put) if create => {
            reference(answer).map_or_else(|| refused_create(request, answer), Said::Reply)
        }
        (400 | 422, _) => reference(answer).map_or_else(|| Said::Reply(rejected(answer)), Said::Reply),
        (401, _) => Said::Reply(stopped("does not know us: HTTP 401", RENEW)),
        (403, _) => Said::Forbidden,
        (406 | 415 | 428, _) => Said::Reply(stopped(
            &format!("does not speak as its profile says: HTTP {}", answer.status),
            "run `lockstep check --probe` and correct the profile",
        )),
        (429, _) => waiting(answer, patience(&answer.headers)),
        // Without a time to come back, a 503 is any proxy's word for an answer that it did not wait for.
        (503, _) if answer.headers.contains_key(RETRY_AFTER) => waiting(answer, patience(&answer.headers)),
        (300..=399, _) => Said::Reply(stopped(
            &format!("is elsewhere: HTTP {}", answer.status),
            "set `base_url` to the server's own address; redirects are not followed",
        )),
        (400..=499, _) if answer.status != 408 => Said::Reply(rejected(answer)),
        (202, _) => Said::Later(patience(&answer.headers)),
        (status, _) => Said::Reply(SinkReply::Unknown { what: format!("the server answered HTTP {status}") }),
    }
}

/// The answer's version against the base: only a successor that must be ours needs no second look.
fn done(request: &SendRequest, answer: &Answer, profile: &Profile) -> Said {
    let Some(version) = answer.version() else { return Said::Ask(false) };
    let (meant, follows) = match (&request.base, request.write) {
        (SendBase::Create, _) => (answer.status == 201, profile.follows("0", &version)),
        (SendBase::Deleted(base), _) => (answer.status == 201, profile.follows(base, &version)),
        (SendBase::Version(base), Write::Put) if *base == version && answer.status == 200 => {
            return Said::Unchanged(version);
        }
        (SendBase::Version(base), Write::Put) => (answer.status == 200, profile.follows(base, &version)),
        (SendBase::Version(base), Write::Delete) => (*base != version, profile.follows(base, &version)),
    };
    if meant && follows != Some(false) { Said::Done(version) } else { Said::Stands(version) }
}

/// A reference to what is not there: the effect waits, it is not bad data (clinical S9).
fn reference(answer: &Answer) -> Option<SinkReply> {
    let issues = Issues::read(answer);
    let dangling =
        issues.numbers.iter().any(|number| matches!(number.as_str(), "HAPI-1094" | "HAPI-1095" | "HAPI-1096"))
            || (matches!(answer.status, 400 | 422) && issues.codes.iter().any(|code| code == "not-found"));
    let what = format!("dependency: it refers to what is not there: {}", issues.words(answer.status));
    dangling.then_some(SinkReply::NotApplied { what, retry_after_ms: None, why: NotApplied::Dependency })
}

/// A create that was refused: by a server that takes no ids of ours, if it says so in words; for its content, if the answer
/// speaks of that; else others of its type must tell.
fn refused_create(request: &SendRequest, answer: &Answer) -> Said {
    let issues = Issues::read(answer);
    if issues.of_the_id {
        let what = format!("takes no {} with an id of ours: HTTP {}", request.unit.resource_type, answer.status);
        return Said::Reply(type_stopped(&what, ALLOW_IDS));
    }
    let rejected = rejected(answer);
    match answer.status {
        400 if issues.of_the_content => Said::Reply(rejected),
        _ => Said::Placeless(rejected),
    }
}

fn rejected(answer: &Answer) -> SinkReply {
    let code = format!("http_{}", answer.status).into();
    let detail = Issues::read(answer).words(answer.status).into();
    SinkReply::Final { outcome: Outcome::Rejected { code, detail }, foreign: Vec::new() }
}

pub(crate) fn stopped(what: &str, cure: &str) -> SinkReply {
    SinkReply::Failed(Fault::new(Failure::Misconfigured, format!("the FHIR server {what}")).cure(cure))
}

/// The same of one resource type.
pub(crate) fn type_stopped(what: &str, cure: &str) -> SinkReply {
    SinkReply::TypeFailed(Fault::new(Failure::Misconfigured, format!("the FHIR server {what}")).cure(cure))
}

fn waiting(answer: &Answer, retry_after_ms: Option<u64>) -> Said {
    let what = format!("the server asks for patience: HTTP {}", answer.status);
    Said::Reply(SinkReply::NotApplied { what, retry_after_ms, why: NotApplied::Busy })
}

/// How long the server asks us to wait: `x-ms-retry-after-ms`, or `Retry-After` in seconds or as a date.
fn patience(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_millisecond());
    let ms = text("x-ms-retry-after-ms").and_then(|ms| ms.parse().ok()).or_else(|| {
        let asked = text(RETRY_AFTER.as_str())?;
        let seconds = asked.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
        // By the server's clock on both sides, so that ours may be wrong.
        seconds.or_else(|| u64::try_from(date(asked)?.saturating_sub(date(text(DATE.as_str())?)?).max(0)).ok())
    });
    ms.map(|ms| ms.min(RETRY_AFTER_MAX_MS))
}

/// What of an OperationOutcome holds no value.
struct Issues {
    codes: Vec<String>,
    numbers: Vec<String>,
    /// It says that a client may not choose the id.
    of_the_id: bool,
    /// It names an element, or the reason by HAPI's number.
    of_the_content: bool,
}

impl Issues {
    fn read(answer: &Answer) -> Issues {
        let outcome = answer.json().ok();
        let issues =
            outcome.as_ref().and_then(|outcome| outcome.get("issue")).and_then(Json::items).unwrap_or_default();
        let text = |issue: &Json, name: &str| issue.get(name).and_then(Json::as_str).map(str::to_owned);
        // A code is of a small closed set; whatever else a server puts there does not go on.
        let code = |text: &String| {
            !text.is_empty() && text.len() <= 32 && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')
        };
        let mut found = Issues {
            codes: issues.iter().filter_map(|issue| text(issue, "code")).filter(code).collect(),
            numbers: issues
                .iter()
                .filter_map(|issue| text(issue, "diagnostics"))
                .filter_map(|text| hapi_number(&text))
                .collect(),
            of_the_id: issues.iter().any(of_the_id),
            of_the_content: issues.iter().any(|issue| issue.get("expression").or(issue.get("location")).is_some()),
        };
        found.of_the_id |= found.numbers.iter().any(|number| matches!(number.as_str(), "HAPI-0959" | "HAPI-0960"));
        found.of_the_content |= !found.numbers.is_empty();
        for list in [&mut found.codes, &mut found.numbers] {
            list.sort();
            list.dedup();
            list.truncate(8);
        }
        found
    }

    fn words(&self, status: u16) -> String {
        let all: Vec<&str> = self.codes.iter().chain(&self.numbers).map(String::as_str).collect();
        if all.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}, {}", all.join(", ")) }
    }
}

/// Whether its words say that a client may not choose the id (Medplum has no code for it).
fn of_the_id(issue: &Json) -> bool {
    let details = issue.get("details").and_then(|details| details.get("text"));
    [issue.get("diagnostics"), details].into_iter().flatten().filter_map(Json::as_str).any(|text| {
        let text = text.to_ascii_lowercase().replace('-', " ");
        NO_IDS.iter().any(|words| text.contains(words))
    })
}

/// `HAPI-1094` out of a text that may hold values.
fn hapi_number(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("HAPI-")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(6).collect();
    (!digits.is_empty()).then(|| format!("HAPI-{digits}"))
}

#[cfg(test)]
mod tests;
