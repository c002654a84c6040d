//! The sink against the strict server, in both its flags: what is written, what is said of it, and what stays there.

mod commands;

use commands::{FLAGS, Peer, accepted, named, not_applied, stale, tls};
use model::{Json, Outcome, Write, canonical_hash};
use ports::{Failure, Readback, SendBase, Sink, SinkReply};
use sandbox::Like;
use schemas::{Profile, profile::CreateGuard, r4::ElementTable};

fn base(version: &str) -> SendBase {
    SendBase::Version(version.into())
}

#[tokio::test]
async fn create_update_and_delete_are_guarded_and_each_makes_one_version() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        assert_eq!(accepted(sink.send(peer.put(1, "a", SendBase::Create)).await), ("1".into(), "reply".into()));
        assert_eq!(accepted(sink.send(peer.put(1, "b", base("1"))).await), ("2".into(), "reply".into()));
        assert_eq!(accepted(sink.send(peer.delete(1, base("2"))).await), ("3".into(), "reply".into()));
        assert_eq!(peer.versions(1).await, [("3", ""), ("2", "b"), ("1", "a")].map(named));
    }
}

#[tokio::test]
async fn a_create_on_what_exists_overwrites_nothing_and_brings_its_content() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        peer.foreign(1, "theirs").await;
        let (version, current, over) = stale(peer.sink().send(peer.put(1, "ours", SendBase::Create)).await);
        assert_eq!((version.as_str(), current.as_deref(), over), ("1", Some("theirs"), None), "{like:?}");
        assert_eq!(peer.versions(1).await, [("1", "theirs")].map(named));
    }
}

#[tokio::test]
async fn a_stale_update_overwrites_nothing_and_brings_what_stands() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
        peer.foreign(1, "theirs").await;
        let (version, current, over) = stale(sink.send(peer.put(1, "b", base("1"))).await);
        assert_eq!((version.as_str(), current.as_deref(), over), ("2", Some("theirs"), None), "{like:?}");
        assert_eq!(peer.versions(1).await.len(), 2);
    }
}

#[tokio::test]
async fn a_lost_reply_is_settled_by_its_stamp_and_there_is_one_version() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        peer.faults(r#"{"lose_reply_after_commit":{"next":1}}"#).await;
        let create = peer.put(1, "a", SendBase::Create);
        assert!(matches!(sink.send(create.clone()).await, SinkReply::Unknown { .. }));
        assert_eq!(accepted(sink.settle(create.clone()).await), ("1".into(), "stamp".into()));
        // After a crash the same effect is sent again: the guard refuses it, and its own stamp is found.
        assert_eq!(accepted(sink.send(create).await), ("1".into(), "stamp".into()));
        peer.faults(r#"{"method":"DELETE","lose_reply_after_commit":{"next":1}}"#).await;
        let delete = peer.delete(1, base("1"));
        assert!(matches!(sink.send(delete.clone()).await, SinkReply::Unknown { .. }), "{like:?}");
        assert_eq!(accepted(sink.settle(delete).await), ("2".into(), "hash".into()));
        assert_eq!(peer.versions(1).await.len(), 2);
    }
}

#[tokio::test]
async fn an_edit_on_top_of_a_lost_reply_is_foreign_and_ours_is_acknowledged() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
        peer.faults(r#"{"method":"PUT","lose_reply_after_commit":{"next":1}}"#).await;
        let update = peer.put(1, "b", base("1"));
        assert!(matches!(sink.send(update.clone()).await, SinkReply::Unknown { .. }));
        peer.foreign(1, "c").await;
        peer.foreign(1, "d").await;
        for reply in [sink.settle(update.clone()).await, sink.send(update).await] {
            let SinkReply::Final { outcome: Outcome::Accepted { version, by }, foreign } = reply else {
                panic!("{reply:?}")
            };
            assert_eq!((&*version, &*by), ("2", "stamp"));
            let above: Vec<_> = foreign.iter().map(|held| (&*held.version, commands::family(&held.body))).collect();
            assert_eq!(above, [("3", "c".to_owned()), ("4", "d".to_owned())]);
        }
    }
}

