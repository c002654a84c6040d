//! Differences of every kind, planted one by one, each of which verify names; and some that only look like one.

use crate::setting::{Setting, counts, names, reference, rested, set, setting};
use lockstep_verify::{About, Class, Leg, Report};
use model::{Entry, EntryId, Json, Outcome, Record, Recorded, RowKey, TableName, Value};
use ports::Version;
use schemas::{Plan, keys};

fn at_rest() -> Setting {
    setting(&mut rested(3))
}

fn row_named(report: &Report, class: Class, table: &str, key: &RowKey, columns: &[&str]) -> bool {
    report.findings.iter().any(|finding| {
        let about = About::Row { table: table.into(), key: key.tag(&[7; 32]).into() };
        finding.about == about && finding.leg == Leg::Rows && finding.class == class && finding.fields == columns
    })
}

const OBSERVATIONS: &str = "public.observation";

fn first_row(setting: &Setting) -> (TableName, RowKey) {
    let table = TableName::from(OBSERVATIONS);
    let key = setting.fence.tables[&table].1.keys().next().expect("some observation").clone();
    (table, key)
}

/// An observation that is shown as final, so that its content follows from its row.
fn observation(setting: &mut Setting) -> String {
    let all = setting.shown("Observation/");
    let is_final = |unit: &String| {
        let body = setting.current(unit).body.clone().expect("shown");
        body.get("status").and_then(|status| status.as_str()).is_some_and(|status| status == "final")
    };
    all.into_iter().find(is_final).expect("some observation is final")
}

#[test]
fn a_row_missing_in_the_shadow_is_named() {
    let mut setting = at_rest();
    let (table, key) = first_row(&setting);
    setting.state.delete(&keys::row(&table, &key));
    let report = setting.verify();
    assert!(row_named(&report, Class::Missing, OBSERVATIONS, &key, &[]), "{:?}", report.findings);
    assert_eq!(report.counts[&(Leg::Rows, Class::Missing)], 1);
}

#[test]
fn a_row_that_the_source_no_longer_has_is_named() {
    let mut setting = at_rest();
    let (table, key) = first_row(&setting);
    setting.fence.tables.get_mut(&table).expect("it is there").1.remove(&key);
    let report = setting.verify();
    assert!(row_named(&report, Class::Extra, OBSERVATIONS, &key, &[]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("rows", "extra", 1)]);
    assert!(!report.findings[0].entries.is_empty(), "the entry that brought the row is named");
}

#[test]
fn a_cell_that_differs_is_named_by_its_column() {
    let mut setting = at_rest();
    let (table, key) = first_row(&setting);
    let (schema, rows) = setting.fence.tables.get_mut(&table).expect("it is there");
    let plan = Plan::new(schema);
    let row = rows.get_mut(&key).expect("it is there");
    let mut values: Vec<Value> = plan.cells(row).unwrap().into_iter().map(|cell| cell.to_value()).collect();
    values[5] = Value::Decimal("999.9".into());
    values[9] = Value::Text("a note".into());
    let cells: Vec<_> = values.iter().map(Value::as_cell).collect();
    *row = plan.row(&cells).unwrap();
    let report = setting.verify();
    assert!(row_named(&report, Class::Different, OBSERVATIONS, &key, &["value", "note"]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("rows", "different", 1)]);
}

#[test]
fn a_state_that_does_not_follow_from_the_rows_is_named() {
    let mut setting = at_rest();
    let unit = setting.shown("Patient/").remove(0);
    setting.change_state(&unit, |state| {
        state.fields.set(&model::FieldAddress::new("birthDate"), Some(Json::text("1900-01-01")));
    });
    let report = setting.verify();
    assert!(names(&report, Leg::Units, Class::Different, &unit, &["birthDate"]), "{:?}", report.findings);
    assert!(names(&report, Leg::Target, Class::Different, &unit, &["birthDate"]), "and the target shows it");
}

#[test]
fn a_resource_missing_at_the_target_is_named_and_who_refers_to_it() {
    let mut setting = at_rest();
    let observation = observation(&mut setting);
    let body = setting.current(&observation).body.clone().expect("shown");
    let subject = body.get("subject").and_then(|subject| subject.get("reference")).and_then(Json::as_str);
    let patient = subject.expect("an observation has a subject").to_owned();
    setting.target.0.remove(&patient);
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Missing, &patient, &[]), "{:?}", report.findings);
    assert!(names(&report, Leg::Target, Class::Dangling, &observation, &["subject"]), "{:?}", report.findings);
    assert_eq!(report.counts[&(Leg::Target, Class::Missing)], 1);
}

