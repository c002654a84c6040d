//! One refusal among others.

use super::*;
use model::{EffectId, Hash, Unit, UnitId};

fn request(kind: &str, n: u8, body: &str) -> SendRequest {
    let effect = EffectId(Hash::of(&[n]));
    SendRequest {
        effect,
        request: effect.request(),
        unit: Unit { resource_type: kind.into(), id: UnitId::from_bytes([n; 16]) },
        write: Write::Put,
        base: SendBase::Create,
        body: body.as_bytes().into(),
        body_hash: Hash::default(),
        attempt: 1,
    }
}

fn observation(n: u8, patient: u8) -> SendRequest {
    request("Observation", n, &format!("{{\"subject\":{{\"reference\":\"Patient/{patient}\"}}}}"))
}

fn parks(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::Final { outcome: Outcome::Rejected { .. }, .. })
}

fn waits(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::NotApplied { why: NotApplied::Refused, .. })
}

fn stops(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::TypeFailed(_))
}

fn refused(standing: &Standing, request: &SendRequest) -> SinkReply {
    let outcome = Outcome::Rejected { code: "http_400".into(), detail: "HTTP 400".into() };
    standing.placeless(request, 400, SinkReply::Final { outcome, foreign: Vec::new() })
}

#[test]
fn one_restricted_chart_parks_its_units_however_many() {
    let standing = Standing::default();
    assert!((0..50).all(|n| parks(&standing.forbidden(&observation(n, 1)))));
    let appointment =
        r#"{"participant":[{"actor":{"reference":"Practitioner/2"}},{"actor":{"reference":"Patient/1"}}]}"#;
    assert!((0..50).all(|n| parks(&standing.forbidden(&request("Appointment", n, appointment)))));
}

#[test]
fn the_third_patient_in_a_row_stops_the_type_and_a_success_of_the_type_forgets_them() {
    let standing = Standing::default();
    assert!((1..=2).all(|n| parks(&standing.forbidden(&observation(n, n)))));
    standing.accepted(&observation(9, 9));
    assert!((3..=4).all(|n| parks(&standing.forbidden(&observation(n, n)))));
    assert!(stops(&standing.forbidden(&observation(5, 5))));
}

#[test]
fn a_token_without_rights_to_one_type_stops_although_others_are_accepted() {
    let standing = Standing::default();
    for n in 1..=2 {
        standing.accepted(&request("Patient", n, "{}"));
        assert!(parks(&standing.forbidden(&observation(n, n))));
    }
    standing.accepted(&request("Patient", 3, "{}"));
    let SinkReply::TypeFailed(fault) = standing.forbidden(&observation(3, 3)) else { panic!("it parks the hospital") };
    assert!(fault.what.contains("Observation") && fault.cure.contains("scope"), "{fault}");
}

#[test]
fn what_is_about_no_patient_counts_as_itself_and_a_deletion_does_not_count() {
    let standing = Standing::default();
    assert!((1..=2).all(|n| parks(&standing.forbidden(&request("Location", n, "{}")))));
    assert!(parks(&standing.forbidden(&request("Location", 2, "{}"))), "the same one again");
    let deletion = |n| SendRequest { write: Write::Delete, ..request("Location", n, "") };
    assert!((3..50).all(|n| parks(&standing.forbidden(&deletion(n)))));
    assert!(stops(&standing.forbidden(&request("Location", 3, "{}"))));
}

#[test]
fn a_server_that_takes_no_id_of_ours_parks_nothing_and_stops_at_the_third_unit() {
    let standing = Standing::default();
    assert!((1..=2).all(|n| waits(&refused(&standing, &observation(n, n)))));
    assert!((3..=9).all(|n| stops(&refused(&standing, &observation(n, n)))));
    assert!(waits(&refused(&standing, &request("Encounter", 1, "{}"))), "each type has its own");
}

#[test]
fn one_bad_row_at_the_very_start_is_parked_at_its_third_attempt() {
    let standing = Standing::default();
    let attempt = |attempt| refused(&standing, &SendRequest { attempt, ..observation(1, 1) });
    assert!(waits(&attempt(1)) && waits(&attempt(2)) && parks(&attempt(3)));
}

#[test]
fn after_one_was_accepted_a_refusal_is_about_its_unit() {
    let standing = Standing::default();
    assert!((1..=2).all(|n| waits(&refused(&standing, &observation(n, n)))));
    standing.accepted(&observation(3, 3));
    assert!((1..50).all(|n| parks(&refused(&standing, &observation(n, n)))));
    let rejected = || SinkReply::Final { outcome: Outcome::Gone { version: None }, foreign: Vec::new() };
    assert_eq!(standing.placeless(&observation(4, 4), 405, rejected()), rejected());
    assert!(stops(&standing.placeless(&request("Encounter", 4, "{}"), 405, rejected())));
    let again = SendRequest { base: SendBase::Deleted("2".into()), ..request("Encounter", 1, "{}") };
    assert!(parks(&refused(&standing, &again)), "its create was accepted before this process began");
}