#[tokio::test]
async fn a_request_cut_before_it_arrived_is_sent_again() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        peer.faults(r#"{"method":"PUT","cut_before_commit":{"next":1}}"#).await;
        let create = peer.put(1, "a", SendBase::Create);
        assert!(matches!(sink.send(create.clone()).await, SinkReply::Unknown { .. }));
        assert_eq!(not_applied(sink.settle(create.clone()).await), (false, None));
        assert_eq!(accepted(sink.send(create).await).0, "1");
    }
}

#[tokio::test]
async fn what_somebody_deleted_is_gone_and_stays_deleted() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
        peer.foreign_delete(1).await;
        let reply = sink.send(peer.put(1, "b", base("1"))).await;
        let SinkReply::Final { outcome: Outcome::Gone { version }, .. } = reply else { panic!("{like:?} {reply:?}") };
        assert_eq!(version.as_deref(), Some("2"));
        assert_eq!(peer.versions(1).await.len(), 2);
        // Whoever wanted it deleted has what he wanted.
        assert_eq!(accepted(sink.send(peer.delete(1, base("1"))).await), ("2".into(), "hash".into()));
    }
}

#[tokio::test]
async fn an_update_of_what_never_was_is_gone_or_stands_over_nothing() {
    let spec = Peer::start(Like::Spec).await;
    let reply = spec.sink().send(spec.put(1, "a", base("4"))).await;
    assert!(matches!(reply, SinkReply::Final { outcome: Outcome::Gone { version: None }, .. }), "{reply:?}");
    // HAPI creates it, whatever If-Match says: the write stands, and is told as what it is. No profile needs to say so.
    let hapi = Peer::start(Like::Hapi).await;
    for (n, version) in [(1, "4"), (2, "1")] {
        let (version, current, over) = stale(hapi.sink().send(hapi.put(n, "a", base(version))).await);
        assert_eq!((version.as_str(), current.as_deref(), over.as_deref()), ("1", Some("a"), Some("nothing")));
    }
}

#[tokio::test]
async fn a_create_over_a_deletion_is_told_as_what_it_is() {
    for (like, gone) in [(Like::Spec, false), (Like::Hapi, true)] {
        let peer = Peer::start(like).await;
        peer.foreign(1, "theirs").await;
        peer.foreign_delete(1).await;
        let reply = peer.sink().send(peer.put(1, "ours", SendBase::Create)).await;
        match reply {
            SinkReply::Final { outcome: Outcome::Gone { version }, .. } => {
                assert_eq!((gone, version.as_deref()), (true, Some("2")))
            }
            reply => {
                assert_eq!((gone, stale(reply)), (false, ("3".into(), Some("ours".into()), Some("nothing".into()))))
            }
        }
    }
}

#[tokio::test]
async fn a_guard_that_the_server_ignores_is_seen_in_its_answer() {
    let peer = Peer::start(Like::Hapi).await;
    let sink = peer.sink_with(|options| options.profile.create_guard = CreateGuard::IfNoneMatch);
    peer.foreign(1, "theirs").await;
    let (version, current, over) = stale(sink.send(peer.put(1, "ours", SendBase::Create)).await);
    assert_eq!((version.as_str(), current.as_deref(), over.as_deref()), ("2", Some("ours"), Some("theirs")));
}

#[tokio::test]
async fn an_equal_body_is_accepted_as_the_version_that_stands() {
    let peer = Peer::start(Like::Hapi).await;
    let sink = peer.sink();
    accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
    let mut again = peer.put(1, "a", base("1"));
    again.effect = model::EffectId(model::Hash::of(b"another"));
    again.request = again.effect.request();
    assert_eq!(accepted(sink.send(again).await), ("1".into(), "hash".into()));
}

