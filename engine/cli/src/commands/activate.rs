//! `activate`: puts the map in force, as an entry with its bytes and who did it (J47).

use crate::{args::Activate, client, config::Settings, error::CliError, exit::Exit, map, output::Output, stores};
use model::{Activated, Entry, Hash, Kind};
use ports::{Class, Clock, Journal};
use runtime::SystemClock;
use serde_json::json;
use std::sync::Arc;

/// Checks the map, says what changes, and activates it.
pub fn run(settings: &Settings, args: &Activate, output: Output) -> Result<Exit, CliError> {
    let file = map::read(settings)?;
    let map::Known { tables, missed } = map::known_tables(settings)?;
    if let Some(fault) = missed {
        let warning = format!("the map is not checked against the source as it is now: {fault}");
        output.say(json!({ "warning": warning }), || format!("warning: {warning}"));
    }
    if tables.is_empty() {
        output.note("the journal shows no table either: the map is checked against them when they come");
    } else {
        map::compile(settings, &file, &tables).map_err(|faults| CliError::Faults(Exit::Usage, faults))?;
    }
    let running = client::is_running(settings);
    let before = map::in_force(settings)?;
    if before == Some(file.hash) {
        say(output, before, file.hash, None, "is in force already");
        return Ok(Exit::Done);
    }
    if args.dry_run {
        say(output, before, file.hash, None, "would be activated");
        return Ok(Exit::Done);
    }
    let entry = if running { ask(settings, &file)? } else { append(settings, &file)? };
    say(output, before, file.hash, Some(&entry), "is in force");
    Ok(Exit::Done)
}

fn say(output: Output, before: Option<Hash>, now: Hash, entry: Option<&str>, what: &str) {
    let object = json!({
        "before": before.map(|hash| hash.to_string()), "hash": now.to_string(), "entry": entry, "result": what,
    });
    output.say(object, || {
        let before = before.map_or_else(|| "none".to_owned(), |hash| format!("#{}", hash.short()));
        let entry = entry.map(|entry| format!(", entry {entry}")).unwrap_or_default();
        format!("map in force before: {before}\nmap #{} {what}{entry}", now.short())
    });
}

fn ask(settings: &Settings, file: &map::MapFile) -> Result<String, CliError> {
    let body = json!({ "name": settings.source.system.as_str(), "map": file.text });
    let answer = client::post(settings, "/activate", &body)?;
    Ok(answer["entry"].as_str().unwrap_or_default().to_owned())
}

fn append(settings: &Settings, file: &map::MapFile) -> Result<String, CliError> {
    let _lock = stores::lock(settings)?;
    let mut journal = stores::open_journal(settings)?;
    let activated = Entry::Activated(Activated {
        by: server::principal_of_process("lockstep activate"),
        kind: Kind::Map,
        name: settings.source.system.as_str().into(),
        hash: file.hash,
        bytes: file.text.as_bytes().into(),
        behaviour: flow::BEHAVIOUR,
    });
    let batch: Arc<[Entry]> = Arc::from([activated]);
    let appended = journal.append(&[batch], Class::Vital, SystemClock.now())?;
    Ok(appended.first().map(|appended| appended.first.to_string()).unwrap_or_default())
}
