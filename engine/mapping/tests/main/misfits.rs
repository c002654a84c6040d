//! Expressions that do not fit their element: each with its reason and its remedy.

use crate::{
    fixture::{compile, zoo},
    functions::map_of,
};

/// Expressions that do not fit, over the zoo: element, expression, fault.
const MISFITS: &[(&str, &str, &str)] = &[
    (
        "valueDateTime",
        "=wall",
        "Basic.extension.valueDateTime is dateTime, the expression gives datetime; the database does not say in which zone; store it with a zone, or map its day with `| date()`",
    ),
    (
        "valueInstant",
        "=wall",
        "Basic.extension.valueInstant is instant, the expression gives datetime; the database does not say in which zone; store it with a zone, or map its day with `| date()`",
    ),
    (
        "valueDate",
        "=wall",
        "Basic.extension.valueDate is date, the expression gives datetime; map its day with `| date()`",
    ),
    (
        "valueDate",
        "=at",
        "Basic.extension.valueDate is date, the expression gives instant; the day of an instant hangs on a zone; map a date column",
    ),
    (
        "valueDate",
        "=at | date()",
        "`date` does not take instant here; the day of an instant hangs on a zone; map a date column",
    ),
    (
        "valueInstant",
        "=day",
        "Basic.extension.valueInstant is instant, the expression gives date; map a column of a fitting type",
    ),
    (
        "valueString",
        "=i",
        "Basic.extension.valueString is string, the expression gives int; turn it into text with `| text()`",
    ),
    (
        "valueString",
        "=r",
        "Basic.extension.valueString is string, the expression gives raw; turn it into text with `| text()`",
    ),
    (
        "valueString",
        "=y",
        "Basic.extension.valueString is string, the expression gives bytes; bytes fit base64Binary only",
    ),
    (
        "valueString",
        "=y | text()",
        "`text` does not take bytes here; bytes are no text; map them to a base64Binary element",
    ),
    (
        "valueString",
        "=day",
        "Basic.extension.valueString is string, the expression gives date; turn it into text with `| text()`",
    ),
    (
        "valueDecimal",
        "=r",
        "Basic.extension.valueDecimal is decimal, the expression gives raw; read it with `| decimal()`",
    ),
    (
        "valueBoolean",
        "=t",
        "Basic.extension.valueBoolean is boolean, the expression gives text; compare it: `x == 'Y'`",
    ),
    ("valueTime", "=t", "Basic.extension.valueTime is time, the expression gives text; map a column of a fitting type"),
    (
        "valueInteger",
        "=d",
        "Basic.extension.valueInteger is integer, the expression gives decimal; map a column of a fitting type",
    ),
    (
        "valueBase64Binary",
        "=t",
        "Basic.extension.valueBase64Binary is base64Binary, the expression gives text; map a column of a fitting type",
    ),
    (
        "valueUri",
        "=ref(zoo, id)",
        "Basic.extension.valueUri is uri, the expression gives reference; `ref` goes into the `reference` of a Reference: `{reference: \"=ref(..)\"}`",
    ),
    (
        "valueBoolean",
        "=t == i",
        "text is compared with int; give both sides one type: `text(x)`, `decimal(x)`, `date(x)`, or a literal of the column's type",
    ),
    (
        "valueBoolean",
        "=i == d",
        "int is compared with decimal; give both sides one type: `text(x)`, `decimal(x)`, `date(x)`, or a literal of the column's type",
    ),
    ("valueString", "=b ? t : i", "one branch is text, the other int; give both branches one type"),
    ("valueString", "=t ? 'a' : 'b'", "`?` takes bool, this is text; compare it: `x == 'Y'`, `x is null`"),
    ("valueString", "=first(t, i)", "`first` does not take int here; give values of one type; the first is text"),
    ("valueString", "=concat(t, i)", "`concat` does not take int here; turn it into text first: `text(x)`"),
    ("valueString", "=concat(t)", "`concat` got 1 arguments; write `concat(a, b..)`"),
    ("valueString", "=i | trim()", "`trim` does not take int here; turn it into text first: `text(x)`"),
    ("valueString", "=t | trim('x')", "`trim` got 2 arguments; write `trim(x)`"),
    ("valueString", "=t | part('', 1)", "the separator is no text literal; write it as `'^'`, at least one letter"),
    ("valueString", "=t | part('^', 0)", "which part is meant is no whole number; count from 1"),
    ("valueString", "=t | part('^')", "`part` got 2 arguments; write `part(x, '^', 2)`"),
    ("valueString", "=t | part('^', i)", "which part is meant is no whole number; count from 1"),
    ("valueString", "=i | part('^', 1)", "`part` does not take int; turn it into text first: `text(x)`"),
    ("valueString", "=d | code(k)", "`code` does not take decimal; look up text, int, bool or raw"),
    ("valueString", "=t | code('k')", "`code` wants the name of a code table; write `x | code(table)`, without quotes"),
    ("valueString", "=t | code()", "`code` got 1 arguments; write `x | code(table)`"),
    ("valueString", "=ref('zoo', id)", "`ref` wants an entity and its key; write `ref(patient, patient_id)`"),
    (
        "valueString",
        "=text(ref(zoo))",
        "the key of `zoo` has 1 columns, 0 were given; give them in the order of its `key`",
    ),
    ("valueString", "=trim", "public.zoo has no column `trim`; `trim` is a function: write `trim(x)`"),
    ("valueString", "=k", "public.zoo has no column `k`; `k` is a code table: write `x | code(k)`"),
    ("valueString", "=nope.t", "`nope` is no join of this entity; there is none to choose from"),
    (
        "valueString",
        "=9999999999999999999 | text()",
        "9999999999999999999 is larger than an int; write it as text, or as a decimal",
    ),
    ("valueCode", "=' x '", "Basic.extension.valueCode does not take ' x '; a code has no outer and no double blanks"),
    (
        "valueString",
        "=t + u",
        "`+` means nothing in an expression; there is no arithmetic in maps: a float would change a dose",
    ),
    ("valueString", "=", "the expression ends too early; write a column, a literal or a function"),
    (
        "valueReference",
        "=ref(zoo, id)",
        "Basic.extension.valueReference is Reference, which has elements; write its elements: `{display: .., identifier: .., reference: .., type: ..}`",
    ),
    (
        "valueDateTime",
        "2024-02-30",
        "`2024-02-30` is no dateTime, which Basic.extension.valueDateTime is; write YYYY-MM-DD",
    ),
    (
        "valueInstant",
        "2024-02-20",
        "`2024-02-20` is no instant, which Basic.extension.valueInstant is; a fixed value here is no one's fact; map a column",
    ),
    ("valueUri", "a b", "`a b` is no uri, which Basic.extension.valueUri is; a URI has no blanks"),
];

#[test]
fn every_misfit_of_an_expression_has_its_remedy() {
    let mut out = String::new();
    for (element, expression, said) in MISFITS {
        let text = map_of("k: {A: a, else: null}", element, expression);
        let faults = compile(&text, &zoo()).err().unwrap_or_default();
        let found: Vec<String> = faults.iter().map(|fault| format!("{}; {}", fault.reason, fault.remedy)).collect();
        if found != [*said] {
            out.push_str(&format!("{element} {expression:?}\n"));
            found.iter().for_each(|fault| out.push_str(&format!("      {fault}\n")));
        }
        assert!(faults.iter().all(|fault| fault.place.line == 14), "{expression}");
    }
    assert!(out.is_empty(), "{out}");
}