#[tokio::test]
async fn a_delete_where_if_match_is_ignored_looks_first() {
    let peer = Peer::start(Like::Hapi).await;
    let sink = peer.sink();
    accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
    peer.foreign(1, "theirs").await;
    let (version, current, _) = stale(sink.send(peer.delete(1, base("1"))).await);
    assert_eq!((version.as_str(), current.as_deref()), ("2", Some("theirs")));
    assert_eq!(peer.versions(1).await.len(), 2, "nothing was deleted");
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_not_blamed() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        let create = peer.put(1, "a", SendBase::Create);
        peer.faults(r#"{"too_many":{"next":1},"retry_after_s":3}"#).await;
        assert_eq!(not_applied(sink.send(create.clone()).await), (false, Some(3_000)));
        for status in [500, 502, 503] {
            peer.faults(&format!(
                "{{\"method\":\"PUT\",\"server_error\":{{\"next\":1}},\"server_error_status\":{status}}}"
            ))
            .await;
            assert!(matches!(sink.send(create.clone()).await, SinkReply::Unknown { .. }), "{status}");
        }
        assert_eq!(accepted(sink.send(create).await).0, "1");
    }
}

#[tokio::test]
async fn a_reply_that_does_not_come_in_time_is_unknown_and_settled() {
    let peer = Peer::start(Like::Spec).await;
    let sink = peer.sink_with(|options| options.request_timeout = std::time::Duration::from_millis(150));
    peer.faults(r#"{"method":"PUT","stall":{"next":1},"stall_ms":3000}"#).await;
    let create = peer.put(1, "a", SendBase::Create);
    let SinkReply::Unknown { what } = sink.send(create.clone()).await else { panic!("a timeout is unknown") };
    assert!(what.contains("timed out"), "{what}");
    assert_eq!(accepted(sink.settle(create).await), ("1".into(), "stamp".into()));
}

#[tokio::test]
async fn a_server_that_is_down_got_nothing() {
    let peer = Peer::start(Like::Spec).await;
    let (sink, create) = (peer.sink(), peer.put(1, "a", SendBase::Create));
    peer.stop().await;
    assert_eq!(not_applied(sink.send(create.clone()).await), (false, None));
    let SinkReply::Unknown { .. } = sink.settle(create).await else { panic!("nobody can say") };
    let faults = sink.prerequisites(false).await.unwrap();
    assert!(faults.len() == 1 && faults[0].unreachable, "{faults:?}");
}

#[tokio::test]
async fn a_dangling_reference_waits_and_bad_content_is_parked() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        let observation = peer.observation(2, 1);
        let SinkReply::NotApplied { what, why: ports::NotApplied::Dependency, .. } =
            sink.send(observation.clone()).await
        else {
            panic!()
        };
        assert!(what.starts_with("dependency"), "{what}");
        accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);
        assert_eq!(accepted(sink.send(observation).await).0, "1");
        let bad = peer.with_body(3, r#"{"resourceType":"Patient","id":"ID","birthDate":"canary"}"#);
        let reply = sink.send(bad).await;
        let SinkReply::Final { outcome: Outcome::Rejected { code, detail }, .. } = &reply else { panic!("{reply:?}") };
        assert!(code.starts_with("http_4") && !detail.contains("canary"), "{code} {detail}");
    }
}

#[tokio::test]
async fn a_wrong_token_stops_the_sink_and_parks_nothing() {
    let peer = Peer::start_with_token(Like::Spec, "right").await;
    let sink = peer.sink_with(|options| options.bearer = Some(lockstep_fhir::Secret::new("wrong")));
    for reply in
        [sink.send(peer.put(1, "a", SendBase::Create)).await, sink.settle(peer.put(1, "a", SendBase::Create)).await]
    {
        let SinkReply::Failed(fault) = reply else { panic!("{reply:?}") };
        assert!(fault.failure == Failure::Misconfigured && fault.cure.contains("token"), "{fault}");
        assert!(!fault.to_string().contains("wrong"), "the token leaks");
    }
    let faults = sink.prerequisites(false).await.unwrap();
    assert!(faults.len() == 1 && faults[0].what.contains("401"), "{faults:?}");
    assert!(peer.sink().prerequisites(false).await.unwrap().is_empty());
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let peer = Peer::start(Like::Spec).await;
    let front = commands::Counter::start(peer.address()).await;
    let sink = peer.sink_with(|options| options.base_url = front.base_url());
    for n in 1..=50 {
        accepted(sink.send(peer.put(n, "a", SendBase::Create)).await);
    }
    assert_eq!(front.connections(), 1);
}

