//! What is published of each captured table: the log does not tell of a table that was out of it for a while.
//!
//! [`Published`] holds, per table, what any change of publishing would alter even if it were set back: numbers and
//! transactions of catalogue rows. It is read before the first read, written down beside the server's identity, compared
//! at each open and every few seconds while the stream runs. A table that differs is read again by marked chunks.
//! Invariants:
//! * A difference that is not certainly harmless reads the table again: too often is safe, too seldom is a silent loss.
//! * What stands in the journal is what a table's present reading began under, or differs from it harmlessly.
//! * Holds names of tables and numbers, never a row's value; asks the catalogue alone and waits for no table's lock.

use crate::{
    config::{Options, split},
    error::Error,
    prerequisites::{self, Stopped},
    session::{Sql, Task, literal},
};
use model::TableName;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Arc,
    time::Duration,
};
use tokio::sync::oneshot;

/// How often the catalogue is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A look that takes so long means that nobody answers.
pub(crate) const LOOK_MAX: Duration = Duration::from_secs(60);

/// Where a table's line says its name; it is the last word, because it may hold spaces.
const TABLE: &str = "table=";

/// What is published, a line a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Published(BTreeMap<TableName, String>);

impl Published {
    /// Asks the catalogue, in one statement: one view of it.
    pub(crate) async fn read(sql: &Sql, options: &Options) -> Result<Published, Error> {
        let version = sql.one("looking at the server", "SHOW server_version_num").await?.parse().unwrap_or(0);
        if version < prerequisites::OLDEST {
            // Refused a moment later, with its reason.
            return Ok(Published::default());
        }
        let rows = sql.rows("looking at what is published", &published_sql(options, version)).await?;
        let line = |row: &tokio_postgres::SimpleQueryRow| {
            let at = row.get(0)?.parse::<usize>().ok()?;
            let table = options.tables.get(at)?;
            Some((table.clone(), format!("{} {TABLE}{}", row.get(1)?, escaped(table))))
        };
        let lines: BTreeMap<TableName, String> = rows.iter().filter_map(line).collect();
        if lines.len() < options.tables.iter().collect::<BTreeSet<_>>().len() {
            return Err(Error::Protocol("the catalogue does not say what is published".to_owned()));
        }
        Ok(Published(lines))
    }

    /// From the lines behind the server's own, as they stand in the journal.
    pub(crate) fn recorded(identity: &str) -> Published {
        let line = |line: &str| {
            let (_, table) = line.split_once(TABLE)?;
            Some((TableName::from(unescaped(table).as_str()), line.to_owned()))
        };
        Published(identity.lines().skip(1).filter_map(line).collect())
    }

    /// As it stands in the journal, behind the server's own line.
    pub(crate) fn text(&self) -> String {
        self.0.values().map(|line| format!("\n{line}")).collect()
    }

    /// Tables whose rows may have changed unseen between `self` and `now`, with what happened to them.
    pub(crate) fn differs(&self, now: &Published) -> BTreeMap<TableName, String> {
        let what = |(table, is): (&TableName, &String)| {
            let what = match self.0.get(table) {
                Some(was) => difference(was, is)?,
                None => "nobody has watched its publication so far",
            };
            Some((table.clone(), what.to_owned()))
        };
        now.0.iter().filter_map(what).collect()
    }

    /// `now`, but for tables that differ harmlessly: of those the older line goes on, so that harmless steps cannot add up
    /// to a harmful one unseen.
    pub(crate) fn renewed(&self, now: &Published) -> Published {
        let line = |(table, is): (&TableName, &String)| {
            let line = self.0.get(table).filter(|was| difference(was, is).is_none()).unwrap_or(is);
            (table.clone(), line.clone())
        };
        Published(now.0.iter().map(line).collect())
    }
}

