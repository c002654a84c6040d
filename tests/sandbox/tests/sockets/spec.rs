//! The server as FHIR R4 says, over real sockets.

use super::support::{Server, observation, patient, tag};
use lockstep_sandbox::{Like, Options};

#[test]
fn a_resource_lives_through_all_its_versions() {
    let mut server = Server::start(Like::Spec);
    let created = server.send("PUT", "/fhir/Patient/a", &[("x-request-id", "R1")], &patient("a", "1970-01-01"));
    assert_eq!((created.status, created.header("etag")), (201, Some("W/\"1\"")));
    assert_eq!(created.header("x-request-id"), Some("R1"));
    let location = format!("http://{}/fhir/Patient/a/_history/1", server.address);
    assert_eq!(created.header("location"), Some(&*location));
    assert!(created.header("last-modified").unwrap().ends_with(" GMT"));
    // Equal content is a new version: a server by the specification keeps what it was told.
    assert_eq!(server.put("a", "1970-01-01", &[]), (200, tag(2)));
    assert_eq!(server.delete("a", &[]), 204);
    assert_eq!(server.get("/fhir/Patient/a").status, 410);
    assert_eq!(server.delete("a", &[]), 204);
    assert_eq!(server.delete("unknown", &[]), 404);
    assert_eq!(server.get("/fhir/Patient/unknown").status, 404);
    assert_eq!(server.put("a", "1970-01-02", &[]), (201, tag(4)));
    let first = server.get("/fhir/Patient/a/_history/1").json();
    assert_eq!((&first["meta"]["versionId"], &first["birthDate"]), (&"1".into(), &"1970-01-01".into()));
    assert_eq!(server.get("/fhir/Patient/a/_history/3").status, 410);
    assert_eq!(server.get("/fhir/Patient/a/_history/5").status, 404);
}

#[test]
fn guards_hold() {
    let mut server = Server::start(Like::Spec);
    assert_eq!(server.put("a", "1970", &[("if-match", "W/\"1\"")]).0, 412);
    assert_eq!(server.put("a", "1970", &[("if-none-match", "*")]).0, 201);
    assert_eq!(server.put("a", "1971", &[("if-none-match", "*")]).0, 412);
    assert_eq!(server.put("a", "1971", &[("if-match", "W/\"2\"")]).0, 412);
    assert_eq!(server.put("a", "1971", &[("if-match", "1")]).0, 400);
    assert_eq!(server.put("a", "1971", &[("if-match", "W/\"1\"")]), (200, tag(2)));
    assert_eq!(server.delete("a", &[("if-match", "W/\"1\"")]), 412);
    assert_eq!(server.delete("a", &[("if-match", "W/\"2\"")]), 204);
    assert_eq!(server.put("a", "1971", &[("if-match", "W/\"3\"")]).0, 412);
    assert_eq!(server.put("a", "1971", &[("if-none-match", "*")]), (201, tag(4)));
    assert_eq!(server.send("GET", "/fhir/Patient/a", &[("if-none-match", "W/\"4\"")], "").status, 304);
    assert_eq!(server.send("GET", "/fhir/Patient/a", &[("if-none-match", "W/\"3\"")], "").status, 200);
}

