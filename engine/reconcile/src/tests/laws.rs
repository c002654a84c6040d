//! The laws: total, deterministic, replayable, nothing discarded.

use super::*;
use proptest::prelude::*;

const WORDS: &[&str] = &[
    "A",
    "B",
    "A'",
    "A+note",
    "elsewhere",
    "retracted",
    "ended",
    "purged",
    "removed",
    "unmappable",
    "waiting",
    "accepted",
    "observed",
    "refused",
    "refused1",
    "gone",
    "gone1",
    "stale:ours",
    "stale:note",
    "stale:value",
    "stale:issued",
    "stale:generated",
    "stale:additional",
    "stale:told",
    "stale:other",
    "stale:nothing",
    "stale:ours/note",
    "stale:ours/value",
    "stale:ours/absence",
    "stale1:other",
    "stale1:ours",
    "foreign:note",
    "foreign:value",
    "foreign:additional",
    "foreign:deletion",
    "release",
    "recreate",
    "keep_deleted",
    "accept",
    "expand",
];

fn words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(WORDS), 0..16)
}

/// Runs the causes and checks each decision against what must always hold.
fn checked(words: &[&str]) -> (AggregateState, Vec<Decision>) {
    let (mut state, mut decisions) = (start(), Vec::new());
    for word in words {
        let (before, cause) = (state.clone(), cause(word, &state));
        let Some(decision) = step(&mut state, &cause) else { continue };
        assert_eq!(decision.n, before.n + 1);
        assert_eq!(decision.effect.is_some(), effect_needed(&decision).is_some());
        assert_eq!(decision.effect, decision.effect.map(|_| effect(decision.n)));
        assert!(decision.effect.is_none() || decision.base.is_some(), "an effect names its base");
        assert_eq!(decision, decide(&before, &cause, &rules()).remove(0), "the same again");
        let author = match &cause {
            Cause::Candidate(candidate) => candidate.author,
            Cause::Foreign { found, .. } => found.author,
            Cause::Unmappable { .. } | Cause::Waiting { .. } | Cause::Acked { .. } | Cause::Reviewed { .. } => None,
        };
        assert_eq!(decision.author, author, "the author's class is carried: {words:?}");
        let on_nothing = decision.verdict == Verdict::Delete && decision.base == Some(Base::Create);
        assert!(!on_nothing, "a delete stands on something: {words:?}");
        let held = matches!(before.verdict, Some(Verdict::Held(_)));
        let person = matches!(cause, Cause::Reviewed { .. });
        if held && !person && !matches!(decision.verdict, Verdict::Unchanged) {
            assert!(matches!(decision.verdict, Verdict::Held(_) | Verdict::Parked(_)), "hold means hold: {words:?}");
        }
        nothing_discarded(&cause, &decision, &state);
        decisions.push(decision);
    }
    (state, decisions)
}

/// Every value that stood at the target is in the state, or among the losers, or a narrative that goes.
fn nothing_discarded(cause: &Cause, decision: &Decision, after: &AggregateState) {
    let met = match cause {
        Cause::Foreign { found, .. } => (!found.deleted).then_some(&found.body),
        Cause::Acked { acked, .. } => match &acked.outcome {
            Outcome::Stale { current, over, .. } => {
                over.as_ref().or(current.as_ref()).filter(|body| **body != Json::Null)
            }
            _ => None,
        },
        _ => None,
    };
    let Some(met) = met else { return };
    for (address, value) in &Fields::from_resource(met, &*ELEMENTS).0 {
        let lost = decision.losers.iter().any(|loser| loser.address == *address && loser.value.as_ref() == Some(value));
        let same = [&after.fields, &after.foreign].iter().any(|fields| {
            model::field_equal(&unit().resource_type, address, fields.get(address), Some(value), &*ELEMENTS)
        });
        let told = address.as_str() == "text" && value.get("status").and_then(Json::as_str) == Some("generated");
        assert!(lost || same || told, "{address:?} is nowhere");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_history_decides_and_its_records_give_the_state_again(words in words()) {
        let (state, decisions) = checked(&words);
        let mut replayed = start();
        for decision in &decisions {
            replayed = evolve(replayed, decision);
            prop_assert_eq!(state_hash(&replayed), decision.post);
        }
        prop_assert_eq!(&replayed, &state);
        prop_assert_eq!(canonical_hash(&body(&replayed), &*ELEMENTS), canonical_hash(&body(&state), &*ELEMENTS));
        prop_assert_eq!(body(&replayed).to_bytes(), body(&state).to_bytes());
    }

    #[test]
    fn a_void_taken_back_gives_back_the_content(words in words(), means in prop::sample::select(&[
        Means::Retracted, Means::Ended, Means::Purged, Means::Removed,
    ][..])) {
        let (mut state, _) = checked(&words);
        step(&mut state, &candidate(Content::Present(fields(A)), &LEGACY));
        let before = body(&state);
        step(&mut state, &deleted(means));
        step(&mut state, &candidate(Content::Present(fields(A)), &LEGACY));
        prop_assert!(canonically_equal(&before, &body(&state), &*ELEMENTS));
        prop_assert_eq!(state.presence, Presence::Present);
    }

    #[test]
    fn what_is_owed_is_written_as_soon_as_nothing_stands_in_the_way(words in words()) {
        let (mut state, _) = checked(&words);
        let open = |state: &AggregateState| crate::standing::Standing::of(state).holds();
        let owed = state.owed;
        let decision = step(&mut state, &candidate(Content::Present(fields(B)), &LEGACY)).expect("a candidate is decided");
        if owed && !open(&state) && !matches!(decision.verdict, Verdict::Parked(_)) {
            prop_assert_eq!(&decision.verdict, &Verdict::Write);
            prop_assert!(!state.owed);
        }
    }
}

/// A state's hash moves with every part of it.
#[test]
fn no_two_states_share_a_hash() {
    let (base, _) = run("A B stale:note unmappable");
    let mut states = vec![base.clone(), start()];
    let mut with = |change: &dyn Fn(&mut AggregateState)| {
        let mut state = base.clone();
        change(&mut state);
        states.push(state);
    };
    with(&|state| state.n += 1);
    with(&|state| state.owed = !state.owed);
    with(&|state| state.retried = !state.retried);
    with(&|state| state.presence = Presence::Unknown);
    with(&|state| state.presence = Presence::Deleted(Means::Ended));
    with(&|state| state.base = Base::Version("other".into()));
    with(&|state| state.base = Base::Create);
    with(&|state| state.verdict = None);
    with(&|state| state.verdict = Some(Verdict::Held("code".into())));
    with(&|state| state.rule = Some(Rule::Person));
    with(&|state| state.last_effect = None);
    with(&|state| state.create = None);
    with(&|state| state.met = Some("other".into()));
    with(&|state| state.foreign = Fields::default());
    with(&|state| core::mem::swap(&mut state.foreign, &mut state.fields));
    let mut hashes: Vec<Hash> = states.iter().map(state_hash).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), states.len());
}

