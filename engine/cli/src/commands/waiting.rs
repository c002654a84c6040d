//! `waiting`: what must come first, one line a thing, whatever the number of units that wait for it.

use crate::{args::Waiting, client, config::Settings, describe, error::CliError, exit::Exit, output::Output};
use model::Timestamp;

/// Lists.
pub fn run(settings: &Settings, command: &Waiting, output: Output) -> Result<Exit, CliError> {
    let Waiting::Ls = command;
    let items = client::get(settings, "/waiting")?;
    let rows = items.as_array().into_iter().flatten().map(|item| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let since = match item["since_us"].as_i64() {
            Some(at) => describe::table_time(Timestamp(at)),
            None => format!("entry {}", text("entry")),
        };
        (vec![item["count"].to_string(), text("on"), since, text("first"), text("why")], item.clone())
    });
    output.table(&["units", "wait for", "since", "first", "why"], rows.collect());
    Ok(Exit::Done)
}
