//! `check`: everything that is missing before a run, at once. Changes nothing; `--probe` writes only at the named place.

use crate::{args::Check, client, config::Settings, connect, error::CliError, exit::Exit, map, output::Output};
use model::ResourceType;
use ports::Fault;
use serde_json::json;

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
    client::block_on(async {
        match connect::source(settings) {
            Ok(mut source) => match source.prerequisites().await {
                Ok(missing) => note("source", None, missing),
                Err(fault) => note("source", None, vec![fault]),
            },
            Err(error) => note("source", Some(error.exit()), error.into_faults()),
        }
        match connect::target(settings, &types) {
            Ok(target) => match target.sink.prerequisites(args.probe).await {
                Ok(missing) => note("sink", None, missing),
                Err(fault) => note("sink", None, vec![fault]),
            },
            Err(error) => note("sink", Some(error.exit()), error.into_faults()),
        }
    })?;
    for warning in &settings.warnings {
        output.say(json!({ "warning": warning }), || format!("warning: {warning}"));
    }
    for (part, _, fault) in &found {
        output.say(json!({ "part": part, "error": fault.what, "cure": fault.cure }), || {
            let cure = fault.cure.replace('\n', "\n  ");
            if cure.is_empty() {
                format!("{part}: {}", fault.what)
            } else {
                format!("{part}: {}\n  cure: {cure}", fault.what)
            }
        });
    }
    let worst = worst(found.iter().map(|(_, exit, _)| *exit));
    if worst == Exit::Done {
        output.say(json!({ "result": "ready" }), || "ready: map, source and sink hold".to_owned());
    }
    Ok(worst)
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
    let tables = map::known_tables(settings)?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let map = map::compile(settings, &file, &tables).map_err(|faults| CliError::Faults(Exit::Usage, faults))?;
    Ok(map.entities().iter().map(|entity| entity.resource_type.clone()).collect())
}
