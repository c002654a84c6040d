//! The server as HAPI FHIR JPA was measured to answer, over real sockets.

use super::support::{Server, observation, patient, tag};
use lockstep_sandbox::Like;

#[test]
fn the_create_guard_is_if_match_zero_and_if_none_match_is_none() {
    let mut server = Server::start(Like::Hapi);
    assert_eq!(server.put("a", "1970", &[("if-match", "W/\"0\"")]), (201, tag(1)));
    assert_eq!(server.put("a", "1971", &[("if-match", "W/\"0\"")]).0, 409);
    assert_eq!(server.put("a", "1971", &[("if-none-match", "*")]), (200, tag(2)));
    server.delete("a", &[]);
    assert_eq!(server.put("a", "1971", &[("if-match", "W/\"0\"")]).0, 409);
}

#[test]
fn a_stale_version_is_409_and_a_missing_one_is_created() {
    let mut server = Server::start(Like::Hapi);
    assert_eq!(server.put("a", "1970", &[("if-match", "W/\"1\"")]), (201, tag(1)));
    let stale = server.send("PUT", "/fhir/Patient/a", &[("if-match", "W/\"7\"")], &patient("a", "1971"));
    assert_eq!(stale.status, 409);
    assert_eq!(stale.json()["issue"][0]["code"], "processing");
    assert!(stale.text().contains("HAPI-0989"));
    for form in ["W/\"1\"", "\"2\"", "3"] {
        let born = format!("198{}", form.len());
        assert_eq!(server.put("a", &born, &[("if-match", form)]).0, 200, "{form}");
    }
}

#[test]
fn deletes_ignore_if_match_and_leave_a_gap() {
    let mut server = Server::start(Like::Hapi);
    server.put("a", "1970", &[]);
    server.put("a", "1971", &[]);
    assert_eq!(server.delete("a", &[("if-match", "W/\"1\"")]), 200);
    assert_eq!(server.delete("a", &[]), 200);
    assert_eq!(server.delete("unknown", &[]), 200);
    assert_eq!(server.put("a", "1972", &[("if-match", "W/\"2\"")]).0, 409);
    assert_eq!(server.put("a", "1972", &[("if-match", "W/\"3\"")]), (201, tag(4)));
}

