//! A flow that is driven by the logs alone: no source, no sink, nothing appended.

use flow::{Flow, FlowInput, FlowOutput};
use model::{EntryId, Record, Term, Timestamp};
use ports::{Appended, Failure, Fault, StateStore};
use std::{collections::VecDeque, sync::Arc};

use crate::stores::{EntryReader, READ_BYTES_MAX, RecordReader};

/// Drives a flow over logs that are only read.
pub struct Dry<'a> {
    pub flow: Flow,
    pub store: Box<dyn StateStore>,
    pub journal: &'a EntryReader,
    pub decisions: &'a RecordReader,
    /// The journal's last entry when this began.
    pub tail: EntryId,
    /// How far the journal was read, for whoever waits.
    pub read: u64,
    inputs: VecDeque<FlowInput>,
    recorded: u64,
}

/// What one step led to.
#[derive(Default)]
pub struct Round {
    /// Records that the flow made.
    pub records: Vec<Arc<[Record]>>,
}

impl<'a> Dry<'a> {
    /// At the beginning of both logs.
    pub fn open(
        flow: Flow,
        store: Box<dyn StateStore>,
        (journal, decisions): (&'a EntryReader, &'a RecordReader),
    ) -> Result<Option<Dry<'a>>, Fault> {
        let Some(tail) = journal.tail()? else { return Ok(None) };
        let term = journal.read(tail, 1)?.first().map_or(Term(0), |entry| entry.header.term);
        let decided = decisions.tail()?.unwrap_or(EntryId::new(1, 0));
        let open = FlowInput::Open { journal: tail, decisions: decided, term, resume: Default::default() };
        Ok(Some(Dry { flow, store, journal, decisions, tail, read: 0, inputs: VecDeque::from([open]), recorded: 0 }))
    }

    /// Adds an input.
    pub fn push(&mut self, input: FlowInput) {
        self.inputs.push_back(input);
    }

    /// One step; none when there is nothing left to do.
    pub fn step(&mut self) -> Result<Option<Round>, Fault> {
        let Some(input) = self.inputs.pop_front() else { return Ok(None) };
        let outputs = self.flow.step(Timestamp(0), input, self.store.txn());
        if let Some(fault) = self.store.fault() {
            self.store.discard();
            return Err(fault);
        }
        self.store.accept();
        let mut round = Round::default();
        for output in outputs {
            self.act(output, &mut round)?;
        }
        Ok(Some(round))
    }

    fn act(&mut self, output: FlowOutput, round: &mut Round) -> Result<(), Fault> {
        match output {
            FlowOutput::ReadJournal(from) => {
                self.read = from.seq;
                let entries = self.journal.read(from, READ_BYTES_MAX)?;
                self.push(FlowInput::JournalRead(entries));
            }
            FlowOutput::ReadDecisions(from) => {
                let records = self.decisions.read(from, READ_BYTES_MAX)?;
                self.push(FlowInput::DecisionsRead(records));
            }
            FlowOutput::Record { id, records } => {
                let first = EntryId::new(1, self.recorded + 1);
                self.recorded += records.len() as u64;
                let last = EntryId::new(1, self.recorded);
                self.push(FlowInput::Appended { id, appended: Appended { first, last, appended_at: Timestamp(0) } });
                round.records.push(records);
            }
            FlowOutput::Checkpoint => {
                self.store.begin_checkpoint()?;
            }
            FlowOutput::Again => self.push(FlowInput::Tick),
            FlowOutput::Corrupt(fault) => return Err(fault),
            FlowOutput::Append { .. }
            | FlowOutput::OpenSource(_)
            | FlowOutput::CloseSource
            | FlowOutput::Confirm(_)
            | FlowOutput::Send(_)
            | FlowOutput::Settle(_)
            | FlowOutput::Answered { .. }
            | FlowOutput::Fenced { .. }
            | FlowOutput::Halted { .. } => {}
        }
        Ok(())
    }
}

/// Nothing was ever run here.
pub fn empty() -> Fault {
    Fault::new(Failure::Misconfigured, "the journal is empty").cure("lockstep run")
}