#[test]
fn numbers_and_order_are_kept_as_sent() {
    let mut server = Server::start(Like::Spec);
    server.put("p", "1970", &[]);
    let sent = observation("o", "Patient/p", "1.00");
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &sent).status, 201);
    let read = server.get("/fhir/Observation/o").text();
    assert!(read.contains(r#""valueQuantity":{"value":1.00}"#), "{read}");
    let rest = sent.split_once(r#","status""#).unwrap().1;
    assert!(read.ends_with(&format!(r#","status"{rest}"#)), "{read}");
}

#[test]
fn meta_of_the_sender_stays_beside_what_the_server_stamps() {
    let mut server = Server::start(Like::Spec);
    let body = r#"{"resourceType":"Patient","id":"m","meta":{"versionId":"9","source":"urn:x#R","tag":[{"system":"http://x","code":"c"}]},"active":true}"#;
    assert_eq!(server.send("PUT", "/fhir/Patient/m", &[], body).status, 201);
    let meta = &server.get("/fhir/Patient/m").json()["meta"];
    assert_eq!((&meta["versionId"], &meta["source"]), (&"1".into(), &"urn:x#R".into()));
    assert_eq!(meta["tag"][0]["code"], "c");
}

#[test]
fn what_r4_does_not_know_is_refused_without_a_trace_and_without_an_echo() {
    let mut server = Server::start(Like::Spec);
    for (body, status) in [
        (r#"{"resourceType":"Patient","id":"c","nickname":"Canary"}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","Canary":"Canary"}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","name":{"family":"Canary"}}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","gender":"Canary"}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","birthDate":"Canary"}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","active":"Canary"}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","name":[]}"#, 422),
        (r#"{"resourceType":"Patient","id":"Canary"}"#, 400),
        (r#"{"resourceType":"Patient"}"#, 400),
        (r#"{"resourceType":"Canary","id":"c"}"#, 400),
        (r#"{"resourceType":"Patient","id":"c","birthDate":"Canary""#, 400),
        (r#"{"resourceType":"Patient","id":"c","id":"Canary"}"#, 400),
        (r#"{"resourceType":"Patient","id":"c","managingOrganization":{"reference":"Organization/Canary"}}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","managingOrganization":{"reference":"Canary"}}"#, 422),
        (r#"{"resourceType":"Patient","id":"c","managingOrganization":{"reference":"Patient/c"}}"#, 422),
        (r##"{"resourceType":"Patient","id":"c","managingOrganization":{"reference":"#Canary"}}"##, 422),
    ] {
        let refused = server.send("PUT", "/fhir/Patient/c", &[], body);
        assert_eq!(refused.status, status, "{body}");
        assert_eq!(refused.json()["resourceType"], "OperationOutcome");
        assert!(!refused.text().contains("Canary"), "{}", refused.text());
        assert_eq!(server.get("/fhir/Patient/c").status, 404, "{body}");
    }
    let observation = r#"{"resourceType":"Observation","id":"c","code":{"text":"x"}}"#;
    assert_eq!(server.send("PUT", "/fhir/Observation/c", &[], observation).status, 422);
    let bad_id = server.send("PUT", "/fhir/Patient/a_b", &[], &patient("a_b", "1970"));
    assert_eq!(bad_id.status, 400);
    assert_eq!(server.send("PUT", "/fhir/Patient/c", &[("content-type", "text/plain")], "{}").status, 415);
    assert_eq!(server.send("PUT", "/fhir/Nonsense/c", &[], "{}").status, 404);
    let declared = [("content-encoding", "gzip")];
    assert_eq!(server.send("PUT", "/fhir/Patient/c", &declared, "{}").status, 415);
    assert_eq!(server.send("POST", "/fhir/Patient", &[], &patient("c", "1970")).status, 405);
}

#[test]
fn a_reference_must_be_followed_to_something_that_is_there() {
    let mut server = Server::start(Like::Spec);
    let body = observation("o", "Patient/p", "1");
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &body).status, 422);
    server.put("p", "1970", &[]);
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &body).status, 201);
    let absolute = observation("o", &format!("http://{}/fhir/Patient/p", server.address), "2");
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &absolute).status, 200);
    let elsewhere = observation("o", "https://elsewhere.example/fhir/Patient/9", "2");
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &elsewhere).status, 200);
    server.delete("p", &[]);
    assert_eq!(server.send("PUT", "/fhir/Observation/o", &[], &body).status, 422);
}

#[test]
fn history_goes_from_new_to_old_by_pages_that_do_not_move() {
    let mut server = Server::start(Like::Spec);
    for born in 1..=5 {
        server.put("a", &format!("197{born}"), &[]);
        server.put("b", &format!("197{born}"), &[]);
    }
    server.delete("a", &[]);
    assert_eq!(server.get("/fhir/_history").json()["total"], 11);
    for (path, expected) in [("Patient/a/_history", 6), ("Patient/_history", 11)] {
        let mut modified = Vec::new();
        let mut next = Some(format!("/fhir/{path}?_count=2"));
        while let Some(url) = next {
            let page = server.get(&url).json();
            assert_eq!((&page["type"], &page["total"]), (&"history".into(), &expected.into()));
            // A write between two pages moves nothing.
            let basic = r#"{"resourceType":"Basic","id":"later","code":{"text":"x"}}"#;
            assert!(server.send("PUT", "/fhir/Basic/later", &[], basic).status < 300);
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            assert!(entries.len() <= 2);
            modified.extend(entries.iter().map(|entry| entry["response"]["lastModified"].as_str().unwrap().to_owned()));
            next = next_page(&page);
        }
        assert_eq!(modified.len(), expected);
        assert!(modified.is_sorted_by(|newer, older| newer >= older));
    }
    let page = server.get("/fhir/Patient/a/_history?_count=1").json();
    let entry = &page["entry"][0];
    assert_eq!((&entry["request"]["method"], &entry["response"]["etag"]), (&"DELETE".into(), &"W/\"6\"".into()));
    assert!(entry.get("resource").is_none());
    assert_eq!(server.get("/fhir/Patient/a/_history?_summary=count").json()["total"], 6);
    let last = server.get("/fhir/Patient/b/_history?_count=9").json();
    assert_eq!(last["entry"][4]["request"]["method"], "PUT");
    let since = last["entry"][0]["response"]["lastModified"].as_str().unwrap().to_owned();
    let fresh = server.get(&format!("/fhir/Patient/b/_history?_since={since}")).json();
    assert!(!fresh["entry"].as_array().unwrap().is_empty());
    assert_eq!(server.get("/fhir/Patient/none/_history").status, 404);
    assert_eq!(server.get("/fhir/Patient/a/_history?_at=2020").status, 400);
}

#[test]
fn a_search_lists_what_is_there() {
    let mut server = Server::start(Like::Spec);
    for id in ["c", "a", "b", "d"] {
        server.put(id, "1970", &[]);
    }
    server.delete("b", &[]);
    let mut ids = Vec::new();
    let mut next = Some("/fhir/Patient?_count=2".to_owned());
    while let Some(url) = next {
        let page = server.get(&url).json();
        assert_eq!(page["total"], 3);
        ids.extend(
            page["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()),
        );
        next = next_page(&page);
    }
    assert_eq!(ids, ["a", "c", "d"]);
    assert_eq!(server.get("/fhir/Patient?_id=d,b,x").json()["total"], 1);
    let none = server.get("/fhir/Patient?_id=x").json();
    assert!(none.get("entry").is_none() && none["total"] == 0);
    assert_eq!(server.get("/fhir/Patient?name=Canary").status, 400);
}

#[test]
fn a_token_is_asked_for_everywhere_but_at_the_capability_statement() {
    let mut server = Server::with(&Options { token: Some("secret".to_owned()), ..Options::new(Like::Spec) });
    assert_eq!(server.put("a", "1970", &[]).0, 401);
    assert_eq!(server.put("a", "1970", &[("authorization", "Bearer wrong")]).0, 401);
    assert_eq!(server.put("a", "1970", &[("authorization", "Bearer secret")]).0, 201);
    let metadata = server.get("/fhir/metadata");
    assert_eq!((metadata.status, &metadata.json()["fhirVersion"]), (200, &"4.0.1".into()));
    assert_eq!(metadata.json()["rest"][0]["resource"][0]["updateCreate"], true);
}

/// The path of a page's next link.
fn next_page(page: &serde_json::Value) -> Option<String> {
    let link = page["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next")?;
    Some(format!("/fhir{}", link["url"].as_str().unwrap().split_once("/fhir").unwrap().1))
}
