//! `parked`: what the engine cannot do by itself, by cause.

use crate::{args::Parked, client, config::Settings, error::CliError, exit::Exit, output::Output};
use serde_json::json;

/// Lists or releases.
pub fn run(settings: &Settings, command: &Parked, output: Output) -> Result<Exit, CliError> {
    match command {
        Parked::Ls => {
            let items = client::get(settings, "/parked")?;
            let rows = items.as_array().into_iter().flatten().map(|item| {
                let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
                (vec![item["count"].to_string(), text("cause"), text("first")], item.clone())
            });
            output.table(&["units", "cause", "first"], rows.collect());
        }
        Parked::Release { cause, reason } => {
            let answer = client::post(settings, "/parked/release", &json!({ "cause": cause, "reason": reason }))?;
            output.say(answer.clone(), || format!("released, entry {}", answer["entry"].as_str().unwrap_or_default()));
        }
    }
    Ok(Exit::Done)
}
