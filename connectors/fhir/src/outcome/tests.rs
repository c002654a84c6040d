//! Every status, read against what was meant.

use super::*;
use bytes::Bytes;
use model::{EffectId, Hash, Unit, UnitId};
use reqwest::header::{ETAG, HeaderName, HeaderValue};

fn profile() -> Profile {
    Profile::builtin("sandbox").unwrap()
}

fn request(write: Write, base: Option<&str>) -> SendRequest {
    let effect = EffectId(Hash::of(b"e"));
    SendRequest {
        effect,
        request: effect.request(),
        unit: Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([1; 16]) },
        write,
        base: base.map_or(SendBase::Create, |version| SendBase::Version(version.into())),
        body: b"{}".as_slice().into(),
        body_hash: Hash::default(),
        attempt: 1,
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    Answer { status, headers: headers.iter().map(pair).collect(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn tagged(status: u16, version: &str) -> Answer {
    answer(status, &[(ETAG.as_str(), &format!("W/\"{version}\""))], "")
}

#[test]
fn a_success_is_believed_only_if_it_is_what_was_meant() {
    use Write::{Delete, Put};
    let stands = |v: &str| Said::Stands(v.into());
    for (write, base, status, version, said) in [
        (Put, None, 201, "1", Said::Done("1".into())),
        (Put, None, 200, "2", stands("2")),
        (Put, None, 201, "3", stands("3")),
        (Put, Some("1"), 200, "2", Said::Done("2".into())),
        (Put, Some("1"), 201, "1", stands("1")),
        (Put, Some("4"), 201, "1", stands("1")),
        (Put, Some("1"), 200, "4", stands("4")),
        (Put, Some("2"), 200, "2", Said::Unchanged("2".into())),
        (Delete, Some("2"), 204, "3", Said::Done("3".into())),
        (Delete, Some("2"), 200, "2", stands("2")),
    ] {
        assert_eq!(
            read(&request(write, base), &tagged(status, version), &profile()),
            said,
            "{write:?} {base:?} {status}"
        );
    }
    assert_eq!(read(&request(Put, None), &answer(201, &[], ""), &profile()), Said::Ask(false));
}

#[test]
fn ids_without_an_order_are_believed_by_their_status() {
    let mut opaque = profile();
    opaque.version_ids = schemas::profile::VersionIds::Opaque;
    let put = |base, status| read(&request(Write::Put, base), &tagged(status, "b"), &opaque);
    assert_eq!(put(Some("a"), 200), Said::Done("b".into()));
    assert_eq!(put(Some("a"), 201), Said::Stands("b".into()));
    assert_eq!(put(None, 201), Said::Done("b".into()));
    assert_eq!(put(None, 200), Said::Stands("b".into()));
}

#[test]
fn a_refusal_by_a_guard_is_asked_of_the_history() {
    for status in [304, 409, 410, 412] {
        assert_eq!(read(&request(Write::Put, Some("1")), &answer(status, &[], ""), &profile()), Said::Ask(true));
    }
    assert_eq!(read(&request(Write::Put, Some("1")), &answer(404, &[], ""), &profile()), Said::Ask(true));
    assert_eq!(read(&request(Write::Delete, Some("1")), &answer(404, &[], ""), &profile()), Said::Ask(true));
}

#[test]
fn a_server_that_says_that_it_takes_no_ids_of_ours_stops_the_type_with_the_cure() {
    let details = r#"{"issue":[{"severity":"error","code":"invalid","details":{"text":"Cannot perform create as update with client-assigned ID"}}]}"#;
    let hapi = r#"{"issue":[{"severity":"error","code":"processing","diagnostics":"HAPI-0959: No resource exists on this server resource with ID[canary], and client-assigned IDs are not enabled."}]}"#;
    for (status, body) in [(400, details), (404, details), (404, hapi)] {
        let said = read(&request(Write::Put, None), &answer(status, &[], body), &profile());
        let Said::Reply(SinkReply::TypeFailed(fault)) = said else { panic!("{status}: {said:?}") };
        assert!(fault.what.contains("Patient") && fault.cure.contains("client ids"), "{fault}");
        assert!(!fault.to_string().contains("canary"), "{fault}");
    }
}

#[test]
fn a_refused_create_that_does_not_say_why_is_left_to_others_of_its_type() {
    let said = |status, base, body: &str| read(&request(Write::Put, base), &answer(status, &[], body), &profile());
    let vague = r#"{"issue":[{"severity":"error","code":"invalid"}]}"#;
    assert!(matches!(said(400, None, vague), Said::Placeless(_)));
    assert!(matches!(said(404, None, ""), Said::Placeless(_)));
    assert!(matches!(said(405, None, ""), Said::Placeless(_)));
    let content = r#"{"issue":[{"severity":"error","code":"invalid","expression":["Patient.birthDate"]}]}"#;
    assert!(matches!(said(400, None, content), Said::Reply(SinkReply::Final { .. })));
    assert!(matches!(said(400, Some("1"), vague), Said::Reply(SinkReply::Final { .. })), "an update has its place");
}

#[test]
fn a_reference_to_what_is_not_there_waits_and_bad_data_is_parked() {
    let outcome = |code: &str, text: &str| {
        format!(
            "{{\"resourceType\":\"OperationOutcome\",\"issue\":[{{\"severity\":\"error\",\"code\":\"{code}\",\"diagnostics\":\"{text}\"}}]}}"
        )
    };
    let put = |status, body: &str| read(&request(Write::Put, None), &answer(status, &[], body), &profile());
    for (status, code, text) in [
        (400, "processing", "HAPI-1094: Resource Patient/canary not found, specified in path: Observation.subject"),
        (422, "processing", "HAPI-1095: canary"),
        (404, "processing", "HAPI-1094: canary"),
        (422, "not-found", "Observation.subject: points at a resource that is not here"),
    ] {
        let Said::Reply(SinkReply::NotApplied { what, why: NotApplied::Dependency, .. }) =
            put(status, &outcome(code, text))
        else {
            panic!("{status} {code} does not wait")
        };
        assert!(what.starts_with("dependency") && !what.contains("canary"), "{what}");
    }
    let said = put(400, &outcome("processing", "HAPI-1821: Invalid attribute value \\\"canary\\\""));
    let Said::Reply(SinkReply::Final { outcome: Outcome::Rejected { code, detail }, .. }) = said else {
        panic!("not parked")
    };
    assert_eq!((&*code, &*detail), ("http_400", "HTTP 400, processing, HAPI-1821"));
}

#[test]
fn a_code_that_is_no_code_does_not_go_on() {
    let body = r#"{"issue":[{"code":"canary 1980"},{"code":"invalid"},{"code":7},{}]}"#;
    let Said::Reply(SinkReply::Final { outcome: Outcome::Rejected { detail, .. }, .. }) =
        read(&request(Write::Put, None), &answer(422, &[], body), &profile())
    else {
        panic!("not parked")
    };
    assert_eq!(&*detail, "HTTP 422, invalid");
}

#[test]
fn patience_is_read_in_every_form() {
    let date = |text| ("date", text);
    for (headers, ms) in [
        (vec![("retry-after", "7")], Some(7_000)),
        (vec![("x-ms-retry-after-ms", "120"), ("retry-after", "7")], Some(120)),
        (vec![date("Sun, 22 Nov 2026 08:00:00 GMT"), ("retry-after", "Sun, 22 Nov 2026 08:00:05 GMT")], Some(5_000)),
        (vec![date("Sun, 22 Nov 2026 08:00:09 GMT"), ("retry-after", "Sun, 22 Nov 2026 08:00:05 GMT")], Some(0)),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "99999999999")], Some(RETRY_AFTER_MAX_MS)),
    ] {
        let Said::Reply(SinkReply::NotApplied { retry_after_ms, why: NotApplied::Busy, .. }) =
            read(&request(Write::Put, None), &answer(429, &headers, ""), &profile())
        else {
            panic!("429 waits")
        };
        assert_eq!(retry_after_ms, ms, "{headers:?}");
    }
}

