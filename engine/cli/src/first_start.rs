//! The first start of a pipeline: what is missing ends it, all of it at once, while whoever set it up is watching.
//!
//! A later start, and a running engine, wait and try again ever more slowly: there a missing prerequisite is somebody
//! else's change, and the pipeline goes on by itself once that is taken back. A peer that does not answer never ends a
//! run: it may be starting, too.

use crate::{config::Settings, connect, error::CliError, exit::Exit, stores};
use model::{Entry, EntryId, SnapshotMark};
use ports::{Failure, Fault};

/// Bytes of one look into the journal: a source starts within its first entries.
const LOOK_BYTES: usize = 64 << 10;

/// Fails with every unmet prerequisite of both sides, if nothing was ever captured.
pub async fn prerequisites(settings: &Settings) -> Result<(), CliError> {
    if has_started(settings)? {
        return Ok(());
    }
    let mut missing = Vec::new();
    missing.extend(listed(connect::source(settings)?.prerequisites().await));
    missing.extend(listed(connect::target(settings, &[])?.sink.prerequisites(false).await));
    missing.retain(|fault| fault.failure == Failure::Misconfigured && !fault.unreachable);
    if missing.is_empty() { Ok(()) } else { Err(CliError::Faults(Exit::Prerequisite, missing)) }
}

fn listed(asked: Result<Vec<Fault>, Fault>) -> Vec<Fault> {
    asked.unwrap_or_else(|fault| vec![fault])
}

/// Whether the source was ever started: then its mark stands in the journal.
fn has_started(settings: &Settings) -> Result<bool, Fault> {
    if !settings.data("journal").is_dir() {
        return Ok(false);
    }
    let journal = stores::read_journal(settings)?;
    let mut from = EntryId::new(1, 1);
    loop {
        let page = journal.read(from, LOOK_BYTES)?;
        let Some(last) = page.last() else { return Ok(false) };
        from = last.header.id.next();
        let started = |entry: &Entry| matches!(entry, Entry::Snapshot { mark: SnapshotMark::Started { .. }, .. });
        if page.iter().any(|stored| started(&stored.entry)) {
            return Ok(true);
        }
    }
}
