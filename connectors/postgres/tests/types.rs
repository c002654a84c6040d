//! Each type by a real server: its text → cell → its text again, and the same bytes in stream, chunk and fence.

use crate::{
    capture::{Setup, equals_source},
    cluster::cluster,
};
use lockstep_postgres::values;
use model::{ColumnType, Entry, RowChange};
use schemas::Plan;

/// Type, what its cells are, and values as SQL literals; those behind `|` must be raw.
const TYPES: &[(&str, ColumnType, &[&str], &[&str])] = &[
    ("bool", ColumnType::Bool, &["true", "false"], &[]),
    ("int2", ColumnType::Int, &["-32768", "0", "32767"], &[]),
    ("int4", ColumnType::Int, &["-2147483648", "2147483647"], &[]),
    ("int8", ColumnType::Int, &["-9223372036854775808", "9223372036854775807"], &[]),
    ("oid", ColumnType::Int, &["0", "4294967295"], &[]),
    (
        "numeric",
        ColumnType::Decimal,
        &["0", "-1.50", "1e40", "0.000000000000000001", "1.00"],
        &["NaN", "Infinity", "-Infinity"],
    ),
    ("numeric(12,3)", ColumnType::Decimal, &["12.5", "-0.001"], &["NaN"]),
    ("text", ColumnType::Text, &["", "Łódź ✓", "a\\b", "it''s", "\u{1f600}"], &[]),
    ("varchar(20)", ColumnType::Text, &["x ", "NULL"], &[]),
    ("char(6)", ColumnType::Text, &["ab"], &[]),
    ("\"char\"", ColumnType::Text, &["a"], &[]),
    ("name", ColumnType::Text, &["public"], &[]),
    ("json", ColumnType::Text, &["{\"b\": 1,  \"a\": [1e400, \"\\u00e9\"]}"], &[]),
    ("jsonb", ColumnType::Text, &["{\"b\": 1,  \"a\": [1.10, null]}"], &[]),
    ("uuid", ColumnType::Text, &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], &[]),
    ("bytea", ColumnType::Bytes, &["", "\\x00ff7f", "\\\\001abc"], &[]),
    (
        "date",
        ColumnType::Date,
        &["0001-01-01", "1582-10-10", "1969-12-31", "2024-02-29", "9999-12-31"],
        &["infinity", "-infinity", "0044-03-15 BC", "12024-01-01"],
    ),
    ("time", ColumnType::Time, &["00:00", "23:59:59.999999", "12:00:00.5"], &["24:00:00"]),
    (
        "timestamp",
        ColumnType::DateTime,
        &["1969-12-31 23:59:59.999999", "9999-12-31 23:59:59", "0001-01-01"],
        &["infinity", "-infinity", "0001-01-01 BC", "290000-01-01"],
    ),
    (
        "timestamptz",
        ColumnType::Instant,
        &["2024-03-31 02:30:00 Europe/Berlin", "1883-11-18 12:00:00-05", "0001-01-01 00:00:00+00"],
        &["infinity", "-infinity", "4713-01-01 00:00:00+00 BC"],
    ),
    ("float4", ColumnType::Raw, &[], &["1.1", "NaN", "-0", "1e-45", "Infinity"]),
    ("float8", ColumnType::Raw, &[], &["0.1", "1e308", "5e-324", "-Infinity"]),
    ("timetz", ColumnType::Raw, &[], &["12:00:00+05:30"]),
    ("interval", ColumnType::Raw, &[], &["1 year 2 months -3 days 04:05:06.7"]),
    ("money", ColumnType::Raw, &[], &["1234.5"]),
    ("inet", ColumnType::Raw, &[], &["10.0.0.1/8"]),
    ("bit(5)", ColumnType::Raw, &[], &["10110"]),
    ("varbit", ColumnType::Raw, &[], &["101"]),
    ("xml", ColumnType::Raw, &[], &["<a>é</a>"]),
    ("int4[]", ColumnType::Raw, &[], &["{1,NULL,3}"]),
    ("text[]", ColumnType::Raw, &[], &["{\"a,b\",\"\",NULL}"]),
    ("tstzrange", ColumnType::Raw, &[], &["[2024-01-01 00:00+00,2024-06-01 00:00+02)", "empty"]),
    ("point", ColumnType::Raw, &[], &["(0.1,-2)"]),
    ("tsvector", ColumnType::Raw, &[], &["a:1 b:2"]),
    ("regclass", ColumnType::Raw, &[], &["pg_class"]),
    ("mood", ColumnType::Raw, &[], &["sad"]),
    ("positive", ColumnType::Raw, &[], &["7"]),
    ("pair", ColumnType::Raw, &[], &["(1,\"x y\")"]),
];