fn escaped(table: &TableName) -> String {
    table.as_str().replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescaped(text: &str) -> String {
    let (mut name, mut chars) = (String::new(), text.chars());
    while let Some(next) = chars.next() {
        match next {
            '\\' => name.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            other => name.push(other),
        }
    }
    name
}

/// What happened between two lines of a table; none if nothing did that the log would not tell.
fn difference(was: &str, is: &str) -> Option<&'static str> {
    let of = |line: &str, name: &str| -> String {
        line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("?").to_owned()
    };
    let both = |name: &str| (of(was, name), of(is, name));
    let changed = |name: &str| of(was, name) != of(is, name);
    if changed("oid") {
        return Some(match both("oid") {
            (_, is) if is == "0" => "it is gone",
            (was, _) if was == "0" => "it was created",
            _ => "it was dropped and created again under its name",
        });
    }
    if changed("pub") {
        let number = |publication: String| publication.split('.').next().map(str::to_owned);
        let (was, is) = both("pub");
        let same = number(was) == number(is);
        return Some(if same { "its publication was altered" } else { "its publication was dropped and made anew" });
    }
    if changed("in") {
        let out = of(is, "in") == "-";
        return Some(if out {
            "it was taken out of the publication"
        } else {
            "it was put into the publication, or how the publication has it was altered"
        });
    }
    if changed("kind") {
        return Some("its persistence or its replica identity changed");
    }
    if changed("key") {
        return Some("its key was changed or made anew");
    }
    if changed("parts") {
        return Some("a partition of it was attached, detached, truncated or rewritten");
    }
    // The file is replaced by VACUUM FULL too. Rows that say something else come with a changed column; rows that nobody
    // logged with an unlogged table, and a table that the publication names itself cannot be made so.
    let rewritten = changed("file");
    if rewritten && (changed("alter") || !of(is, "in").split(',').all(|member| member.starts_with('r'))) {
        return Some("its rows were rewritten");
    }
    columns_differ(&of(was, "cols"), &of(is, "cols"), rewritten)
        .then_some("columns were renamed, retyped, replaced or filled")
}

/// Whether rows that stand may say something else now. A column that is left out says nothing, a new one without a value
/// neither, unless both came together: it may bear the same name.
fn columns_differ(was: &str, is: &str, rewritten: bool) -> bool {
    let parse = |text: &str| -> BTreeMap<String, String> {
        let pair = |column: &str| column.split_once(':').map(|(number, tag)| (number.to_owned(), tag.to_owned()));
        text.split(',').filter_map(pair).collect()
    };
    let (was, is) = (parse(was), parse(is));
    let bare = |tag: &String| tag.trim_end_matches('!').to_owned();
    let same = |number: &String, tag: &String| was.get(number).is_none_or(|old| bare(old) == bare(tag));
    let removed = was.keys().any(|number| !is.contains_key(number));
    let added: Vec<&String> = is.iter().filter(|(number, _)| !was.contains_key(*number)).map(|(_, tag)| tag).collect();
    !is.iter().all(|(number, tag)| same(number, tag))
        || added.iter().any(|tag| tag.ends_with('!') || removed || rewritten)
}