#[tokio::test]
async fn versions_and_lists_come_page_by_page_with_their_digits() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        accepted(sink.send(peer.put(1, "0", SendBase::Create)).await);
        for n in 1..45 {
            accepted(sink.send(peer.put(1, &n.to_string(), base(&n.to_string()))).await);
        }
        let versions = sink.versions(&peer.unit(1)).await.unwrap();
        assert_eq!((versions.len(), &*versions[0].version, &*versions[44].version), (45, "45", "1"));
        assert!(versions.iter().all(|held| held.request.as_ref().is_some_and(|stamp| stamp.len() == 16)));
        peer.foreign(1, "theirs").await;
        assert_eq!(sink.versions(&peer.unit(1)).await.unwrap()[0].request, None);
        for n in 2..=250 {
            accepted(sink.send(peer.put(n, "a", SendBase::Create)).await);
        }
        let (mut listed, mut next) = (0, None);
        loop {
            let page = sink.list(&"Patient".into(), next.as_deref()).await.unwrap();
            listed += page.resources.len();
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(listed, 250);
        accepted(sink.send(peer.observation(2, 1)).await);
        let page = sink.list(&"Observation".into(), None).await.unwrap();
        let value = page.resources[0].1.body.as_ref().and_then(|body| body.get("valueQuantity")?.get("value").cloned());
        assert_eq!(value, Json::number("1.50"));
    }
}

#[tokio::test]
async fn the_body_that_comes_back_has_the_hash_that_was_sent() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let request = peer.put(1, "a", SendBase::Create);
        accepted(peer.sink().send(request.clone()).await);
        let versions = peer.sink().versions(&request.unit).await.unwrap();
        assert_eq!(canonical_hash(versions[0].body.as_ref().unwrap(), ElementTable::r4()), request.body_hash);
        assert_eq!((versions[0].request.as_deref(), request.write), (Some(request.request.as_str()), Write::Put));
    }
}

#[tokio::test]
async fn the_probe_is_content_with_a_true_profile_however_often_it_runs() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        for run in 0..3 {
            let faults = peer.sink().prerequisites(true).await.unwrap();
            assert!(faults.is_empty(), "{like:?}, run {run}: {faults:?}");
        }
        let stats = peer.get("/_stats").await;
        assert!(stats.contains("PUT 201"), "{stats}");
        assert!(peer.sink().list(&"Basic".into(), None).await.unwrap().resources.is_empty(), "it cleans up");
    }
}

#[tokio::test]
async fn the_probe_names_what_a_profile_says_wrongly() {
    for (like, other) in [(Like::Spec, "hapi"), (Like::Hapi, "sandbox")] {
        let peer = Peer::start(like).await;
        let wrong = Profile::builtin(other).unwrap();
        let faults = peer.sink_with(|options| options.profile = wrong.clone()).prerequisites(true).await.unwrap();
        let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(text.iter().any(|fault| fault.contains("create_guard")), "{like:?}: {text:?}");
        let mut nearly = peer.profile();
        nearly.no_op_keeps_version = !nearly.no_op_keeps_version;
        nearly.keeps_stamp = false;
        nearly.stale = vec![418];
        let faults = peer.sink_with(|options| options.profile = nearly.clone()).prerequisites(true).await.unwrap();
        let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for key in ["no_op_keeps_version", "keeps_stamp", "`stale`"] {
            assert!(text.iter().any(|fault| fault.contains(key)), "{like:?} {key}: {text:?}");
        }
    }
}

#[tokio::test]
async fn without_a_place_the_probe_writes_nothing() {
    let peer = Peer::start(Like::Spec).await;
    let faults = peer.sink_with(|options| options.probe = None).prerequisites(true).await.unwrap();
    assert!(faults.len() == 1 && faults[0].cure.contains("probe = \"Basic/lockstep\""), "{faults:?}");
    assert!(!peer.get("/_stats").await.contains("PUT"));
}

#[tokio::test]
async fn a_type_that_the_server_lacks_is_named_before_anything_is_sent() {
    let peer = Peer::start(Like::Spec).await;
    let sink = peer.sink_with(|options| options.types = vec!["Patient".into(), "Phenomenon".into()]);
    let faults = sink.prerequisites(false).await.unwrap();
    assert!(faults.len() == 1 && faults[0].what.contains("Phenomenon"), "{faults:?}");
}

