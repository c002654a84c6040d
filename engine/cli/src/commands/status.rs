//! `status`: where everything stands, from the running engine.

use crate::{
    client,
    config::Settings,
    describe,
    error::CliError,
    exit::Exit,
    map::Standing,
    output::{Output, alarm, fields},
};
use model::Timestamp;
use serde_json::Value;

/// Asks and prints.
pub fn run(settings: &Settings, output: Output) -> Result<Exit, CliError> {
    let mut status = client::get(settings, "/status")?;
    // While it folds what it had decided before, an older map is in force than the last one.
    if let Some(in_force) = status["map"]["hash"].as_str().filter(|_| status["blocked"] != server::RECOVERY) {
        let standing = Standing::of(settings, Some(in_force));
        status["map"]["file"] = standing.word().into();
        status["map"]["differs"] = standing.told().into();
    }
    let sink = settings.sink.system.as_str();
    output.say(status.clone(), || text(&status, sink));
    Ok(Exit::Done)
}

fn text(status: &Value, sink: &str) -> String {
    let plain = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let at = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), |at| describe::table_time(Timestamp(at)));
    let source = &status["source"];
    let map = match status["map"]["name"].as_str() {
        Some(name) => {
            format!("{name} #{}", status["map"]["hash"].as_str().unwrap_or_default().get(..8).unwrap_or_default())
        }
        None => plain(&status["map"]["none"]),
    };
    let mut out = picture(status, sink);
    out += &fields(&[
        (
            "source",
            format!("{} {}, incarnation {}", plain(&source["system"]), plain(&source["state"]), source["incarnation"]),
        ),
        ("passed", format!("{}, last commit {}", plain(&source["passed"]), at(&source["committed_at_us"]))),
        (
            "journal",
            format!(
                "durable through {}, folding {} of {}",
                plain(&status["journal"]),
                plain(&status["folding"]),
                at(&status["folded_at_us"])
            ),
        ),
        ("decisions", format!("durable through {}", plain(&status["decisions"]))),
        ("blocked", plain(&status["blocked"])),
        (
            "effects",
            format!(
                "{} unsettled ({} waiting, {} in flight), {} accepted since start",
                status["unsettled"], status["waiting"], status["in_flight"], status["accepted"]
            ),
        ),
        ("target", target(&status["target"])),
        (
            "waiting",
            match status["waited_for"].as_u64() {
                None | Some(0) => "0".to_owned(),
                Some(rows) => {
                    format!("{} units for {rows} rows that are not here: lockstep waiting ls", status["waiting_units"])
                }
            },
        ),
        ("parked", count(&status["parked"], "parked, the engine cannot write them: lockstep parked ls")),
        ("held", count(&status["held"], "held, a person is asked: lockstep held ls")),
        ("map", map),
    ]);
    if let Some(differs) = status["map"]["differs"].as_str() {
        out += &format!("warning    {differs}\n");
    }
    for what in alarms(&status["target"]) {
        out += &format!("{}      {what}\n", alarm("ALARM"));
    }
    for table in source["tables"].as_array().into_iter().flatten().filter(|table| table["ready"] == false) {
        let rows = table["rows_done"]
            .as_u64()
            .map(|rows| format!(", {rows} of about {} rows", plain(&table["rows_estimate"])));
        out += &format!(
            "reading    {} ({} chunks{})\n",
            plain(&table["table"]),
            table["chunks"],
            rows.unwrap_or_default()
        );
    }
    if status["stale"] != 0 {
        let what = format!("{} changes were older than their rows: run `lockstep verify`", status["stale"]);
        out += &format!("{}      {what}\n", alarm("ALARM"));
    }
    if let Some(full) = status["disk_full"].as_str() {
        out += &format!("{}    capture: {full}\n", alarm("STOPPED"));
    }
    for halt in status["halts"].as_array().into_iter().flatten() {
        out += &format!("{}    {}: {}\n", alarm("STOPPED"), plain(&halt["scope"]), plain(&halt["what"]));
    }
    out
}

/// When the target answered, and what the last look at it found.
fn target(target: &Value) -> String {
    let answered = match target["answered_seconds_ago"].as_u64() {
        Some(seconds) => format!("answered {seconds} s ago"),
        None => "has not answered since the start".to_owned(),
    };
    let system = target["system"].as_str().unwrap_or_default();
    let looked = &target["looked"];
    match (looked["what"].as_str(), looked["seconds_ago"].as_u64()) {
        (Some(what), Some(seconds)) if looked["alarm"] == false => {
            format!("{system} {answered}; looked {seconds} s ago: {what}")
        }
        _ => format!("{system} {answered}"),
    }
}

/// What somebody should know of the target.
fn alarms(target: &Value) -> Vec<String> {
    let one = |found: &Value| {
        let (what, cure) = (found["what"].as_str()?, found["cure"].as_str().filter(|cure| !cure.is_empty()));
        let cure = cure.map(|cure| format!("; {cure}")).unwrap_or_default();
        Some(format!("{}: {what}{cure}", target["system"].as_str().unwrap_or_default()))
    };
    let looked = Some(&target["looked"]).filter(|looked| looked["alarm"] == true && looked["verdict"] != "behind");
    [looked, Some(&target["behind"])].into_iter().flatten().filter_map(one).collect()
}

/// How many, and what they are if there are any.
fn count(number: &Value, what: &str) -> String {
    if *number == 0 { "0".to_owned() } else { format!("{number} {what}") }
}

/// The way of a change, with what is on it.
fn picture(status: &Value, sink: &str) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let state = word(&status["source"]["state"]);
    let flows = if state == "streaming" { "─►" } else { "╌╳" };
    format!(
        "{} ({state}) {flows} journal {} ─► decisions {} ─► {sink} ({} accepted, {} to go)\n\n",
        word(&status["source"]["system"]),
        word(&status["journal"]),
        word(&status["decisions"]),
        status["accepted"],
        status["unsettled"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_stands_still_and_what_waits_for_a_person_is_said_with_the_command_that_helps() {
        let status = json!({
            "source": { "system": "legacy", "state": "stopped", "incarnation": 1, "tables": [] }, "journal": "1:7",
            "decisions": "1:2", "parked": 0, "held": 1, "stale": 0, "accepted": 3, "unsettled": 0,
            "halts": [{ "scope": "table:public.visit", "what": "truncated" }],
            "map": { "name": "legacy", "hash": "0123456789", "differs": "the map in force is #01234567, and m is #9" },
        });
        let text = text(&status, "cloud");
        assert!(text.contains("warning    the map in force is #01234567, and m is"), "{text}");
        assert!(text.starts_with("legacy (stopped) ╌╳ journal 1:7 ─► decisions 1:2 ─► cloud (3 accepted"), "{text}");
        assert!(
            text.contains("STOPPED    table:public.visit: truncated") && text.contains("lockstep held ls"),
            "{text}"
        );
    }
}
