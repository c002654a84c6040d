//! The truth table (`tests/truth.txt`, one path a line) and the laws of decide and evolve.

use crate::{RuleSet, body, decide, effect_needed, evolve, state_hash};
use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use model::{
    Acked, AggregateState, Answer, Author, Base, Candidate, Cause, Cite, Content, Decision, EffectId, EntryId,
    FieldAddress, FieldChange, Fields, Hash, Json, Means, Outcome, Presence, ResourceEntry, RowKey, Rule, SystemId,
    Unit, UnitId, Verdict, Waiting, canonical_hash, canonically_equal,
    elements::{Element, Elements, Node},
};
use std::sync::LazyLock;

extern crate std;

#[path = "../../model/src/elements/double.rs"]
mod double;
mod laws;
mod table;

static ELEMENTS: LazyLock<double::Small> = LazyLock::new(double::Small::default);
static CLOUD: LazyLock<SystemId> = LazyLock::new(|| SystemId::from("cloud"));
static LEGACY: LazyLock<SystemId> = LazyLock::new(|| SystemId::from("legacy"));

fn rules() -> RuleSet<'static> {
    RuleSet {
        ruleset: Hash::of(b"rules"),
        behaviour: 1,
        elements: &*ELEMENTS,
        pipeline: "clinic",
        system: &CLOUD,
        generation: 0,
        legacy: &LEGACY,
        mapped: &|_, address| address.as_str() == "issued",
    }
}

fn unit() -> Unit {
    Unit { resource_type: "Observation".into(), id: UnitId::mint(namespace(7), &[b"unit"]) }
}

fn namespace(seed: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([seed; 16])
}

fn start() -> AggregateState {
    AggregateState::new(unit(), "observation".into())
}

fn effect(n: u64) -> EffectId {
    EffectId::derive("clinic", &CLOUD, &unit(), 0, n)
}

