//! `parked`: what the engine cannot do by itself, by cause.

use crate::{args::Parked, client, config::Settings, error::CliError, exit::Exit, explain, output::Output};
use serde_json::{Value, json};

/// Lists or releases.
pub fn run(settings: &Settings, command: &Parked, output: Output) -> Result<Exit, CliError> {
    match command {
        Parked::Ls => {
            let items = client::get(settings, "/parked")?;
            let items = items.as_array().cloned().unwrap_or_default();
            output.each(&items, || text(&items));
        }
        Parked::Release { cause, reason } => {
            let answer = client::post(settings, "/parked/release", &json!({ "cause": cause, "reason": reason }))?;
            output.say(answer.clone(), || format!("released, entry {}", answer["entry"].as_str().unwrap_or_default()));
        }
    }
    Ok(Exit::Done)
}

/// Causes with what they mean and what a person can do.
fn text(items: &[Value]) -> String {
    if items.is_empty() {
        return "nothing is parked".to_owned();
    }
    let mut out = format!("{:>8}  cause\n", "units");
    for item in items {
        let word = |key: &str| item[key].as_str().unwrap_or_default();
        let (cause, first) = (word("cause"), word("first"));
        out += &format!("{:>8}  {cause}\n", item["count"].to_string());
        if let Some(sentence) = explain::cause(cause) {
            out += &format!("{:10}{sentence}\n", "");
        }
        out += &format!("{:10}first: {first}; why: lockstep unit show {first} --why\n", "");
        let answers: Vec<&str> = item["answers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for answer in answers.iter().filter(|answer| **answer != "release") {
            let does = explain::answer("unit:", cause, answer);
            out += &format!("{:10}one unit: lockstep held answer unit:{first} {answer} ({does})\n", "");
        }
        out += &format!("{:10}all of them again, once the reason is gone: lockstep parked release \"{cause}\"\n", "");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_with_its_sentence_and_what_can_be_done() {
        let item = json!({ "cause": "unexpected_existing", "count": 3, "first": "Patient/7", "answers": ["accept", "release"] });
        let text = text(&[item]);
        for part in [
            "3  unexpected_existing\n",
            "had a resource of this id before",
            "held answer unit:Patient/7 accept (write what",
            "parked release \"unexpected_existing\"",
            "unit show Patient/7 --why",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
