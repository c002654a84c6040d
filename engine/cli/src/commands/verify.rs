//! `verify`: source ↔ shadow ↔ target at one position, by the running engine; 1 if anything differs.

use crate::{
    client,
    config::Settings,
    error::CliError,
    exit::Exit,
    output::{Output, fields},
    progress::Bar,
};
use serde_json::{Value, json};
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_millis(200);
/// Findings that people are shown; all of them are in `--json`.
const SHOWN: usize = 50;

/// Asks for a verification and waits for it.
pub fn run(settings: &Settings, output: Output) -> Result<Exit, CliError> {
    let begun = client::post(settings, "/verify", &json!({}))?;
    let path = format!("/verify/{}", begun["number"]);
    let bar = Bar::spinner("waiting for the fence");
    let report = loop {
        let answer = client::get(settings, &path)?;
        if answer["report"].is_object() {
            break answer["report"].clone();
        }
        bar.tell(now(&answer));
        std::thread::sleep(ASK_EVERY);
    };
    drop(bar);
    output.say(report.clone(), || text(&report));
    Ok(if report["clean"] == json!(true) { Exit::Done } else { Exit::No })
}

/// How far it is, in words.
fn now(answer: &Value) -> String {
    let pids: Vec<String> = list(&answer["waiting"]).map(ToString::to_string).collect();
    let progress = &answer["progress"];
    match (pids.is_empty(), progress.is_object()) {
        (false, _) => format!("the fence waits for transactions of the source: pids {}", pids.join(", ")),
        (true, false) => "waiting for the fence".to_owned(),
        (true, true) => format!("{} {}: {}", word(&progress["leg"]), word(&progress["what"]), progress["done"]),
    }
}

fn text(report: &Value) -> String {
    let dispositions = report["dispositions"].as_object().into_iter().flatten();
    let dispositions: Vec<String> = dispositions.map(|(name, n)| format!("{n} {name}")).collect();
    let mut out = fields(&[
        ("position", format!("{}, folding {}", word(&report["position"]), word(&report["folding"]))),
        ("rows", format!("{} compared with the shadow, {} moved meanwhile", report["rows"], report["moved"])),
        ("units", dispositions.join(", ")),
        ("target", format!("{} equal, {} unsettled, {} open", report["equal"], report["unsettled"], report["open"])),
        (
            "versions",
            format!(
                "{}: {} ours of {} accepted, {} of others, {} in flight",
                report["versions"], report["ours"], report["accepted"], report["others"], report["in_flight"]
            ),
        ),
        ("references", format!("{} followed, {} resources listed", report["references"], report["listed"])),
    ]);
    for one in list(&report["left_out"]) {
        out += &format!("left out    {} {}: {}\n", word(&one["leg"]), word(&one["what"]), word(&one["why"]));
    }
    if report["clean"] == json!(true) {
        let open = |name: &str| report[name].as_u64().unwrap_or(0);
        let left = open("open") + open("unsettled") + open("moved");
        return out
            + &match left {
                0 => "clean: nothing differs\n".to_owned(),
                left => format!(
                    "clean as far as compared; {left} not compared (parked, held, waiting, unsettled, or moved meanwhile)\n"
                ),
            };
    }
    for one in list(&report["counts"]) {
        out += &format!("DIFFERS     {} {} {}\n", one["count"], word(&one["leg"]), word(&one["class"]));
    }
    let findings: Vec<&Value> = list(&report["findings"]).collect();
    findings.iter().take(SHOWN).for_each(|one| out += &format!("  {}\n", finding(one)));
    if findings.len() > SHOWN {
        out += &format!("  .. and {} more: lockstep verify --json\n", findings.len() - SHOWN);
    }
    out
}

/// One finding on a line.
fn finding(one: &Value) -> String {
    let words = |value: &Value| list(value).filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let about = match (one["table"].as_str(), one["unit"].as_str()) {
        (Some(table), _) => format!("{table} #{}", word(&one["key"])),
        (None, Some(unit)) => format!("{unit} ({})", word(&one["entity"])),
        (None, None) => word(&one["resource"]).to_owned(),
    };
    let mut line = format!("{} {}: {about}", word(&one["leg"]), word(&one["class"]));
    if let Some(version) = one["version"].as_str() {
        line += &format!(" version {version}");
    }
    for (name, text) in [("at", words(&one["fields"])), ("see", words(&one["entries"]))] {
        if !text.is_empty() {
            line += &format!(", {name} {text}");
        }
    }
    line
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_where_and_which_entries_say_more() {
        let row = json!({ "leg": "rows", "class": "different", "table": "public.patient", "key": "1a2b3c4d",
                          "fields": ["sex"], "entries": ["1:41"] });
        assert_eq!(finding(&row), "rows different: public.patient #1a2b3c4d, at sex, see 1:41");
        let unit = json!({ "leg": "target", "class": "unattributed", "unit": "Patient/7", "entity": "patient",
                           "version": "3", "fields": [], "entries": [] });
        assert_eq!(finding(&unit), "target unattributed: Patient/7 (patient) version 3");
    }

    #[test]
    fn a_report_that_is_clean_says_so_and_what_it_left_out() {
        let report = json!({ "clean": true, "left_out": [{ "leg": "rows", "what": "public.visit", "why": "held" }],
                             "dispositions": { "written": 3 } });
        let text = text(&report);
        assert!(text.contains("left out    rows public.visit: held\n"), "{text}");
        assert!(text.contains("3 written") && text.ends_with("clean: nothing differs\n"), "{text}");
    }
}
