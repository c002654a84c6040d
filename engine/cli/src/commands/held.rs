//! `held`: what a person must decide, and what each answer would do.

use crate::{args::Held, client, config::Settings, error::CliError, exit::Exit, explain, output::Output};
use serde_json::{Value, json};

/// Holds of one question that people are shown by name; all of them are in `--json`.
const NAMES_SHOWN: usize = 10;

/// Lists or answers.
pub fn run(settings: &Settings, command: &Held, output: Output) -> Result<Exit, CliError> {
    match command {
        Held::Ls => {
            let items = client::get(settings, "/held")?;
            let items = items.as_array().cloned().unwrap_or_default();
            output.each(&items, || text(&items));
        }
        Held::Answer { hold, answer, dry_run: true, .. } => dry(settings, hold, answer, output)?,
        Held::Answer { hold, answer, reason, dry_run: false } => {
            let body = json!({ "hold": hold, "answer": answer, "reason": reason });
            let answer = client::post(settings, "/held/answer", &body)?;
            output.say(answer.clone(), || format!("answered, entry {}", word(&answer, "entry")));
        }
    }
    Ok(Exit::Done)
}

/// Asks whether the answer fits, and says what it would do.
fn dry(settings: &Settings, hold: &str, answer: &str, output: Output) -> Result<(), CliError> {
    let asked = client::post(settings, "/held/fits", &json!({ "hold": hold, "answer": answer, "reason": "" }))?;
    let would = explain::answer(hold, word(&asked, "question"), answer);
    output.say(json!({ "hold": hold, "answer": answer, "would": would }), || would_mean(hold, answer, would));
    Ok(())
}

/// What each answer does is a sentence of its own.
fn would_mean(hold: &str, answer: &str, would: &str) -> String {
    format!("{hold}: {answer} would mean: {would}")
}

/// Questions, each once, with what is held by it and what each answer does.
fn text(items: &[Value]) -> String {
    if items.is_empty() {
        return "nothing waits for a person".to_owned();
    }
    let mut out = String::new();
    let mut left: Vec<&Value> = items.iter().collect();
    while let Some(first) = left.first().copied() {
        let same = |item: &&Value| item["question"] == first["question"] && item["answers"] == first["answers"];
        let (these, others): (Vec<&Value>, Vec<&Value>) = left.iter().copied().partition(same);
        these.iter().take(NAMES_SHOWN).for_each(|item| out += &format!("{}\n", word(item, "hold")));
        if these.len() > NAMES_SHOWN {
            out += &format!(".. and {} more: lockstep held ls --json\n", these.len() - NAMES_SHOWN);
        }
        out += &one(first);
        left = others;
    }
    out
}

fn one(item: &Value) -> String {
    let question = word(item, "question");
    let mut out = format!("  {}\n", explain::cause(question).map_or_else(|| question.to_owned(), str::to_owned));
    let answers: Vec<&str> = item["answers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if answers.is_empty() {
        out += "  no answer helps: change the map, then lockstep activate\n";
    }
    for answer in answers {
        out += &format!("    {answer:12}  {}\n", explain::answer(word(item, "hold"), question, answer));
    }
    out
}

fn word<'a>(item: &'a Value, key: &str) -> &'a str {
    item[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_sentence_and_each_answer_says_what_it_does() {
        let unit = |n: u32| json!({ "hold": format!("unit:Patient/{n}"), "question": "gone_at_target", "answers": ["recreate", "keep-deleted"] });
        let items: Vec<Value> = (0..12).map(unit).collect();
        let text = text(&items);
        assert_eq!(text.matches("somebody deleted it at the target").count(), 1, "{text}");
        assert!(text.contains("unit:Patient/9\n.. and 2 more") && !text.contains("gone_at_target"), "{text}");
        assert!(
            text.contains("    recreate      make it again") && text.contains("    keep-deleted  leave it"),
            "{text}"
        );
    }

    #[test]
    fn what_an_answer_would_mean_is_a_sentence() {
        let would = explain::answer("table:public.visit", "truncated", "expand");
        let told = would_mean("table:public.visit", "expand", would);
        assert!(told.starts_with("table:public.visit: expand would mean: every row that was in it counts"), "{told}");
    }

    #[test]
    fn a_question_without_an_answer_says_what_helps() {
        let item = json!({ "hold": "entity:patient", "question": "column `sex` was text, is int", "answers": [] });
        assert!(text(&[item]).contains("lockstep activate"));
        assert_eq!(text(&[]), "nothing waits for a person");
    }
}
