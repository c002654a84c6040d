//! Verification: source rows ↔ shadow, map(shadow) ↔ state, state ↔ target, all at one position of the source (J45).
//!
//! Writes nothing anywhere. Invariants:
//! * Nothing rests on idling: the source is read in a snapshot at P, the state is a frozen view at P or a few commits
//!   behind it (`fence`), the target is read by version, and what happened since is told from what nobody can explain by
//!   the journal.
//! * A unit with an unsettled effect in the view is `unsettled`, never equal.
//! * A report holds names, hashes and counts, never a value; its list is bounded, its counts are exact.
//!
//! ```text
//!  fence P ──► rows ──┐ leg 1      frozen view                 leg 3   ┌── versions, lists ◄── target
//!                     ├───────► shadow ─ map ─► state, ledger ◄────────┤
//!                     │             leg 2 ▲                            └── outcomes, foreign versions ◄── journal, decisions log
//!                                         └ what is as of the last mapping ◄── decisions log
//! ```
//! State and journal are read synchronously: run it where blocking is allowed.

mod decided;
mod extra;
mod facts;
mod fence;
mod follow;
mod references;
mod report;
mod rows;
mod target;
mod together;
mod units;
mod versions;

pub use report::{About, Class, Finding, LeftOut, Leg, Report};

use flow::Inspect;
use model::{EntryId, Journaled, Recorded, SystemId, TableName};
use ports::{Fault, Fence, Readback, StateTxn};
use std::sync::Arc;

/// The next durable entries of the journal from a name on; empty at its tail.
pub type ReadJournal = Box<dyn FnMut(EntryId) -> Result<Vec<Journaled>, Fault> + Send>;

/// The next durable records of the decisions log from a name on; empty at its tail.
pub type ReadDecisions = Box<dyn FnMut(EntryId) -> Result<Vec<Recorded>, Fault> + Send>;

/// What is compared.
pub struct VerifyInput {
    /// The source's rows at P.
    pub fence: Box<dyn Fence>,
    /// The state at P, or a few commits behind it: the fold does not wait for a fence.
    pub state: Box<dyn StateTxn + Send>,
    /// The target.
    pub target: Arc<dyn Readback>,
    /// The journal, from its first entry.
    pub journal: ReadJournal,
    /// The decisions log, from its first record.
    pub decisions: ReadDecisions,
    /// The entry that was folded next before the fence was opened.
    pub before: EntryId,
    /// The source's system.
    pub source: SystemId,
    /// The target's system.
    pub sink: SystemId,
    /// The tables that are captured.
    pub tables: Vec<TableName>,
    /// The deployment's secret: keys are shown as hashes made with it (clinical S18).
    pub secret: [u8; 32],
    /// Histories that are asked for side by side.
    pub concurrency: usize,
    /// Findings that are listed; all of them are counted.
    pub findings_max: usize,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Which leg.
    pub leg: Leg,
    /// Of what: a table, an entity, a resource type.
    pub what: Box<str>,
    /// Rows, units or resources so far.
    pub done: u64,
}

/// Takes every step of progress.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Compares everything. A fault means that a side could not be read: nothing is said about it then.
pub async fn verify(input: VerifyInput, progress: OnProgress<'_>) -> Result<Report, Fault> {
    let VerifyInput {
        mut fence, state, target, mut journal, mut decisions, before, source, sink, tables, secret, ..
    } = input;
    let inspect = Inspect::open(state);
    let mut report = Report::new(fence.position(), inspect.folding(), inspect.map_hash(), secret, input.findings_max);
    let moved = fence::Moved::between(fence.position(), before, &mut journal, &inspect)?;
    let mut inspect = rows::compare(&mut *fence, inspect, (&tables, &moved), &mut report, progress).await?;
    // The snapshot holds back the source's vacuum: it ends as soon as it is not needed.
    drop(fence);
    units::compare(&mut inspect, &source, &mut decisions, &mut report, progress)?;
    let facts = facts::Facts::open((journal, decisions), sink.clone(), inspect.folding())?;
    let history = target.keeps_history();
    let settings = target::Settings { sink, history, concurrency: input.concurrency.max(1) };
    target::Leg3::new(inspect, target, facts, settings, report).compare(progress).await
}
