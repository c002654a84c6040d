//! Fields of resources, plain and ugly, there and back.

use super::*;
use crate::{canonical_hash, canonically_equal, elements::double::Small, field_equal};
use alloc::{format, string::String, vec::Vec};
use proptest::prelude::*;

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).expect("valid")
}

fn addresses(text: &str) -> Vec<String> {
    let fields = Fields::from_resource(&parse(text), &Small::default());
    fields.0.keys().map(|address| address.as_str().into()).collect()
}

fn again(resource: &Json) -> Json {
    let text = |name| resource.get(name).and_then(Json::as_str).unwrap_or_default();
    Fields::from_resource(resource, &Small::default()).to_resource(&text("resourceType").into(), text("id"))
}

#[test]
fn a_patient_splits_into_addressed_fields() {
    let patient = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"3","lastUpdated":"2026-01-01T00:00:00Z",
        "profile":["http://p"],"security":[{"system":"urn:s","code":"R"}],"tag":[{"code":"t"}]},
        "text":{"status":"generated","div":"<div/>"},"contained":[{"resourceType":"Patient","id":"c"}],
        "active":true,"birthDate":"1990-01-01","_birthDate":{"extension":[{"url":"urn:t","valueString":"am"}]},
        "name":[{"use":"official","family":"Ä","given":["A","B"],"period":{"start":"2020"}},{"use":"maiden","family":"B"}],
        "telecom":[{"system":"phone","use":"home","value":"1"},{"system":"email","value":"a@b"}],
        "identifier":[{"type":{"coding":[{"system":"http://v2","code":"MR"}]},"system":"https://ids/mrn","value":"7"}],
        "extension":[{"url":"urn:a","valueString":"x"}],"deceasedBoolean":false}"#;
    assert_eq!(
        addresses(patient),
        [
            "active",
            "birthDate",
            "contained",
            "deceased",
            "extension[url=urn:a]",
            "identifier[system=https://ids/mrn,type=http://v2|MR].system",
            "identifier[system=https://ids/mrn,type=http://v2|MR].type.coding[system=http://v2]",
            "identifier[system=https://ids/mrn,type=http://v2|MR].value",
            "meta.profile",
            "meta.security[system=urn:s,code=R]",
            "name[use=maiden].family",
            "name[use=maiden].use",
            "name[use=official].family",
            "name[use=official].given",
            "name[use=official].period.start",
            "name[use=official].use",
            "telecom[system=email].system",
            "telecom[system=email].value",
            "telecom[system=phone,use=home].system",
            "telecom[system=phone,use=home].use",
            "telecom[system=phone,use=home].value",
            "text",
        ]
    );
    let (patient, elements) = (parse(patient), Small::default());
    let back = again(&patient);
    assert!(canonically_equal(&patient, &back, &elements));
    assert!(back.get("text").is_some() && back.get("contained").is_some());
    assert_eq!(back.get("_birthDate"), patient.get("_birthDate"));
    assert_eq!(back.get("deceasedBoolean"), Some(&Json::Bool(false)));
}

