//! What must be so before a source can be opened: every problem at once, each with its cure as SQL. Changes nothing.
//!
//! What needs a superuser or an owner (publication, grants, settings) is printed for them and never tried.

use crate::{
    catalog::{Shape, quoted},
    config::{Options, split},
    error::Error,
    session::{Sql, connect, identifier, literal},
    wire::Wire,
};
use model::TableName;
use ports::{Failure, Fault};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::SimpleQueryRow;

/// The oldest version that plain roles can write logical messages in.
pub(crate) const OLDEST: u32 = 140_000;

/// Every unmet prerequisite, also that the server cannot be reached or the login fails.
pub(crate) async fn all(options: &Options) -> Result<Vec<Fault>, Error> {
    let sql = match Sql::open(options).await {
        Ok(sql) => sql,
        Err(error) => return Ok(vec![error.into()]),
    };
    let mut problems: Vec<Fault> = problems(&sql, options).await?.into_iter().map(|problem| problem.fault).collect();
    // A login for replication can be refused where one for SQL is not.
    if problems.is_empty()
        && let Err(error) = replication_login(options).await
    {
        problems.push(error.into());
    }
    notes(&sql, options).await?;
    Ok(problems)
}

/// Tables that cannot be captured for now, each with the reason and its cure.
pub(crate) type Stopped = BTreeMap<TableName, Box<str>>;

/// What stands in a source's way.
pub(crate) struct Blocking {
    /// What stops all of it.
    pub(crate) everything: Option<Fault>,
    /// What stops a table alone: its changes are missed.
    pub(crate) tables: Stopped,
    /// What stops the reading of a table alone: its changes come by the log all the same.
    pub(crate) unreadable: Stopped,
}

/// All problems of a source that is about to be opened: those of tables that were captured so far (`known`) stop these
/// tables alone, every other one stops the source, and is told with all of them.
pub(crate) async fn blocking(sql: &Sql, options: &Options, known: &BTreeSet<TableName>) -> Result<Blocking, Error> {
    let found = problems(sql, options).await?;
    let (mut tables, mut unreadable) = (Stopped::new(), Stopped::new());
    let stops_all = |problem: &Problem| problem.of.is_empty() || !problem.of.iter().all(|table| known.contains(table));
    if found.iter().any(stops_all) {
        let join = |text: fn(&Fault) -> &String| {
            let texts: Vec<&str> = found.iter().map(|problem| text(&problem.fault).as_str()).collect();
            texts.join("; ")
        };
        let all = Fault::new(Failure::Misconfigured, join(|fault| &fault.what)).cure(join(|fault| &fault.cure));
        return Ok(Blocking { everything: Some(all), tables, unreadable });
    }
    for Problem { fault, of, reading } in found {
        let stopped = if reading { &mut unreadable } else { &mut tables };
        of.into_iter().for_each(|table| tell(stopped, table, &fault.to_string()));
    }
    Ok(Blocking { everything: None, tables, unreadable })
}

/// Notes one more reason.
pub(crate) fn tell(stopped: &mut Stopped, table: TableName, why: &str) {
    let what = stopped.entry(table).or_default();
    let before = if what.is_empty() { String::new() } else { format!("{what}; ") };
    *what = format!("{before}{why}").into();
}

async fn replication_login(options: &Options) -> Result<(), Error> {
    Wire::open(connect(options).await?, options).await.map(drop)
}

async fn problems(sql: &Sql, options: &Options) -> Result<Vec<Problem>, Error> {
    let mut found = Problems(Vec::new());
    let version = server(sql, options, &mut found).await?;
    if version < OLDEST {
        return Ok(found.0);
    }
    let tables = tables(sql, options, &mut found).await?;
    publication(sql, options, version, &tables, &mut found).await?;
    Ok(found.0)
}

