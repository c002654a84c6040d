//! `status`: where everything stands, from the running engine.

use crate::{
    client,
    config::Settings,
    describe,
    error::CliError,
    exit::Exit,
    output::{Output, fields},
};
use model::Timestamp;
use serde_json::Value;

/// Asks and prints.
pub fn run(settings: &Settings, output: Output) -> Result<Exit, CliError> {
    let status = client::get(settings, "/status")?;
    output.say(status.clone(), || text(&status));
    Ok(Exit::Done)
}

fn text(status: &Value) -> String {
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
    let mut out = fields(&[
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
        ("parked", plain(&status["parked"])),
        ("held", plain(&status["held"])),
        ("map", map),
    ]);
    for alarm in alarms(&status["target"]) {
        out += &format!("ALARM      {alarm}\n");
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
        out += &format!("ALARM      {} changes were older than their rows: run `lockstep verify`\n", status["stale"]);
    }
    if let Some(full) = status["disk_full"].as_str() {
        out += &format!("STOPPED    capture: {full}\n");
    }
    for halt in status["halts"].as_array().into_iter().flatten() {
        out += &format!("STOPPED    {}: {}\n", plain(&halt["scope"]), plain(&halt["what"]));
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
