//! Records read back from the decisions log: what they say of an input, and which inputs they cover (J17).

use crate::{input::FlowOutput, marks::Binding, recover::Stage, step::Flow};
use model::{EntryId, Mark, Record, Recorded};
use ports::StateTxn;
use std::collections::BTreeSet;

/// What the decisions log says of a step.
pub(crate) enum Found {
    /// Not read yet.
    Reading,
    /// This was decided, of marks up to there.
    Step(Option<Mark>),
    /// The input decided nothing.
    Skipped,
    /// No record: it is ours to decide.
    Nothing,
}

impl Flow {
    /// Whether records must be read before the next entry is folded: they say what it decided. A page that ends with what
    /// lies behind that entry says nothing of it.
    pub(crate) fn needs_records(&mut self, out: &mut Vec<FlowOutput>) -> bool {
        if self.stage != Stage::Folding {
            return false;
        }
        self.drop_behind(self.visible.next());
        let says = |record: &Recorded| matches!(record.record, Record::Decided(_) | Record::Skipped { .. });
        let needed = self.recorded_read < self.recorded_tail && !self.recorded.iter().any(says);
        if needed {
            out.extend(self.wants_decisions().map(FlowOutput::ReadDecisions));
        }
        needed
    }

    /// From where the decisions log must be read, unless it is being read.
    pub(crate) fn wants_decisions(&mut self) -> Option<EntryId> {
        let wanted = !std::mem::replace(&mut self.reading_decisions, true);
        wanted.then(|| EntryId { writer: self.decisions_tail.writer, seq: self.recorded_read + 1 })
    }

    pub(crate) fn decisions_read(&mut self, records: Vec<Recorded>) {
        self.reading_decisions = false;
        let (tail, before) = (self.recorded_tail, self.recorded.len());
        self.recorded.extend(records.into_iter().filter(|record| record.header.id.seq <= tail));
        self.cover();
        let last = self.recorded.back().filter(|_| self.recorded.len() > before);
        self.recorded_read = last.map_or(tail, |record| record.header.id.seq);
    }

    /// No input that these records cover is passed over once more, also one that was folded before they were read: a fold
    /// that stood inside an input goes on before it asks for records.
    fn cover(&mut self) {
        let covers = |record: &Recorded| match &record.record {
            Record::Skipped { to, .. } => to.seq,
            Record::Decided(decided) => decided.input.seq,
            Record::Unfolded { input, .. } => input.seq,
            Record::Opened { .. } => 0,
        };
        self.covered = self.recorded.iter().map(covers).fold(self.covered, u64::max);
        let (writer, next) = (self.decisions_tail.writer, self.covered + 1);
        let left =
            |(from, to): (EntryId, EntryId)| (to.seq >= next).then(|| (from.max(EntryId { writer, seq: next }), to));
        self.skipped = self.skipped.and_then(left);
    }

    /// Drops records of entries before `input`.
    fn drop_behind(&mut self, input: EntryId) {
        while let Some(front) = self.recorded.front() {
            match &front.record {
                Record::Skipped { to, .. } if *to >= input => return,
                Record::Decided(decided) if decided.input >= input => return,
                Record::Unfolded { input: of, .. } if *of >= input => return,
                Record::Decided(_) | Record::Skipped { .. } | Record::Unfolded { .. } | Record::Opened { .. } => {
                    self.place.decisions = front.header.id.seq;
                    self.recorded.pop_front();
                }
            }
        }
    }

    /// What of the next input the records say was not folded; all of them are read.
    pub(crate) fn recorded_unfolded(&self, input: EntryId) -> BTreeSet<EntryId> {
        let entry = |record: &Recorded| match &record.record {
            Record::Unfolded { input: of, entry } if *of == input => Some(Some(*entry)),
            Record::Opened { .. } => Some(None),
            Record::Unfolded { .. } | Record::Decided(_) | Record::Skipped { .. } => None,
        };
        self.recorded.iter().map_while(entry).flatten().collect()
    }

    /// Whether a record says that this input, or one behind it, was folded.
    pub(crate) fn is_recorded(&self, input: EntryId) -> bool {
        let says = |record: &Recorded| match &record.record {
            Record::Unfolded { input: of, .. } => *of > input,
            Record::Decided(_) | Record::Skipped { .. } => true,
            Record::Opened { .. } => false,
        };
        self.recorded.iter().any(says)
    }

    /// What the decisions log says of step `step` of the present input.
    pub(crate) fn find_recorded(&mut self, step: u32) -> Found {
        if self.stage != Stage::Folding {
            return Found::Nothing;
        }
        let input = self.place.input;
        while let Some(front) = self.recorded.front() {
            let seq = front.header.id.seq;
            match &front.record {
                Record::Decided(decided) if decided.input == input && decided.step == step => {
                    return Found::Step(decided.upto.clone());
                }
                Record::Skipped { from, to } if *from <= input && input <= *to => return Found::Skipped,
                Record::Decided(decided) if decided.input > input => return Found::Skipped,
                Record::Skipped { from, .. } if *from > input => return Found::Skipped,
                Record::Unfolded { input: of, .. } if *of > input => return Found::Skipped,
                Record::Decided(_) | Record::Skipped { .. } | Record::Unfolded { .. } | Record::Opened { .. } => {
                    self.place.decisions = seq;
                    self.recorded.pop_front();
                }
            }
        }
        if self.recorded_read < self.recorded_tail { Found::Reading } else { Found::Nothing }
    }

    /// Folds the recorded step that was found, once the units of its marks are bound.
    pub(crate) fn fold_found(
        &mut self,
        upto: Option<&Mark>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) -> bool {
        // A step of marks says that the entry's own causes decided nothing.
        self.causes.clear();
        if upto.is_some() && self.bind_marked(upto, state, out) == Binding::More {
            return true;
        }
        let Some(Recorded { header, record: Record::Decided(decided) }) = self.recorded.pop_front() else {
            return false;
        };
        self.place.decisions = header.id.seq;
        self.worked += decided.decisions.len();
        self.fold_recorded(decided, state, out)
    }
}