#[test]
fn a_resource_that_somebody_else_deleted_is_named() {
    let mut setting = at_rest();
    let unit = observation(&mut setting);
    let versions = setting.target.0.get_mut(&unit).expect("shown");
    let version = (versions.len() + 1).to_string().into();
    versions.push(Version { version, request: None, body: None });
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Missing, &unit, &[]), "{:?}", report.findings);
    assert!(names(&report, Leg::Target, Class::Unattributed, &unit, &[]));
    assert_eq!(counts(&report), [("target", "missing", 1), ("target", "unattributed", 1)]);
}

#[test]
fn a_field_that_somebody_else_changed_is_named_whether_they_kept_our_stamp_or_not() {
    for stamp in [false, true] {
        let mut setting = at_rest();
        let unit = setting.shown("Patient/").remove(0);
        setting.foreign(&unit, stamp, |body| set(body, "gender", Json::text("other")));
        let report = setting.verify();
        assert!(names(&report, Leg::Target, Class::Different, &unit, &["gender"]), "{:?}", report.findings);
        assert!(names(&report, Leg::Target, Class::Unattributed, &unit, &[]), "{:?}", report.findings);
        assert_eq!(report.differences(), 2);
    }
}

#[test]
fn one_more_digit_is_a_difference() {
    let mut setting = at_rest();
    let unit = observation(&mut setting);
    let body = setting.current(&unit).body.as_mut().expect("shown");
    let mut quantity = body.get("valueQuantity").cloned().expect("it has a value");
    let Some(Json::Number(digits)) = quantity.get("value").cloned() else { panic!("a number") };
    set(&mut quantity, "value", Json::number(&format!("{digits}0")).expect("a number"));
    set(body, "valueQuantity", quantity);
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Different, &unit, &["value"]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("target", "different", 1)]);
}

#[test]
fn a_resource_of_a_mapped_type_that_nobody_owns_is_named() {
    for (id, shown) in [("00000000-0000-4000-8000-000000000001", true), ("smith-1970", false)] {
        let mut setting = at_rest();
        let body = Json::object([("resourceType", Json::text("Patient")), ("id", Json::text(id))]);
        let version = Version { version: "1".into(), request: None, body: Some(body) };
        setting.target.0.insert(format!("Patient/{id}"), vec![version]);
        let report = setting.verify();
        assert_eq!(counts(&report), [("target", "extra", 1)]);
        let About::Resource { kind, id: named } = &report.findings[0].about else { panic!("a resource") };
        assert_eq!((kind.as_str(), &**named == id), ("Patient", shown), "an id made of a name is not printed");
    }
}

#[test]
fn a_version_between_ours_that_nobody_made_is_named() {
    let mut setting = at_rest();
    let twice = setting.target.0.iter().find(|(_, versions)| versions.len() > 1).map(|(unit, _)| unit.clone());
    let unit = twice.expect("some unit was written twice");
    let versions = setting.target.0.get_mut(&unit).expect("it is there");
    let between = Version { version: "1b".into(), request: None, ..versions[0].clone() };
    versions.insert(1, between);
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Unattributed, &unit, &[]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("target", "unattributed", 1)]);
    assert_eq!(report.findings[0].version.as_deref(), Some("1b"));
}

#[test]
fn a_reference_to_nothing_is_named() {
    let mut setting = at_rest();
    let unit = observation(&mut setting);
    let nobody = "Practitioner/00000000-0000-4000-8000-000000000009";
    setting.foreign(&unit, false, |body| set(body, "performer", Json::Array(vec![reference(nobody)])));
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Dangling, &unit, &["performer"]), "{:?}", report.findings);
}

#[test]
fn a_reference_to_another_patients_record_is_named() {
    let mut setting = at_rest();
    let unit = observation(&mut setting);
    let subject_of = |body: &Json| body.get("subject").cloned();
    let own = subject_of(setting.current(&unit).body.as_ref().expect("shown"));
    let all = setting.shown("Observation/");
    let other = all.iter().find(|other| subject_of(setting.current(other).body.as_ref().expect("shown")) != own);
    let other = other.expect("two patients have observations").clone();
    let body = setting.current(&unit).body.as_mut().expect("shown");
    set(body, "hasMember", Json::Array(vec![reference(&other)]));
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::WrongPatient, &unit, &["hasMember"]), "{:?}", report.findings);

    // The subject itself.
    let mut setting = at_rest();
    let theirs = subject_of(setting.current(&other).body.as_ref().expect("shown")).expect("a subject");
    set(setting.current(&unit).body.as_mut().expect("shown"), "subject", theirs);
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::WrongPatient, &unit, &["subject"]), "{:?}", report.findings);
    assert!(names(&report, Leg::Target, Class::Different, &unit, &["subject"]), "{:?}", report.findings);
}

