//! The sandbox server: the strict one that the proofs lean on must itself stand any request.

use super::{model::resource_seeds, text, texts};
use sandbox::{Like, fuzz};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");
const FORMS: [Like; 2] = [Like::Spec, Like::Hapi];

/// Any body, to both kinds of server: created and updated, or refused by name.
pub fn put(bytes: &[u8]) {
    for like in FORMS {
        for url in ["/fhir/Patient/x", "/fhir/Observation/x"] {
            let create: [(&'static str, &str); 2] = [JSON, ("if-none-match", "*")];
            let status = fuzz::answers(like, &[("PUT", url, &create, bytes), ("GET", url, &[], b"")]);
            assert!((200..500).contains(&status), "a body is no reason for HTTP {status}");
        }
    }
}

pub fn put_seeds() -> Vec<Vec<u8>> {
    let mut all = resource_seeds();
    all.extend(texts(&[
        r#"{"resourceType":"Patient","id":"x","name":[{"family":"F"}],"active":true}"#,
        r#"{"resourceType":"Observation","id":"x","status":"final","code":{"text":"a"},"subject":{"reference":"Patient/none"}}"#,
        r#"{"resourceType":"Patient","id":"x","birthDate":"2023-02-29","unknown":1}"#,
    ]));
    all
}

/// Lines: method, URL, If-Match, Prefer; to a server that holds one patient.
pub fn request(bytes: &[u8]) {
    let body: &[u8] = br#"{"resourceType":"Patient","id":"x","active":true}"#;
    let mut lines = text(bytes).split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, url, tag, prefer) = (line(), line(), line(), line());
    let headers: [(&'static str, &str); 4] = [JSON, ("if-match", tag), ("prefer", prefer), ("if-none-match", prefer)];
    let made: [(&'static str, &str); 1] = [JSON];
    for like in FORMS {
        let asked = (method, url, &headers[..], body);
        let status = fuzz::answers(like, &[("PUT", "/fhir/Patient/x", &made, body), asked, asked]);
        assert!((200..500).contains(&status), "a request is no reason for HTTP {status}");
    }
}

pub fn request_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "GET\n/fhir/Patient/x/_history?_count=1&_since=2024-01-01T00:00:00Z\n\n",
        "GET\n/fhir/Patient?_id=x&_count=0\n\n",
        "GET\n/fhir/_history?_getpages=1&_getpagesoffset=18446744073709551615\n\n",
        "PUT\n/fhir/Patient/x\nW/\"1\"\nreturn=minimal",
        "DELETE\n/fhir/Patient/x\nW/\"2\"\n*",
        "GET\n/fhir/Patient/x/_history/99999999999999999999\n\n",
        "GET\n/fhir/metadata\n\n",
        "PUT\n/fhir/Patient/%78\n\"1\"\n",
    ])
}
