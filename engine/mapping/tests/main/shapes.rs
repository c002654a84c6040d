//! Shapes of maps that the clinic does not need: single joins, mixed lists, lists of labels, parts, compound choices.

use crate::fixture::{Shadow, compile, key, shown, zoo};
use lockstep_mapping::Map;
use model::Cell;

/// A map over the zoo and its side table; `lines` go below the entity.
fn map_of(lines: &str) -> Map {
    let head = "map: zoo\nversion: 1\nowner: o\nclinical: false\nentities:\n  zoo:\n    resource: Basic\n    \
                root: {table: public.zoo, key: [id], key_version: 2, part: a}\n    delete_means: {row: removed}\n";
    let text = format!("{head}{lines}");
    compile(&text, &zoo()).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn shadow(side: &[(i64, &str)]) -> Shadow {
    let mut shadow = Shadow::of(zoo());
    let mut cells = vec![Cell::Null; 12];
    (cells[0], cells[4]) = (Cell::Int(1), Cell::Text("root"));
    shadow.put("public.zoo", &cells);
    for (id, text) in side {
        shadow.put("public.side", &[Cell::Int(*id), Cell::Int(1), Cell::Text(text), Cell::Null]);
    }
    shadow
}

fn mapped(map: &Map, shadow: &Shadow) -> String {
    let text = shown(&shadow.map(map, "zoo", &key(1)));
    text.replace(r#""resourceType":"Basic","id":"00000000-0000-0000-0000-000000000000","#, "")
}

#[test]
fn a_single_join_has_one_row_or_none() {
    let map = map_of(
        "    joins: {s: {table: public.side, on: {zoo_id: id}, stale: allowed}}\n    security: {unlabelled: x}\n    \
         to: {code: {text: \"=first(s.t, t)\"}}\n",
    );
    assert!(!map.entities()[0].joins[0].remap && !map.entities()[0].joins[0].many);
    assert_eq!((map.entities()[0].key_version, map.entities()[0].part.as_deref()), (2, Some("a")));
    assert_eq!(mapped(&map, &shadow(&[])), r#"{"code":{"text":"root"}}"#);
    assert_eq!(mapped(&map, &shadow(&[(1, "side")])), r#"{"code":{"text":"side"}}"#);
    assert_eq!(
        mapped(&map, &shadow(&[(1, "side"), (2, "more")])),
        "unmappable: join s found 2 rows, and at most one was expected"
    );
}

#[test]
fn a_list_mixes_fixed_items_and_rows_and_drops_empty_ones() {
    let map = map_of(
        "    joins: {s: {table: public.side, on: {zoo_id: id}, many: [id], stale: remap}}\n    security: {unlabelled: x}\n    \
         to:\n      code: {text: fixed}\n      identifier:\n        - {system: \"https://a.example\", value: \"=t\"}\n        \
         - {$each: s, $item: {system: \"=s.t\", value: \"=s.t\", assigner: {display: \"=t\"}}}\n        \
         - {system: \"=u\", value: \"=u\"}\n",
    );
    let text = mapped(&map, &shadow(&[(2, "b"), (1, "")]));
    assert_eq!(
        text,
        concat!(
            r#"{"code":{"text":"fixed"},"identifier":[{"system":"https://a.example","value":"root"},"#,
            r#"{"assigner":{"display":"root"}},{"system":"b","value":"b","assigner":{"display":"root"}}]}"#
        )
    );
}

#[test]
fn labels_may_be_a_list_and_stand_beside_a_profile() {
    let map = map_of(
        "    security: [{system: \"https://labels.example\", code: \"=t\"}]\n    \
         to: {code: {text: fixed}, meta: {profile: [\"https://profile.example\"]}}\n",
    );
    assert_eq!(
        mapped(&map, &shadow(&[])),
        concat!(
            r#"{"code":{"text":"fixed"},"meta":{"profile":["https://profile.example"],"#,
            r#""security":[{"system":"https://labels.example","code":"root"}]}}"#
        )
    );
}

#[test]
fn a_label_without_its_code_parks() {
    let map =
        map_of("    security: [{system: \"https://labels.example\", code: \"=u\"}]\n    to: {code: {text: fixed}}\n");
    assert_eq!(mapped(&map, &shadow(&[])), "unmappable: Basic.meta.security.code: it has no value, and must");
}

#[test]
fn a_resource_of_which_nothing_is_left_parks() {
    let map = compile(
        "map: zoo\nversion: 1\nowner: o\nclinical: false\nentities:\n  zoo:\n    resource: Patient\n    \
         refuse: [active, deceased, link]\n    root: {table: public.zoo, key: [id], key_version: 1}\n    \
         delete_means: {row: removed}\n    security: {unlabelled: x}\n    to: {birthDate: \"=day\"}\n",
        &zoo(),
    );
    let map = map.unwrap_or_else(|faults| panic!("{}", faults[0]));
    assert!(mapped(&map, &shadow(&[])).starts_with("unmappable: nothing is left of the resource"));
}

#[test]
fn a_field_may_be_stale_only_where_its_element_reads_a_join_that_is_not_mapped_again() {
    let joins = "    joins:\n      s: {table: public.side, on: {zoo_id: id}, many: [id], stale: HOW}\n    \
                 security: {unlabelled: x}\n    to:\n      code: {text: \"=t\"}\n      created: 2020-01-01\n      \
                 identifier:\n        - {system: \"https://a.example\", value: \"=t\"}\n        - {$each: s, $item: {system: \"=s.t\", value: \"=s.t\"}}\n";
    let says = |how: &str| {
        let map = map_of(&joins.replace("HOW", how));
        let entity = &map.entities()[0];
        let fields = ["code.text", "created", "author", "identifier", "identifier[system=a].value"];
        let stale = fields.map(|field| entity.may_be_stale(&model::FieldAddress::new(field)));
        (entity.reads_stale(), stale)
    };
    assert_eq!(says("remap"), (false, [false; 5]));
    assert_eq!(says("allowed"), (true, [false, false, false, true, true]));
}
