//! The truth table: what was before, the cause, and what follows.

use super::*;

const TRUTH: &str = include_str!("truth.txt");

/// A line: the causes so far and the last one, then the decision of the last.
fn line(words: &str) -> String {
    let (state, decision) = run(words);
    let Some(decision) = decision else { return "nothing".to_string() };
    let mut text = match &decision.verdict {
        Verdict::Write => "write".to_string(),
        Verdict::Delete => "delete".to_string(),
        Verdict::Unchanged => "unchanged".to_string(),
        Verdict::Frozen => "frozen".to_string(),
        Verdict::Parked(cause) => format!("parked({cause})"),
        Verdict::Held(question) => format!("held({question})"),
        Verdict::Waiting(on) => format!("waiting({})", on.entity),
    };
    text.push_str(&format!(", {}", rule(decision.rule)));
    if let Some(base) = &decision.base {
        let base = match base {
            Base::Create => "create".to_string(),
            Base::Version(version) => format!("version {version}"),
            Base::After(id) => format!("after E{}", (0..20).find(|n| effect(*n) == *id).expect("one of ours")),
        };
        let name = if decision.effect.is_some() { format!("E{} on", decision.n) } else { "next on".to_string() };
        text.push_str(&format!(", {name} {base}"));
    }
    let list = |name: &str, all: Vec<String>| {
        if all.is_empty() { String::new() } else { format!(", {name} {}", all.join(" ")) }
    };
    let change =
        |change: &FieldChange| format!("{}{}", if change.value.is_some() { "" } else { "-" }, change.address.as_str());
    text.push_str(&list("sets", decision.fields.iter().map(change).collect()));
    text.push_str(&list("keeps", decision.foreign.iter().map(change).collect()));
    text.push_str(&list("loses", decision.losers.iter().map(|loser| loser.address.as_str().to_string()).collect()));
    if state.owed {
        text.push_str(", owed");
    }
    text
}

fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::OneWay => "one_way",
        Rule::Equal => "equal",
        Rule::ForeignMet => "foreign_met",
        Rule::Refused => "refused",
        Rule::GoneStands => "gone_stands",
        Rule::Unmappable => "unmappable",
        Rule::WaitsFor => "waits_for",
        Rule::Purge => "purge",
        Rule::Person => "person",
    }
}

#[test]
fn every_path_decides_as_the_table_says() {
    let mut now = String::new();
    for text in TRUTH.lines() {
        match text.split_once("→").filter(|_| !text.starts_with('#')) {
            Some((words, _)) => now.push_str(&format!("{:<44} → {}\n", words.trim_end(), line(words.trim()))),
            None => now.push_str(&format!("{text}\n")),
        }
    }
    std::println!("{now}");
    assert!(now == TRUTH, "the table above is what the code says; tests/truth.txt says otherwise");
}
