//! Folding the source's entries into the shadow: rows at their commit, chunks, schemas, readiness.

use crate::{
    chunk::{self, Folded, Wanted},
    identity::{self, UNNAMED},
    index,
    input::{FlowOutput, Scope},
    meta::Phase,
    quarantine::Suspect,
    readable::{Readable, key_before, read},
    rows::StateRows,
    shadow::{self, Changed, ShadowRow, Told},
    step::{Flow, Transaction},
    visible::{Taken, weight},
};
use model::{
    Chunk, Entry, EntryId, Fingerprint, Journaled, Row, RowChange, RowEntry, RowKey, SourcePosition, TableName,
};
use ports::{Failure, Fault, StateTxn};
use schemas::{Plan, keys};
use std::sync::Arc;

/// What is asked of a truncated table. Either answer is the only one: whoever has it read again has heard what is deleted.
const TRUNCATED: &str = "truncated at the source: expand (every row that was in it is deleted), or read again (every row that \
                         is not in it by now is deleted)?";

impl Flow {
    /// A row or truncation whose commit is still to come: kept, if there is room.
    pub(crate) fn open_row(&mut self, id: EntryId, entry: Taken) {
        self.place.open.get_or_insert(id);
        let transaction = &mut self.transaction;
        transaction.count += u64::from(matches!(&*entry, Entry::Row(_)));
        transaction.bytes += weight(&entry);
        if transaction.bytes > self.config.limits.transaction_bytes_max {
            transaction.spilled = true;
            transaction.rows = Vec::new();
        } else if !transaction.spilled {
            transaction.rows.push((id, entry));
        }
    }

    /// The open transaction is void.
    pub(crate) fn forget_transaction(&mut self) {
        self.transaction = Transaction::default();
        self.place.open = None;
    }

    /// A commit: its rows become visible together (J11).
    pub(crate) fn commit(&mut self, id: EntryId, count: u64, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let transaction = std::mem::take(&mut self.transaction);
        let first = self.place.open.take().unwrap_or(id);
        if transaction.count != count {
            let what = format!("commit {id} closes {count} rows, and {} are here", transaction.count);
            let fault = Fault::new(Failure::Corrupt, what);
            return self.corrupt(fault.cure("lockstep journal verify; nothing of this transaction was decided"), out);
        }
        self.worked += transaction.rows.len();
        if transaction.spilled {
            self.place.phase = Phase::Rows { next: first };
            self.blocked = Some(crate::query::Blocked::Transaction { rows: transaction.count });
            self.marked = true;
            return self.read_rows(first, out);
        }
        for (id, entry) in transaction.rows {
            self.fold_visible(id, &entry, state, out);
        }
    }

    fn read_rows(&mut self, next: EntryId, out: &mut Vec<FlowOutput>) {
        self.reading_rows = true;
        out.push(FlowOutput::ReadJournal(next));
    }

    /// Goes on reading a large transaction's rows back. False: they are on their way.
    pub(crate) fn rows_read_back(&mut self, next: EntryId, out: &mut Vec<FlowOutput>) -> bool {
        if !self.reading_rows {
            self.read_rows(next, out);
        }
        false
    }

    /// Rows of a large transaction, read back.
    pub(crate) fn fold_rows_read(
        &mut self,
        mut next: EntryId,
        entries: Vec<Journaled>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        self.reading_rows = false;
        let commit = self.place.input;
        for entry in entries.iter().filter(|entry| entry.header.id >= next && entry.header.id < commit) {
            self.fold_visible(entry.header.id, &entry.entry, state, out);
        }
        if let Some(last) = entries.last() {
            next = last.header.id.next();
        }
        self.place.phase = if next >= commit { Phase::Steps { done: 0 } } else { Phase::Rows { next } };
    }

    fn fold_visible(&mut self, id: EntryId, entry: &Entry, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.suspect = Suspect::Entry { input: self.place.input, entry: id };
        match entry {
            Entry::Row(row) if row.commit.is_none() => self.fold_row(id, row, state, out),
            Entry::Truncate { tables, position, incarnation, .. } => {
                for table in tables {
                    let one = self.tables.state.entry(table.clone()).or_default();
                    (one.truncated, one.incarnation) = (Some(*position), *incarnation);
                    one.held = Some(TRUNCATED.into());
                }
                self.tables.save(state);
            }
            _ => {}
        }
    }

