//! Doors for `tests/fuzz`: whatever a server answers is read to its end, and nothing is sent. No part of the API.

use crate::{
    FhirSink,
    client::Answer,
    outcome::{self, Said},
    readback::bundle,
    settle::Evidence,
};
use ports::{SendRequest, SinkReply};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// An answer to `request`. Headers that HTTP does not allow are left out, as no client would bring them.
pub fn answer(sink: &FhirSink, request: &SendRequest, status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    let answer = Answer { status, headers: map, body: body.to_vec().into() };
    match outcome::read(request, &answer, &sink.options.profile) {
        // What goes into logs and errors.
        Said::Reply(SinkReply::Failed(fault) | SinkReply::TypeFailed(fault)) => fault.to_string(),
        Said::Reply(SinkReply::Unknown { what } | SinkReply::NotApplied { what, .. }) => what,
        Said::Reply(SinkReply::Final { outcome: model::Outcome::Rejected { code, detail }, .. })
        | Said::Placeless(SinkReply::Final { outcome: model::Outcome::Rejected { code, detail }, .. }) => {
            format!("{code} {detail}")
        }
        _ => String::new(),
    }
}

/// A page of a history, and what became of `request` by it; how many versions it has.
pub fn history(sink: &FhirSink, request: &SendRequest, body: &[u8]) -> usize {
    let answer = Answer { status: 200, headers: HeaderMap::new(), body: body.to_vec().into() };
    let Ok((entries, next)) = bundle(answer) else { return 0 };
    if let Some(link) = next {
        drop(sink.requests.follow(&link));
    }
    let reader = sink.reader();
    let versions: Vec<_> = entries.into_iter().filter_map(|entry| reader.version(entry).ok()).collect();
    let evidence = Evidence { request, versions: &versions, profile: &sink.options.profile };
    drop((evidence.settle(true), evidence.settle(false), evidence.unchanged()));
    for version in &versions {
        drop(evidence.written(&version.version));
    }
    versions.len()
}
