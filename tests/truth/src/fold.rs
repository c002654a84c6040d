//! The journal folded into tables, written beside the engine's own fold by the contracts alone (J7, J8, J9, J11).
//!
//! Reads the log of a stopped engine and what a chunk's range needs: the order of keys. Shares nothing else with the flow.

use crate::tables::{Columns, Lines};
use journal::{EntryCodec, LogReader};
use model::{
    Chunk, Entry, EntryId, Fingerprint, Incarnation, Journaled, Row, RowChange, RowEntry, RowKey, SnapshotMark,
    SourcePosition, TableName, Value,
};
use schemas::Plan;
use std::collections::BTreeMap;
use std::path::Path;

type AsOf = (Incarnation, SourcePosition);
type Cells = BTreeMap<Box<str>, (u32, Value)>;

/// A row, or where one was.
struct Told {
    as_of: AsOf,
    cells: Option<Cells>,
}

/// One table as far as the journal tells.
#[derive(Default)]
struct Table {
    rows: BTreeMap<RowKey, Told>,
    /// Where its present reading began: what was told before may have changed unseen.
    begun: Option<AsOf>,
    truncated: Option<AsOf>,
}

/// The whole fold.
#[derive(Default)]
struct Fold {
    plans: BTreeMap<Fingerprint, Plan>,
    tables: BTreeMap<TableName, Table>,
    open: Vec<Entry>,
    void: Vec<(EntryId, EntryId)>,
}

/// What the journal in this folder says of each of these tables in its present columns, as lines like those of
/// [`crate::tables::selected`]; and how many entries said it.
pub fn folded(journal: &Path, tables: &BTreeMap<String, Columns>) -> (BTreeMap<String, Lines>, usize) {
    let entries = read(journal);
    let mut fold = Fold::default();
    // A void is told behind what it makes void.
    for Journaled { entry, .. } in &entries {
        if let Entry::Void { from, to, .. } = entry {
            fold.void.push((*from, *to));
        }
    }
    let count = entries.len();
    for Journaled { header, entry } in entries {
        fold.take(header.id, entry);
    }
    let lines = |(name, columns): (&String, &Columns)| {
        let rows = fold.tables.get(&TableName::from(&**name)).into_iter().flat_map(|table| table.rows.values());
        (name.clone(), rows.filter_map(|row| Some(line(columns, row.cells.as_ref()?))).collect())
    };
    (tables.iter().map(lines).collect(), count)
}

fn read(journal: &Path) -> Vec<Journaled> {
    let reader = LogReader::<EntryCodec>::open(journal).unwrap_or_else(|fault| panic!("the journal: {fault:?}"));
    let Some(tail) = reader.tail().unwrap_or_else(|fault| panic!("its tail: {fault:?}")) else { return Vec::new() };
    let mut all: Vec<Journaled> = Vec::new();
    let mut from = EntryId { seq: 1, ..tail };
    while from <= tail {
        let page = reader.read(from, 8 << 20).unwrap_or_else(|fault| panic!("an entry: {fault:?}"));
        let Some(last) = page.last() else { break };
        from = last.header.id.next();
        all.extend(page);
    }
    all
}

impl Fold {
    fn take(&mut self, id: EntryId, entry: Entry) {
        let void = self.void.iter().any(|(from, to)| (*from..=*to).contains(&id));
        match entry {
            Entry::Row(_) | Entry::Truncate { .. } if void => {}
            Entry::Row(row) if row.commit.is_some() => self.row(&row),
            Entry::Row(_) | Entry::Truncate { .. } => self.open.push(entry),
            Entry::Commit { commit, .. } => {
                let rows = self.open.iter().filter(|entry| matches!(entry, Entry::Row(_))).count();
                assert_eq!(rows as u64, commit.count, "commit {id} closes another number of rows");
                for entry in std::mem::take(&mut self.open) {
                    match entry {
                        Entry::Row(row) => self.row(&row),
                        Entry::Truncate { tables, incarnation, position, .. } => {
                            tables.iter().for_each(|table| self.truncate(table, (incarnation, position)));
                        }
                        _ => {}
                    }
                }
            }
            Entry::Schema { fingerprint, schema, .. } => {
                self.plans.insert(fingerprint, Plan::new(&schema));
            }
            Entry::Snapshot { incarnation, mark: SnapshotMark::Started { tables, at }, .. } => {
                for table in tables {
                    self.tables.entry(table).or_default().begun = Some((incarnation, at));
                }
            }
            Entry::Chunk(chunk) => self.chunk(&chunk),
            _ => {}
        }
    }

    fn truncate(&mut self, table: &TableName, at: AsOf) {
        let table = self.tables.entry(table.clone()).or_default();
        table.truncated = Some(at);
        for told in table.rows.values_mut().filter(|told| told.as_of < at) {
            *told = Told { as_of: at, cells: None };
        }
    }

