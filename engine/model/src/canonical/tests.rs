//! What the one canonical form calls equal, and what it does not.

use super::*;
use crate::{elements::double::Small, field::Fields};
use alloc::format;
use proptest::prelude::*;

fn equal(kind: &str, a: &str, b: &str) -> bool {
    let parse =
        |members: &str| Json::parse(format!(r#"{{"resourceType":"{kind}",{members}}}"#).as_bytes()).expect("valid");
    let (a, b, elements) = (parse(a), parse(b), Small::default());
    let equal = canonically_equal(&a, &b, &elements);
    assert_eq!(equal, canonically_equal(&b, &a, &elements));
    assert_eq!(equal, canonical_hash(&a, &elements) == canonical_hash(&b, &elements));
    equal
}

#[test]
fn what_servers_change_without_saying_anything_new_is_equal() {
    for (kind, a, b) in [
        ("Observation", r#""issued":"2026-01-01T01:00:00+01:00""#, r#""issued":"2026-01-01T00:00:00Z""#),
        (
            "Observation",
            r#""effectiveDateTime":"2025-12-31T19:00:00.50-05:00""#,
            r#""effectiveDateTime":"2026-01-01T00:00:00.50Z""#,
        ),
        ("Observation", r#""valueQuantity":{"value":1.0e-2}"#, r#""valueQuantity":{"value":0.010}"#),
        ("Observation", r#""valueQuantity":{"value":-0}"#, r#""valueQuantity":{"value":0}"#),
        (
            "Observation",
            r#""subject":{"reference":"Patient/1"}"#,
            r#""subject":{"reference":"https://h/r4/Patient/1/_history/3"}"#,
        ),
        ("Observation", r#""subject":{"reference":"Patient/1/_history/3"}"#, r#""subject":{"reference":"Patient/1"}"#),
        ("Patient", "\"gender\":\"e\u{301}\"", "\"gender\":\"\u{e9}\""),
        ("Patient", r#""gender":" a\n","birthDate":"\t1990-01-01""#, r#""gender":"a","birthDate":"1990-01-01""#),
        ("Patient", r#""extension":[{"url":"https://a "}]"#, r#""extension":[{"url":"https://a"}]"#),
        ("Patient", r#""meta":{"profile":[" https://a"]}"#, r#""meta":{"profile":["https://a"]}"#),
        ("Observation", r#""issued":" 2026-01-01T01:00:00+01:00""#, r#""issued":"2026-01-01T00:00:00Z ""#),
        (
            "Patient",
            r#""name":[{"use":"a","family":"x"},{"use":"b ","family":"c"}]"#,
            r#""name":[{"family":"c","use":"b"},{"use":" a","family":"x"}]"#,
        ),
        (
            "Patient",
            r#""name":[{"use":"a"},{"use":"b","family":"c"}]"#,
            r#""name":[{"family":"c","use":"b"},{"use":"a"}]"#,
        ),
        ("Patient", r#""extension":[{"url":"a"},{"url":"b"}]"#, r#""extension":[{"url":"b"},{"url":"a"}]"#),
        (
            "Patient",
            r#""meta":{"versionId":"1","tag":[{"code":"t"}]},"text":{"div":"x"},"contained":[{"id":"a"}]"#,
            r#""active":null"#,
        ),
        (
            "Patient",
            r#""meta":{"security":[{"code":"a"},{"code":"b"}]}"#,
            r#""meta":{"security":[{"code":"b"},{"code":"a"}]}"#,
        ),
        (
            "Patient",
            r#""name":[],"telecom":[{}],"birthDate":null,"identifier":[{"type":{"coding":[]}}]"#,
            r#""gender":null"#,
        ),
    ] {
        assert!(equal(kind, a, b), "{a} = {b}");
    }
}

#[test]
fn what_says_something_else_is_not_equal() {
    for (kind, a, b) in [
        ("Observation", r#""valueQuantity":{"value":1.0}"#, r#""valueQuantity":{"value":1.00}"#),
        ("Observation", r#""valueQuantity":{"value":1E2}"#, r#""valueQuantity":{"value":100}"#),
        ("Observation", r#""valueQuantity":{"value":0.0}"#, r#""valueQuantity":{"value":0.00}"#),
        ("Observation", r#""valueQuantity":{"value":5}"#, r#""valueQuantity":{"value":-5}"#),
        ("Observation", r#""valueQuantity":{"value":1e400000000000}"#, r#""valueQuantity":{"value":1e500000000000}"#),
        ("Observation", r#""valueString":"1""#, r#""valueQuantity":{"value":1}"#),
        ("Observation", r#""issued":"2026-01-01T00:00:00.0Z""#, r#""issued":"2026-01-01T00:00:00.00Z""#),
        ("Observation", r#""issued":"2026-01-01T00:00:00Z""#, r#""issued":"2026-01-01T00:00:00.0Z""#),
        ("Observation", r#""effectiveDateTime":"2026-01-01""#, r#""effectiveDateTime":"2026-01-01T00:00:00Z""#),
        ("Observation", r#""effectiveDateTime":"2026-01""#, r#""effectiveDateTime":"2026-01-01""#),
        ("Observation", r#""subject":{"reference":"Patient/1"}"#, r#""subject":{"reference":"Patient/2"}"#),
        ("Observation", r##""subject":{"reference":"#a"}"##, r#""subject":{"reference":"a"}"#),
        ("Observation", r#""subject":{"reference":"urn:uuid:a"}"#, r#""subject":{"reference":"urn:uuid:b"}"#),
        ("Observation", r#""note":[{"text":"a"},{"text":"b"}]"#, r#""note":[{"text":"b"},{"text":"a"}]"#),
        ("Patient", r#""name":[{"use":"a","given":["x","y"]}]"#, r#""name":[{"use":"a","given":["y","x"]}]"#),
        ("Patient", r#""name":[{"use":"a"},{"use":"a"}]"#, r#""name":[{"use":"a"}]"#),
        ("Patient", r#""name":[{"use":"a","given":["x",null,"y"]}]"#, r#""name":[{"use":"a","given":["x","y"]}]"#),
        ("Patient", r#""active":true"#, r#""active":"true""#),
        ("Patient", r#""gender":"a b""#, r#""gender":"a  b""#),
        ("Patient", "\"gender\":\"\u{a0}a\"", r#""gender":"a""#),
        ("Patient", r#""name":[{"use":"a","family":"b "}]"#, r#""name":[{"use":"a","family":"b"}]"#),
        ("Observation", r#""note":[{"text":" a"}]"#, r#""note":[{"text":"a"}]"#),
        ("Observation", r#""valueString":"a\n""#, r#""valueString":"a""#),
        ("Patient", r#""meta":{"security":[{"code":"a"}]}"#, r#""active":null"#),
        ("Patient", r#""birthDate":"1990-01-01""#, r#""birthDate":"1990-01-01","_birthDate":{"id":"a"}"#),
        ("Patient", r#""birthDate":"2026-01-01T01:00:00+01:00""#, r#""birthDate":"2026-01-01T00:00:00Z""#),
    ] {
        assert!(!equal(kind, a, b), "{a} = {b}");
    }
}

#[test]
fn what_is_equal_but_for_outer_space_has_the_same_addresses() {
    let fields = |text: &str| Fields::from_resource(&Json::parse(text.as_bytes()).expect("valid"), &Small::default()).0;
    let spaced = fields(
        r#"{"resourceType":"Patient","identifier":[{"system":" https://a","type":{"coding":[{"system":"s ","code":" c"}]}}],
            "name":[{"use":"official ","family":"f"}]}"#,
    );
    let plain = fields(
        r#"{"resourceType":"Patient","identifier":[{"system":"https://a","type":{"coding":[{"system":"s","code":"c"}]}}],
            "name":[{"use":"official","family":"f"}]}"#,
    );
    assert!(spaced.keys().eq(plain.keys()), "{:?} {:?}", spaced.keys(), plain.keys());
}

#[test]
fn references_are_reduced_only_where_they_name_a_resource() {
    let elements = Small::default();
    for (text, due) in [
        ("Patient/1", "Patient/1"),
        ("http://h/Patient/1", "Patient/1"),
        ("https://h:8080/a/b/Patient/1-2.3/_history/9", "Patient/1-2.3"),
        ("Patient/1#x", "Patient/1#x"),
        ("Patient?identifier=a/1", "Patient?identifier=a/1"),
        ("urn:uuid:6f8a", "urn:uuid:6f8a"),
        ("ftp://h/Patient/1", "ftp://h/Patient/1"),
        ("http://h/patient/1", "http://h/patient/1"),
        ("http://h/Unknown/1", "http://h/Unknown/1"),
        ("/Patient/1", "/Patient/1"),
        ("Patient/", "Patient/"),
        ("Patient", "Patient"),
        ("", ""),
    ] {
        assert_eq!(reduced(text, &elements), due);
    }
}

#[test]
fn another_resource_type_is_never_equal() {
    let resource = |kind: &str| Json::object([("resourceType", Json::text(kind))]);
    assert!(!canonically_equal(&resource("Patient"), &resource("Observation"), &Small::default()));
    assert!(!canonically_equal(&Json::Null, &Json::Null, &Small::default()));
}

fn shuffled(json: &Json, seed: u64) -> Json {
    match json {
        Json::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| (name.clone(), shuffled(value, seed.rotate_left(7)))).collect();
            members.sort_by_key(|(name, _)| Hash::of_parts(&[name.as_bytes(), &seed.to_be_bytes()]));
            Json::Object(members)
        }
        Json::Array(items) => Json::Array(items.iter().map(|item| shuffled(item, seed ^ 5)).collect()),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn order_of_members_takes_no_part(resource in crate::field::tests::any_resource(), seed: u64) {
        prop_assert!(canonically_equal(&resource, &shuffled(&resource, seed), &Small::default()));
    }

    #[test]
    fn equal_resources_have_equal_fields(resource in crate::field::tests::any_resource(), seed: u64) {
        let (elements, kind) = (Small::default(), ResourceType::from("Patient"));
        let fields = Fields::from_resource(&resource, &elements);
        let other = Fields::from_resource(&shuffled(&resource, seed), &elements);
        prop_assert!(fields.0.keys().eq(other.0.keys()));
        for (address, value) in &fields.0 {
            prop_assert!(field_equal(&kind, address, Some(value), other.get(address), &elements));
        }
    }

    #[test]
    fn the_canonical_text_is_its_own_canonical_text(text in "[ \t\na-b\u{301}\u{65}\u{1100}\u{1161}\u{2000}]{0,12}") {
        for ty in ["code", "uri", "instant", "string", "markdown", ""] {
            let once = self::text(&text, ty).into_owned();
            prop_assert_eq!(self::text(&once, ty), once.as_str());
        }
    }

    #[test]
    fn outer_space_takes_no_part_in_the_order_of_a_list(uses in proptest::collection::vec("[a-c]{1,2}", 1..6), seed: u64) {
        let names = |uses: &mut dyn Iterator<Item = alloc::string::String>| {
            let items = uses.map(|name| Json::object([("use", Json::text(&name))])).collect();
            Json::object([("resourceType", Json::text("Patient")), ("name", Json::Array(items))])
        };
        let plain = names(&mut uses.iter().cloned());
        let pad = |n: usize| if seed >> n & 1 == 1 { " " } else { "" };
        let padded = names(&mut uses.iter().enumerate().rev().map(|(n, text)| format!("{}{text}{}", pad(n), pad(n + 8))));
        prop_assert!(canonically_equal(&plain, &padded, &Small::default()));
    }

    #[test]
    fn anything_has_a_hash(json in crate::json::tests::any_json()) {
        let elements = Small::default();
        prop_assert_eq!(canonical_hash(&json, &elements), canonical_hash(&json.clone(), &elements));
    }
}
