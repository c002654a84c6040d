//! `source drop`: nothing of ours is left at the source, and the journal says who did it. The engine must be stopped.

use crate::{args::Source, client, config::Settings, connect, error::CliError, exit::Exit, output::Output, stores};
use model::{Control, ControlAct, Entry};
use ports::{Class, Clock, Journal};
use runtime::SystemClock;
use serde_json::json;
use std::sync::Arc;

/// Removes slot and marks, then appends who did it.
pub fn run(settings: &Settings, command: &Source, output: Output) -> Result<Exit, CliError> {
    let Source::Drop { reason } = command;
    let _lock = stores::lock(settings)?;
    // Opened first: what is removed and cannot be written down would be an act without an entry.
    let mut journal = stores::open_journal(settings)?;
    let removed = client::block_on(async { connect::source(settings)?.remove().await.map_err(CliError::from) })??;
    let control = Entry::Control(Control {
        by: server::principal_of_process("lockstep source drop"),
        act: ControlAct::Dropped { source: settings.source.system.clone() },
        reason: reason.as_str().into(),
    });
    let batch: Arc<[Entry]> = Arc::from([control]);
    let appended = journal.append(&[batch], Class::Vital, SystemClock.now())?;
    let entry = appended.first().map(|appended| appended.first.to_string()).unwrap_or_default();
    output.say(json!({ "removed": removed, "entry": entry }), || {
        let removed = if removed.is_empty() { vec!["nothing of ours was there".to_owned()] } else { removed.clone() };
        format!("{}\nentry {entry}", removed.join("\n"))
    });
    Ok(Exit::Done)
}
