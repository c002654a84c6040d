//! What goes into a step and what comes out of it.

use model::{
    Answer, ControlAct, Entry, EntryId, Journaled, Kind, Principal, Record, Recorded, SourcePosition, SystemId, Term,
    Unit,
};
use ports::{Appended, Class, Fault, OpenFault, Resume, SendRequest, SinkReply};
use std::sync::Arc;

/// Names an append until it is durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AppendId(pub u64);

/// What happened.
#[derive(Clone, Debug)]
pub enum FlowInput {
    /// The logs as they were opened for writing; the first input of all.
    Open {
        /// The journal's last entry: its new `Opened`.
        journal: EntryId,
        /// The decisions log's last record: its new `Opened`.
        decisions: EntryId,
        /// The journal's term.
        term: Term,
        /// The resume fold of the source.
        resume: Resume,
    },
    /// The answer to `ReadJournal`.
    JournalRead(Vec<Journaled>),
    /// The answer to `ReadDecisions`.
    DecisionsRead(Vec<Recorded>),
    /// Entries from the source, in order.
    Captured(Vec<Entry>),
    /// The source is open.
    SourceOpened,
    /// The source did not open, or failed later; it is closed now.
    SourceFailed(OpenFault),
    /// An append is durable. Appends become durable in the order of their entries' names, log by log.
    Appended {
        /// Which append.
        id: AppendId,
        /// Where it went.
        appended: Appended,
    },
    /// What the sink says of a request.
    Replied {
        /// The request's unit.
        unit: Unit,
        /// Its effect.
        effect: model::EffectId,
        /// What.
        reply: SinkReply,
    },
    /// A person's act.
    Act {
        /// Comes back in `Answered`.
        token: u64,
        /// Who.
        by: Principal,
        /// What.
        act: Act,
        /// Why, in the person's words.
        reason: Box<str>,
    },
    /// A fence was opened at this position of the source (J45): fold to the last commit at or below it.
    Fence {
        /// Comes back in `Fenced`.
        token: u64,
        /// P.
        position: SourcePosition,
    },
    /// A checkpoint is due (J19).
    CheckpointDue,
    /// Time passes, or there is more to do.
    Tick,
}

/// What a person asks for.
#[derive(Clone, Debug)]
pub enum Act {
    /// Put this content in force (J47).
    Activate {
        /// What it is.
        kind: Kind,
        /// For which system, for a map.
        name: Box<str>,
        /// Its bytes.
        bytes: Box<[u8]>,
    },
    /// An act on a source, table, entity or cause.
    Control(ControlAct),
    /// An answer about a unit.
    Review {
        /// Which unit.
        unit: Unit,
        /// What.
        answer: Answer,
    },
}

/// What shall happen.
#[derive(Clone, Debug)]
pub enum FlowOutput {
    /// Append to the journal.
    Append {
        /// Comes back when durable.
        id: AppendId,
        /// The entries.
        entries: Arc<[Entry]>,
        /// `Vital` goes ahead of captured rows in the queue and may use the reserve (J24).
        class: Class,
    },
    /// Append to the decisions log.
    Record {
        /// Comes back when durable.
        id: AppendId,
        /// The records.
        records: Arc<[Record]>,
    },
    /// Read the journal from here and answer with `JournalRead`.
    ReadJournal(EntryId),
    /// Read the decisions log from here and answer with `DecisionsRead`.
    ReadDecisions(EntryId),
    /// Open the source there.
    OpenSource(Resume),
    /// Close the source; nothing more is wanted of it until `OpenSource`.
    CloseSource,
    /// Confirm to the source: durable through here (J10).
    Confirm(SourcePosition),
    /// Make one attempt.
    Send(SendRequest),
    /// Find out what became of an attempt.
    Settle(SendRequest),
    /// Set the accepted state aside before the next step, and make it durable; the steps go on meanwhile.
    Checkpoint,
    /// The answer to an act, once it is durable; the id is its entry's name.
    Answered {
        /// Of which act.
        token: u64,
        /// The entry's name, or why not.
        answer: Result<EntryId, Fault>,
    },
    /// The state stands at the fence and is checkpointed behind this output: take a view of it now.
    Fenced {
        /// Of which fence.
        token: u64,
    },
    /// A part stopped (or goes on, with an empty text): tell people.
    Halted {
        /// Which part.
        scope: Scope,
        /// What happened, and the plan; empty when it goes on.
        what: String,
        /// It goes on by itself, and this is what it is about.
        mends: Option<Scope>,
    },
    /// There is more to do at once: send `Tick`.
    Again,
    /// Nothing may go on: acknowledged bytes are gone or differ.
    Corrupt(Fault),
}

/// The smallest part that stops (`halt_not_guess`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// A source.
    Source(SystemId),
    /// A sink.
    Sink(SystemId),
    /// A resource type at a sink.
    Type(SystemId, model::ResourceType),
    /// A table.
    Table(model::TableName),
    /// An entity of the map.
    Entity(model::EntityName),
    /// The map as a whole.
    Map,
}