#[test]
fn causes_of_another_system_decide_nothing() {
    let (state, _) = run("A");
    let cause = match cause("refused", &state) {
        Cause::Acked { id, mut acked } => {
            acked.system = LEGACY.clone();
            Cause::Acked { id, acked }
        }
        cause => cause,
    };
    assert_eq!(decide(&state, &cause, &rules()), Vec::<Decision>::new());
}

#[test]
fn a_trace_and_a_decisions_debug_hold_no_value() {
    let (state, decision) = run("A B stale:value");
    let shown = format!("{decision:?}{state:?}");
    assert!(!shown.contains("weight") && !shown.contains("final"));
    assert!(decision.expect("decided").trace.iter().all(|words| !words.contains("weight")));
}

#[test]
fn a_patch_that_removes_an_element_takes_all_of_it_and_sets_what_it_sets() {
    let code = |text: &str| format!(r#""status":"final","code":{{"coding":[{text}],"text":"weight"}}"#);
    let (ours, coding) =
        (code(r#"{"system":"a","code":"1"},{"system":"b","code":"2"}"#), r#"{"system":"a","code":"9"}"#);
    let mut state = start();
    step(&mut state, &candidate(Content::Present(fields(&ours)), &LEGACY));
    let accepted = cause("accepted", &state);
    step(&mut state, &accepted);
    let set = fields(&format!(r#""code":{{"coding":[{coding}]}}"#)).0.into_iter();
    let mut patch = vec![FieldChange { address: FieldAddress::new("code"), value: None }];
    patch.extend(set.map(|(address, value)| FieldChange { address, value: Some(value) }));
    let content = Content::Deleted { means: Means::Retracted, flag: "voided".into(), patch };
    step(&mut state, &candidate(content.clone(), &LEGACY));
    assert_eq!(state.fields, fields(&format!(r#""status":"final","code":{{"coding":[{coding}]}}"#)));
    // The same again changes nothing: what the patch sets is not what it removes.
    let again = step(&mut state, &candidate(content, &LEGACY));
    assert!(again.is_none_or(|decision| decision.fields.is_empty()));
}

#[test]
fn a_target_that_takes_a_write_and_keeps_its_own_is_not_written_for_ever() {
    let (mut state, _) = run("A B");
    let theirs =
        || Json::parse(br#"{"resourceType":"Observation","id":"x","status":"final","code":{"text":"theirs"}}"#).ok();
    let kept = |state: &AggregateState| {
        let effect = state.last_effect.expect("an effect was issued");
        acked(effect, Outcome::Stale { version: "50".into(), current: theirs(), over: None })
    };
    let first = kept(&state);
    assert_eq!(step(&mut state, &first).expect("decided").verdict, Verdict::Write);
    let second = kept(&state);
    assert_eq!(step(&mut state, &second).expect("decided").verdict, Verdict::Parked(crate::NOT_TAKEN.into()));
    let changed = candidate(Content::Present(fields(A)), &LEGACY);
    assert_eq!(step(&mut state, &changed).expect("decided").verdict, Verdict::Write, "another content is tried");
}
