//! Refusals whose meaning depends on what the server took before, and writes that it takes for later (clinical S9).

use super::{Peer, accepted, not_applied};
use model::Outcome;
use ports::{Failure, NotApplied, SendBase, Sink, SinkReply};
use sandbox::Like;
use std::time::{Duration, Instant};

async fn refuse(peer: &Peer, path: &str, status: u16, next: u64) {
    let error = format!("\"server_error\":{{\"next\":{next}}},\"server_error_status\":{status}");
    peer.faults(&format!("{{\"method\":\"PUT\",\"path\":\"{path}\",{error}}}")).await;
}

fn rejected(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::Final { outcome: Outcome::Rejected { .. }, .. })
}

fn misconfigured(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::Failed(fault) if fault.failure == Failure::Misconfigured)
}

fn stops_the_type(reply: &SinkReply) -> bool {
    matches!(reply, SinkReply::TypeFailed(fault) if fault.failure == Failure::Misconfigured)
}

#[tokio::test]
async fn a_server_that_takes_no_ids_of_ours_stops_the_type_before_anything_is_parked() {
    for status in [400, 404] {
        let peer = Peer::start(Like::Spec).await;
        let sink = peer.sink();
        refuse(&peer, "Patient", status, 3).await;
        for n in 1..=2 {
            let reply = sink.send(peer.put(n, "a", SendBase::Create)).await;
            assert!(matches!(reply, SinkReply::NotApplied { why: NotApplied::Refused, .. }), "{status}: {reply:?}");
        }
        assert!(stops_the_type(&sink.send(peer.put(3, "a", SendBase::Create)).await), "{status}");
        for n in 1..=3 {
            accepted(sink.send(peer.put(n, "a", SendBase::Create)).await);
        }
        // From here on such an answer is about its unit.
        refuse(&peer, "Patient", status, 9).await;
        for n in 4..=12 {
            assert!(rejected(&sink.send(peer.put(n, "a", SendBase::Create)).await), "{status}");
        }
    }
}

#[tokio::test]
async fn a_create_at_an_address_that_is_not_fhir_stops_the_sink_at_once() {
    let peer = Peer::start(Like::Spec).await;
    let sink = peer.sink_with(|options| options.base_url = options.base_url.replace("/fhir", "/other"));
    let reply = sink.send(peer.put(1, "a", SendBase::Create)).await;
    assert!(misconfigured(&reply), "{reply:?}");
}

#[tokio::test]
async fn a_token_without_rights_to_a_type_stops_it_alone_although_another_type_is_written() {
    let peer = Peer::start(Like::Spec).await;
    let sink = peer.sink();
    refuse(&peer, "Observation", 403, 3).await;
    for n in 1..=3 {
        accepted(sink.send(peer.put(n, "a", SendBase::Create)).await);
        let reply = sink.send(peer.observation(10 + n, n)).await;
        assert!(if n < 3 { rejected(&reply) } else { stops_the_type(&reply) }, "{n}: {reply:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_taken_for_later_is_not_sent_again_before_its_time() {
    let peer = Peer::start(Like::Spec).await;
    let sink = peer.sink_with(|options| options.profile.request_lifetime_max_seconds = 1);
    refuse(&peer, "Patient", 202, 1).await;
    let (create, begun) = (peer.put(1, "a", SendBase::Create), Instant::now());
    assert!(matches!(sink.send(create.clone()).await, SinkReply::Unknown { .. }));
    // It is asked about after a wait, and unknown until its lifetime has passed; only then is it sent again.
    assert!(matches!(sink.settle(create.clone()).await, SinkReply::Unknown { .. }));
    assert!(begun.elapsed() >= Duration::from_millis(900));
    assert_eq!(not_applied(sink.settle(create.clone()).await), (false, None));
    accepted(sink.send(create).await);

    refuse(&peer, "Patient", 202, 1).await;
    let create = peer.put(2, "a", SendBase::Create);
    assert!(matches!(sink.send(create.clone()).await, SinkReply::Unknown { .. }));
    // The server does it meanwhile.
    accepted(peer.sink().send(create.clone()).await);
    assert_eq!(accepted(sink.settle(create).await), ("1".into(), "stamp".into()));
}
