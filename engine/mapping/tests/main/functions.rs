//! Every function over null, odd and good values, seen through an element that shows its result.

use crate::fixture::{Shadow, compile, key, shown, zoo};
use lockstep_mapping::Mapped;
use model::{Cell, Content};

/// A map whose one element shows `expression` in an element of this type.
pub fn map_of(codes: &str, element: &str, expression: &str) -> String {
    let quoted = expression.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "map: zoo\nversion: 1\nowner: o\nclinical: false\ncodes: {{{codes}}}\nentities:\n  zoo:\n    resource: Basic\n    \
         root: {{table: public.zoo, key: [id], key_version: 1}}\n    delete_means: {{row: removed}}\n    \
         security: {{unlabelled: made up}}\n    to:\n      code: {{text: fixed}}\n      \
         extension: [{{url: \"https://x.example\", {element}: \"{quoted}\"}}]\n"
    )
}

fn row() -> Vec<Cell<'static>> {
    vec![
        Cell::Int(1),
        Cell::Bool(true),
        Cell::Int(42),
        Cell::Decimal("1.50"),
        Cell::Text(" Größe^B "),
        Cell::Text("X"),
        Cell::Bytes(b"foo"),
        Cell::Date(0),
        Cell::Time(1),
        Cell::DateTime(86_399_000_000),
        Cell::Instant(0),
        Cell::Raw("2.50"),
    ]
}

fn nulls() -> Vec<Cell<'static>> {
    let mut cells = vec![Cell::Null; 12];
    cells[0] = Cell::Int(1);
    cells
}

