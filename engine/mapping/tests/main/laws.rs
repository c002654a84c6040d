//! Laws over random rows: total, deterministic, valid JSON, exact; nothing of a row in what people read.

use crate::fixture::{CLINIC, Shadow, clinic, compile, key, shown, zoo};
use lockstep_mapping::{Map, Mapped};
use model::{Cell, Content, Fields, Json, TableName, Value};
use proptest::prelude::*;
use schemas::r4::ElementTable;
use std::sync::LazyLock;

static MAP: LazyLock<Map> = LazyLock::new(|| compile(CLINIC, &clinic()).expect("a good map"));

/// Any cell that a column of this type may hold, odd ones and foreign kinds too.
fn cell(ty: model::ColumnType) -> BoxedStrategy<Value> {
    use model::ColumnType as C;
    let own = match ty {
        C::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        C::Int => (0i64..4).prop_map(Value::Int).boxed(),
        C::Decimal => "-?[0-9]{1,40}(\\.[0-9]{1,20})?".prop_map(|text| Value::Decimal(text.into())).boxed(),
        C::Text => prop_oneof![
            "[MFULBAIEPXC]",
            any::<String>(),
            "[ \\t\u{a0}]{0,3}",
            Just("a\u{301}\u{1F600}\"\\/\u{7}".to_owned())
        ]
        .prop_map(|text| Value::Text(text.into()))
        .boxed(),
        C::Bytes => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        C::Date => any::<i32>().prop_map(Value::Date).boxed(),
        C::Time => any::<i64>().prop_map(Value::Time).boxed(),
        C::DateTime => any::<i64>().prop_map(Value::DateTime).boxed(),
        C::Instant => prop_oneof![any::<i64>(), -62_135_596_800_000_000i64..253_402_300_800_000_000]
            .prop_map(Value::Instant)
            .boxed(),
        C::Raw => any::<String>().prop_map(|text| Value::Raw(text.into())).boxed(),
    };
    prop_oneof![12 => own, 2 => Just(Value::Null), 1 => Just(Value::Unchanged), 1 => ".{0,6}".prop_map(|text| Value::Raw(text.into()))]
        .boxed()
}

/// A row of a table with this key.
fn row(table: &'static str, id: i64) -> impl Strategy<Value = Vec<Value>> {
    let tables = [clinic(), zoo()].into_iter().flatten().collect::<std::collections::BTreeMap<_, _>>();
    let columns = tables[&TableName::from(table)].columns[1..].iter().map(|column| cell(column.ty)).collect::<Vec<_>>();
    columns.prop_map(move |mut cells| {
        cells.insert(0, Value::Int(id));
        cells
    })
}

fn put(shadow: &mut Shadow, table: &str, cells: &[Value]) {
    let cells: Vec<Cell<'_>> = cells.iter().map(Value::as_cell).collect();
    shadow.put(table, &cells);
}