#[tokio::test]
async fn a_server_whose_authority_is_named_is_written_over_tls() {
    let peer = Peer::start_with_token(Like::Spec, "right").await;
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let front = tls::Front::start(peer.address(), folder.path()).await;
    let sink = peer.sink_with(|options| {
        options.base_url = front.base_url();
        options.ca = Some(tls::authority(folder.path()));
    });
    assert!(sink.prerequisites(true).await.unwrap().is_empty());
    assert_eq!(accepted(sink.send(peer.put(1, "a", SendBase::Create)).await).0, "1");
    // Pages are linked by the server's own address, without TLS: they are asked for at ours.
    for n in 2..=230 {
        accepted(sink.send(peer.put(n, "a", SendBase::Create)).await);
    }
    let page = sink.list(&"Patient".into(), None).await.unwrap();
    assert!(sink.list(&"Patient".into(), page.next.as_deref()).await.unwrap().next.is_none());

    drop(tls::Front::start(peer.address(), other.path()).await);
    let stranger = peer.sink_with(|options| {
        options.base_url = front.base_url();
        options.ca = Some(tls::authority(other.path()));
    });
    assert_eq!(not_applied(stranger.send(peer.put(1, "b", base("1"))).await), (false, None));
    let faults = stranger.prerequisites(false).await.unwrap();
    assert!(faults.len() == 1 && faults[0].unreachable, "{faults:?}");
    assert!(faults[0].what.contains("certificate") && faults[0].cure.contains("ca_file"), "{faults:?}");
}

#[tokio::test]
async fn of_eight_racing_creates_one_is_ours_and_the_others_met_it() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = std::sync::Arc::new(peer.sink());
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let (sink, create) = (sink.clone(), peer.put(1, &format!("racer {n}"), SendBase::Create));
                tokio::spawn(async move { sink.send(create).await })
            })
            .collect();
        let (mut ours, mut met) = (0, 0);
        for racer in racers {
            match racer.await.unwrap() {
                SinkReply::Final { outcome: Outcome::Accepted { .. }, .. } => ours += 1,
                SinkReply::Final { outcome: Outcome::Stale { current: Some(_), over: None, .. }, .. } => met += 1,
                reply => panic!("{reply:?}"),
            }
        }
        assert_eq!((ours, met, peer.versions(1).await.len()), (1, 7, 1), "{like:?}");
    }
}

/// The rules of delivery in small: send, settle what is unknown, send again what was certainly not applied.
async fn deliver(sink: &dyn Sink, request: ports::SendRequest) -> Outcome {
    let mut settle = false;
    for _ in 0..200 {
        let reply = if settle { sink.settle(request.clone()).await } else { sink.send(request.clone()).await };
        match reply {
            SinkReply::Final { outcome, foreign } if foreign.is_empty() => return outcome,
            SinkReply::Unknown { .. } => settle = true,
            SinkReply::NotApplied { .. } => settle = false,
            reply => panic!("{reply:?}"),
        }
    }
    panic!("it never came to an end")
}

#[tokio::test]
async fn whatever_the_network_does_there_is_one_version_a_write() {
    for like in FLAGS {
        let peer = Peer::start(like).await;
        let sink = peer.sink();
        let fault = r#"{"rate":0.15}"#;
        peer.faults(&format!(
            "{{\"seed\":20261122,\"too_many\":{fault},\"server_error\":{fault},\"cut_before_commit\":{fault},\"lose_reply_after_commit\":{fault}}}"
        ))
        .await;
        for n in 1..=40 {
            let mut at = SendBase::Create;
            for family in ["a", "b", "c"] {
                let outcome = deliver(&sink, peer.put(n, family, at)).await;
                let Outcome::Accepted { version, .. } = outcome else { panic!("{like:?} {n} {family}: {outcome:?}") };
                at = SendBase::Version(version);
            }
            let outcome = deliver(&sink, peer.delete(n, at)).await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{like:?} {n}: {outcome:?}");
        }
        peer.faults("[]").await;
        for n in 1..=40 {
            assert_eq!(
                peer.versions(n).await,
                [("4", ""), ("3", "c"), ("2", "b"), ("1", "a")].map(named),
                "{like:?} {n}"
            );
        }
    }
}
