//! The captured tables, and how each is written as text so that the journal's rows can be laid beside it.

use e2e::Cluster;
use std::collections::{BTreeMap, BTreeSet};

/// What is captured.
pub const NAMES: [&str; 4] = ["public.wide", "public.pair", "public.whole", "public.slow"];

/// A key of each kind that is read by ranges, one that is not, a row image of each kind, types exact and not.
pub const SQL: &str = "
CREATE TABLE wide (id bigint PRIMARY KEY, a int, b text, c numeric, d date, e timestamptz, f bytea, g boolean, h real, j jsonb,
  k int[], t time, z timestamp);
ALTER TABLE wide ALTER COLUMN b SET STORAGE EXTERNAL, ALTER COLUMN f SET STORAGE EXTERNAL;
CREATE TABLE pair (id int, k2 text COLLATE \"C\", a int, b varchar(400), n smallint, PRIMARY KEY (id, k2));
CREATE TABLE whole (key uuid PRIMARY KEY, id bigint, a int, b text);
ALTER TABLE whole REPLICA IDENTITY FULL;
ALTER TABLE whole ALTER COLUMN b SET STORAGE EXTERNAL;
CREATE TABLE slow (key varchar(60) PRIMARY KEY, id bigint, a int, b text);
ALTER TABLE slow ALTER COLUMN b SET STORAGE EXTERNAL;
";

/// The rows of a table: each as `column=text`, sorted.
pub type Lines = BTreeSet<String>;

/// The columns of a table as the database has them now, by name: their types' numbers.
pub type Columns = BTreeMap<String, String>;

/// The columns of each table.
pub fn columns(cluster: &Cluster) -> BTreeMap<String, Columns> {
    let of = |table: &str| {
        let rows = cluster.rows(&format!(
            "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        ));
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    };
    NAMES.iter().map(|table| ((*table).to_owned(), of(table))).collect()
}

/// What `SELECT *` says of a table with these columns.
pub fn selected(cluster: &Cluster, table: &str, columns: &Columns) -> Lines {
    let cells: Vec<String> = columns.iter().map(|(column, native)| expression(column, native)).collect();
    let rows = cluster.rows(&format!("SELECT {} FROM {table}", cells.join(", ")));
    let line = |row: Vec<String>| {
        let cells = columns.keys().zip(row).map(|(column, text)| format!("{column}={text}"));
        cells.collect::<Vec<_>>().join(" ")
    };
    rows.into_iter().map(line).collect()
}

/// A cell as text with a word for what it holds; what is exact is said in numbers, never in the server's own spelling.
fn expression(column: &str, native: &str) -> String {
    let text = match native {
        "16" => format!("'b:' || {column}::text"),
        "20" | "21" | "23" => format!("'i:' || {column}"),
        "1700" => format!("CASE WHEN {column} = 'NaN' THEN 'r:' ELSE 'n:' END || {column}"),
        "25" | "1042" | "1043" | "2950" | "3802" => format!(
            "'t:' || length({column}::text) || ' ' || left({column}::text, 40) || ' ' || right({column}::text, 8)"
        ),
        "17" => format!("'x:' || length({column}) || ' ' || encode(substr({column}, 1, 24), 'hex')"),
        "1082" => format!(
            "CASE WHEN isfinite({column}) THEN 'd:' || ({column} - date '1970-01-01') ELSE 'r:' || {column} END"
        ),
        "1083" => format!("'s:' || (extract(epoch FROM {column}) * 1000000)::bigint"),
        "1114" => format!("'w:' || (extract(epoch FROM {column}) * 1000000)::bigint"),
        "1184" => format!(
            "CASE WHEN isfinite({column}) THEN 'm:' || (extract(epoch FROM {column}) * 1000000)::bigint ELSE 'r:' || {column} END"
        ),
        _ => format!("'r:' || {column}::text"),
    };
    format!("coalesce({text}, 'null')")
}
