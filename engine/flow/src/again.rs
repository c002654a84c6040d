//! Reading tables again because a person said so: an answer, a map that uses what was not captured.
//!
//! * `Started` stands behind everything that the source gave before, and before everything that it gives after: the source is
//!   closed, what it gave becomes durable, then the act and `Started` are appended together, then it is opened again. An older
//!   chunk behind `Started` would count as one of the new reading (J8).
//! * While the source's slot is new and not begun there is nothing to begin again: its own `Started` is still to come (J6).

use crate::{
    hold,
    input::FlowOutput,
    readiness,
    reopen::SourceState,
    step::{Flow, Then},
};
use mapping::Map;
use model::{Activated, Answer, Entry, SnapshotMark, TableName};
use ports::{Class, Failure, Fault, StateTxn};
use std::sync::Arc;

/// An act that waits until the source gives nothing more.
pub(crate) struct Again {
    act: Entry,
    tables: Vec<TableName>,
    token: u64,
}

impl Flow {
    /// The map in these bytes, against the tables as they are now.
    pub(crate) fn compiled_now(&self, name: &str, bytes: &[u8]) -> Result<Arc<Map>, String> {
        hold::compiled(name, bytes, &self.tables.schemas())
    }

    /// An activation; tables that were captured without a column that the map uses are read again with it.
    pub(crate) fn activation(
        &mut self,
        activated: Activated,
        token: u64,
        state: &dyn StateTxn,
    ) -> Result<(Vec<Entry>, Then), Fault> {
        self.fits_if_one_is_in_force(&activated.name, &activated.bytes, state)?;
        let map = self.compiled_now(&activated.name, &activated.bytes).ok();
        let short = map.map(|map| self.short_of(&map)).unwrap_or_default();
        let tables = short.into_iter().map(|(table, _)| table).collect();
        self.read_again(Entry::Activated(activated), tables, token)
    }

    /// Tables that the map in force would find too little in.
    pub(crate) fn short_in_force(&self) -> Vec<TableName> {
        let map = self.map.as_ref().and_then(|active| self.compiled_now(&active.name, &active.bytes).ok());
        map.map(|map| self.short_of(&map)).unwrap_or_default().into_iter().map(|(table, _)| table).collect()
    }

    /// Whether this table takes this answer; any table that is captured may be read again.
    pub(crate) fn offered(&self, table: &TableName, answer: Answer) -> bool {
        let captured = self.ingest.resume.tables.contains_key(table);
        readiness::answers(table, &self.tables).contains(&answer) || (captured && answer == Answer::ReadAgain)
    }

    /// An act, and these tables read again from its place on. No entries: they are appended once the source is quiet.
    pub(crate) fn read_again(
        &mut self,
        act: Entry,
        tables: Vec<TableName>,
        token: u64,
    ) -> Result<(Vec<Entry>, Then), Fault> {
        let resume = &self.ingest.resume;
        if tables.is_empty() || (!resume.started && matches!(act, Entry::Activated(_))) {
            return Ok((vec![act], Then::Answer(token)));
        }
        if !resume.started {
            let what =
                format!("source {} has a new slot and reads every table from the beginning", self.config.source.system);
            return Err(Fault::new(Failure::Transient, what).cure("answer again once it has begun; lockstep status"));
        }
        self.ingest.again.push_back(Again { act, tables, token });
        Ok((Vec::new(), Then::Nothing))
    }

    /// Appends the acts that wait, once everything that the source gave is durable; closes the source for that.
    pub(crate) fn read_again_if_quiet(&mut self, out: &mut Vec<FlowOutput>) {
        if self.ingest.again.is_empty() || !self.ingest.resume.started {
            return;
        }
        self.restart_source(out);
        if self.ingest.captures > 0 || !matches!(self.ingest.state, SourceState::Down | SourceState::Stopped) {
            return;
        }
        let (source, incarnation) = (self.config.source.system.clone(), self.ingest.resume.incarnation);
        while let Some(Again { act, tables, token }) = self.ingest.again.pop_front() {
            let mark = SnapshotMark::Started { tables, at: self.ingest.resume.passed.unwrap_or_default() };
            let started = Entry::Snapshot { source: source.clone(), incarnation, mark };
            self.ingest.resume.fold(&started);
            self.append(vec![act, started], Class::Vital, Then::Answer(token), out);
        }
    }
}
