//! `verify`: source ↔ shadow ↔ state ↔ target at one position, by the running engine; 1 if anything differs, 0 if not, also
//! where not everything could be compared: that is said, and `complete` is false.

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
                "{}: {} ours, {} decisions wrote, {} of others, {} in flight",
                report["versions"], report["ours"], report["wrote"], report["others"], report["in_flight"]
            ),
        ),
        ("references", format!("{} followed, {} resources listed", report["references"], report["listed"])),
    ]);
    if report["as_of_last_mapping"].as_u64().is_some_and(|units| units > 0) {
        let units =
            format!("{} units with values of their last mapping (stale: allowed)", report["as_of_last_mapping"]);
        out += &fields(&[("as decided", units)]);
    }
    for one in list(&report["left_out"]) {
        out += &format!("left out    {} {}: {}\n", word(&one["leg"]), word(&one["what"]), word(&one["why"]));
    }
    if report["clean"] == json!(true) {
        return out + &clean(report);
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

/// The last line of a report without a difference: whether everything was compared, and what was not.
fn clean(report: &Value) -> String {
    if report["complete"] == json!(true) {
        return "clean: nothing differs\n".to_owned();
    }
    let counts = [
        ("open", "units parked, held or waiting"),
        ("unsettled", "units unsettled"),
        ("moved", "rows moved meanwhile"),
        ("in_flight", "versions in flight"),
    ];
    let mut left: Vec<String> = counts
        .iter()
        .filter_map(|(name, what)| report[*name].as_u64().filter(|n| *n > 0).map(|n| format!("{n} {what}")))
        .collect();
    if list(&report["left_out"]).next().is_some() {
        left.push("what is left out above".to_owned());
    }
    format!("clean as far as compared, NOT COMPLETE; not compared: {}\n", left.join(", "))
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
        let report = json!({ "clean": true, "complete": false,
                             "left_out": [{ "leg": "rows", "what": "public.visit", "why": "held" }], "unsettled": 2,
                             "as_of_last_mapping": 4, "dispositions": { "written": 3 } });
        let said = text(&report);
        assert!(said.contains("left out    rows public.visit: held\n") && said.contains("3 written"), "{said}");
        assert!(said.contains("4 units with values of their last mapping"), "{said}");
        let last = "NOT COMPLETE; not compared: 2 units unsettled, what is left out above\n";
        assert!(said.ends_with(last), "{said}");
        let report = json!({ "clean": true, "complete": true, "dispositions": {} });
        assert!(text(&report).ends_with("clean: nothing differs\n"));
    }
}
