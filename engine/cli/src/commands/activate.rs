//! `activate`: puts the map in force, as an entry with its bytes and who did it (J47).

use crate::{args::Activate, client, config::Settings, error::CliError, exit::Exit, map, output::Output, stores};
use mapping::Map;
use model::{Activated, Entry, Hash, Kind};
use ports::{Class, Clock, Journal, StateStore};
use runtime::SystemClock;
use serde_json::json;
use std::sync::Arc;

/// Checks the map, says what changes, and activates it.
pub fn run(settings: &Settings, args: &Activate, output: Output) -> Result<Exit, CliError> {
    let file = map::read(settings)?;
    let known = map::known_tables(settings)?;
    let map::Known { tables, missed, .. } = &known;
    let checked = match (missed, tables.is_empty()) {
        (None, false) => "source",
        (Some(_), false) => "journal",
        (_, true) => "nothing",
    };
    if let Some(fault) = missed {
        let warning = match tables.is_empty() {
            false => "the map is checked against the tables as the journal knows them, not as the source has them now",
            true => "the map is NOT CHECKED: neither source nor journal shows a table; it is checked when they come",
        };
        let warning = format!("{warning}: {fault}");
        output.say(json!({ "warning": warning }), || format!("warning: {warning}"));
    }
    let compiled =
        if tables.is_empty() { None } else { Some(map::compile(settings, &file, &known).map_err(map::Wrong::all)?) };
    let running = client::is_running(settings);
    let before = map::in_force(settings)?;
    if before == Some(file.hash) {
        say(output, before, &file, checked, None, "is in force already");
        return Ok(Exit::Done);
    }
    if args.dry_run {
        say(output, before, &file, checked, None, "would be activated");
        // A rehearsal that could look at nothing has not been one.
        return Ok(missed.as_ref().filter(|_| checked == "nothing").map_or(Exit::Done, Exit::of));
    }
    let entry = if running { ask(settings, &file)? } else { append(settings, &file, compiled.as_ref())? };
    say(output, before, &file, checked, Some(&entry), "is in force");
    Ok(Exit::Done)
}

fn say(output: Output, before: Option<Hash>, file: &map::MapFile, checked: &str, entry: Option<&str>, what: &str) {
    let object = json!({
        "before": before.map(|hash| hash.to_string()), "hash": file.hash.to_string(), "entry": entry, "result": what,
        "checked_against": checked,
    });
    output.say(object, || {
        let before = before.map_or_else(|| "none".to_owned(), |hash| format!("#{}", hash.short()));
        let entry = entry.map(|entry| format!(", entry {entry}")).unwrap_or_default();
        format!("map in force before: {before}\nmap #{} {what}{entry} (checked against: {checked})", file.hash.short())
    });
}

fn ask(settings: &Settings, file: &map::MapFile) -> Result<String, CliError> {
    let body = json!({ "name": settings.source.system.as_str(), "map": file.text });
    let answer = client::post(settings, "/activate", &body)?;
    Ok(answer["entry"].as_str().unwrap_or_default().to_owned())
}

fn append(settings: &Settings, file: &map::MapFile, map: Option<&Map>) -> Result<String, CliError> {
    let _lock = stores::lock(settings)?;
    let (mut journal, mut store) = stores::open_journal(settings)?;
    if let Some(map) = map {
        flow::identities_stand(map, &*store.view()?).map_err(|what| CliError::new(Exit::Usage, what, ""))?;
    }
    let activated = Entry::Activated(Activated {
        by: server::principal_of_process("lockstep activate"),
        kind: Kind::Map,
        name: settings.source.system.as_str().into(),
        hash: file.hash,
        bytes: file.text.as_bytes().into(),
        behaviour: flow::BEHAVIOUR,
    });
    let batch: Arc<[Entry]> = Arc::from([activated]);
    let appended = journal.append(&[batch], Class::Vital, SystemClock::default().now())?;
    Ok(appended.first().map(|appended| appended.first.to_string()).unwrap_or_default())
}
