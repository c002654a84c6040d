//! Entries, records and states.

use super::oracle::Oracle;
use crate::{
    ENTRY_AVSC, ENTRY_FINGERPRINT, RECORD_AVSC, RECORD_FINGERPRINT, Wire, WireError, codec::Names, decode_header,
    decode_journaled, decode_recorded, decode_state, encode, encode_journaled, encode_recorded, encode_state,
    fingerprint, state::state_avro, wire::NESTING_MAX,
};
use apache_avro::types::Value;
use model::{Entry, EntryId, Header, Json, Record, Term, Timestamp};
use proptest::prelude::*;
use std::sync::LazyLock;

static ENTRIES: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(ENTRY_AVSC));
static RECORDS: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(RECORD_AVSC));
static STATES: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(&state_avro()));

fn header(seq: u64) -> Header {
    Header { id: EntryId::new(1, seq), term: Term(3), appended_at: Timestamp(1_795_000_000_000_000) }
}

fn journaled(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_journaled(&header(9), entry, &mut bytes);
    bytes
}

/// The schema text with one named thing a line.
fn laid_out(avro: &str) -> String {
    let (mut depth, mut text) = (0usize, String::new());
    for (at, c) in avro.char_indices() {
        let in_a_list = text.ends_with(['[', ',']);
        if c == '{' && in_a_list && [r#"{"name":"#, r#"{"type":"record""#].iter().any(|s| avro[at..].starts_with(s)) {
            text.push('\n');
            text.push_str(&" ".repeat(depth));
        }
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        text.push(c);
    }
    text.push('\n');
    text
}

fn top<T: Wire>(name: &str, field: &str) -> String {
    let mut names = Names::default();
    let (header, body) = (Header::avro(&mut names), T::avro(&mut names));
    laid_out(&format!(
        r#"{{"type":"record","name":"{name}","namespace":"lockstep.v0","fields":[{{"name":"format","type":"int"}},{{"name":"header","type":{header}}},{{"name":"{field}","type":{body}}}]}}"#
    ))
}

#[test]
fn the_committed_schemas_are_the_codecs_own() {
    // UPDATE_SCHEMAS=1 writes them: that is a new revision of v0, which refuses every journal of the old one.
    let ours = [("entry", top::<Entry>("Journaled", "entry")), ("record", top::<Record>("Recorded", "record"))];
    for ((file, text), committed) in ours.iter().zip([ENTRY_AVSC, RECORD_AVSC]) {
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            let path = format!("{}/avro/{file}", env!("CARGO_MANIFEST_DIR"));
            let print = format!("{:#018x}\n", fingerprint::fingerprint(text.as_bytes()).0);
            std::fs::write(format!("{path}.avsc"), text).expect("the schema can be written");
            std::fs::write(format!("{path}.fingerprint"), print).expect("the fingerprint can be written");
        } else {
            assert!(text == committed, "avro/{file}.avsc is not what the codec writes: run with UPDATE_SCHEMAS=1");
        }
    }
}

#[test]
fn fingerprints_are_of_the_committed_schemas() {
    assert_eq!(fingerprint::fingerprint(ENTRY_AVSC.as_bytes()), ENTRY_FINGERPRINT);
    assert_eq!(fingerprint::fingerprint(RECORD_AVSC.as_bytes()), RECORD_FINGERPRINT);
}

#[test]
fn another_format_is_refused_in_words() {
    let mut bytes = journaled(&Entry::Clock);
    bytes[0] = 2;
    let error = decode_journaled(&bytes).expect_err("another format");
    assert_eq!(error, WireError::Format { found: 2 });
    assert!(error.to_string().contains("format v0"), "{error}");
    assert_eq!(decode_header(&bytes), Err(error));
    let error = fingerprint::require(ENTRY_FINGERPRINT, RECORD_FINGERPRINT).expect_err("another revision");
    assert!(error.to_string().contains("format v0"), "{error}");
}

#[test]
fn bytes_behind_an_entry_are_refused() {
    let mut bytes = journaled(&Entry::Clock);
    bytes.push(0);
    assert!(matches!(decode_journaled(&bytes), Err(WireError::Trailing { rest: 1, .. })));
}

