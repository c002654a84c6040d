//! A join that is `stale: allowed`: values as of the last mapping are no difference if they were decided, and hide none (J14).

use crate::setting::{counts, names, set, setting};
use flow::Limits;
use lockstep_verify::{Class, Finding, Leg};
use mapping::Mapped;
use model::{Content, FieldAddress, Json, Record};
use sim::{MAP, World};

/// Patients whose names are as of their last mapping, at rest.
fn rested(seed: u64) -> World {
    let mut world = World::new(seed, Limits::default());
    world.open();
    let text = MAP.replace("many: [name_id],    stale: remap", "many: [name_id], stale: allowed");
    assert_ne!(text, MAP);
    sim::activate_text(&mut world, &text).expect("a map");
    for _ in 0..60 {
        world.source.commit(4);
        world.drain();
    }
    world
}

#[test]
fn values_as_of_the_last_mapping_are_as_their_decision_says_and_are_no_difference() {
    let report = setting(&mut rested(3)).verify();
    assert_eq!(counts(&report), [], "{:?}", report.findings);
    assert!(
        report.as_of_last_mapping > 0 && report.complete() == (report.open == 0),
        "some name came since: {report:?}"
    );
}

/// A patient that is shown, whose name is as of its last mapping, and a field of that name.
fn stale_name(world: &mut World) -> (String, FieldAddress) {
    let inspect = flow::Inspect::open(setting(world).state);
    let at_rest = setting(world);
    let mapped = |unit: &String| {
        let (entity, _, key) = at_rest.bound(unit);
        let at = inspect.map().expect("a map").entity(&entity).expect("patients");
        let unit = inspect.bound(&entity, &key).expect("bound");
        let mapped = inspect.mapped(at, &key, &unit, &"legacy".into());
        let Some(Mapped::Candidate(candidate)) = mapped else { return None };
        let Content::Present(now) = candidate.content else { return None };
        let state = inspect.aggregate(&entity, &key).expect("decided");
        let name = |address: &&FieldAddress| address.as_str().starts_with("name");
        let differs = |address: &&FieldAddress| state.fields.get(address) != now.get(address);
        state.fields.0.keys().chain(now.0.keys()).filter(name).find(differs).cloned()
    };
    let patients = at_rest.shown("Patient/");
    patients
        .into_iter()
        .find_map(|unit| mapped(&unit).map(|address| (unit, address)))
        .expect("the name of some patient came or went since")
}

#[test]
fn a_stale_field_that_no_decision_wrote_is_named() {
    let mut world = rested(3);
    let (unit, address) = stale_name(&mut world);
    let quiet = setting(&mut world).verify();
    let mut setting = setting(&mut world);
    setting.change_state(&unit, |state| state.fields.set(&address, Some(Json::text("planted"))));
    let report = setting.verify();
    let at = [&*format!("{address:?}")];
    assert!(names(&report, Leg::Units, Class::Different, &unit, &at), "{address:?} {:?}", report.findings);
    assert_eq!(report.counts[&(Leg::Units, Class::Different)], 1);
    assert_eq!(report.as_of_last_mapping, quiet.as_of_last_mapping - 1, "the others are as decided");
}

#[test]
fn a_stale_field_that_the_target_shows_otherwise_is_named() {
    let mut world = rested(3);
    let (unit, _) = stale_name(&mut world);
    let mut setting = setting(&mut world);
    setting
        .foreign(&unit, true, |body| set(body, "name", Json::Array(vec![Json::object([("family", Json::text("x"))])])));
    let report = setting.verify();
    let different = |finding: &&Finding| finding.leg == Leg::Target && finding.class == Class::Different;
    let fields = report.findings.iter().filter(different).flat_map(|finding| &finding.fields).collect::<Vec<_>>();
    assert!(!fields.is_empty() && fields.iter().all(|field| field.starts_with("name")), "{:?}", report.findings);
}

#[test]
fn a_state_with_a_stale_field_and_no_record_of_its_decision_is_named() {
    let mut world = rested(3);
    let (unit, _) = stale_name(&mut world);
    let mut setting = setting(&mut world);
    let last = setting.decisions.iter_mut().rev().find_map(|record| match &mut record.record {
        Record::Decided(decided) => {
            decided.decisions.iter().position(|one| one.unit.to_string() == unit).map(|at| (decided, at))
        }
        _ => None,
    });
    let (decided, at) = last.expect("it was decided");
    decided.decisions.remove(at);
    let report = setting.verify();
    assert!(names(&report, Leg::Units, Class::Unrecorded, &unit, &[]), "{:?}", report.findings);
}

#[test]
fn a_field_that_differs_for_another_reason_is_named_beside_a_stale_one() {
    let mut world = rested(3);
    let quiet = setting(&mut world).verify();
    let mut setting = setting(&mut world);
    let patients = setting.shown("Patient/");
    for unit in &patients {
        setting.change_state(unit, |state| {
            state.fields.set(&FieldAddress::new("birthDate"), Some(Json::text("1900-01-01")));
        });
    }
    let report = setting.verify();
    for unit in &patients {
        assert!(names(&report, Leg::Units, Class::Different, unit, &["birthDate"]), "{:?}", report.findings);
    }
    assert_eq!(report.counts[&(Leg::Units, Class::Different)], patients.len() as u64, "once each");
    assert_eq!(report.as_of_last_mapping, quiet.as_of_last_mapping);
}