/// One row a table: its place in the configuration, and its line without its name.
fn published_sql(options: &Options, version: u32) -> String {
    let name = literal(&options.name());
    let tables: Vec<String> = options
        .tables
        .iter()
        .enumerate()
        .filter_map(|(at, table)| {
            let (schema, name) = split(table)?;
            Some(format!("({at}, {}, {})", literal(schema), literal(name)))
        })
        .collect();
    let tables = tables.join(", ");
    // Before 15 there are no publications of whole schemas.
    let by_schema = if version >= 150_000 {
        "UNION ALL SELECT 'n' || s.oid || '.' || s.xmin FROM pg_publication_namespace s JOIN pub ON pub.oid = s.pnpubid \
         WHERE s.pnnspid IN (SELECT u.relnamespace FROM up JOIN pg_class u ON u.oid = up.rel WHERE up.place = w.place)"
    } else {
        ""
    };
    format!(
        "WITH RECURSIVE pub AS (SELECT oid, xmin::text AS xmin, puballtables FROM pg_publication WHERE pubname = {name}), \
         w AS (SELECT v.place, c.oid, c.relkind, c.relpersistence, c.relreplident, c.relfilenode \
           FROM (VALUES {tables}) v(place, s, t) LEFT JOIN pg_namespace n ON n.nspname = v.s \
           LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = v.t), \
         up(place, rel) AS (SELECT place, oid FROM w UNION ALL SELECT up.place, i.inhparent FROM up \
           JOIN pg_inherits i ON i.inhrelid = up.rel JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition), \
         down(place, rel, link) AS (SELECT place, oid, ''::text FROM w WHERE relkind = 'p' \
           UNION ALL SELECT down.place, i.inhrelid, i.xmin::text FROM down JOIN pg_inherits i ON i.inhparent = down.rel) \
         SELECT w.place, concat_ws(' ', 'oid=' || coalesce(w.oid, 0), \
         'pub=' || coalesce((SELECT oid || '.' || xmin FROM pub), '-'), \
         'in=' || CASE WHEN w.oid IS NULL THEN '-' ELSE coalesce((SELECT string_agg(m, ',' ORDER BY m) FROM ( \
           SELECT 'a' FROM pub WHERE puballtables \
           UNION ALL SELECT 'r' || r.oid || '.' || r.xmin FROM pg_publication_rel r JOIN pub ON pub.oid = r.prpubid \
             WHERE r.prrelid IN (SELECT up.rel FROM up WHERE up.place = w.place) {by_schema}) x(m)), '-') END, \
         'kind=' || coalesce(w.relkind::text || w.relpersistence::text || (w.relreplident = 'n')::text, '-'), \
         'key=' || coalesce((SELECT coalesce('c' || o.oid, 'i' || i.indexrelid) || ':' || i.indnkeyatts || ':' \
             || replace(i.indkey::text, ' ', ',') FROM pg_index i LEFT JOIN pg_constraint o \
             ON o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype IN ('p', 'u') \
           WHERE i.indrelid = w.oid AND CASE w.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END \
           ORDER BY 1 LIMIT 1), '-'), \
         'file=' || coalesce(w.relfilenode, 0), \
         'parts=' || coalesce((SELECT hashtextextended(string_agg(concat_ws('.', d.rel, d.link, c.relfilenode, \
             c.relpersistence), ',' ORDER BY d.rel) COLLATE \"C\", 0)::text FROM down d JOIN pg_class c ON c.oid = d.rel \
           WHERE d.place = w.place AND d.link <> ''), '-'), \
         (SELECT 'cols=' || coalesce(string_agg(a.attnum || ':' || to_hex(hashtext((a.attname || ' ' || a.atttypid) \
               COLLATE \"C\")) || a.attgenerated::text || CASE WHEN a.atthasmissing THEN '!' ELSE '' END, ',' ORDER BY a.attnum), '-') \
             || ' alter=' || coalesce(hashtextextended(string_agg(a.attnum || '.' || a.xmin, ',' ORDER BY a.attnum) \
               COLLATE \"C\", 0)::text, '-') \
           FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped)) \
         FROM w ORDER BY 1"
    )
}

/// Looks every few seconds, on a session of its own.
pub(crate) struct Watch {
    found: oneshot::Receiver<Error>,
    _task: Task,
}

impl Watch {
    /// Compares with `recorded`, and sees too when one of the `stopped` tables can be read again.
    pub(crate) fn start(sql: Sql, options: Arc<Options>, recorded: Published, stopped: Stopped) -> Watch {
        let (tell, found) = oneshot::channel();
        let task = tokio::spawn(async move {
            let error = loop {
                tokio::time::sleep(LOOK_EVERY).await;
                match tokio::time::timeout(LOOK_MAX, look(&sql, &options, &recorded, &stopped)).await {
                    Ok(Ok(None)) => {}
                    Ok(Ok(Some(error)) | Err(error)) => break error,
                    Err(_) => break Error::Silent(LOOK_MAX.as_secs()),
                }
            };
            // Nobody listens any more: the stream has ended.
            let _ = tell.send(error);
        });
        Watch { found, _task: Task(task) }
    }

    /// Waits for what ends the stream: a difference, or that nobody can look any more. Dropping the future loses nothing.
    pub(crate) async fn found(&mut self) -> Error {
        match (&mut self.found).await {
            Ok(error) => error,
            // It was told already.
            Err(_) => pending().await,
        }
    }
}

