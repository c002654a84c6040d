//! The words of a script's inputs.

use flow::Act;
use lockstep_sim::MAP;
use lockstep_sim::names::Names;
use model::{Answer, Cell, ColumnType, ControlAct, Kind, RowChange, SourcePosition, Value};
use schemas::Plan;

/// `0/1A00:1` as (commit LSN, ordinal), `0/1A30` as an end.
pub fn position(text: &str) -> SourcePosition {
    let (lsn, ordinal) = text.split_once(':').map_or((text, None), |(lsn, ordinal)| (lsn, Some(ordinal)));
    let (high, low) = lsn.split_once('/').expect("HIGH/LOW");
    let part = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
    let mut bytes = (part(high) << 32 | part(low)).to_be_bytes().to_vec();
    bytes.extend(ordinal.map(|text| text.parse::<u32>().expect("an ordinal").to_be_bytes()).iter().flatten());
    SourcePosition::new(&bytes).expect("short")
}

/// `insert patient 7 {mrn sex=F}`: the columns named have a value of their type, the others are null.
pub fn change<'p>(text: &str, plans: &'p [Plan]) -> (&'p Plan, RowChange) {
    let (verb, rest) = text.split_once(' ').expect("VERB TABLE KEY");
    let (head, columns) =
        rest.split_once('{').map_or((rest, ""), |(head, columns)| (head, columns.trim_end_matches('}')));
    let mut head = head.split_whitespace();
    let table = format!("public.{}", head.next().expect("a table"));
    let key: i64 = head.next().and_then(|key| key.parse().ok()).expect("a key");
    let plan = plans.iter().find(|plan| plan.schema().table.as_str() == table).expect("a table of the clinic");
    let given: Vec<(&str, Option<&str>)> = columns
        .split_whitespace()
        .map(|word| word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value))))
        .collect();
    let values: Vec<Value> = plan
        .schema()
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| match given.iter().find(|(name, _)| *name == &*column.name) {
            _ if plan.schema().key.contains(&(at as u16)) => key_of(column.ty, key),
            Some((_, Some("?"))) => Value::Unchanged,
            Some((_, value)) => value_of(column.ty, *value, &column.name),
            None if verb == "delete" => Value::Unchanged,
            None if column.ty == ColumnType::Bool => Value::Bool(false),
            None => Value::Null,
        })
        .collect();
    let cells: Vec<Cell<'_>> = values.iter().map(Value::as_cell).collect();
    let row = plan.row(&cells).expect("typed");
    let change = match verb {
        "insert" => RowChange::Insert(row),
        "update" => RowChange::Update { before: None, after: row },
        "delete" => RowChange::Delete { before: row },
        other => panic!("no such change: {other}"),
    };
    (plan, change)
}

fn key_of(ty: ColumnType, key: i64) -> Value {
    if ty == ColumnType::Int { Value::Int(key) } else { Value::Text(key.to_string().into()) }
}

fn value_of(ty: ColumnType, text: Option<&str>, column: &str) -> Value {
    let common = match column {
        "sex" => "F",
        "kind" => "L",
        "status" => "F",
        "class" => "A",
        "loinc" => "8867-4",
        "unit" => "/min",
        _ => "x",
    };
    match ty {
        ColumnType::Bool => Value::Bool(text != Some("false")),
        ColumnType::Int => Value::Int(text.and_then(|text| text.parse().ok()).unwrap_or(7)),
        ColumnType::Decimal => Value::Decimal(text.unwrap_or("72.0").into()),
        ColumnType::Date => Value::Date(7_000),
        ColumnType::Instant => Value::Instant(1_700_000_000_000_000),
        ColumnType::Bytes => Value::Bytes(Box::from(&b"x"[..])),
        _ => Value::Text(text.unwrap_or(common).into()),
    }
}

/// `activate clinic sex=gender`, `accept gap`, `release CAUSE`, `answer table:public.patient expand`, `review A recreate`.
pub fn act(text: &str, names: &mut Names) -> Act {
    let (verb, rest) = text.split_once(' ').expect("VERB REST");
    let answer = |word: &str| match word {
        "expand" => Answer::Expand,
        "read-again" => Answer::ReadAgain,
        "accept" => Answer::Accept,
        "recreate" => Answer::Recreate,
        "keep-deleted" => Answer::KeepDeleted,
        "rebind" => Answer::Rebind,
        "unbind" => Answer::Unbind,
        _ => Answer::Release,
    };
    match verb {
        "accept" => Act::Control(ControlAct::AcceptGap {
            source: "legacy".into(),
            passed: SourcePosition::default(),
            slot: None,
        }),
        "release" => Act::Control(ControlAct::Released { cause: rest.into() }),
        "answer" => {
            let (hold, word) = rest.split_once(' ').expect("HOLD ANSWER");
            Act::Control(ControlAct::Answered { hold: hold.into(), answer: answer(word), about: Default::default() })
        }
        "review" => {
            let (unit, word) = rest.split_once(' ').expect("UNIT ANSWER");
            Act::Review { unit: names.unit(unit.rsplit('/').next().unwrap_or(unit)), answer: answer(word) }
        }
        // `activate clinic sex=gender`: the map with `=sex` in the place of the first.
        "activate" => {
            let (_, change) = rest.split_once(' ').unwrap_or((rest, ""));
            let map = match change.split_once('=') {
                Some((from, to)) => MAP
                    .replace(&format!("={from} |"), &format!("={to} |"))
                    .replace(&format!("many: [{from}]"), &format!("many: [{to}]")),
                None => MAP.to_string(),
            };
            Act::Activate { kind: Kind::Map, name: "legacy".into(), bytes: map.into_bytes().into() }
        }
        other => panic!("no such act: {other}"),
    }
}