    fn row(&mut self, row: &RowEntry) {
        let plan = &self.plans[&row.schema];
        let table = self.tables.entry(plan.schema().table.clone()).or_default();
        let as_of = (row.incarnation, row.position);
        let key = |row: &Row| plan.key(row).ok().flatten();
        match &row.change {
            RowChange::Insert(after) => {
                let key = key(after).expect("a row has its key");
                table.rows.insert(key, Told { as_of, cells: Some(cells(plan, after)) });
            }
            RowChange::Update { before, after } => {
                let new = key(after).expect("a row has its key");
                let old = before.as_ref().and_then(key).unwrap_or_else(|| new.clone());
                let known = table.rows.get(&old).filter(|told| table.begun.is_none_or(|begun| told.as_of >= begun));
                let mut now = cells(plan, after);
                if let Some(before) = known.and_then(|told| told.cells.as_ref()) {
                    fill(&mut now, before);
                }
                if old != new {
                    table.rows.insert(old, Told { as_of, cells: None });
                }
                table.rows.insert(new, Told { as_of, cells: Some(now) });
            }
            RowChange::Delete { before } => {
                let key = key(before).expect("a deleted row has its key");
                table.rows.insert(key, Told { as_of, cells: None });
            }
        }
    }

    fn chunk(&mut self, chunk: &Chunk) {
        let plan = &self.plans[&chunk.schema];
        let table = self.tables.entry(plan.schema().table.clone()).or_default();
        let (low, high) = ((chunk.incarnation, chunk.low), (chunk.incarnation, chunk.high));
        let truncated = table.truncated.is_some_and(|at| at > low);
        let mut seen = BTreeMap::new();
        for row in &chunk.rows {
            seen.insert(plan.key(row).ok().flatten().expect("a chunk's row has its key"), row);
        }
        let inside = |key: &RowKey| {
            chunk.key_from.as_ref().is_none_or(|from| key > from) && chunk.key_to.as_ref().is_none_or(|to| key <= to)
        };
        for (key, told) in &mut table.rows {
            if inside(key) && told.as_of <= low && !seen.contains_key(key) {
                *told = Told { as_of: high, cells: None };
            }
        }
        for (key, row) in seen {
            assert!(inside(&key), "a row of a chunk is outside of its range");
            match table.rows.get_mut(&key) {
                Some(told) if told.as_of > low => {
                    if let Some(now) = &mut told.cells {
                        fill(now, &cells(plan, row));
                    }
                }
                _ if truncated => {}
                _ => {
                    table.rows.insert(key, Told { as_of: high, cells: Some(cells(plan, row)) });
                }
            }
        }
    }
}

fn cells(plan: &Plan, row: &Row) -> Cells {
    let cells = plan.cells(row).unwrap_or_else(|fault| panic!("a row does not read: {fault:?}"));
    let columns = plan.schema().columns.iter();
    columns.zip(cells).map(|(column, cell)| (column.name.clone(), (column.native, cell.to_value()))).collect()
}

/// What the log did not say is as it was before.
fn fill(now: &mut Cells, before: &Cells) {
    for (name, (native, cell)) in now {
        if *cell == Value::Unchanged
            && let Some((was, old)) = before.get(name)
            && was == native
        {
            *cell = old.clone();
        }
    }
}

/// The row in the table's present columns; one that came later without a value is null.
fn line(columns: &Columns, cells: &Cells) -> String {
    let cell = |name: &String| cells.get(&**name).map_or_else(|| "null".to_owned(), |(_, cell)| said(cell));
    columns.keys().map(|name| format!("{name}={}", cell(name))).collect::<Vec<_>>().join(" ")
}

fn said(value: &Value) -> String {
    let of_text = |text: &str| {
        let letters: Vec<char> = text.chars().collect();
        let left: String = letters.iter().take(40).collect();
        let right: String = letters[letters.len().saturating_sub(8)..].iter().collect();
        format!("t:{} {left} {right}", letters.len())
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Unchanged => "unknown".to_owned(),
        Value::Bool(x) => format!("b:{x}"),
        Value::Int(x) => format!("i:{x}"),
        Value::Decimal(x) => format!("n:{x}"),
        Value::Text(x) => of_text(x),
        Value::Bytes(x) => {
            let start: String = x.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
            format!("x:{} {start}", x.len())
        }
        Value::Date(x) => format!("d:{x}"),
        Value::Time(x) => format!("s:{x}"),
        Value::DateTime(x) => format!("w:{x}"),
        Value::Instant(x) => format!("m:{x}"),
        Value::Raw(x) => format!("r:{x}"),
    }
}