/// An observation of these members, as text of JSON.
fn resource(members: &str) -> Json {
    let text = format!(r#"{{"resourceType":"Observation","id":"{}",{members}}}"#, unit().id);
    Json::parse(text.as_bytes()).expect("valid")
}

fn fields(members: &str) -> Fields {
    Fields::from_resource(&resource(members), &*ELEMENTS)
}

const A: &str = r#""status":"final","valueQuantity":{"value":1.0},"code":{"text":"weight"}"#;
const B: &str = r#""status":"final","valueQuantity":{"value":2.0},"code":{"text":"weight"}"#;
const A_REWRITTEN: &str = r#""code":{"text":"weight"},"valueQuantity":{"value":10e-1},"status":"final""#;

fn cites() -> Vec<Cite> {
    vec![Cite { entry: EntryId::new(1, 1), row: None }]
}

fn candidate(content: Content, system: &SystemId) -> Cause {
    let (unit, entity, system) = (unit(), "observation".into(), system.clone());
    Cause::Candidate(Candidate { unit, entity, system, content, cites: cites(), author: Some(Author::Human) })
}

fn deleted(means: Means) -> Cause {
    let status = |text| FieldChange { address: FieldAddress::new("status"), value: Some(Json::text(text)) };
    let patch = match means {
        Means::Retracted => {
            vec![status("entered-in-error"), FieldChange { address: FieldAddress::new("code.text"), value: None }]
        }
        Means::Ended => vec![status("cancelled")],
        Means::Purged | Means::Removed => Vec::new(),
    };
    candidate(Content::Deleted { means, flag: "row".into(), patch }, &LEGACY)
}

fn acked(effect: EffectId, outcome: Outcome) -> Cause {
    let acked = Acked { system: CLOUD.clone(), unit: unit(), effect, attempts: 1, outcome };
    Cause::Acked { id: EntryId::new(1, 2), acked }
}

/// What somebody else may have written, by name; `ours` is what stands in the state.
fn theirs(name: &str, state: &AggregateState) -> Json {
    let with = |members: &str| {
        let mut ours = body(state);
        let Json::Object(all) = &mut ours else { panic!("an object") };
        for (name, value) in resource(members).members().expect("an object") {
            all.retain(|(known, _)| known != name);
            all.push((name.clone(), value.clone()));
        }
        ours
    };
    match name {
        "ours" => body(state),
        "note" => with(r#""note":[{"text":"n"}]"#),
        "value" => with(r#""valueQuantity":{"value":9}"#),
        "issued" => with(r#""issued":"2026-01-01T00:00:00Z""#),
        "generated" => with(r#""valueQuantity":{"value":9},"text":{"status":"generated","div":"<div>9</div>"}"#),
        "additional" => with(r#""valueQuantity":{"value":9},"text":{"status":"additional","div":"<div>x</div>"}"#),
        "told" => with(r#""text":{"status":"additional","div":"<div>x</div>"}"#),
        "other" => resource(r#""status":"amended","note":[{"text":"n"}]"#),
        name => panic!("no such content: {name}"),
    }
}

fn stale(what: &str, effect: EffectId, state: &AggregateState) -> Cause {
    let (current, over) = match what.split_once('/') {
        Some(("deletion", "absence")) => (None, Some(Json::Null)),
        Some(("deletion", over)) => (None, Some(theirs(over, state))),
        Some((current, "absence")) => (Some(theirs(current, state)), Some(Json::Null)),
        Some((current, over)) => (Some(theirs(current, state)), Some(theirs(over, state))),
        None if what == "nothing" => (None, None),
        None => (Some(theirs(what, state)), None),
    };
    acked(effect, Outcome::Stale { version: format!("{}", state.n + 10).into(), current, over })
}

fn answer(answer: Answer) -> Cause {
    Cause::Reviewed { id: EntryId::new(1, 3), unit: unit(), answer }
}

/// The cause called by a word of the table. A digit behind an outcome names the effect by its decision's number.
fn cause(word: &str, state: &AggregateState) -> Cause {
    let (head, what) = word.split_once(':').unwrap_or((word, ""));
    let digits = head.trim_start_matches(|c: char| !c.is_ascii_digit());
    let named = digits.parse().map_or(state.last_effect, |n| Some(effect(n))).unwrap_or(effect(0));
    let foreign = |deleted, body| {
        let (system, unit, version) = (CLOUD.clone(), unit(), format!("{}", state.n + 10).into());
        let found = ResourceEntry { system, unit, version, deleted, body, author: None, stamp: None, captured: None };
        Cause::Foreign { id: EntryId::new(1, 4), found }
    };
    match head.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "A" => candidate(Content::Present(fields(A)), &LEGACY),
        "B" => candidate(Content::Present(fields(B)), &LEGACY),
        "A'" => candidate(Content::Present(fields(A_REWRITTEN)), &LEGACY),
        "A+note" => candidate(Content::Present(fields(&format!("{A},\"note\":[{{\"text\":\"ours\"}}]"))), &LEGACY),
        "elsewhere" => candidate(Content::Present(fields(B)), &CLOUD),
        "retracted" => deleted(Means::Retracted),
        "ended" => deleted(Means::Ended),
        "purged" => deleted(Means::Purged),
        "removed" => deleted(Means::Removed),
        "unmappable" => {
            Cause::Unmappable { unit: unit(), entity: "observation".into(), cause: "code".into(), cites: cites() }
        }
        "waiting" => {
            let key = RowKey::encode([model::Cell::Int(1)]).expect("known");
            let on = Waiting { entity: "patient".into(), key };
            Cause::Waiting { unit: unit(), entity: "observation".into(), on, cites: cites() }
        }
        "accepted" => acked(named, Outcome::Accepted { version: "1".into(), by: "reply".into() }),
        "observed" => acked(named, Outcome::Observed),
        "refused" => acked(named, Outcome::Rejected { code: "422".into(), detail: "".into() }),
        "gone" => acked(named, Outcome::Gone { version: None }),
        "stale" => stale(what, named, state),
        "foreign" if what == "deletion" => foreign(true, Json::Null),
        "foreign" => foreign(false, theirs(what, state)),
        "release" => answer(Answer::Release),
        "recreate" => answer(Answer::Recreate),
        "keep_deleted" => answer(Answer::KeepDeleted),
        "accept" => answer(Answer::Accept),
        "expand" => answer(Answer::Expand),
        word => panic!("no such cause: {word}"),
    }
}

/// Decides and folds, and gives the decision.
fn step(state: &mut AggregateState, cause: &Cause) -> Option<Decision> {
    let decision = decide(state, cause, &rules()).into_iter().next()?;
    *state = evolve(state.clone(), &decision);
    assert_eq!(decision.post, state_hash(state));
    Some(decision)
}

fn run(words: &str) -> (AggregateState, Option<Decision>) {
    let (mut state, mut last) = (start(), None);
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let cause = cause(word, &state);
        last = step(&mut state, &cause);
    }
    (state, last)
}
