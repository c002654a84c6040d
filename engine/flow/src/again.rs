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
use model::{Answer, Control, ControlAct, Entry, SnapshotMark, TableName};
use ports::{Class, Failure, Fault, StateTxn};
use std::sync::Arc;

/// An act that waits until the source gives nothing more.
pub(crate) struct Again {
    act: Entry,
    token: u64,
}

impl Flow {
    /// The map in these bytes, against the tables as they are now.
    pub(crate) fn compiled_now(&self, name: &str, bytes: &[u8]) -> Result<Arc<Map>, String> {
        hold::compiled(name, bytes, &self.tables.schemas())
    }

    /// The tables that are read again with an act: those that an answer is about, and those that were captured without a
    /// column that a map uses.
    fn to_read(&self, act: &Entry) -> Vec<TableName> {
        let names = |short: Vec<(TableName, Box<str>)>| short.into_iter().map(|(table, _)| table).collect();
        match act {
            Entry::Activated(activated) => {
                let map = self.compiled_now(&activated.name, &activated.bytes).ok();
                map.map(|map| names(self.short_of(&map))).unwrap_or_default()
            }
            Entry::Control(Control { act: ControlAct::Answered { hold, answer, .. }, .. }) => {
                match hold.strip_prefix("table:") {
                    Some(_) if *answer == Answer::Expand => Vec::new(),
                    Some(table) => vec![TableName::from(table)],
                    None => self.short_in_force(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Whether an act that waited may still be done.
    pub(crate) fn still_fits(&self, act: &Entry, state: &dyn StateTxn) -> Result<(), Fault> {
        match act {
            Entry::Activated(activated) => self.fits_if_one_is_in_force(&activated.name, &activated.bytes, state),
            Entry::Control(Control { act: ControlAct::Answered { hold, answer, about }, .. }) => {
                self.answerable(hold, *answer)?;
                let table = hold.strip_prefix("table:").map(TableName::from);
                if *answer == Answer::ReadAgain || table.is_none_or(|table| self.asked(&table) == *about) {
                    return Ok(());
                }
                let what = format!("{hold} asks another question by now");
                Err(Fault::new(Failure::Transient, what).cure("lockstep held ls"))
            }
            _ => Ok(()),
        }
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

    /// An act, and what it reads again from its place on. No entries: it waits until the source is quiet, or behind another
    /// that does, for acts never overtake each other.
    pub(crate) fn read_again(&mut self, act: Entry, token: u64) -> Result<(Vec<Entry>, Then), Fault> {
        if self.ingest.again.is_empty() {
            if self.to_read(&act).is_empty() || (self.reads_all_anyway() && matches!(act, Entry::Activated(_))) {
                return Ok((vec![act], Then::Answer(token)));
            }
            if self.reads_all_anyway() {
                return Err(self.not_begun());
            }
        }
        self.ingest.again.push_back(Again { act, token });
        Ok((Vec::new(), Then::Nothing))
    }

    /// The slot is new: every table is read from the beginning once it has begun.
    fn reads_all_anyway(&self) -> bool {
        !self.ingest.resume.started
    }

    fn not_begun(&self) -> Fault {
        let what =
            format!("source {} has a new slot and reads every table from the beginning", self.config.source.system);
        Fault::new(Failure::Transient, what).cure("answer again once it has begun; lockstep status")
    }

    /// Appends the acts that wait, once everything that the source gave is durable; closes the source for that.
    pub(crate) fn read_again_if_quiet(&mut self, state: &dyn StateTxn, out: &mut Vec<FlowOutput>) {
        if self.ingest.again.is_empty() {
            return;
        }
        if !self.reads_all_anyway() {
            self.restart_source(out);
            if self.ingest.captures > 0 || !matches!(self.ingest.state, SourceState::Down | SourceState::Stopped) {
                return;
            }
        }
        while let Some(Again { act, token }) = self.ingest.again.pop_front() {
            let mut tables = self.to_read(&act);
            let mut fits = self.still_fits(&act, state);
            if self.reads_all_anyway() {
                // Whoever waited for a source that lost its slot meanwhile is told, and does not wait for the new one.
                fits = fits.and(if matches!(act, Entry::Control(_)) && !tables.is_empty() {
                    Err(self.not_begun())
                } else {
                    Ok(())
                });
                tables.clear();
            }
            match fits {
                Ok(()) => self.append_reading(act, tables, token, out),
                Err(fault) => out.push(FlowOutput::Answered { token, answer: Err(fault) }),
            }
        }
    }

    /// In one append, so that a crash leaves both or neither.
    fn append_reading(&mut self, act: Entry, tables: Vec<TableName>, token: u64, out: &mut Vec<FlowOutput>) {
        let mut entries = vec![act];
        if !tables.is_empty() {
            let mark = SnapshotMark::Started { tables, at: self.ingest.resume.passed.unwrap_or_default() };
            let (source, incarnation) = (self.config.source.system.clone(), self.ingest.resume.incarnation);
            let started = Entry::Snapshot { source, incarnation, mark };
            self.ingest.resume.fold(&started);
            entries.push(started);
        }
        self.append(entries, Class::Vital, Then::Answer(token), out);
    }
}
