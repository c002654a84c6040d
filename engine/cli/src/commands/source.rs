//! `source drop`: nothing of ours is left at the source, and the journal says who did it. The engine must be stopped.

use crate::{args::Source, client, config::Settings, connect, error::CliError, exit::Exit, output::Output, stores};
use model::{Control, ControlAct, Entry};
use ports::{Class, Clock, Journal};
use runtime::SystemClock;
use serde_json::json;
use std::sync::Arc;

/// Removes slot and marks, then appends who did it.
pub fn run(settings: &Settings, command: &Source, output: Output) -> Result<Exit, CliError> {
    let Source::Drop { reason, dry_run } = command;
    if *dry_run {
        return dry(settings, output);
    }
    let _lock = stores::lock(settings)?;
    // Opened first: what is removed and cannot be written down would be an act without an entry.
    let (mut journal, _) = stores::open_journal(settings)?;
    let removed = client::block_on(async { connect::source(settings)?.remove().await.map_err(CliError::from) })??;
    let control = Entry::Control(Control {
        by: server::principal_of_process("lockstep source drop"),
        act: ControlAct::Dropped { source: settings.source.system.clone() },
        reason: reason.as_str().into(),
    });
    let batch: Arc<[Entry]> = Arc::from([control]);
    let appended = journal.append(&[batch], Class::Vital, SystemClock::default().now())?;
    let entry = appended.first().map(|appended| appended.first.to_string()).unwrap_or_default();
    output.say(json!({ "removed": removed, "entry": entry }), || {
        let removed = if removed.is_empty() { vec!["nothing of ours was there".to_owned()] } else { removed.clone() };
        format!("{}\nentry {entry}", removed.join("\n"))
    });
    Ok(Exit::Done)
}

/// Looks, beside a running engine too.
fn dry(settings: &Settings, output: Output) -> Result<Exit, CliError> {
    let would = client::block_on(async { connect::source(settings)?.removable().await.map_err(CliError::from) })??;
    let running = client::is_running(settings);
    output.say(json!({ "would": would, "engine_running": running }), || {
        let mut lines = would.clone();
        if lines.is_empty() {
            lines.push("nothing of ours is there".to_owned());
        }
        if running {
            lines.push("the engine runs: stop it first".to_owned());
        }
        lines.push("nothing was changed; the journal and what stands at the target would stay as they are".to_owned());
        lines.join("\n")
    });
    Ok(Exit::Done)
}
