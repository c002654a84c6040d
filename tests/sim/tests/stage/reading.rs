//! What a source tells of a table, in words: that its reading begins or is over, a chunk of it, another shape.

use super::{Stage, words};
use model::{Chunk, Column, ColumnType, Entry, Incarnation, RowChange, SnapshotMark, SystemId};
use schemas::Plan;
use std::slice;

impl Stage {
    /// `started TABLE at P`, `ready TABLE at P`, `chunk N TABLE low P high P {KEY columns; ..}`, `shape TABLE CHANGE at P`.
    pub(super) fn told_of_a_table(&mut self, text: &str) -> Option<Vec<Entry>> {
        let (source, incarnation) = (SystemId::from("legacy"), Incarnation(self.incarnation()));
        let words: Vec<&str> = text.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|known| *known == word).expect("a place");
            words::position(words[at + 1])
        };
        let mark = |mark| vec![Entry::Snapshot { source: source.clone(), incarnation, mark }];
        let table = |name: &str| model::TableName::from(format!("public.{name}").as_str());
        match *words.first()? {
            "started" => Some(mark(SnapshotMark::Started { tables: vec![table(words[1])], at: after("at") })),
            "ready" => Some(mark(SnapshotMark::Ready { table: table(words[1]), at: after("at") })),
            "chunk" => {
                let plan = self.plan(words[2]);
                let (_, rows) = text.split_once('{').expect("rows");
                let rows = rows.trim_end_matches('}').split(';').map(str::trim).filter(|row| !row.is_empty());
                let row = |row: &str| {
                    let (key, columns) = row.split_once(' ').unwrap_or((row, ""));
                    let insert = format!("insert {} {key} {{{columns}}}", words[2]);
                    match words::change(&insert, slice::from_ref(plan)) {
                        (_, RowChange::Insert(row)) => row,
                        _ => panic!("a row"),
                    }
                };
                let (number, schema) = (words[1].parse().expect("a number"), plan.fingerprint());
                let (low, high, rows) = (after("low"), after("high"), rows.map(row).collect());
                let chunk =
                    Chunk { source, incarnation, schema, number, key_from: None, key_to: None, rows, low, high };
                Some(vec![Entry::Chunk(chunk)])
            }
            "shape" => {
                let mut schema = self.plan(words[1]).schema().clone();
                let place = |schema: &model::TableSchema, name: &str| schema.column(name).expect("a column");
                match words[2] {
                    "rename" => {
                        let at = place(&schema, words[3]);
                        schema.columns[at].name = words[4].into();
                    }
                    "add" => schema.columns.push(Column { name: words[3].into(), ty: ColumnType::Text, native: 1 }),
                    "key" => schema.key = vec![u16::try_from(place(&schema, words[3])).expect("few columns")],
                    other => panic!("no such change: {other}"),
                }
                let plan = Plan::new(&schema);
                let fingerprint = plan.fingerprint();
                let known = self.plans.iter_mut().find(|plan| plan.schema().table == schema.table);
                *known.expect("a table of the clinic") = plan;
                Some(vec![Entry::Schema { source, incarnation, position: after("at"), fingerprint, schema }])
            }
            _ => None,
        }
    }

    fn plan(&self, table: &str) -> &Plan {
        let table = format!("public.{table}");
        self.plans.iter().find(|plan| plan.schema().table.as_str() == table).expect("a table of the clinic")
    }

    /// The life of the source's log that the journal is in.
    pub(super) fn incarnation(&self) -> u32 {
        let slots = self.journal.iter().filter(|entry| matches!(entry.entry, Entry::Slot { .. })).count();
        u32::try_from(slots.max(1)).expect("few")
    }
}