/// What the element holds; `-` for nothing.
fn eval_over(cells: &[Cell<'_>], codes: &str, element: &str, expression: &str) -> String {
    let map = compile(&map_of(codes, element, expression), &zoo());
    let map = map.unwrap_or_else(|faults| panic!("{expression}: {}", faults[0]));
    let mut shadow = Shadow::of(zoo());
    shadow.put("public.zoo", cells);
    let mapped = shadow.map(&map, "zoo", &key(1));
    match &mapped {
        Mapped::Candidate(candidate) if matches!(candidate.content, Content::Present(_)) => {
            let text = shown(&mapped);
            let marker = format!("\"{element}\":");
            text.split_once(&marker).map_or("-".to_owned(), |(_, rest)| {
                rest.trim_end_matches("]}").strip_suffix('}').unwrap_or(rest).to_owned()
            })
        }
        other => shown(other).replace("unmappable: Basic.extension.", "! "),
    }
}

fn eval(element: &str, expression: &str) -> String {
    eval_over(&row(), "", element, expression)
}

fn null(element: &str, expression: &str) -> String {
    eval_over(&nulls(), "k: {A: a, else: park}", element, expression)
}

#[test]
fn texts() {
    assert_eq!(eval("valueString", "=t | trim()"), r#""Größe^B""#);
    assert_eq!(eval("valueString", "=t | trim() | upper()"), r#""GRÖSSE^B""#);
    assert_eq!(eval("valueString", "=lower(t) | trim()"), r#""größe^b""#);
    assert_eq!(eval("valueString", "=concat(u, '-', u)"), r#""X-X""#);
    assert_eq!(eval("valueString", "=t | part('^', 1) | trim()"), r#""Größe""#);
    assert_eq!(eval("valueString", "=t | trim() | part('^', 2)"), r#""B""#);
    assert_eq!(eval("valueString", "=t | part('^', 3)"), "-");
    assert_eq!(eval("valueString", "=''"), "-", "FHIR has no empty text");
    assert_eq!(eval("valueString", "='it''s'"), r#""it's""#);
    assert_eq!(eval("valueString", "==x"), r#""=x""#);
}

#[test]
fn text_of_every_type_is_exact() {
    for (column, text) in [
        ("b", "true"),
        ("i", "42"),
        ("d", "1.50"),
        ("u", "X"),
        ("day", "1970-01-01"),
        ("clock", "00:00:00.000001"),
        ("wall", "1970-01-01T23:59:59"),
        ("at", "1970-01-01T00:00:00Z"),
        ("r", "2.50"),
    ] {
        assert_eq!(eval("valueString", &format!("={column} | text()")), format!("\"{text}\""), "{column}");
    }
}

#[test]
fn numbers_and_days_are_read_or_the_unit_parks() {
    assert_eq!(eval("valueDecimal", "=r | decimal()"), "2.50");
    assert_eq!(eval("valueDecimal", "=i"), "42");
    assert_eq!(eval("valueDecimal", "=i | decimal()"), "42");
    assert_eq!(eval("valueDecimal", "='1e400' | decimal()"), "1e400");
    assert_eq!(eval("valueDecimal", "=u | decimal()"), "! valueDecimal: the text is no decimal");
    assert_eq!(eval("valueDate", "='2024-02-29' | date()"), r#""2024-02-29""#);
    assert_eq!(eval("valueDate", "=wall | date()"), r#""1970-01-01""#);
    assert_eq!(eval("valueDate", "=day | date()"), r#""1970-01-01""#);
    assert_eq!(eval("valueDate", "=u | date()"), "! valueDate: the text is no date of the form YYYY-MM-DD");
    assert_eq!(eval("valueDateTime", "=at"), r#""1970-01-01T00:00:00Z""#);
    assert_eq!(eval("valueDateTime", "=day"), r#""1970-01-01""#);
    assert_eq!(eval("valueTime", "=clock"), r#""00:00:00.000001""#);
    assert_eq!(eval("valueBase64Binary", "=y"), r#""Zm9v""#);
    assert_eq!(eval("valueInteger", "=i"), "42");
    let over = |place: usize, cell, element, expression| {
        let mut cells = row();
        cells[place] = cell;
        eval_over(&cells, "", element, expression)
    };
    assert!(over(2, Cell::Int(i64::MAX), "valueInteger", "=i").contains("outside the range"));
    assert!(over(7, Cell::Date(i32::MAX), "valueDate", "=day").contains("the year is outside"));
    assert!(over(10, Cell::Instant(i64::MIN), "valueInstant", "=at").contains("the year is outside"));
    assert!(over(3, Cell::Decimal(".5"), "valueDecimal", "=d").contains("not a decimal that JSON can write"));
    assert!(over(8, Cell::Time(-1), "valueTime", "=clock").contains("the time is outside"));
}

#[test]
fn codes_are_looked_up_closed() {
    let codes = "k: {X: x, 42: n, true: yes, Z: null, P: park, \"else\": e, else: null}, p: {A: a, else: park}";
    let eval = |expression: &str| eval_over(&row(), codes, "valueCode", expression);
    assert_eq!(eval("=u | code(k)"), r#""x""#);
    assert_eq!(eval("=i | code(k)"), r#""n""#);
    assert_eq!(eval("=b | code(k)"), r#""yes""#);
    assert_eq!(eval("='Z' | code(k)"), "-");
    assert_eq!(eval("='else' | code(k)"), r#""e""#, "a quoted else is a code");
    assert_eq!(eval("='other' | code(k)"), "-");
    assert!(eval("='P' | code(k)").contains("code table k does not know the code"));
    assert!(eval("=u | code(p)").contains("code table p does not know the code"));
}

#[test]
fn choices_and_comparisons() {
    let truth = |expression: &str| eval("valueBoolean", expression);
    assert_eq!(truth("=u == 'X' and b"), "true");
    assert_eq!(truth("=u != 'X' or not b"), "false");
    assert_eq!(truth("=d == 1.5"), "true", "decimals compare by value");
    assert_eq!(truth("=d == 1.51"), "false");
    assert_eq!(truth("='100' | decimal() == ('1e2' | decimal())"), "true");
    assert_eq!(truth("='-0.0' | decimal() == ('0' | decimal())"), "true");
    assert_eq!(truth("=u is null"), "false");
    assert_eq!(truth("=u is not null"), "true");
    assert_eq!(eval("valueString", "=b ? u : null"), r#""X""#);
    assert_eq!(eval("valueString", "=not b ? u : null"), "-");
    assert_eq!(eval("valueString", "=first(null, u, t)"), r#""X""#);
}

#[test]
fn null_in_null_out_except_where_said() {
    for expression in [
        "=t | trim()",
        "=t | lower()",
        "=t | upper()",
        "=concat('a', t)",
        "=i | text()",
        "=t | part('^', 1)",
        "=t | code(k)",
        "=first(t, u)",
        "=b ? 'a' : 'b'",
        "=(b and true) ? 'a' : 'b'",
        "=(b or true) ? 'a' : 'b'",
        "=(not b) ? 'a' : 'b'",
        "=null",
    ] {
        assert_eq!(null("valueString", expression), "-", "{expression}");
    }
    assert_eq!(null("valueDecimal", "=r | decimal()"), "-");
    assert_eq!(null("valueDate", "=wall | date()"), "-");
    assert_eq!(null("valueBoolean", "=t == u"), "true");
    assert_eq!(null("valueBoolean", "=t == 'a'"), "false");
    assert_eq!(null("valueBoolean", "=t != 'a'"), "true");
    assert_eq!(null("valueBoolean", "=t is null"), "true");
    assert_eq!(null("valueString", "=first(t, 'z')"), r#""z""#);
}