async fn look(sql: &Sql, options: &Options, recorded: &Published, stopped: &Stopped) -> Result<Option<Error>, Error> {
    let differs = recorded.differs(&Published::read(sql, options).await?);
    if !differs.is_empty() {
        return Ok(Some(Error::Republished { what: said(&differs), table: alone(differs.keys()) }));
    }
    if stopped.is_empty() {
        return Ok(None);
    }
    // What else is wrong by now is no news of these tables.
    let known = options.tables.iter().cloned().collect();
    let now = prerequisites::blocking(sql, options, &known).await?;
    let stands = |table: &&TableName| {
        now.everything.is_some() || now.tables.contains_key(*table) || now.unreadable.contains_key(*table)
    };
    let mended: Vec<&TableName> = stopped.keys().filter(|table| !stands(table)).collect();
    let names: Vec<&str> = mended.iter().map(|table| table.as_str()).collect();
    let what = || format!("{}: it can be captured again", names.join(", "));
    Ok((!mended.is_empty()).then(|| Error::Republished { what: what(), table: alone(mended.into_iter()) }))
}

/// The one table, if there is one.
fn alone<'t>(mut tables: impl Iterator<Item = &'t TableName>) -> Option<TableName> {
    tables.next().filter(|_| tables.next().is_none()).cloned()
}

/// In words, all of it.
pub(crate) fn said(differs: &BTreeMap<TableName, String>) -> String {
    let one = |(table, what): (&TableName, &String)| format!("{table}: {what}");
    differs.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "oid=7 pub=3.70 in=r4.71 kind=rpfalse key=c9:1:1 file=7 parts=- cols=1:ab,2:cd alter=5 table=public.a";

    fn with(from: &str, to: &str) -> String {
        assert!(LINE.contains(from), "{from}");
        LINE.replace(from, to)
    }

    #[test]
    fn what_the_log_does_not_tell_reads_the_table_again() {
        for (from, to, words) in [
            ("oid=7", "oid=0", "is gone"),
            ("oid=7", "oid=8", "created again"),
            ("pub=3.70", "pub=3.75", "was altered"),
            ("pub=3.70", "pub=5.75", "made anew"),
            ("in=r4.71", "in=-", "taken out"),
            ("in=r4.71", "in=r6.75", "put into"),
            ("kind=rpfalse", "kind=rufalse", "persistence"),
            ("key=c9:1:1", "key=c9:2:1,2", "key"),
            ("parts=-", "parts=12", "partition"),
            ("cols=1:ab,2:cd", "cols=1:cd,2:ab", "columns"),
            ("cols=1:ab,2:cd", "cols=1:ab,3:cd", "columns"),
            ("cols=1:ab,2:cd", "cols=1:ab,2:cd,3:ef!", "columns"),
            ("file=7 parts=- cols=1:ab,2:cd alter=5", "file=8 parts=- cols=1:ab,2:cd alter=6", "rewritten"),
        ] {
            assert!(difference(LINE, &with(from, to)).is_some_and(|what| what.contains(words)), "{to}");
        }
    }

    #[test]
    fn what_changes_no_row_is_gone_on_from() {
        for (from, to) in [
            ("file=7", "file=8"),
            ("alter=5", "alter=6"),
            ("cols=1:ab,2:cd alter=5", "cols=1:ab,2:cd,3:ef alter=6"),
            ("cols=1:ab,2:cd", "cols=1:ab"),
        ] {
            assert_eq!(difference(LINE, &with(from, to)), None, "{to}");
        }
        let everything = with("in=r4.71", "in=a");
        assert!(
            difference(&everything, &everything.replace("file=7", "file=8")).is_some(),
            "it may have been unlogged"
        );
    }

    #[test]
    fn harmless_steps_do_not_add_up_to_a_harmful_one() {
        let published = |line: &str| Published::recorded(&format!("systemid=1 timeline=1\n{line}"));
        let (first, dropped, added) = (published(LINE), published(&with("2:cd", "")), published(&with("2:cd", "3:cd")));
        assert!(first.differs(&dropped).is_empty() && dropped.differs(&added).is_empty());
        assert_eq!(first.renewed(&dropped).differs(&added).len(), 1);
    }

    #[test]
    fn any_name_survives_the_journal() {
        let table = TableName::from("pub lic.a\\n \n=table=x");
        let published = Published([(table.clone(), format!("{} {TABLE}{}", "oid=1", escaped(&table)))].into());
        assert_eq!(Published::recorded(&format!("systemid=1{}", published.text())), published);
        assert_eq!(Published::default().differs(&published).keys().collect::<Vec<_>>(), [&table]);
    }
}
