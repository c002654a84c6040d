//! What a FHIR server answers. No text of ours repeats its words.

use fhir::{FhirSink, Options, fuzz};
use model::{EffectId, Hash, RequestId, Unit, UnitId, Write};
use ports::{SendBase, SendRequest};
use schemas::Profile;
use std::{sync::LazyLock, time::Duration};

static SINKS: LazyLock<[FhirSink; 2]> = LazyLock::new(|| ["sandbox", "hapi"].map(sink));

fn sink(profile: &str) -> FhirSink {
    let options = Options {
        base_url: "https://fhir.test/r4".into(),
        profile: Profile::builtin(profile).expect("it comes with the program"),
        stamp_uri: "https://ids.test/lockstep".into(),
        bearer: None,
        bearer_file: None,
        concurrency: 1,
        request_timeout: Duration::from_secs(1),
        ca: None,
        probe: None,
        types: Vec::new(),
        heartbeat_seconds: 10,
    };
    FhirSink::open(options).expect("these options hold")
}

/// What was asked, by one byte.
fn request(choice: u8) -> SendRequest {
    let unit = Unit { resource_type: "Patient".into(), id: UnitId(uuid::Uuid::from_u128(7)) };
    let effect = EffectId::derive("clinic", &"cloud".into(), &unit, 0, 1);
    let request: RequestId = effect.request();
    let base = match choice >> 2 & 3 {
        0 => SendBase::Create,
        1 => SendBase::Deleted("2".into()),
        2 => SendBase::Version("2".into()),
        _ => SendBase::Version("a\u{e9}".into()),
    };
    let write = if choice & 2 == 0 { Write::Put } else { Write::Delete };
    SendRequest { effect, request, unit, write, base, body: [].into(), body_hash: Hash::of(b"x"), attempt: 1 }
}

/// Choice, status, two headers by length, then the body.
pub fn answer(bytes: &[u8]) {
    let [choice, status, first, second, rest @ ..] = bytes else { return };
    let (etag, rest) = rest.split_at(usize::from(*first).min(rest.len()));
    let (other, body) = rest.split_at(usize::from(*second).min(rest.len()));
    const STATUS: [u16; 24] = [
        200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 415, 422, 428, 429, 500, 502, 503, 301,
        100, 999,
    ];
    let name = ["location", "retry-after", "x-ms-retry-after-ms", "date"][usize::from(choice >> 4) % 4];
    let headers = [("etag", etag), (name, other), ("retry-after", other)];
    let status = STATUS[usize::from(*status) % STATUS.len()];
    let said = fuzz::answer(&SINKS[usize::from(choice & 1)], &request(*choice), status, &headers, body);
    // Seven letters that no word of ours has: they can only be the server's.
    assert!(!said.contains("CANARYQ"), "a server's words go on");
}

pub fn answer_seeds() -> Vec<Vec<u8>> {
    let outcome = br#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"HAPI-1094: Resource Patient/CANARYQ not found"},{"code":"CANARYQ","details":{"text":"CANARYQ"}}]}"#;
    let seed = |choice: u8, status: u8, etag: &[u8], other: &[u8]| {
        [&[choice, status, etag.len() as u8, other.len() as u8][..], etag, other, outcome].concat()
    };
    let headers: [(&[u8], &[u8]); 6] = [
        (b"W/\"3\"", b"https://fhir.test/r4/Patient/x/_history/3"),
        (b"\"1\"", b"120"),
        (b"3", b"Wed, 21 Oct 2026 07:28:00 GMT"),
        (b"", b"99999999999999999999"),
        (b"W/\"\"", b"-1"),
        (b"CANARYQ", b"CANARYQ"),
    ];
    (0..48_u8)
        .map(|n| seed(n.wrapping_mul(37), n % 24, headers[usize::from(n % 6)].0, headers[usize::from(n % 6)].1))
        .collect()
}

/// A choice, then a Bundle.
pub fn history(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    fuzz::history(&SINKS[usize::from(choice & 1)], &request(*choice), body);
}

pub fn history_seeds() -> Vec<Vec<u8>> {
    let stamp = request(0).request;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"history","link":[{{"relation":"self","url":"a"}},{{"relation":"next","url":"https://other.test/r4?_getpages=1&_count=2"}}],"entry":[{{"resource":{{"resourceType":"Patient","id":"x","meta":{{"versionId":"4"}}}},"request":{{"method":"PUT","url":"Patient/x"}},"response":{{"etag":"W/\"4\""}}}},{{"request":{{"method":"DELETE","url":"Patient/x/_history/3"}},"response":{{"status":"204"}}}},{{"resource":{{"resourceType":"Patient","id":"x","meta":{{"versionId":"2","source":"https://ids.test/lockstep#{}"}}}}}},{{"response":{{"location":"Patient/x/_history/1"}}}}]}}"#,
        stamp.as_str()
    );
    let relative = bundle.replace("https://other.test/r4?", "?");
    let texts =
        [bundle, relative, r#"{"resourceType":"Bundle"}"#.into(), r#"{"resourceType":"Bundle","entry":7}"#.into()];
    texts.iter().flat_map(|text| [0_u8, 3, 5, 8, 13].map(|choice| [&[choice][..], text.as_bytes()].concat())).collect()
}