#[test]
fn an_acknowledged_version_that_the_target_lost_is_named() {
    let mut setting = at_rest();
    let twice = setting.target.0.iter().find(|(_, versions)| versions.len() > 1).map(|(unit, _)| unit.clone());
    let unit = twice.expect("some unit was written twice");
    setting.target.0.get_mut(&unit).expect("it is there").remove(0);
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Vanished, &unit, &[]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("target", "vanished", 1)]);
}

#[test]
fn no_finding_prints_a_value_or_a_key() {
    let mut setting = at_rest();
    let unit = setting.shown("Patient/").remove(0);
    setting.foreign(&unit, true, |body| {
        let name = Json::object([("use", Json::text("nickname")), ("family", Json::text("Canary-7"))]);
        let telecom = Json::object([("system", Json::text("phone")), ("value", Json::text("Canary-8"))]);
        set(body, "name", Json::Array(vec![name]));
        set(body, "telecom", Json::Array(vec![telecom]));
        set(body, "identifier", Json::Array(vec![Json::object([("system", Json::text("Canary-9"))])]));
    });
    let report = setting.verify();
    assert!(report.differences() >= 2);
    let printed = format!("{report:?}");
    assert!(!printed.contains("Canary"), "{printed}");
}

#[test]
fn the_list_of_findings_is_bounded_and_their_count_is_exact() {
    let mut setting = at_rest();
    for n in 0..150 {
        let body = Json::object([("resourceType", Json::text("Encounter"))]);
        let version = Version { version: "1".into(), request: None, body: Some(body) };
        setting.target.0.insert(format!("Encounter/{n}"), vec![version]);
    }
    let report = setting.verify();
    assert_eq!((report.differences(), report.findings.len()), (150, 100));
}

#[test]
fn a_unit_without_a_decision_and_a_row_without_a_unit_are_named() {
    let mut setting = at_rest();
    let unit = observation(&mut setting);
    let (entity, table, key) = setting.bound(&unit);
    setting.state.delete(&keys::aggregate(&entity, &key));
    let report = setting.verify();
    assert!(names(&report, Leg::Units, Class::Undecided, &unit, &[]), "{:?}", report.findings);

    let mut setting = at_rest();
    setting.state.delete(&keys::unit(&entity, &key));
    let report = setting.verify();
    let about = About::Row { table, key: key.tag(&[7; 32]).into() };
    let named = report.findings.iter().any(|one| one.class == Class::Undecided && one.about == about);
    assert!(named, "{:?}", report.findings);
}

/// The entries of a kind of finding.
fn entries(report: &Report, class: Class) -> Vec<EntryId> {
    report.findings.iter().filter(|one| one.class == class).flat_map(|one| one.entries.clone()).collect()
}

#[test]
fn a_version_that_no_recorded_decision_wrote_is_named() {
    let mut setting = at_rest();
    let decided = |record: &Recorded| matches!(&record.record, Record::Decided(one) if !one.effects.is_empty());
    let at = setting.decisions.iter().position(decided).expect("something was written");
    let Record::Decided(decided) = &mut setting.decisions[at].record else { panic!("a decided step") };
    let lost = decided.effects.pop().expect("an effect");
    let report = setting.verify();
    let unit = lost.unit.to_string();
    assert!(names(&report, Leg::Target, Class::Unrecorded, &unit, &[]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("target", "unrecorded", 1)]);
    assert_eq!(
        (report.ours, report.wrote, report.accepted),
        (report.versions - 1, report.versions - 1, report.versions)
    );
    assert_eq!(entries(&report, Class::Unrecorded).len(), 1, "the entry that tells the outcome is named");
}

#[test]
fn a_second_version_of_one_decision_is_named() {
    let mut setting = at_rest();
    let unit = setting.shown("Patient/").remove(0);
    let acked = setting.journal.iter().rev().find(|entry| match &entry.entry {
        Entry::Acked(acked) => acked.unit.to_string() == unit && matches!(acked.outcome, Outcome::Accepted { .. }),
        _ => false,
    });
    let mut again = acked.expect("it was written").clone();
    again.header.id = setting.journal.last().expect("entries").header.id.next();
    let next = (setting.target.0[&unit].len() + 1).to_string();
    let Entry::Acked(told) = &mut again.entry else { panic!("an outcome") };
    if let Outcome::Accepted { version, .. } = &mut told.outcome {
        *version = next.as_str().into();
    }
    setting.journal.push(again);
    let current = setting.current(&unit).clone();
    setting.target.0.get_mut(&unit).expect("shown").push(Version { version: next.into(), ..current });
    let report = setting.verify();
    assert!(names(&report, Leg::Target, Class::Repeated, &unit, &[]), "{:?}", report.findings);
    assert_eq!(counts(&report), [("target", "repeated", 1)]);
    assert_eq!(report.ours, report.wrote + 1);
}