/// No null, no empty text, list or object anywhere.
fn says_something(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty() && items.iter().all(says_something),
        Json::Object(members) => !members.is_empty() && members.iter().all(|(_, value)| says_something(value)),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

fn checked(shadow: &Shadow, map: &Map, entity: &str, id: i64) -> Result<(), TestCaseError> {
    let mapped = shadow.map(map, entity, &key(id));
    prop_assert_eq!(&mapped, &shadow.map(map, entity, &key(id)), "equal rows, equal candidates");
    if let Mapped::Candidate(candidate) = &mapped
        && let Content::Present(fields) = &candidate.content
    {
        let whole = fields.to_resource(&candidate.unit.resource_type, "x");
        prop_assert_eq!(&Fields::from_resource(&whole, ElementTable::r4()), fields, "the fields of its own resource");
        let compiled = &map.entities()[map.entity(&candidate.entity).expect("an entity")];
        prop_assert!(fields.0.keys().all(|address| compiled.owns(address)), "a map owns what it says");
        let text = shown(&mapped);
        let json = Json::parse(text.as_bytes());
        prop_assert!(json.is_ok(), "valid JSON");
        prop_assert!(json.as_ref().is_ok_and(says_something), "nothing empty is left");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_clinics_map_is_total(
        patient in row("public.patient", 1),
        first in row("public.patient_name", 1),
        second in row("public.patient_name", 2),
        address in row("public.patient_address", 1),
        encounter in row("public.encounter", 1),
        observation in row("public.observation", 1),
        bound in any::<[bool; 2]>(),
    ) {
        let mut shadow = Shadow::of(clinic());
        for (table, cells) in [
            ("public.patient", &patient),
            ("public.patient_name", &first),
            ("public.patient_name", &second),
            ("public.patient_address", &address),
            ("public.encounter", &encounter),
            ("public.observation", &observation),
        ] {
            put(&mut shadow, table, cells);
        }
        if bound[0] {
            shadow.bind("patient", "Patient", &key(1));
        }
        if bound[1] {
            shadow.bind("encounter", "Encounter", &key(1));
        }
        for entity in ["patient", "encounter", "observation"] {
            checked(&shadow, &MAP, entity, 1)?;
            checked(&shadow, &MAP, entity, 9)?;
        }
    }

    #[test]
    fn expressions_are_total(
        cells in row("public.zoo", 1),
        expression in prop::sample::select(EXPRESSIONS.to_vec()),
    ) {
        let (element, expression) = expression;
        let map = compile(&crate::functions::map_of("k: {A: a, else: null}, p: {A: a, else: park}", element, expression), &zoo());
        let map = map.expect("a good map");
        let mut shadow = Shadow::of(zoo());
        put(&mut shadow, "public.zoo", &cells);
        checked(&shadow, &map, "zoo", 1)?;
    }

    #[test]
    fn a_decimal_arrives_digit_for_digit(decimal in "-?(0|[1-9][0-9]{0,39})(\\.[0-9]{1,30})?") {
        let map = compile(&crate::functions::map_of("", "valueDecimal", "=d"), &zoo()).expect("a good map");
        let mut shadow = Shadow::of(zoo());
        let mut cells = vec![Cell::Null; 12];
        (cells[0], cells[3]) = (Cell::Int(1), Cell::Decimal(&decimal));
        shadow.put("public.zoo", &cells);
        let text = shown(&shadow.map(&map, "zoo", &key(1)));
        let wanted = format!("\"valueDecimal\":{decimal}}}");
        prop_assert!(text.contains(&wanted));
    }

    #[test]
    fn nothing_of_a_row_is_in_a_cause_or_in_debug(mut cells in row("public.observation", 1)) {
        let canary = "canary4711";
        for cell in &mut cells[1..] {
            if let Value::Text(text) | Value::Raw(text) = cell {
                *text = format!("{canary} {text}").into();
            }
        }
        let mut shadow = Shadow::of(clinic());
        put(&mut shadow, "public.observation", &cells);
        let mapped = shadow.map(&MAP, "observation", &key(1));
        let seen = match &mapped {
            Mapped::Unmappable { cause, .. } => cause.to_string(),
            _ => String::new(),
        };
        prop_assert!(!seen.contains(canary));
        let debug = format!("{mapped:?}");
        prop_assert!(!debug.contains(canary));
    }

    #[test]
    fn a_file_that_is_no_map_has_faults_and_never_panics(at in 0usize..3_000, cut in 0usize..40, put in "[\\[\\]{}:,\"'=|&*!#a-z \n-]{0,6}") {
        let mut chars: Vec<char> = CLINIC.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, put.chars());
        let text: String = chars.into_iter().collect();
        if let Err(faults) = compile(&text, &clinic()) {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| fault.place.line > 0 && fault.offset(&text) <= text.len()));
        }
    }
}

const EXPRESSIONS: &[(&str, &str)] = &[
    ("valueString", "=t | trim() | upper() | part('a', 2)"),
    ("valueString", "=concat(t, '-', u)"),
    ("valueString", "=first(t, u, 'x')"),
    ("valueString", "=at | text()"),
    ("valueString", "=wall | text()"),
    ("valueString", "=day | text()"),
    ("valueString", "=clock | text()"),
    ("valueString", "=r | text()"),
    ("valueCode", "=t"),
    ("valueId", "=u"),
    ("valueUri", "=t"),
    ("valueDecimal", "=t | decimal()"),
    ("valueDecimal", "=r | decimal()"),
    ("valueDecimal", "=d"),
    ("valueDate", "=t | date()"),
    ("valueDate", "=wall | date()"),
    ("valueDate", "=day"),
    ("valueInstant", "=at"),
    ("valueTime", "=clock"),
    ("valueBase64Binary", "=y"),
    ("valuePositiveInt", "=i"),
    ("valueInteger", "=i"),
    ("valueBoolean", "=d == 1.50 or t == u"),
    ("valueBoolean", "=b ? not b : i is null"),
    ("valueCode", "=t | code(k)"),
    ("valueCode", "=r | code(p)"),
];
