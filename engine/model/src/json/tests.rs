//! The JSON reader and writer on well-formed, ugly and broken texts.

use super::*;
use alloc::{format, string::String};
use proptest::prelude::*;

pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?".prop_map(|text| Json::Number(text.into())),
        any::<String>().prop_map(|text| Json::String(text.into())),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Json::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect())),
        ]
    })
}

fn kind(text: &str) -> JsonErrorKind {
    Json::parse(text.as_bytes()).expect_err("refused").kind
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_json()) {
        prop_assert_eq!(Json::parse(&value.to_bytes()).expect("written by us"), value);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Json::parse(&bytes);
    }

    #[test]
    fn almost_json_never_panics(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\untrfals \u{e9}\u{1f600}]{0,40}") {
        let _ = Json::parse(text.as_bytes());
    }

    #[test]
    fn a_text_cut_short_is_refused(value in any_json(), cut in 0usize..100) {
        let bytes = Json::Array(alloc::vec![value]).to_bytes();
        prop_assert!(Json::parse(&bytes[..cut % bytes.len()]).is_err());
    }
}

#[test]
fn valid_texts_of_the_suite_are_read() {
    for text in [
        "[]",
        " [ ] ",
        "{}",
        "[[]]",
        "null",
        "true",
        "\"\"",
        "-0",
        "0e1",
        "1E+2",
        "1e-2",
        "[1,\t\n\r2]",
        "{\"\":0}",
        "[\"\\u0000\"]",
        "\"\\ud83d\\ude00\"",
        "\"\u{7f}\"",
        "{\"a\":{\"a\":1}}",
        "-1.5e10",
        "123456789012345678901234567890.10",
    ] {
        assert!(Json::parse(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn ugly_texts_are_refused_by_kind() {
    use JsonErrorKind::*;
    for (text, due) in [
        ("", Ended),
        (" ", Ended),
        ("[", Ended),
        ("[1", Ended),
        ("[1,", Ended),
        ("{\"a\"", Ended),
        ("{\"a\":", Ended),
        ("\"a", Ended),
        ("\"\\", Ended),
        ("\"\\u00", Ended),
        ("tru", Ended),
        ("[1,]", Unexpected),
        ("[,1]", Unexpected),
        ("{,}", Unexpected),
        ("{\"a\":1,}", Unexpected),
        ("{a:1}", Unexpected),
        ("{'a':1}", Unexpected),
        ("[1 2]", Unexpected),
        ("{\"a\" 1}", Unexpected),
        ("trux", Unexpected),
        ("True", Unexpected),
        ("NaN", Unexpected),
        ("\u{feff}{}", Unexpected),
        ("+1", Unexpected),
        (".5", Unexpected),
        ("[1] x", Trailing),
        ("{}}", Trailing),
        ("1 1", Trailing),
        ("/**/1", Unexpected),
        ("01", Number),
        ("-", Number),
        ("-01", Number),
        ("1.", Number),
        ("1.e1", Number),
        ("1e", Number),
        ("1e+", Number),
        ("1.2.3", Number),
        ("--1", Number),
        ("0x1", Trailing),
        ("\"\\x\"", Escape),
        ("\"\\u12g4\"", Escape),
        ("\"\\ud800\"", Escape),
        ("\"\\ud800x\"", Escape),
        ("\"\\ud800\\u0041\"", Escape),
        ("\"\\udc00\"", Escape),
        ("\"\\ud800\\\"", Escape),
        ("\"a\nb\"", Control),
        ("\"\u{0}\"", Control),
        ("{\"a\":1,\"a\":1}", Repeated),
        ("{\"a\":1,\"\\u0061\":2}", Repeated),
    ] {
        assert_eq!(kind(text), due, "{text:?}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused_where_they_stand() {
    let error = Json::parse(b"[\"ab\xff\"]").expect_err("refused");
    assert_eq!((error.kind, error.offset), (JsonErrorKind::Utf8, 4));
    assert!(Json::parse(b"\"\xed\xa0\x80\"").is_err());
    assert!(Json::parse(b"\"\xc0\x80\"").is_err());
}

#[test]
fn nesting_has_a_limit() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(nest(JSON_DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(kind(&nest(JSON_DEPTH_MAX + 1)), JsonErrorKind::Depth);
    assert_eq!(kind(&"[".repeat(1_000_000)), JsonErrorKind::Depth);
}

#[test]
fn a_repeat_in_a_large_object_is_found() {
    let members: Vec<String> = (0..500).map(|i| format!("\"m{}\":0", i % 499)).collect();
    assert_eq!(kind(&format!("{{{}}}", members.join(","))), JsonErrorKind::Repeated);
}

#[test]
fn numbers_stay_as_written() {
    for text in ["1.0", "1.00", "1E2", "-0.0", "100000000000000000000000.1"] {
        assert_eq!(Json::parse(text.as_bytes()).expect("valid"), Json::number(text).expect("valid"));
    }
    assert_eq!(Json::number("1."), None);
    assert_eq!(Json::number(" 1"), None);
    assert_eq!(Json::number(""), None);
}

#[test]
fn an_error_holds_no_content() {
    let error = Json::parse(b"{\"canary\": canary}").expect_err("refused");
    assert_eq!(format!("{error} {error:?}"), "unexpected byte at byte 11 JsonError { offset: 11, kind: Unexpected }");
}

#[test]
fn strings_are_escaped_no_more_than_needed() {
    assert_eq!(Json::text("a\"\\/\n\u{1}\u{7f}é").to_bytes(), "\"a\\\"\\\\/\\n\\u0001\u{7f}é\"".as_bytes());
}
