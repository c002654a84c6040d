//! Steps that panic (J32): what a panic was about, what is left out at the second one, and when nothing can be.
//!
//! * The units of an input that panicked while it was decided are parked as `internal`; the record says so.
//! * An entry that panicked while it was folded is not folded: a row or chunk holds its table until that is read again,
//!   an activation or an act has no effect. An `Unfolded` record says so before anything that follows from it, so that
//!   recovery and replay leave out the same.
//! * What the source brings is left out by leaving the source closed. What is left out and panics still, and whatever
//!   follows too many of these, stops source and fold at that entry. A panic anywhere else ends the process.

use crate::{
    INTERNAL,
    input::{FlowOutput, Scope},
    recover::Stage,
    reopen::SourceState,
    step::Flow,
    stored,
};
use model::{EntryId, Record, Recorded, Row, SourcePosition, TableName, Verdict};
use ports::{Failure, Fault, StateTxn};
use schemas::keys;
use std::collections::{BTreeMap, BTreeSet};

/// Inputs and entries that one process leaves out; one more is no longer the fault of an input.
const LEFT_OUT_MAX: usize = 8;
/// The entries of the present input that are not folded, by their name in the store.
const UNFOLDED: &str = "unfolded";

/// What a step was doing when it panicked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Suspect {
    /// Folding: the entry itself, or a row of the transaction that it commits.
    Entry {
        /// The entry that is folded.
        input: EntryId,
        /// What of it.
        entry: EntryId,
    },
    /// Mapping or deciding the units of this input.
    Units(EntryId),
    /// Taking what the source brought.
    Source,
    /// Something else.
    Elsewhere,
}

/// What is left out.
#[derive(Clone, Default, Debug)]
pub struct Quarantine {
    /// The units of these inputs are parked as `internal`.
    pub inputs: BTreeSet<EntryId>,
    /// These entries are not folded.
    pub entries: BTreeSet<EntryId>,
    /// The source stays closed.
    pub source: bool,
    /// Source and fold stop before this input is finished.
    pub stuck: Option<EntryId>,
}

impl Quarantine {
    /// What these records say was left out: a replay does not panic by itself.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Recorded>) -> Quarantine {
        let mut all = Quarantine::default();
        records.into_iter().for_each(|recorded| all.recorded(recorded));
        all
    }

    /// Takes what a record says was left out.
    pub fn recorded(&mut self, recorded: &Recorded) {
        match &recorded.record {
            Record::Unfolded { entry, .. } => {
                self.entries.insert(*entry);
            }
            Record::Decided(decided) => {
                let internal = |verdict: &Verdict| matches!(verdict, Verdict::Parked(cause) if &**cause == INTERNAL);
                if decided.decisions.iter().any(|decision| internal(&decision.verdict)) {
                    self.inputs.insert(decided.input);
                }
            }
            Record::Opened { .. } | Record::Skipped { .. } => {}
        }
    }
}

/// The panics of one process.
#[derive(Default)]
pub struct Panics {
    times: BTreeMap<Suspect, u32>,
    quarantine: Quarantine,
}

/// What follows from a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterPanic {
    /// The fold begins again at the checkpoint, as before.
    Again,
    /// .. and what panicked is left out.
    LeftOut,
    /// .. and stops there, with the source: what panicked cannot be left out.
    Stuck,
    /// Nothing may go on.
    End,
}

impl Panics {
    /// What the next life of the flow leaves out.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Takes one more panic.
    pub fn note(&mut self, suspect: Suspect) -> AfterPanic {
        let times = self.times.entry(suspect).or_default();
        *times += 1;
        let quarantine = &mut self.quarantine;
        let room = quarantine.inputs.len() + quarantine.entries.len() < LEFT_OUT_MAX;
        match (suspect, *times) {
            (_, 1) | (Suspect::Elsewhere, 2) => return AfterPanic::Again,
            (Suspect::Source, 2) => quarantine.source = true,
            (Suspect::Units(input), 2) if room => {
                quarantine.inputs.insert(input);
            }
            (Suspect::Entry { entry, .. }, 2) if room => {
                quarantine.entries.insert(entry);
            }
            (Suspect::Units(input) | Suspect::Entry { input, .. }, 2 | 3) => {
                quarantine.stuck = Some(input);
                return AfterPanic::Stuck;
            }
            (Suspect::Source | Suspect::Elsewhere | Suspect::Units(_) | Suspect::Entry { .. }, _) => {
                return AfterPanic::End;
            }
        }
        AfterPanic::LeftOut
    }
}

impl Flow {
    /// What the present step is doing.
    pub fn suspect(&self) -> Suspect {
        self.suspect
    }