#[test]
fn the_bytes_of_a_small_entry_are_these() {
    // format 0; writer 1, seq 9, term 3, appended_at; branch 10; "legacy", incarnation 2, three bytes of position.
    let entry = Entry::Heartbeat {
        source: "legacy".into(),
        incarnation: model::Incarnation(2),
        position: model::SourcePosition::new(&[0xa, 0xb, 0xc]).expect("short"),
    };
    let expected = b"\x00\x02\x12\x06\x80\xc0\xf9\x95\xe0\xa2\xb0\x06\x14\x0clegacy\x04\x06\x0a\x0b\x0c";
    assert_eq!(journaled(&entry), expected);
}

#[test]
fn fields_stand_under_their_own_names() {
    let (source, at) = (model::SystemId::from("legacy"), |n| model::SourcePosition::new(&[n]).expect("short"));
    let chunk = model::Chunk {
        source,
        incarnation: model::Incarnation(1),
        schema: model::Fingerprint(0x0102_0304_0506_0708),
        number: 7,
        key_from: None,
        key_to: Some(model::RowKey::from_bytes(b"k")),
        rows: vec![model::Row(Box::from(&b"row"[..]))],
        low: at(3),
        high: at(4),
    };
    let field = |value: &Value, name: &str| match value {
        Value::Record(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).expect("a field"),
        other => panic!("{other:?} is no record"),
    };
    let top = ENTRIES.read(&journaled(&Entry::Chunk(chunk)));
    let Value::Union(branch, inner) = field(&field(&top, "entry"), "is") else { panic!("no union") };
    assert_eq!(branch, 3);
    let chunk = field(&inner, "chunk");
    assert_eq!(field(&chunk, "low"), Value::Bytes(vec![3]));
    assert_eq!(field(&chunk, "high"), Value::Bytes(vec![4]));
    assert_eq!(field(&chunk, "schema"), Value::Fixed(8, vec![1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(field(&field(&field(&top, "header"), "id"), "seq"), Value::Long(9));
}

#[test]
fn a_tree_too_deep_for_the_stack_is_refused() {
    let deep = |levels: u16| {
        let tree = (0..levels).fold(Json::Null, |inner, _| Json::Array(vec![inner]));
        let mut bytes = Vec::new();
        encode(&tree, &mut bytes);
        bytes
    };
    assert!(crate::decode::<Json>(&deep(NESTING_MAX)).is_ok());
    assert!(crate::decode::<Json>(&deep(NESTING_MAX + 1)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn an_entry_is_what_the_oracle_says(seed: u64) {
        let value = ENTRIES.any(seed);
        let bytes = ENTRIES.write(&value);
        let entry = decode_journaled(&bytes).expect("the oracle's bytes are ours");
        let mut ours = Vec::new();
        encode_journaled(&entry.header, &entry.entry, &mut ours);
        prop_assert!(ours == bytes, "{:?}", entry);
        prop_assert_eq!(decode_header(&bytes), Ok(entry.header));
        prop_assert!(ENTRIES.read(&ours) == value);
    }

    #[test]
    fn a_record_is_what_the_oracle_says(seed: u64) {
        let value = RECORDS.any(seed);
        let bytes = RECORDS.write(&value);
        let record = decode_recorded(&bytes).expect("the oracle's bytes are ours");
        let mut ours = Vec::new();
        encode_recorded(&record.header, &record.record, &mut ours);
        prop_assert!(ours == bytes, "{:?}", record);
        prop_assert!(RECORDS.read(&ours) == value);
    }

    #[test]
    fn a_state_is_what_the_oracle_says(seed: u64) {
        let bytes = STATES.write(&STATES.any(seed));
        let state = decode_state(&bytes).expect("the oracle's bytes are ours");
        let mut ours = Vec::new();
        encode_state(&state, &mut ours);
        prop_assert_eq!(ours, bytes);
    }

    #[test]
    fn damaged_bytes_never_panic_and_cut_ones_are_refused(seed: u64, place: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = RECORDS.write(&RECORDS.any(seed));
        prop_assert!(decode_recorded(&bytes[..cut.index(bytes.len())]).is_err());
        let at = place.index(bytes.len());
        bytes[at] = byte;
        let _ = (decode_recorded(&bytes), decode_journaled(&bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>) {
        let _ = decode_state(&bytes);
        let _ = crate::decode::<Json>(&bytes);
        bytes.insert(0, 0);
        let _ = (decode_journaled(&bytes), decode_recorded(&bytes), decode_header(&bytes));
    }
}
