//! `unit show`: what is known of a unit, and with `--why` every decision, the entries behind it, and what became of it.

use crate::{
    args::Unit,
    client,
    config::Settings,
    describe,
    error::CliError,
    exit::Exit,
    explain,
    output::{Output, fields},
    progress::Bar,
    stores,
};
use model::{Decision, Effect, EffectId, Entry, EntryId, Journaled, Record, Recorded};
use ports::Fault;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Shows one unit.
pub fn run(settings: &Settings, command: &Unit, output: Output) -> Result<Exit, CliError> {
    let Unit::Show { id, why, last } = command;
    let state = match client::get(settings, &format!("/unit/{id}")) {
        Ok(view) => Some(view),
        // The logs answer without the engine; the state does not.
        Err(error) if *why && error.exit() == Exit::NotRunning => None,
        Err(error) => return Err(error),
    };
    if let Some(view) = &state {
        output.say(view.clone(), || state_text(view));
    } else {
        output.note("the engine is not running: the present state is not shown");
    }
    if *why {
        return tell_why(settings, id, *last, output);
    }
    Ok(Exit::Done)
}

fn state_text(view: &Value) -> String {
    let text = |key: &str| view[key].as_str().unwrap_or("-").to_owned();
    let list =
        |key: &str| view[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let mut out = fields(&[
        ("unit", text("unit")),
        ("entity", text("entity")),
        ("decisions", view["n"].to_string()),
        ("verdict", explain::verdict(&text("verdict"))),
        ("fields", list("fields")),
        ("version", text("version")),
    ]);
    for answer in view["answers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let question = text("verdict").split_once(": ").map(|(_, word)| word.to_owned()).unwrap_or_default();
        let does = explain::answer("unit:", &question, answer);
        out += &format!("can be     {answer}: {does}; lockstep held answer unit:{} {answer}\n", text("unit"));
    }
    for effect in view["unsettled"].as_array().into_iter().flatten() {
        out += &format!("unsettled  n={}: {}\n", effect["n"], effect["what"].as_str().unwrap_or_default());
    }
    out
}

/// One decision about the unit, with the record that holds it.
struct Found {
    record: EntryId,
    input: EntryId,
    decision: Decision,
    effect: Option<Effect>,
}

fn tell_why(settings: &Settings, id: &model::Unit, last: usize, output: Output) -> Result<Exit, CliError> {
    let (earlier, found) = decisions_about(settings, id, last)?;
    if found.is_empty() && earlier == 0 {
        let cure = "lockstep journal ls --decisions shows of which units there are decisions";
        return Err(CliError::new(Exit::Usage, format!("no decision speaks of {id}"), cure));
    }
    if earlier > 0 {
        let all = earlier + found.len() as u64;
        output.say(json!({ "earlier": earlier }), || {
            format!("\n{earlier} earlier decisions are not shown: --last {all} shows all")
        });
    }
    let (cited, outcomes) = entries_behind(settings, &found)?;
    let words = crate::commands::journal::words(settings)?;
    let cite_line = |at: EntryId| {
        let Some(entry) = cited.get(&at) else { return format!("{at}") };
        let line = words.entry(&entry.entry);
        format!("{at} {} {} {} {}", line.kind, line.source, line.position, line.what)
    };
    for one in &found {
        let decision = &one.decision;
        let fields: Vec<String> = decision.fields.iter().map(|field| format!("{:?}", field.address)).collect();
        let losers: Vec<String> =
            decision.losers.iter().map(|loser| format!("{} {:?}", loser.system, loser.address)).collect();
        let cites: BTreeSet<EntryId> = decision.cites.iter().map(|cite| cite.entry).collect();
        let cites: Vec<String> = cites.into_iter().map(cite_line).collect();
        let effect = one.effect.as_ref().map(describe::effect);
        let outcome = one.effect.as_ref().map(|effect| outcome_of(effect.id, &outcomes));
        let rule = describe::snake(&format!("{:?}", decision.rule));
        let object = json!({
            "n": decision.n, "record": one.record.to_string(), "input": one.input.to_string(),
            "verdict": server::verdict(&decision.verdict), "rule": rule, "trace": decision.trace, "fields": fields,
            "losers": losers, "cites": cites, "effect": effect, "outcome": outcome,
        });
        output.say(object, || {
            let mut out = format!(
                "\nn={}  {}, rule {rule}, decisions {}, input {}\n",
                decision.n,
                explain::verdict(&server::verdict(&decision.verdict)),
                one.record,
                one.input
            );
            let mut add =
                |name: &str, lines: &[String]| lines.iter().for_each(|line| out += &format!("  {name:8} {line}\n"));
            add("trace", &decision.trace.iter().map(ToString::to_string).collect::<Vec<_>>());
            add("fields", &if fields.is_empty() { Vec::new() } else { vec![fields.join(" ")] });
            add("loser", &losers);
            add("cites", &cites);
            add("effect", &effect.iter().cloned().collect::<Vec<_>>());
            add("outcome", &outcome.iter().cloned().collect::<Vec<_>>());
            out
        });
    }
    Ok(Exit::Done)
}

fn outcome_of(effect: EffectId, outcomes: &BTreeMap<EffectId, (EntryId, String)>) -> String {
    outcomes.get(&effect).map_or_else(|| "none yet".to_owned(), |(at, outcome)| format!("{at} {outcome}"))
}

/// The last so many, and how many lie before them.
fn decisions_about(settings: &Settings, id: &model::Unit, last: usize) -> Result<(u64, Vec<Found>), Fault> {
    let reader = stores::read_decisions(settings)?;
    let _bar = Bar::spinner("reading the decisions");
    let (mut earlier, mut found) = (0, VecDeque::new());
    stores::visit(&reader, EntryId::new(1, 1), |Recorded { header, record }| {
        if let Record::Decided(decided) = record {
            for decision in decided.decisions.into_iter().filter(|decision| decision.unit == *id) {
                let effect = decided.effects.iter().find(|effect| Some(effect.id) == decision.effect).cloned();
                found.push_back(Found { record: header.id, input: decided.input, decision, effect });
                if found.len() > last {
                    found.pop_front();
                    earlier += 1;
                }
            }
        }
        true
    })?;
    Ok((earlier, found.into()))
}

type Behind = (BTreeMap<EntryId, Journaled>, BTreeMap<EffectId, (EntryId, String)>);

/// The cited entries and the outcomes of the effects.
fn entries_behind(settings: &Settings, found: &[Found]) -> Result<Behind, Fault> {
    let reader = stores::read_journal(settings)?;
    let wanted: BTreeSet<EntryId> =
        found.iter().flat_map(|one| one.decision.cites.iter().map(|cite| cite.entry)).collect();
    let effects: BTreeSet<EffectId> = found.iter().filter_map(|one| one.decision.effect).collect();
    let (mut cited, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
    let Some(first) = wanted.iter().next().copied() else { return Ok((cited, outcomes)) };
    stores::visit(&reader, first, |entry| {
        match &entry.entry {
            Entry::Acked(acked) if effects.contains(&acked.effect) => {
                outcomes.insert(acked.effect, (entry.header.id, describe::outcome(&acked.outcome)));
            }
            _ => {}
        }
        if wanted.contains(&entry.header.id) {
            cited.insert(entry.header.id, entry);
        }
        true
    })?;
    Ok((cited, outcomes))
}
