//! The contract of a source.

use crate::{Boxed, Fault, Resume};
use model::{Entry, SourcePosition, TableName};
use std::sync::Arc;

/// Reads a system's change log.
///
/// * `open` is called when `Slot(wanted)` is durable, never before (J6). With `resume.started == false` it drops whatever
///   slot of that name exists and makes it anew; the first batch then begins with `Snapshot(started)`.
/// * `next_batch` yields entries in the order of their positions: a transaction's rows, then its `Commit` (or one `Row`
///   that carries it); a chunk only behind every transaction at or below its `high` (J8); `Ready` behind its chunks.
///   A batch may end inside a transaction. It repeats whatever was not confirmed; ingest drops the repeats (J7).
/// * It never waits for ever in silence: a source that is alive returns an empty batch at least every few seconds.
/// * While `next_batch` is not called (back-pressure), keep-alives go on by a task of the source's own.
/// * After an error the source is dropped and opened again from a fresh resume.
pub trait Source: Send {
    /// Connects and stands where `resume` says.
    fn open(&mut self, resume: Resume) -> Boxed<'_, Result<Arc<dyn SourceHandle>, OpenFault>>;

    /// The next entries; empty if nothing came for a while. That the log cannot be gone on from may show itself only here.
    fn next_batch(&mut self) -> Boxed<'_, Result<Vec<Entry>, OpenFault>>;

    /// What `remove` would do, in words. Changes nothing.
    fn removable(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>>;

    /// Removes everything of ours from the system (slot, marks) and says in words what was removed.
    fn remove(&mut self) -> Boxed<'_, Result<Vec<String>, Fault>>;

    /// Every unmet prerequisite at once, each with its cure; empty if none. Changes nothing.
    fn prerequisites(&mut self) -> Boxed<'_, Result<Vec<Fault>, Fault>>;
}

/// What may be done to an open source from another task.
pub trait SourceHandle: Send + Sync {
    /// Everything at or below `upto` is durable and will not be asked for again (J10). Never goes back; sent by the
    /// source's own task, at once or a little later.
    fn confirm(&self, upto: SourcePosition);

    /// How far the first read is, per open table; also which tables are stopped.
    fn progress(&self) -> Vec<TableProgress>;
}

/// Progress of one table's first read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableProgress {
    /// Which table.
    pub table: TableName,
    /// Rows read so far by this process.
    pub rows_done: u64,
    /// The server's estimate of its rows.
    pub rows_estimate: u64,
    /// Why it is not captured for now, and the cure; it alone is stopped.
    pub stopped: Option<Box<str>>,
}

/// Why a source does not open, or does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenFault {
    /// A fault as any other.
    Fault(Fault),
    /// The log between `passed` and the slot is not to be had: this source stops alone, and the plan is printed (J10).
    Gap {
        /// Where the journal stands.
        passed: Option<SourcePosition>,
        /// Where the slot stands; none if it is gone.
        slot: Option<SourcePosition>,
        /// What was found: ahead, gone, invalidated, re-created, other system, other timeline.
        what: String,
        /// What will be done once a person accepts it.
        plan: String,
    },
}

impl From<Fault> for OpenFault {
    fn from(fault: Fault) -> OpenFault {
        OpenFault::Fault(fault)
    }
}