    /// Whether the next entry may be folded now: what of it is left out must be known, and durable before what follows.
    pub(crate) fn may_fold(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        let Some(input) = self.visible.peek().map(|(header, _)| header.id).filter(|id| *id >= self.refolded_upto)
        else {
            return true;
        };
        let mut unfolded = self.recorded_unfolded(input);
        let first = self.place.open.unwrap_or(input);
        let fresh: Vec<EntryId> = self.config.quarantine.entries.range(first..=input).copied().collect();
        self.config.quarantine.entries.retain(|entry| !fresh.contains(entry));
        let fresh: Vec<EntryId> = fresh.into_iter().filter(|entry| !unfolded.contains(entry)).collect();
        if !fresh.is_empty() && self.stage == Stage::Folding {
            if self.is_recorded(input) {
                self.corrupt(was_folded(input), out);
            } else {
                // It is ours to decide, and so to leave out: what the rest of the journal says of outcomes comes first.
                self.config.quarantine.entries.extend(fresh);
                self.start_scan(input, state, out);
            }
            return false;
        }
        if !fresh.is_empty() {
            self.flush_skipped(out);
            let records = fresh.iter().map(|entry| Record::Unfolded { input, entry: *entry }).collect();
            let id = self.next_append_id();
            self.record(id, records, out);
            unfolded.extend(fresh);
        }
        if !unfolded.is_empty() {
            self.covered = self.covered.max(input.seq);
            stored::put(state, &keys::meta(UNFOLDED), &unfolded.iter().copied().collect::<Vec<_>>());
            self.unfolded = unfolded;
        }
        true
    }

    /// Takes from the state what of the input that the fold stands in is left out.
    pub(crate) fn load_unfolded(&mut self, state: &dyn StateTxn) {
        let stored: Vec<EntryId> = stored::get(state, &keys::meta(UNFOLDED)).unwrap_or_default();
        self.unfolded = stored.into_iter().collect();
    }

    /// A row or chunk of this table is not folded: nothing of it is until it is read again.
    pub(crate) fn leave_out(
        &mut self,
        table: &TableName,
        (entry, position): (EntryId, SourcePosition),
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let question = format!(
            "entry {entry} of {table} at {position:?} stopped the engine twice and was not folded: replace the binary, then \
             read the table again?"
        );
        self.tables.state.entry(table.clone()).or_default().left_out = true;
        self.hold_unread(table.clone(), question, state, out);
    }

    /// Whether the fold stops here, and the source with it.
    pub(crate) fn is_stuck(&mut self, out: &mut Vec<FlowOutput>) -> bool {
        let input = self.place.input;
        if self.stage != Stage::Live || self.config.quarantine.stuck != Some(input) {
            return false;
        }
        if self.ingest.state != SourceState::Stopped {
            out.push(FlowOutput::CloseSource);
            self.ingest.reopen_at = None;
            self.stop_source(
                format!("entry {input} stopped the engine again and again and cannot be left out: nothing behind it is decided"),
                out,
            );
        }
        true
    }

    /// Whether the source stays closed because what it brings panics.
    pub(crate) fn is_source_left_out(&mut self, out: &mut Vec<FlowOutput>) -> bool {
        if self.config.quarantine.source {
            let passed = self.ingest.resume.passed.unwrap_or_default();
            self.stop_source(format!("what it brings behind {passed:?} stopped the engine twice"), out);
        }
        self.config.quarantine.source
    }

    fn stop_source(&mut self, what: String, out: &mut Vec<FlowOutput>) {
        self.ingest.state = SourceState::Stopped;
        let cure = "keep data_dir as it is, report the place that the log names, replace the binary and start again";
        self.halt(Scope::Source(self.config.source.system.clone()), format!("{what}; {cure}"), out);
    }

    /// A test's panic: a row that holds these bytes cannot be folded.
    pub(crate) fn poisoned(&self, row: &Row) {
        if let Some(poison) = &self.config.poison {
            assert!(!row.0.windows(poison.len()).any(|bytes| bytes == poison.as_bytes()), "a test's panic");
        }
    }
}

fn was_folded(input: EntryId) -> Fault {
    let what = format!("entry {input} stopped the engine twice, and records say that it was folded before");
    Fault::new(Failure::Corrupt, what)
        .cure("run the binary that recorded them; keep data_dir as it is and report the place that the log names")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> Suspect {
        Suspect::Entry { input: EntryId::new(1, seq), entry: EntryId::new(1, seq) }
    }

    #[test]
    fn the_second_panic_leaves_out_the_third_stops_there() {
        let mut panics = Panics::default();
        let units = Suspect::Units(EntryId::new(1, 9));
        for suspect in [entry(7), units] {
            let after = [(); 4].map(|()| panics.note(suspect));
            assert_eq!(after, [AfterPanic::Again, AfterPanic::LeftOut, AfterPanic::Stuck, AfterPanic::End]);
        }
        assert_eq!(panics.quarantine().stuck, Some(EntryId::new(1, 9)));
    }

    #[test]
    fn what_panics_everywhere_is_not_left_out_for_ever() {
        let mut panics = Panics::default();
        for seq in 1..=LEFT_OUT_MAX as u64 {
            assert_eq!([(); 2].map(|()| panics.note(entry(seq))), [AfterPanic::Again, AfterPanic::LeftOut]);
        }
        assert_eq!([(); 2].map(|()| panics.note(entry(100))), [AfterPanic::Again, AfterPanic::Stuck]);
    }

    #[test]
    fn a_panic_that_is_about_nothing_ends_the_process_the_third_time() {
        let mut panics = Panics::default();
        let after = [(); 3].map(|()| panics.note(Suspect::Elsewhere));
        assert_eq!(after, [AfterPanic::Again, AfterPanic::Again, AfterPanic::End]);
        let after = [(); 3].map(|()| panics.note(Suspect::Source));
        assert_eq!(after, [AfterPanic::Again, AfterPanic::LeftOut, AfterPanic::End]);
    }
}