struct Problem {
    fault: Fault,
    /// The tables that it is about; none: it is about all of the source.
    of: Vec<TableName>,
    /// Whether it stands in the way of reading them alone, and not of their changes.
    reading: bool,
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, what: impl Into<String>, cure: impl Into<String>) {
        self.of(Vec::new(), what, cure);
    }

    /// One that concerns these tables alone.
    fn of(&mut self, of: Vec<TableName>, what: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Problem { fault: Fault::new(Failure::Misconfigured, what).cure(cure), of, reading: false });
    }

    /// One that hides the table's rows from the role; the log does not ask whether it may see them.
    fn hides(&mut self, table: &TableName, what: impl Into<String>, cure: impl Into<String>) {
        let fault = Fault::new(Failure::Misconfigured, what).cure(cure);
        self.0.push(Problem { fault, of: vec![table.clone()], reading: true });
    }
}

fn text(row: &SimpleQueryRow, at: usize) -> &str {
    row.get(at).unwrap_or_default()
}

/// The server's version, settings and free places, and the role's right to replicate.
async fn server(sql: &Sql, options: &Options, found: &mut Problems) -> Result<u32, Error> {
    let query = format!(
        "SELECT current_setting('server_version_num'), pg_is_in_recovery(), current_setting('wal_level'), \
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), \
         EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {name}), \
         (SELECT count(*) FROM pg_replication_slots) < current_setting('max_replication_slots')::int8, \
         EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {name} AND active) \
           OR (SELECT count(*) FROM pg_stat_replication) < current_setting('max_wal_senders')::int8, \
         pg_catalog.getdatabaseencoding(), current_setting('server_version')",
        name = literal(&options.name())
    );
    let rows = sql.rows("looking at the server", &query).await?;
    let Some(row) = rows.first() else { return Err(Error::Protocol("the server says nothing of itself".to_owned())) };
    let version = text(row, 0).parse().unwrap_or(0);
    if version < OLDEST {
        found.add(
            format!("PostgreSQL {} is too old: 14 is the oldest with logical messages", text(row, 8)),
            "upgrade the server",
        );
        return Ok(version);
    }
    if text(row, 1) == "t" {
        found.add("the server is a standby: it cannot write the marks of a first read", "point `url` at the primary");
    }
    if text(row, 2) != "logical" {
        found.add(
            format!("wal_level is {}, and changes need logical", text(row, 2)),
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
        );
    }
    let user = &options.address.user;
    if text(row, 3) != "t" {
        found
            .add(format!("the role {user} may not replicate"), format!("ALTER ROLE {} REPLICATION;", identifier(user)));
    }
    if text(row, 4) != "t" && text(row, 5) != "t" {
        found.add(
            "every replication slot is taken",
            "ALTER SYSTEM SET max_replication_slots = '20'; then restart the server (or drop a slot that nobody reads: \
             SELECT slot_name FROM pg_replication_slots WHERE NOT active;)",
        );
    }
    if text(row, 6) != "t" {
        found.add("every walsender is taken", "ALTER SYSTEM SET max_wal_senders = '20'; then restart the server");
    }
    if text(row, 7) == "SQL_ASCII" {
        found.add(
            "the database has no encoding (SQL_ASCII): nobody knows what its text says",
            "move it into a database WITH ENCODING 'UTF8'",
        );
    }
    Ok(version)
}

/// What the catalogue says of a configured table.
struct Found {
    table: TableName,
    partitioned: bool,
}

/// Tables that are missing, unreadable or unfit; those that exist.
async fn tables(sql: &Sql, options: &Options, found: &mut Problems) -> Result<Vec<Found>, Error> {
    let values: Vec<String> = options
        .tables
        .iter()
        .filter_map(split)
        .map(|(schema, name)| format!("({}, {})", literal(schema), literal(name)))
        .collect();
    let query = format!(
        "SELECT w.s || '.' || w.t, c.oid, c.relkind, c.relpersistence, c.relreplident, \
         has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid), \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), \
         EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident) \
         FROM (VALUES {}) w(s, t) LEFT JOIN pg_namespace n ON n.nspname = w.s \
         LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.t ORDER BY 1",
        values.join(", ")
    );
    let rows = sql.rows("looking at the tables", &query).await?;
    if !rows.is_empty() && rows.iter().all(|row| row.get(1).is_none()) {
        none_exists(options, found);
        return Ok(Vec::new());
    }
    let mut existing = Vec::new();
    for row in rows {
        let table = TableName::from(text(&row, 0));
        if row.get(1).is_none() {
            found.of(
                vec![table.clone()],
                format!("the table {table} does not exist"),
                format!("correct its name in `tables`, or create it: {table}"),
            );
            continue;
        }
        table_fits(&row, &table, options, found);
        if matches!(text(&row, 2), "r" | "p") {
            existing.push(Found { table, partitioned: text(&row, 2) == "p" });
        }
    }
    Ok(existing)
}