    /// One visible row change. A row that does not read as its schema says changes nothing and holds its table: the entry
    /// stays as evidence, and reading the table again ends it.
    pub(crate) fn fold_row(
        &mut self,
        id: EntryId,
        row: &RowEntry,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let Some(plan) = self.tables.plan(row.schema).cloned() else { return self.unknown_schema(id, row.schema, out) };
        let told =
            Told { cite: Entry::cite(id), incarnation: row.incarnation, position: row.position, schema: row.schema };
        // A row of a transaction that changed the key on its way: reading the table anew tells of it under its new name.
        if !self.tables.is_keyed_as_now(row.schema, &plan) {
            return;
        }
        if self.is_left_out(&plan, (id, row.position), state, out) {
            return;
        }
        let folded = match &row.change {
            RowChange::Insert(after) => self.upsert(&plan, None, after, &told, state),
            RowChange::Update { before, after } => self.upsert(&plan, before.as_ref(), after, &told, state),
            RowChange::Delete { before } => {
                read(&plan, before).map(|read| self.delete(plan.schema().table.clone(), read.key, &told, state))
            }
        };
        if let Err(why) = folded {
            self.unreadable(plan.schema().table.clone(), id, why, state, out);
        }
    }

    fn upsert(
        &mut self,
        plan: &Arc<Plan>,
        before: Option<&Row>,
        after: &Row,
        told: &Told,
        state: &mut dyn StateTxn,
    ) -> Result<(), &'static str> {
        self.poisoned(after);
        let table = plan.schema().table.clone();
        // Before anything changes: a row is folded whole or not at all.
        let Readable { key, cells } = read(plan, after)?;
        let old_key = before.map(|before| key_before(plan, before)).transpose()?.flatten();
        let moved = old_key.filter(|old| *old != key);
        let present = shadow::get(state, &table, &key);
        if self.is_stale(present.as_ref(), told) {
            return Ok(());
        }
        let plan_of = |row: &ShadowRow| self.tables.plan(row.schema).cloned();
        let source_row = moved.as_ref().map(|moved| shadow::get(state, &table, moved));
        // What was told before the table's reading began may have changed unseen: it stays unknown until a chunk says it.
        let told_since = |row: &&ShadowRow| self.tables.state.get(&table).is_none_or(|one| one.was_told(row));
        let old = source_row.as_ref().unwrap_or(&present).as_ref().filter(told_since);
        let old = old.and_then(|row| Some((plan_of(row)?, row.row.as_ref()?)));
        let old = old.as_ref().map(|(plan, row)| (&**plan, *row));
        let row = ShadowRow {
            incarnation: told.incarnation,
            position: told.position,
            cite: told.cite,
            schema: told.schema,
            row: Some(shadow::filled(plan, after, cells, old)),
        };
        if row.row.as_ref().is_some_and(|row| self.tables.is_unnamed(plan, row)) {
            return Err(UNNAMED);
        }
        let before = present.and_then(|row| Some((plan_of(&row)?, row.row?)));
        if let Some(moved) = moved {
            self.delete(table.clone(), moved, told, state);
        }
        shadow::put(state, &keys::row(&table, &key), &row);
        let after = row.row.map(|row| (plan.clone(), row));
        self.changed(Changed { table, key, before, after }, state);
        Ok(())
    }

    /// Something in an entry cannot be read: its table is held until it is read again.
    fn unreadable(
        &mut self,
        table: TableName,
        id: EntryId,
        why: &str,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let question = format!("entry {id} of {table} {why} and was not folded: read the table again?");
        self.hold_unread(table, question, state, out);
    }

    /// Whether this entry of the table is not folded: it panicked, or one before it did, and the table is read again.
    fn is_left_out(
        &mut self,
        plan: &Plan,
        (id, position): (EntryId, SourcePosition),
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) -> bool {
        let table = &plan.schema().table;
        let before = self.tables.state.get(table).is_some_and(|one| one.left_out);
        if !before && self.unfolded.contains(&id) {
            self.leave_out(table, (id, position), state, out);
            return true;
        }
        before
    }

    pub(crate) fn hold_unread(
        &mut self,
        table: TableName,
        question: String,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        self.halt(Scope::Table(table.clone()), format!("{table}: {question}"), out);
        let one = self.tables.state.entry(table).or_default();
        (one.held, one.unread, one.too_many) = (Some(question.into()), true, false);
        self.tables.save(state);
    }

    /// Ingest lets no entry pass that cites a schema which was not told: the journal is damaged.
    fn unknown_schema(&mut self, id: EntryId, schema: Fingerprint, out: &mut Vec<FlowOutput>) {
        let fault = Fault::new(Failure::Corrupt, format!("entry {id} cites {schema:?}, and no Schema entry before it"));
        self.corrupt(fault.cure("lockstep journal verify; nothing of this entry was decided"), out);
    }

    pub(crate) fn delete(&mut self, table: TableName, key: RowKey, told: &Told, state: &mut dyn StateTxn) {
        let present = shadow::get(state, &table, &key);
        if self.is_stale(present.as_ref(), told) {
            return;
        }
        let store_key = keys::row(&table, &key);
        if self.tables.state.get(&table).is_some_and(|table| table.ready) {
            state.delete(&store_key);
        } else {
            let Told { cite, incarnation, position, schema } = *told;
            shadow::put(state, &store_key, &ShadowRow { incarnation, position, cite, schema, row: None });
        }
        let before = present.and_then(|row| Some((self.tables.plan(row.schema)?.clone(), row.row?)));
        self.changed(Changed { table, key, before, after: None }, state);
    }

    fn is_stale(&mut self, present: Option<&ShadowRow>, told: &Told) -> bool {
        let stale = present.is_some_and(|row| row.as_of() >= (told.incarnation, told.position));
        self.stale += u64::from(stale);
        stale
    }

    /// Moves indexes and marks whom a change dirties (J13, J14).
    fn changed(&mut self, changed: Changed, state: &mut dyn StateTxn) {
        identity::update(&self.tables, &changed, state);
        let Some(map) = self.map.as_ref().and_then(|active| active.map.clone()) else { return };
        // Roots are found before the index moves for what left, and after it for what came.
        for (at, entity) in map.entities().iter().enumerate() {
            let view = StateRows { state, tables: &self.tables, indexes: &self.indexes };
            let mut roots = index::roots(&view, entity, &changed);
            if entity.root == changed.table {
                roots.extend(self.tables.names_of(&changed));
            }
            for root in roots {
                self.mark(at, &root, &[], state);
            }
        }
        index::update(&self.indexes, &changed, state);
    }

    /// Folds a chunk, unless it would delete too much (J8) or cannot be read.
    pub(crate) fn fold_chunk(
        &mut self,
        id: EntryId,
        chunk: &Chunk,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let Some(plan) = self.tables.plan(chunk.schema).cloned() else {
            return self.unknown_schema(id, chunk.schema, out);
        };
        let table = plan.schema().table.clone();
        self.worked += chunk.rows.len();
        if !self.tables.is_keyed_as_now(chunk.schema, &plan) {
            return self.lose(&table, state);
        }
        if self.is_left_out(&plan, (id, chunk.high), state, out) {
            return;
        }
        chunk.rows.iter().for_each(|row| self.poisoned(row));
        self.begun_on(&table, state);
        let map = self.map.as_ref().and_then(|active| active.map.as_ref());
        let wanted = Wanted {
            deletes: self.tables.state.get(&table).is_some_and(|table| table.accept_deletes),
            changes: self.tables.known_by(&table).is_some()
                || map.is_some_and(|map| map.entities().iter().any(|entity| entity.tables().contains(&&table))),
        };
        match chunk::fold(id, chunk, &plan, &wanted, &self.config.limits, &self.tables, state) {
            Folded::Changed(changes) => changes.into_iter().for_each(|changed| self.changed(changed, state)),
            Folded::Unreadable(why) => self.unreadable(table, id, why, state, out),
            Folded::TooManyDeletes { inferred, allowed } => {
                let question = format!(
                    "chunk {} would delete {inferred} rows that the source no longer has (allowed: {allowed}): accept, or read again?",
                    chunk.number
                );
                self.hold_unread(table.clone(), question, state, out);
                if let Some(one) = self.tables.state.get_mut(&table) {
                    one.too_many = true;
                }
                self.tables.save(state);
            }
        }
    }
}
