//! `held`: what a person must decide.

use crate::{args::Held, client, config::Settings, error::CliError, exit::Exit, output::Output};
use serde_json::{Value, json};

/// Lists or answers.
pub fn run(settings: &Settings, command: &Held, output: Output) -> Result<Exit, CliError> {
    match command {
        Held::Ls => {
            let items = client::get(settings, "/held")?;
            let rows = items.as_array().into_iter().flatten().map(|item| {
                let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
                let answers = item["answers"].as_array().into_iter().flatten().filter_map(Value::as_str);
                (vec![text("hold"), answers.collect::<Vec<_>>().join(" | "), text("question")], item.clone())
            });
            output.table(&["hold", "answers", "question"], rows.collect());
        }
        Held::Answer { hold, answer, reason } => {
            let body = json!({ "hold": hold, "answer": answer, "reason": reason });
            let answer = client::post(settings, "/held/answer", &body)?;
            output.say(answer.clone(), || format!("answered, entry {}", answer["entry"].as_str().unwrap_or_default()));
        }
    }
    Ok(Exit::Done)
}