/// Not one of the configured tables: more often another database than all of them gone.
fn none_exists(options: &Options, found: &mut Problems) {
    let (tables, database) = (&options.tables, &options.address.database);
    let names = tables.iter().map(TableName::as_str).collect::<Vec<_>>().join(", ");
    let what = match tables.len() {
        1 => format!("the table {names} does not exist in the database {database}"),
        _ => format!("none of the tables exists in the database {database}: {names}"),
    };
    let cure = "is it the right one? Correct the database in `url` or the names in `tables`, or create them";
    found.of(tables.clone(), what, cure);
}

fn table_fits(row: &SimpleQueryRow, table: &TableName, options: &Options, found: &mut Problems) {
    let (name, role, of) = (quoted(table), identifier(&options.address.user), vec![table.clone()]);
    let schema = identifier(split(table).unwrap_or_default().0);
    match text(row, 2) {
        "r" | "p" => {}
        _ => {
            return found.of(
                of,
                format!("{table} is not a table: views and foreign tables have no log"),
                "name the tables behind it",
            );
        }
    }
    match text(row, 3) {
        "p" => {}
        "u" => found.of(
            of.clone(),
            format!("{table} is unlogged: its changes are in no log"),
            format!("ALTER TABLE {name} SET LOGGED;"),
        ),
        _ => found.of(of.clone(), format!("{table} is temporary"), "name a permanent table"),
    }
    if text(row, 5) != "t" {
        found.hides(
            table,
            format!("the role may not look into the schema of {table}"),
            format!("GRANT USAGE ON SCHEMA {schema} TO {role};"),
        );
    }
    if text(row, 6) != "t" {
        found.hides(table, format!("the role may not read {table}"), format!("GRANT SELECT ON {name} TO {role};"));
    }
    if text(row, 7) == "t" {
        found.hides(
            table,
            format!("row security hides rows of {table} from the role, and the log does not know of it"),
            format!("ALTER ROLE {role} BYPASSRLS;"),
        );
    }
    let (primary, chosen) = (text(row, 8) == "t", text(row, 9) == "t");
    match text(row, 4) {
        "n" => found.of(
            of,
            format!("{table} has REPLICA IDENTITY NOTHING: updates and deletes would not say which row"),
            format!("ALTER TABLE {name} REPLICA IDENTITY DEFAULT;"),
        ),
        "i" if chosen => {}
        _ if primary => {}
        // An append-only table without a key is refused too: nothing would fold its rows (J15).
        _ => found.of(
            of,
            format!("{table} has no primary key: its rows have no name"),
            format!("ALTER TABLE {name} ADD PRIMARY KEY (…); or ALTER TABLE {name} REPLICA IDENTITY USING INDEX …;"),
        ),
    }
}