#[test]
fn a_choice_keeps_its_type_and_is_one_field() {
    let a = parse(r#"{"resourceType":"Observation","valueQuantity":{"value":1.0},"effectiveDateTime":"2026"}"#);
    let b = parse(r#"{"resourceType":"Observation","valueString":"1.0","effectivePeriod":{"start":"2026"}}"#);
    let elements = Small::default();
    let (fa, fb) = (Fields::from_resource(&a, &elements), Fields::from_resource(&b, &elements));
    assert!(fa.0.keys().eq(fb.0.keys()));
    let value = FieldAddress::new("value");
    assert!(fa.get(&value).is_some_and(|value| value.get("valueQuantity").is_some()));
    assert!(!field_equal(&"Observation".into(), &value, fa.get(&value), fb.get(&value), &elements));
    assert_eq!(fa.to_resource(&"Observation".into(), "").get("valueQuantity"), a.get("valueQuantity"));
}

#[test]
fn repeated_and_missing_keys_make_the_list_one_field() {
    for list in [
        r#"[{"use":"home","family":"a"},{"use":"home","family":"b"}]"#,
        r#"[{"use":"home","family":"a"},{"family":"b"}]"#,
        r#"[{"use":"home","family":"a"},null]"#,
        r#"[{"use":"home","family":"a"},"x"]"#,
        r#"{"use":"home"}"#,
    ] {
        assert_eq!(addresses(&format!(r#"{{"resourceType":"Patient","name":{list}}}"#)), ["name"], "{list}");
    }
}

#[test]
fn a_list_without_a_key_is_one_field() {
    let text = r#"{"resourceType":"Observation","note":[{"text":"a"},{"text":"b"}],"category":[{"text":"x"}]}"#;
    assert_eq!(addresses(text), ["category", "note"]);
}

#[test]
fn a_keys_display_is_no_part_of_the_key() {
    let with = |extra: &str| {
        addresses(&format!(
            r#"{{"resourceType":"Observation","component":[{{"code":{{"coding":[{{"system":"s","code":"c"{extra}}}]}},
            "valueString":"v"}}]}}"#
        ))
    };
    assert_eq!(with(""), with(r#","display":"d""#));
    assert_eq!(with("")[1], "component[code=s|c].value");
}

#[test]
fn ugly_resources_come_back_equal() {
    let elements = Small::default();
    for text in [
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Nonsense","a":{"a":1},"b":[[],[1]],"c":{"cD":1},"_e":{"id":"1"}}"#,
        r#"{"resourceType":"Patient","":{"A":1},"_":{"x":1},"__x":{"id":"1"},"_x":{"id":"2"},"x":1}"#,
        r#"{"resourceType":"Patient","a.b":1,"a":{"b":2},"a[c=d]":3,"%2E":4,"a%2Eb":5,"[":6,"]":7,"%":8}"#,
        r#"{"resourceType":"Patient","name":[{"use":"a.b]c[,=%","family":"x"},{"use":"%2E","family":"y"}]}"#,
        r#"{"resourceType":"Patient","name":[{"use":"home","given":["a",null],"_given":[null,{"id":"1"}]}],"_name":[null]}"#,
        r#"{"resourceType":"Patient","name":[{"use":"home","period":"2026"}],"meta":7,"gender":{"gender":"x"}}"#,
        r#"{"resourceType":"Patient","name":[{"use":{"coding":[{"code":"x"}]},"family":"y"},{"use":["a"]},{"use":1}]}"#,
        r#"{"resourceType":"Observation","valueString":"a","valueBoolean":true,"_valueString":{"id":"i"},"value":3}"#,
        r#"{"resourceType":"Observation","_valueString":{"id":"i"},"effectivePeriod":{"end":"2026","_end":{"id":"j"}}}"#,
        r#"{"resourceType":"Patient","birthDate":null,"_birthDate":{"id":"z"},"telecom":[],"active":[true]}"#,
        r#"{"resourceType":"Patient","extension":[{"url":"a"},{"url":"a"}],"modifierExtension":[{"url":"b"},{"url":"c"}]}"#,
        r#"{"resourceType":"Patient","name":{"use":"x"},"_name":{"id":"q"},"meta":{"security":[{"system":"a"},{"code":"b"}]}}"#,
        r#"{"resourceType":"Observation","code":{"text":"t","coding":[{"code":"a"},{"system":"s","code":"b"}]}}"#,
    ] {
        let resource = parse(&text.replacen('{', r#"{"id":"i","#, 1));
        assert!(canonically_equal(&resource, &again(&resource), &elements), "{text}");
    }
}

#[test]
fn covering_goes_by_steps() {
    let covers = |a: &str, b: &str| FieldAddress::new(a).covers(&FieldAddress::new(b));
    assert!(covers("name", "name") && covers("name", "name[use=x].family") && covers("a", "a.b"));
    assert!(!covers("name", "nameX") && !covers("name[use=x]", "name") && !covers("a.b", "a"));
}

#[test]
fn of_two_fields_that_cannot_both_be_the_first_one_stays() {
    let fields = |text: &str| Fields::from_resource(&parse(text), &Small::default());
    let ours = fields(r#"{"resourceType":"Patient","name":[{"use":"a","family":"x"}],"telecom":[{"value":"1"}]}"#);
    let theirs = fields(
        r#"{"resourceType":"Patient","name":[{"use":"b","family":"y"},{"use":"b","family":"z"}],
        "telecom":[{"system":"phone","value":"2"}],"gender":"female"}"#,
    );
    let merged = ours.to_resource_with(&theirs, &"Patient".into(), "p");
    let due = parse(
        r#"{"resourceType":"Patient","id":"p","name":[{"family":"x","use":"a"}],
        "telecom":[{"value":"1"}],"gender":"female"}"#,
    );
    assert_eq!(canonical_hash(&merged, &Small::default()), canonical_hash(&due, &Small::default()));
}

#[test]
fn an_address_prints_without_its_keys() {
    let fields = Fields::from_resource(
        &parse(r#"{"resourceType":"Patient","name":[{"use":"canary]canary","family":"canary"}]}"#),
        &Small::default(),
    );
    assert!(!format!("{fields:?}").contains("canary"));
}

const NAMES: &[&str] = &[
    "id",
    "meta",
    "text",
    "contained",
    "extension",
    "modifierExtension",
    "identifier",
    "name",
    "telecom",
    "birthDate",
    "_birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "_deceasedDateTime",
    "valueString",
    "valueQuantity",
    "value",
    "_valueString",
    "code",
    "component",
    "note",
    "coding",
    "system",
    "use",
    "type",
    "family",
    "given",
    "_given",
    "period",
    "start",
    "url",
    "reference",
    "subject",
    "security",
    "profile",
    "x",
    "_x",
    "",
    "_",
    "a.b",
    "[",
    "]",
    "%5B",
    "resourceType",
];

/// Anything that an R4 server, a broken one or a hostile one might send.
pub(crate) fn any_resource() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?[0-9]\\.[0-9]{0,2}1(e-?[0-9])?".prop_map(|text| Json::Number(text.into())),
        "[ab]".prop_map(|text| Json::text(&text)),
        "[a\\[\\].,=%|;#é\u{301}/]{0,4}".prop_map(|text| Json::text(&text)),
        Just(Json::text("http://h/fhir/Patient/a/_history/2")),
        Just(Json::text("2026-01-01T01:00:00+01:00")),
    ];
    let value = leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(prop::sample::select(NAMES), inner, 0..5).prop_map(Json::object),
        ]
    });
    let members = prop::collection::btree_map(prop::sample::select(NAMES), value, 0..8);
    (prop::sample::select(&["Patient", "Observation", "Else"][..]), members).prop_map(|(kind, mut members)| {
        members.insert("resourceType", Json::text(kind));
        members.insert("id", Json::text("i"));
        Json::object(members)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn fields_give_the_resource_again(resource in any_resource()) {
        let elements = Small::default();
        let back = again(&resource);
        prop_assert!(canonically_equal(&resource, &back, &elements));
        prop_assert_eq!(Fields::from_resource(&back, &elements), Fields::from_resource(&resource, &elements));
    }

    #[test]
    fn a_field_equals_itself_and_no_absence(resource in any_resource()) {
        let elements = Small::default();
        let kind = resource.get("resourceType").and_then(Json::as_str).unwrap_or_default().into();
        for (address, value) in &Fields::from_resource(&resource, &elements).0 {
            prop_assert!(field_equal(&kind, address, Some(value), Some(&value.clone()), &elements));
            prop_assert!(!field_equal(&kind, address, Some(value), None, &elements));
        }
    }
}
