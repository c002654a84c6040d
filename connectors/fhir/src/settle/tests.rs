//! Every shape of a history, and what it says of a write.

use super::*;
use model::{EffectId, Hash, Unit, UnitId};

const OURS: &str = r#"{"resourceType":"Patient","active":true}"#;

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn request(write: Write, base: Option<&str>) -> SendRequest {
    let effect = EffectId(Hash::of(b"e"));
    SendRequest {
        effect,
        request: effect.request(),
        unit: Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([1; 16]) },
        write,
        base: base.map_or(SendBase::Create, |version| SendBase::Version(version.into())),
        body: OURS.as_bytes().into(),
        body_hash: canonical_hash(&json(OURS), ElementTable::r4()),
        attempt: 1,
    }
}

/// Versions newest first: `n` foreign, `n!` ours by stamp, `n=` a foreign one that says the same, `n-` a deletion.
fn versions(text: &str) -> Vec<Version> {
    let stamp = request(Write::Put, None).request;
    let one = |word: &str| {
        let version = word.trim_end_matches(['!', '=', '-']);
        let body = match word.as_bytes()[word.len() - 1] {
            b'-' => None,
            b'!' | b'=' => Some(json(OURS)),
            _ => Some(json(r#"{"resourceType":"Patient","active":false}"#)),
        };
        let request = word.ends_with('!').then(|| stamp.as_str().into());
        Version { version: version.into(), request, body }
    };
    text.split_whitespace().map(one).collect()
}

fn print(reply: &SinkReply) -> String {
    match reply {
        SinkReply::Final { outcome, foreign } => {
            let above: String = foreign
                .iter()
                .map(|held| {
                    let side = if held.beneath { "beneath:" } else { "+" };
                    format!(" {side}{}{}", held.version, if held.deleted { "-" } else { "" })
                })
                .collect();
            let one = match outcome {
                Outcome::Accepted { version, by } => format!("accepted {version} by {by}"),
                Outcome::Stale { version, current, over } => {
                    let over = match over {
                        None => "",
                        Some(Json::Null) => " over nothing",
                        Some(_) => " over another",
                    };
                    format!("stale {version}{}{over}", if current.is_some() { "" } else { " absent" })
                }
                Outcome::Gone { version } => format!("gone {}", version.as_deref().unwrap_or("?")),
                Outcome::Observed | Outcome::Rejected { .. } => unreachable!("settling never says so"),
            };
            one + &above
        }
        SinkReply::NotApplied { why: NotApplied::Refused, .. } => "refused".into(),
        SinkReply::NotApplied { .. } => "not applied".into(),
        SinkReply::Unknown { .. } => "unknown".into(),
        SinkReply::Failed(_) | SinkReply::TypeFailed(_) => "failed".into(),
    }
}

fn settled(write: Write, base: Option<&str>, history: &str, profile: &Profile) -> String {
    let (request, versions) = (request(write, base), versions(history));
    print(&Evidence { request: &request, versions: &versions, profile }.settle(false))
}

#[test]
fn an_update_is_settled_by_the_versions_since_its_base() {
    let hapi = Profile::builtin("hapi").unwrap();
    for (history, reply) in [
        ("1", "not applied"),
        ("2! 1", "accepted 2 by stamp"),
        ("4 3 2! 1", "accepted 2 by stamp +3 +4"),
        ("3- 2! 1", "accepted 2 by stamp +3-"),
        ("4! 3! 2! 1", "accepted 2 by stamp +3 +4"),
        ("2 1", "stale 2"),
        ("3 2 1", "stale 3 beneath:2"),
        ("2= 1", "stale 2"),
        ("2- 1", "gone 2"),
        ("3- 2 1", "gone 3"),
        ("4! 3- 2 1", "stale 4 over nothing"),
        ("3! 2 1", "stale 3 over another"),
        ("", "gone ?"),
        ("1!", "not applied"),
    ] {
        assert_eq!(settled(Write::Put, Some("1"), history, &hapi), reply, "{history}");
    }
}

#[test]
fn a_create_is_settled_by_all_versions() {
    let hapi = Profile::builtin("hapi").unwrap();
    for (history, reply) in [
        ("", "not applied"),
        ("1!", "accepted 1 by stamp"),
        ("2 1!", "accepted 1 by stamp +2"),
        ("1", "stale 1"),
        ("1=", "stale 1"),
        ("2- 1", "gone 2"),
        ("2! 1", "stale 2 over another"),
        ("3! 2- 1", "stale 3 over nothing"),
    ] {
        assert_eq!(settled(Write::Put, None, history, &hapi), reply, "{history}");
    }
}

#[test]
fn a_delete_is_settled_by_the_first_deletion() {
    let hapi = Profile::builtin("hapi").unwrap();
    for (history, reply) in [
        ("1", "not applied"),
        ("2- 1", "accepted 2 by hash"),
        ("3 2- 1", "accepted 2 by hash +3"),
        ("2 1", "stale 2"),
        ("3- 2 1", "stale 3 absent over another"),
        ("", "gone ?"),
    ] {
        assert_eq!(settled(Write::Delete, Some("1"), history, &hapi), reply, "{history}");
    }
}

#[test]
fn without_a_stamp_the_hash_decides_and_only_above_the_base() {
    let mut plain = Profile::builtin("sandbox").unwrap();
    plain.keeps_stamp = false;
    assert_eq!(settled(Write::Put, Some("1"), "2= 1", &plain), "accepted 2 by hash");
    assert_eq!(settled(Write::Put, Some("1"), "1=", &plain), "not applied");
    assert_eq!(settled(Write::Put, Some("1"), "2 1=", &plain), "stale 2");
}

#[test]
fn without_a_history_the_current_version_alone_speaks() {
    let mut blind = Profile::builtin("sandbox").unwrap();
    blind.history = History::None;
    for (history, reply) in
        [("2!", "accepted 2 by stamp"), ("1", "not applied"), ("3", "stale 3"), ("2-", "gone 2"), ("", "gone ?")]
    {
        assert_eq!(settled(Write::Put, Some("1"), history, &blind), reply, "{history}");
    }
}

#[test]
fn a_history_without_the_acknowledged_version_stops_the_sink() {
    let hapi = Profile::builtin("hapi").unwrap();
    assert_eq!(settled(Write::Put, Some("5"), "3 2 1", &hapi), "failed");
    assert_eq!(settled(Write::Put, Some("5"), "3! 2 1", &hapi), "stale 3 over another");
}

#[test]
fn a_success_is_checked_against_what_lies_beneath() {
    let hapi = Profile::builtin("hapi").unwrap();
    let written = |base: Option<&str>, history: &str, version: &str| {
        let (request, versions) = (request(Write::Put, base), versions(history));
        print(&Evidence { request: &request, versions: &versions, profile: &hapi }.written(version))
    };
    assert_eq!(written(Some("2"), "4! 2", "4"), "accepted 4 by reply");
    assert_eq!(written(Some("1"), "1!", "1"), "stale 1 over nothing");
    assert_eq!(written(None, "3 2! 1", "2"), "stale 2 over another +3");
    assert_eq!(written(None, "5!", "5"), "accepted 5 by reply");
    assert_eq!(written(None, "1", "2"), "unknown");
}

#[test]
fn nothing_changed_is_true_only_if_the_base_says_what_we_sent() {
    let hapi = Profile::builtin("hapi").unwrap();
    let unchanged = |history: &str| {
        let (request, versions) = (request(Write::Put, Some("1")), versions(history));
        print(&Evidence { request: &request, versions: &versions, profile: &hapi }.unchanged())
    };
    assert_eq!(
        (unchanged("1="), unchanged("1"), unchanged("2 1=")),
        ("accepted 1 by hash".into(), "stale 1".into(), "accepted 1 by hash +2".into())
    );
    assert_eq!(unchanged("2"), "unknown");
}

#[test]
fn a_smaller_number_is_a_restore_or_an_expunge_where_numbers_begin_again() {
    let mut profile = Profile::builtin("sandbox").unwrap();
    for (restarts, history, said) in [
        (false, "2 1", "it was restored from a backup"),
        (true, "1", "or expunged and written again"),
        (true, "9 8", "its history does not have it"),
    ] {
        profile.expunge_restarts_versions = restarts;
        let (request, versions) = (request(Write::Put, Some("3")), versions(history));
        let reply = Evidence { request: &request, versions: &versions, profile: &profile }.settle(false);
        let SinkReply::Failed(fault) = reply else { panic!("nothing more is sent: {reply:?}") };
        assert!(fault.what.ends_with(said), "{fault}");
    }
}