/// The publication: the owner of the tables makes it, we print it.
async fn publication(
    sql: &Sql,
    options: &Options,
    version: u32,
    tables: &[Found],
    found: &mut Problems,
) -> Result<(), Error> {
    let name = options.name();
    let list = |tables: &[&Found]| tables.iter().map(|found| quoted(&found.table)).collect::<Vec<_>>().join(", ");
    let partitioned = tables.iter().any(|found| found.partitioned);
    // From 18 on it can publish stored generated columns: then stream and chunk would differ in shape.
    let generated = if version >= 180_000 { "pubgencols <> 'n'" } else { "false" };
    let query = format!(
        "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot, {generated} \
         FROM pg_publication WHERE pubname = {}",
        literal(&name)
    );
    let rows = sql.rows("looking at the publication", &query).await?;
    let Some(row) = rows.first() else {
        let with = if partitioned { " WITH (publish_via_partition_root = true)" } else { "" };
        let all: Vec<&Found> = tables.iter().collect();
        // It can only be made of tables that are there.
        let cure = match all.is_empty() {
            true => "make it once the tables are there: `lockstep check` then prints its SQL".to_owned(),
            false => format!("as owner of the tables: CREATE PUBLICATION {name} FOR TABLE {}{with};", list(&all)),
        };
        found.add(format!("the publication {name} does not exist"), cure);
        return Ok(());
    };
    if text(row, 0) != "t" {
        found.add(
            format!("the publication {name} leaves out some kinds of change"),
            format!("ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');"),
        );
    }
    if text(row, 2) == "t" {
        found.add(
            format!("the publication {name} publishes generated columns, and they are not captured"),
            format!("ALTER PUBLICATION {name} SET (publish_generated_columns = none);"),
        );
    }
    if partitioned && text(row, 1) != "t" {
        found.add(
            format!("the publication {name} names partitions instead of their table"),
            format!("ALTER PUBLICATION {name} SET (publish_via_partition_root = true);"),
        );
    }
    let query =
        format!("SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = {}", literal(&name));
    let rows = sql.rows("looking at the publication", &query).await?;
    let published: BTreeMap<&str, ()> = rows.iter().map(|row| (text(row, 0), ())).collect();
    let via_root = text(row, 1) == "t";
    let missing: Vec<&Found> = tables
        .iter()
        .filter(|found| !published.contains_key(found.table.as_str()) && (via_root || !found.partitioned))
        .collect();
    if !missing.is_empty() {
        found.of(
            missing.iter().map(|found| found.table.clone()).collect(),
            format!(
                "the publication {name} lacks {}",
                missing.iter().map(|found| found.table.as_str()).collect::<Vec<_>>().join(", ")
            ),
            format!("as owner of the tables: ALTER PUBLICATION {name} ADD TABLE {};", list(&missing)),
        );
    }
    if version >= 150_000 {
        narrowed(sql, options, found).await?;
    }
    Ok(())
}

/// Column lists and row filters: a row that leaves a filter would look deleted, a column outside a list unknown.
async fn narrowed(sql: &Sql, options: &Options, found: &mut Problems) -> Result<(), Error> {
    let name = options.name();
    let query = format!(
        "SELECT n.nspname || '.' || c.relname, r.prqual IS NOT NULL, r.prattrs IS NOT NULL \
         FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE p.pubname = {} AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL) ORDER BY 1",
        literal(&name)
    );
    for row in sql.rows("looking at the publication", &query).await? {
        let table = TableName::from(text(&row, 0));
        if options.tables.contains(&table) {
            let what = if text(&row, 1) == "t" { "filters rows" } else { "leaves out columns" };
            found.of(
                vec![table.clone()],
                format!("the publication {name} {what} of {table}"),
                format!(
                    "BEGIN; ALTER PUBLICATION {name} DROP TABLE {0}; ALTER PUBLICATION {name} ADD TABLE {0}; COMMIT;",
                    quoted(&table)
                ),
            );
        }
    }
    Ok(())
}

/// What is allowed and worth knowing.
async fn notes(sql: &Sql, options: &Options) -> Result<(), Error> {
    let query = "SELECT current_setting('max_slot_wal_keep_size')";
    for row in sql.rows("looking at the server", query).await? {
        let keep = text(&row, 0);
        if keep == "-1" {
            tracing::warn!(
                "max_slot_wal_keep_size is unlimited: while this source is stopped the server keeps all of its log; watch the disk"
            );
        } else {
            tracing::warn!(
                max_slot_wal_keep_size = keep,
                "a source that is stopped for longer than this much log becomes a gap"
            );
        }
    }
    for table in &options.tables {
        if let Some(Shape { ordered: false, estimate, .. }) = Shape::read(sql, table).await? {
            tracing::warn!(%table, rows_estimate = estimate, "the order of its key is not reproduced here: its first read is one chunk, held in memory whole");
        }
        let (schema, name) = split(table).unwrap_or_default();
        let query = format!(
            "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {} AND a.attgenerated <> '' AND NOT a.attisdropped",
            literal(schema),
            literal(name)
        );
        for row in sql.rows("looking at generated columns", &query).await? {
            tracing::warn!(%table, column = text(&row, 0), "a generated column is in no log and is not captured: compute it in the map");
        }
    }
    Ok(())
}
