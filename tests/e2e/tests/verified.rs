//! `lockstep verify` on the running pipeline: clean while users are at work, and it names what somebody else did.

use lockstep_e2e::{Flag, Load, Shape, Timed, World};
use model::Json;
use serde_json::Value;

/// Sets a member of a resource that somebody read and writes back.
fn with(body: &Json, name: &str, value: Json) -> String {
    let Json::Object(members) = body.clone() else { panic!("a resource is an object") };
    let mut members: Vec<_> = members.into_iter().filter(|(member, _)| &**member != name).collect();
    members.push((name.into(), value));
    String::from_utf8(Json::Object(members).to_bytes()).expect("JSON is UTF-8")
}

fn report(world: &World, exit: i32) -> Value {
    world.engine.cli(&["verify", "--json"]).exits(exit).json().pop().expect("a report")
}

fn names(report: &Value, class: &str, about: (&str, &str), fields: &[&str]) -> bool {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings
        .into_iter()
        .any(|one| one["class"] == class && one[about.0] == about.1 && one["fields"] == serde_json::json!(fields))
}

#[test]
fn a_busy_pipeline_is_clean_and_foreign_hands_are_named() {
    let _timed = Timed::new("verified");
    let mut world = World::new(Shape { preload: 150, ..Shape::new(Flag::Spec) });
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);

    let load = Load::start(&world.cluster.writer_url(), 5, 40.0);
    for _ in 0..4 {
        // Something may be unsettled at the fence; nothing may differ.
        let report = report(&world, 0);
        assert!(report["clean"] == true && report["equal"].as_u64() > Some(20), "{report}");
    }
    load.stop();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    let quiet = report(&world, 0);
    assert_eq!((&quiet["complete"], &quiet["others"]), (&Value::Bool(true), &0.into()), "{quiet}");
    assert_eq!((&quiet["ours"], &quiet["wrote"]), (&quiet["accepted"], &quiet["accepted"]), "{quiet}");

    let everything = world.target.everything();
    let (unit, body) = everything
        .iter()
        .filter(|(unit, _)| unit.starts_with("Patient/"))
        .find_map(|(unit, versions)| Some((unit.clone(), versions.last()?.body.clone()?)))
        .expect("a patient is shown");
    let answer = world.target.put(&format!("/{unit}"), &with(&body, "birthDate", Json::text("1901-01-01")));
    assert!(answer.status < 300, "{}", answer.text());
    let stranger = "Patient/00000000-0000-4000-8000-00000000000a";
    let content = r#"{"resourceType":"Patient","id":"00000000-0000-4000-8000-00000000000a","active":true}"#;
    let answer = world.target.put(&format!("/{stranger}"), content);
    assert!(answer.status < 300, "{}", answer.text());

    let found = report(&world, 1);
    assert!(names(&found, "different", ("unit", &unit), &["birthDate"]), "{found}");
    assert!(names(&found, "unattributed", ("unit", &unit), &[]), "{found}");
    assert!(names(&found, "extra", ("resource", stranger), &[]), "{found}");
    assert_eq!(found["differences"], 3, "{found}");
    world.engine.cli(&["verify"]).exits(1).says("DIFFERS").says("at birthDate");

    misled(&world);
}

/// A reference into another patient's record, one more digit, and a deletion, by somebody else.
fn misled(world: &World) {
    let everything = world.target.everything();
    let subject = |body: &Json| body.get("subject").and_then(|one| one.get("reference")).cloned();
    let observations = everything.iter().filter(|(unit, _)| unit.starts_with("Observation/"));
    let shown: Vec<(&String, Json)> = observations
        .filter_map(|(unit, versions)| Some((unit, versions.last()?.body.clone()?)))
        .filter(|(_, body)| body.get("valueQuantity").is_some_and(|quantity| quantity.get("value").is_some()))
        .collect();
    let (first, body) = &shown[0];
    let others: Vec<_> = shown.iter().filter(|(_, one)| subject(one) != subject(body)).collect();
    let [(other, precise), (gone, _), ..] = &others[..] else { panic!("patients have observations") };

    let refers = with(body, "hasMember", Json::Array(vec![Json::object([("reference", Json::text(other))])]));
    let mut quantity = precise.get("valueQuantity").cloned().expect("it has one");
    let Some(Json::Number(digits)) = quantity.get("value").cloned() else { panic!("a number") };
    let more = if digits.contains('.') { format!("{digits}0") } else { format!("{digits}.0") };
    if let Json::Object(members) = &mut quantity {
        members.retain(|(name, _)| &**name != "value");
        members.push(("value".into(), Json::number(&more).expect("a number")));
    }
    for (unit, changed) in [(first, refers), (other, with(precise, "valueQuantity", quantity))] {
        let answer = world.target.put(&format!("/{unit}"), &changed);
        assert!(answer.status < 300, "{}", answer.text());
    }
    let answer = world.target.delete(&format!("/{gone}"));
    assert!(answer.status < 300, "{}", answer.text());

    let found = report(world, 1);
    assert!(names(&found, "wrong_patient", ("unit", first), &["hasMember"]), "{found}");
    assert!(names(&found, "different", ("unit", other), &["value"]), "{found}");
    assert!(names(&found, "missing", ("unit", gone), &[]), "{found}");
}
