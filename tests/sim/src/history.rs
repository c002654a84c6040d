//! What happened in a run, in the order in which it happened: all that a checker sees.
//!
//! A simulated run writes it as it goes. A real run's is made of what it left behind ([`History::of_logs`]): there the order
//! holds within each kind and not between them, and [`History::is_ordered`] says so.

use crate::source::Rows;
use flow::Scope;
use model::{EffectId, Journaled, Json, Record, Recorded, RequestId, RowKey, SourcePosition, TableName};
use ports::{SendRequest, SinkReply};
use std::collections::BTreeMap;

/// A run.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// What happened.
    pub events: Vec<Event>,
    /// Whether events of different kinds stand in the order in which they happened.
    pub is_ordered: bool,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The source committed a transaction.
    Committed(Committed),
    /// It rolled one back, which had these places.
    Aborted { from: SourcePosition, to: SourcePosition },
    /// It was restored, or failed over: its log ends here, and what was committed above never was.
    WentBack { to: SourcePosition },
    /// An entry is durable.
    Journaled(Journaled),
    /// A record is durable.
    Recorded(Recorded),
    /// The source was told that this is durable.
    Confirmed(SourcePosition),
    /// A request left.
    Sent(SendRequest),
    /// What became of one is asked.
    Settling(SendRequest),
    /// The target has a new version of a unit; `request` of ours, or none of somebody else.
    Applied { unit: Box<str>, version: usize, request: Option<RequestId>, body: Option<Json> },
    /// The engine has an answer.
    Replied { effect: EffectId, reply: SinkReply },
    /// A checkpoint is durable.
    Checkpointed,
    /// The process died. `durable`: entries and records that the next one must find.
    Crashed { durable: (u64, u64) },
    /// .. and the next one found this many.
    Reopened { found: (u64, u64) },
    /// A fault was injected.
    Injected(&'static str),
    /// A part stopped, or goes on (an empty text).
    Halted { scope: Scope, what: String },
    /// Nothing may go on: why.
    Corrupt(String),
    /// So many changes were dropped as older than their rows.
    Stale(u64),
    /// Faults have ended, people have answered, nothing is left to happen.
    Rest(Box<Rest>),
}

/// The versions of units by `Type/id`, oldest first: whose request made each, if one of ours did, and its content.
pub type Versions<'a> = BTreeMap<&'a str, Vec<(Option<RequestId>, Option<&'a Json>)>>;

/// A transaction of the source.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Where the log stands behind it.
    pub end: SourcePosition,
    /// Its changes; without a key a truncation.
    pub changes: Vec<(SourcePosition, TableName, Option<RowKey>)>,
}

/// Everything as it stands at the end.
#[derive(Clone, Default, Debug)]
pub struct Rest {
    /// The source's tables.
    pub tables: Vec<Rows>,
    /// The state, but for the place of its fold.
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl History {
    /// The history of a real run, from its logs.
    pub fn of_logs(journal: Vec<Journaled>, decisions: Vec<Recorded>) -> History {
        let journal = journal.into_iter().map(Event::Journaled);
        let decisions = decisions.into_iter().map(Event::Recorded);
        History { events: journal.chain(decisions).collect(), is_ordered: false }
    }

    /// The journal, in order.
    pub fn journal(&self) -> impl Iterator<Item = &Journaled> {
        self.events.iter().filter_map(|event| if let Event::Journaled(entry) = event { Some(entry) } else { None })
    }

    /// The decisions log, in order.
    pub fn decisions(&self) -> impl Iterator<Item = &Recorded> {
        self.events.iter().filter_map(|event| if let Event::Recorded(record) = event { Some(record) } else { None })
    }

    /// Every recorded step, in order.
    pub fn decided(&self) -> impl Iterator<Item = &model::Decided> {
        self.decisions().filter_map(|record| match &record.record {
            Record::Decided(decided) => Some(decided),
            Record::Opened { .. } | Record::Skipped { .. } | Record::Unfolded { .. } => None,
        })
    }

    /// The versions at the target by unit, oldest first, each with its request and its content.
    pub fn versions(&self) -> Versions<'_> {
        let mut units = Versions::new();
        for event in &self.events {
            if let Event::Applied { unit, request, body, .. } = event {
                units.entry(unit).or_default().push((*request, body.as_ref()));
            }
        }
        units
    }

    /// The end, if the run came to one.
    pub fn rest(&self) -> Option<&Rest> {
        self.events.iter().rev().find_map(|event| if let Event::Rest(rest) = event { Some(&**rest) } else { None })
    }

    /// Faults that were injected.
    pub fn injected(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().filter_map(|event| if let Event::Injected(name) = event { Some(*name) } else { None })
    }

    /// Names all of it: two runs of one seed have the same.
    pub fn hash(&self) -> model::Hash {
        model::Hash::of(format!("{:?}", self.events).as_bytes())
    }
}