#[test]
fn equal_content_makes_no_version_and_the_answer_is_not_what_is_stored() {
    let mut server = Server::start(Like::Hapi);
    let body = |request: &str| {
        format!(r#"{{"resourceType":"Patient","id":"a","meta":{{"source":"urn:x#{request}"}},"birthDate":"1970"}}"#)
    };
    let first = server.send("PUT", "/fhir/Patient/a", &[("x-request-id", "REQUEST1")], &body("REQUEST1"));
    assert_eq!(first.json()["meta"]["source"], "urn:x#REQUEST1");
    let headers = [("x-request-id", "REQUEST2"), ("if-match", "W/\"1\"")];
    let second = server.send("PUT", "/fhir/Patient/a", &headers, &body("REQUEST2"));
    assert_eq!((second.status, second.header("etag")), (200, Some("W/\"1\"")));
    assert_eq!(second.json()["meta"]["source"], "urn:x#REQUEST2");
    assert_eq!(server.get("/fhir/Patient/a").json()["meta"]["source"], "urn:x#REQUEST1");
    assert_eq!(server.get("/fhir/Patient/a/_history").json()["entry"].as_array().unwrap().len(), 1);
}

#[test]
fn the_stamp_names_the_request() {
    let mut server = Server::start(Like::Hapi);
    let body = r#"{"resourceType":"Patient","id":"a","meta":{"source":"urn:x#other"},"birthDate":"1970"}"#;
    let answer = server.send("PUT", "/fhir/Patient/a", &[("x-request-id", "0123456789abcdefTOOLONG")], body);
    assert_eq!(answer.json()["meta"]["source"], "urn:x#0123456789abcdef");
    assert_eq!(answer.header("x-request-id"), Some("0123456789abcdef"));
}

#[test]
fn unknown_members_are_dropped_and_bad_values_are_400() {
    let mut server = Server::start(Like::Hapi);
    let body = r#"{"resourceType":"Patient","id":"a","nickname":"x","name":[],"birthDate":"1970"}"#;
    assert_eq!(server.send("PUT", "/fhir/Patient/a", &[], body).status, 201);
    let read = server.get("/fhir/Patient/a").json();
    assert!(read.get("nickname").is_none() && read.get("name").is_none() && read["birthDate"] == "1970");
    for bad in [r#""birthDate":"1970-13-01""#, r#""gender":"M""#] {
        let body = format!(r#"{{"resourceType":"Patient","id":"a",{bad}}}"#);
        let refused = server.send("PUT", "/fhir/Patient/a", &[], &body);
        assert!(refused.status == 400 && refused.text().contains("HAPI-1821"), "{bad}");
    }
    let bad_id = server.send("PUT", "/fhir/Patient/a_b", &[], &patient("a_b", "1970"));
    assert!(bad_id.status == 400 && bad_id.text().contains("HAPI-0521"));
    let other = server.send("PUT", "/fhir/Patient/a", &[], &patient("b", "1970"));
    assert!(other.status == 400 && other.text().contains("HAPI-0420"));
}

#[test]
fn a_dangling_reference_is_400_and_named() {
    let mut server = Server::start(Like::Hapi);
    let refused = server.send("PUT", "/fhir/Observation/o", &[], &observation("o", "Patient/p", "1"));
    assert_eq!(refused.status, 400);
    let text = refused.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
    assert_eq!(text, "HAPI-1094: Resource Patient/p not found, specified in path: Observation.subject");
}

#[test]
fn history_says_post_for_a_create() {
    let mut server = Server::start(Like::Hapi);
    server.put("a", "1970", &[]);
    server.put("a", "1971", &[]);
    let history = server.get("/fhir/Patient/a/_history").json();
    let methods: Vec<_> =
        history["entry"].as_array().unwrap().iter().map(|entry| &entry["request"]["method"]).collect();
    assert_eq!(methods, ["PUT", "POST"]);
}

#[test]
fn a_history_that_was_counted_hides_its_oldest_versions_unless_a_time_is_named() {
    let mut server = Server::start(Like::Hapi);
    let versions = |server: &mut Server, query: &str| -> Vec<String> {
        let no_cache = [("cache-control", "no-cache")];
        let history = server.send("GET", &format!("/fhir/Patient/a/_history{query}"), &no_cache, "").json();
        let entries = history["entry"].as_array().unwrap().iter();
        entries.map(|entry| entry["response"]["etag"].as_str().unwrap().to_owned()).collect()
    };
    server.put("a", "1970", &[]);
    assert_eq!(versions(&mut server, ""), ["W/\"1\""]);
    server.put("a", "1971", &[]);
    assert_eq!(versions(&mut server, ""), ["W/\"2\""], "as many as were counted, the newest");
    assert_eq!(server.get("/fhir/Patient/a/_history?_summary=count").json()["total"], 1);
    assert_eq!(versions(&mut server, "?_since=1970-01-01T00:00:00Z"), ["W/\"2\"", "W/\"1\""]);
}

#[test]
fn a_search_repeated_within_a_minute_is_stale_unless_told_otherwise() {
    let mut server = Server::start(Like::Hapi);
    let total = |server: &mut Server, headers: &[(&str, &str)]| {
        server.send("GET", "/fhir/Patient?_id=a", headers, "").json()["total"].as_u64().unwrap()
    };
    assert_eq!(total(&mut server, &[]), 0);
    server.put("a", "1970", &[]);
    assert_eq!(total(&mut server, &[]), 0);
    assert_eq!(total(&mut server, &[("cache-control", "no-cache")]), 1);
    assert_eq!(server.send("GET", "/fhir/Patient?_id=a&_summary=count", &[], "").json()["total"], 1);
}

#[test]
fn the_capability_statement_keeps_silent_about_update_as_create() {
    let mut server = Server::start(Like::Hapi);
    let metadata = server.get("/fhir/metadata").json();
    assert!(metadata["rest"][0]["resource"][0].get("updateCreate").is_none());
}