#[test]
fn a_5xx_is_unknown_unless_it_names_a_time() {
    let put =
        |status, headers: &[(&str, &str)]| read(&request(Write::Put, None), &answer(status, headers, ""), &profile());
    for status in [408, 500, 502, 503, 504] {
        assert!(matches!(put(status, &[]), Said::Reply(SinkReply::Unknown { .. })), "{status}");
    }
    assert_eq!((put(202, &[("retry-after", "7")]), put(202, &[])), (Said::Later(Some(7_000)), Said::Later(None)));
    assert!(matches!(put(503, &[("retry-after", "1")]), Said::Reply(SinkReply::NotApplied { .. })));
    assert!(matches!(put(500, &[("retry-after", "1")]), Said::Reply(SinkReply::Unknown { .. })));
}

#[test]
fn what_a_person_must_change_stops_and_what_is_about_one_unit_does_not() {
    let put = |status| read(&request(Write::Put, None), &answer(status, &[], ""), &profile());
    for status in [301, 401, 406, 415, 428] {
        assert!(matches!(put(status), Said::Reply(SinkReply::Failed(_))), "{status}");
    }
    assert_eq!(put(403), Said::Forbidden);
    for status in [402, 413, 418] {
        assert!(
            matches!(put(status), Said::Reply(SinkReply::Final { outcome: Outcome::Rejected { .. }, .. })),
            "{status}"
        );
    }
}
