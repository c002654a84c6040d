//! The source and capture: slot, first read by chunks, change stream, resume.

use crate::{
    Model,
    rules::Rule,
    seen::Event,
    state::{Entry, Lsn, NONE, Reader, Row, Stage, State, Table, len, merge},
};

/// What the source's own entries say (J6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Resume {
    pub(crate) started: bool,
    pub(crate) wanted: bool,
    pub(crate) passed: Lsn,
    pub(crate) chunk: [bool; 2],
    pub(crate) ready: [bool; 2],
    pub(crate) open_rows: bool,
}

impl Resume {
    pub(crate) fn of(journal: &[Entry]) -> Resume {
        let mut resume = Resume::default();
        for entry in journal {
            match *entry {
                Entry::Wanted => resume.wanted = true,
                Entry::Started { at } => {
                    let open_rows = resume.open_rows;
                    resume = Resume { started: true, passed: at, open_rows, ..Resume::default() };
                }
                Entry::Chunk { table, .. } => resume.chunk[usize::from(table)] = true,
                Entry::Ready { table } => resume.ready[usize::from(table)] = true,
                Entry::Row { .. } => resume.open_rows = true,
                Entry::Void => resume.open_rows = false,
                Entry::Commit { at, .. } => {
                    resume.passed = at;
                    resume.open_rows = false;
                }
                Entry::Heartbeat { at } => resume.passed = resume.passed.max(at),
                Entry::Acked { .. } | Entry::Stale { .. } | Entry::Resource { .. } => {}
            }
        }
        resume
    }
}

impl Model {
    /// Both rows as the source's log had them at `upto`.
    pub(crate) fn rows_at(&self, state: &State, upto: Lsn) -> [Row; 2] {
        let events = &state.log[..usize::from(upto)];
        [0, 1].map(|table: usize| {
            let first = self.config.rows[table];
            events.iter().map(|events| events[table]).filter(|&event| event != NONE).fold(first, merge)
        })
    }

    pub(crate) fn row_at(&self, state: &State, upto: Lsn, table: Table) -> Row {
        self.rows_at(state, upto)[usize::from(table)]
    }

    /// A slot waits for the transactions that run, so everything below it is visible.
    pub(crate) fn create_slot(state: &mut State) {
        let end = len(&state.log);
        (state.slot, state.exported, state.visible) = (Some(end), Some(end), end);
    }

    pub(crate) fn start(state: &mut State) {
        let at = state.exported.expect("started from an exported snapshot");
        state.journal.push(Entry::Started { at });
        state.next = at + 1;
    }

    pub(crate) fn read_exported(&self, state: &mut State, table: Table) {
        let at = state.exported.expect("offered while there is one");
        let row = self.row_at(state, at, table);
        state.journal.push(Entry::Chunk { table, row, low: at, high: at });
    }

    pub(crate) fn mark_low(state: &mut State, table: Table) {
        let low = len(&state.log);
        state.reader = Some(Reader { table, stage: Stage::LowMarked, low, row: 0, high: 0 });
    }

    pub(crate) fn read_rows(&self, state: &mut State) {
        let mut reader = state.reader.expect("marked");
        reader.row = self.row_at(state, state.visible, reader.table);
        reader.stage = Stage::Read;
        if self.on(Rule::VisibleLow) {
            reader.low = reader.low.min(state.visible);
        }
        state.reader = Some(reader);
    }

    pub(crate) fn mark_high(state: &mut State) {
        let high = len(&state.log);
        if let Some(reader) = &mut state.reader {
            (reader.high, reader.stage) = (high, Stage::HighMarked);
        }
    }

    pub(crate) fn append_chunk(&self, state: &mut State) {
        let Some(Reader { table, row, low, high, .. }) = state.reader.take() else { return };
        if state.crashes > 0 {
            self.saw(Event::ChunkBehindCrash);
        }
        state.journal.push(Entry::Chunk { table, row, low, high });
    }

    /// The next entry of the stream: whole transactions from `next`; those that were passed were skipped at open.
    pub(crate) fn ingest(state: &mut State) {
        let events = state.log[usize::from(state.next) - 1];
        let tables: Vec<Table> = [0, 1].into_iter().filter(|&table| events[usize::from(table)] != NONE).collect();
        let (at, count) = (state.next, len(&tables));
        match *tables {
            [] => {}
            [table] => {
                let event = events[usize::from(table)];
                state.journal.push(Entry::Commit { at, count, table, event });
            }
            _ if state.rows_done < 2 => {
                let table = state.rows_done;
                state.journal.push(Entry::Row { table, event: events[usize::from(table)] });
                state.rows_done += 1;
                return;
            }
            _ => state.journal.push(Entry::Commit { at, count, table: NONE, event: 0 }),
        }
        (state.rows_done, state.next) = (0, state.next + 1);
    }

    /// What may be confirmed to the source: what is passed durably (J10).
    pub(crate) fn confirmable(&self, state: &State) -> Lsn {
        let passed = Resume::of(&state.journal).passed;
        let upto = if self.on(Rule::ConfirmDurable) { state.journal_durable.into() } else { state.journal.len() };
        let durable = Resume::of(&state.journal[..upto]).passed;
        // Without an entry of its own a keepalive goes on to what went by, once nothing received is undurable.
        let quiet = state.rows_done == 0 && passed == durable && upto == state.journal.len();
        if !self.on(Rule::Heartbeat) && quiet { durable.max(state.next - 1) } else { durable }
    }
}
