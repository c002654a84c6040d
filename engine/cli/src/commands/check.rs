//! `check`: everything that is missing before a run, at once. Changes nothing; `--probe` writes only at the named place,
//! and what it found is an entry (J26).

use crate::{args::Check, client, config::Settings, connect, error::CliError, exit::Exit, map, output::Output, stores};
use model::{Control, ControlAct, Entry, ResourceType};
use ports::{Class, Clock, Failure, Fault, Journal, OpenFault};
use runtime::SystemClock;
use serde_json::json;
use std::sync::Arc;

/// Checks map, source and sink.
pub fn run(settings: &Settings, args: &Check, output: Output) -> Result<Exit, CliError> {
    let mut found: Vec<(&str, Exit, Fault)> = Vec::new();
    let mut note = |part, exit: Option<Exit>, faults: Vec<Fault>| {
        found.extend(faults.into_iter().map(|fault| (part, exit.unwrap_or_else(|| missing(&fault)), fault)));
    };
    let types = check_map(settings).unwrap_or_else(|error| {
        note("map", Some(error.exit()), error.into_faults());
        Vec::new()
    });
    let mut probed = None;
    client::block_on(async {
        match connect::source(settings) {
            Ok(mut source) => {
                let missing = source.prerequisites().await.unwrap_or_else(|fault| vec![fault]);
                let asked = !missing.iter().any(|fault| fault.unreachable);
                note("source", None, missing);
                if asked && let Some((exit, fault)) = stopped(settings).await {
                    note("source", Some(exit), vec![fault]);
                }
            }
            Err(error) => note("source", Some(error.exit()), error.into_faults()),
        }
        match connect::target(settings, &types) {
            Ok(target) => match target.sink.prerequisites(args.probe).await {
                Ok(missing) => {
                    probed = findings(settings, args, &missing);
                    note("sink", None, missing);
                }
                Err(fault) => note("sink", None, vec![fault]),
            },
            Err(error) => note("sink", Some(error.exit()), error.into_faults()),
        }
    })?;
    let entry = match probed.map(|findings| enter(settings, findings)).transpose() {
        Ok(entry) => entry,
        Err(error) => {
            note("journal", Some(error.exit()), error.into_faults());
            None
        }
    };
    for warning in &settings.warnings {
        output.say(json!({ "warning": warning }), || format!("warning: {warning}"));
    }
    for (part, exit, fault) in &found {
        let object = json!({ "part": part, "error": fault.what, "cure": fault.cure, "exit": *exit as u8 });
        output.say(object, || {
            let cure = fault.cure.replace('\n', "\n  ");
            if cure.is_empty() {
                format!("{part}: {}", fault.what)
            } else {
                format!("{part}: {}\n  cure: {cure}", fault.what)
            }
        });
    }
    if let Some(entry) = entry {
        output.say(json!({ "probed": entry }), || format!("what the probe found is entry {entry}"));
    }
    let worst = worst(found.iter().map(|(_, exit, _)| *exit));
    if worst == Exit::Done {
        let standing = map::Standing::of(settings, map::in_force(settings)?.map(|hash| hash.to_string()).as_deref());
        output.say(json!({ "result": "ready", "map": standing.word() }), || {
            let but = standing.told().map(|told| format!(", but {told}")).unwrap_or_default();
            format!("ready: map, source and sink hold{but}")
        });
    }
    Ok(worst)
}

/// Why the next run would stop at the source that the journal was captured from, with the plan.
async fn stopped(settings: &Settings) -> Option<(Exit, Fault)> {
    if !settings.data("journal").is_dir() {
        return None;
    }
    match connect::goes_on(settings).await.err()? {
        OpenFault::Fault(fault) => Some((Exit::of(&fault), fault)),
        OpenFault::Gap { what, plan, .. } => Some((Exit::Stopped, Fault::new(Failure::Corrupt, what).cure(plan))),
    }
}

/// What a probe found, in a line; none if nothing was tried: no place is named, or the server did not let us come so far.
fn findings(settings: &Settings, args: &Check, found: &[Fault]) -> Option<String> {
    if !args.probe || !settings.sink.table.contains_key("probe") || found.iter().any(|fault| fault.unreachable) {
        return None;
    }
    let all: Vec<&str> = found.iter().map(|fault| fault.what.as_str()).collect();
    Some(if all.is_empty() { "the profile holds".to_owned() } else { all.join("; ") })
}

/// Enters who probed and what came of it: through the engine if one runs, else by itself.
fn enter(settings: &Settings, findings: String) -> Result<String, CliError> {
    let system = settings.sink.system.clone();
    let profile = settings.sink.table.get("profile").and_then(toml::Value::as_str).unwrap_or_default();
    if client::is_running(settings) {
        let body = json!({ "system": system.as_str(), "profile": profile, "findings": findings });
        let answer = client::post(settings, "/probed", &body)?;
        return Ok(answer["entry"].as_str().unwrap_or_default().to_owned());
    }
    let _lock = stores::lock(settings)?;
    let (mut journal, _) = stores::open_journal(settings)?;
    let control = Entry::Control(Control {
        by: server::principal_of_process("lockstep check --probe"),
        act: ControlAct::Probed { system, profile: profile.into(), findings: findings.into() },
        reason: "".into(),
    });
    let appended = journal.append(&[Arc::from([control])], Class::Vital, SystemClock::default().now())?;
    Ok(appended.first().map(|appended| appended.first.to_string()).unwrap_or_default())
}

/// Who does not answer cannot be asked; everything else that is listed is a prerequisite.
fn missing(fault: &Fault) -> Exit {
    if fault.unreachable { Exit::Unreachable } else { Exit::Prerequisite }
}

/// Wrong settings first, then what is missing, then who did not answer.
fn worst(exits: impl Iterator<Item = Exit>) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Done | Exit::No => 0,
        Exit::Unreachable => 1,
        Exit::Prerequisite => 2,
        Exit::NotRunning | Exit::Stopped | Exit::Ours => 3,
        Exit::Usage => 4,
    };
    exits.max_by_key(rank).unwrap_or(Exit::Done)
}

/// The resource types that the map writes; none while no table is known to compile it against.
fn check_map(settings: &Settings) -> Result<Vec<ResourceType>, CliError> {
    let file = map::read(settings)?;
    let known = map::known_tables(settings)?;
    if known.tables.is_empty() {
        return Ok(Vec::new());
    }
    match map::compile(settings, &file, &known) {
        Ok(map) => Ok(map.entities().iter().map(|entity| entity.resource_type.clone()).collect()),
        // A captured table that is gone is told as the source's, not as the map's.
        Err(wrong) if wrong.faults.is_empty() => Ok(Vec::new()),
        Err(wrong) => Err(CliError::Faults(Exit::Usage, wrong.faults)),
    }
}