#[tokio::test]
async fn every_type_is_exact_or_the_servers_own_text() {
    let Some(cluster) = cluster() else { return };
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(at, (ty, ..))| format!("c{at} {ty}")).collect();
    let setup = Setup::new(
        cluster,
        &format!(
            "CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN positive AS int4 CHECK (VALUE > 0); CREATE TYPE pair AS (n int4, t text);
             CREATE TABLE t (id int8 PRIMARY KEY, {})",
            columns.join(", ")
        ),
    )
    .await;
    // The database's own defaults must not matter.
    for setting in [
        "DateStyle = 'SQL, DMY'",
        "TimeZone = 'Asia/Kathmandu'",
        "bytea_output = 'escape'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = '-3'",
    ] {
        setup.run(&format!("ALTER DATABASE {} SET {setting}", setup.name)).await;
    }
    let mut expected = Vec::new();
    for (at, (ty, _, exact, raw)) in TYPES.iter().enumerate() {
        let both = exact.iter().map(|value| (value, false)).chain(raw.iter().map(|value| (value, true)));
        for (value, is_raw) in both {
            let id = expected.len() as i64;
            setup
                .run(&format!("INSERT INTO t (id, c{at}) VALUES ({id}, E'{}'::{ty})", value.replace('\\', "\\\\")))
                .await;
            expected.push((at, is_raw));
        }
    }
    let mut capture = setup.capture(&["public.t"]);
    capture.open().await;
    capture.until_ready().await;
    // Once more by the stream: the same rows, now as changes.
    setup.run("UPDATE t SET id = id + 1000").await;
    capture.until_rows(expected.len()).await;
    let (mut plan, mut chunked, mut streamed) = (None, Vec::new(), Vec::new());
    for entry in &capture.journal {
        match entry {
            Entry::Schema { schema, .. } => plan = Some(Plan::new(schema)),
            Entry::Chunk(chunk) => chunked.extend(chunk.rows.clone()),
            Entry::Row(row) => match &row.change {
                RowChange::Update { after, .. } => streamed.push(after.clone()),
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }
    let plan = plan.unwrap();
    for (at, (ty, column, ..)) in TYPES.iter().enumerate() {
        assert_eq!(plan.schema().columns[at + 1].ty, *column, "{ty}");
    }
    let server = cluster.sql(&setup.name).await;
    server
        .batch_execute("SET DateStyle = ISO; SET TimeZone = UTC; SET IntervalStyle = iso_8601; SET extra_float_digits = 3; SET bytea_output = hex; SET search_path = pg_catalog; SET lc_monetary = 'C'")
        .await
        .unwrap();
    for (id, (at, is_raw)) in expected.iter().enumerate() {
        let ty = TYPES[*at].0;
        let cells = (plan.cells(&chunked[id]).unwrap(), plan.cells(&streamed[id]).unwrap());
        assert_eq!(cells.0[1..], cells.1[1..], "{ty}: chunk and stream agree");
        let value = cells.0[at + 1].to_value();
        assert_eq!(matches!(value, model::Value::Raw(_)), *is_raw, "{ty}, row {id}: {value:?}");
        let messages =
            server.simple_query(&format!("SELECT c{at} FROM public.t WHERE id = {}", id + 1000)).await.unwrap();
        let row = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        assert_eq!(values::text(&value).as_deref(), row.unwrap().get(0), "{ty}, row {id}");
    }
    equals_source(&mut capture).await;
}
