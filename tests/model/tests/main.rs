//! Every configuration keeps every promise; a rule taken away breaks the one that is written down, by the shortest run.

use lockstep_protocol::{
    Model,
    config::{Config, bounded},
    explore::{Report, explore},
    property::Property,
    removed::REMOVALS,
    rules::Rule,
    seen::{Event, Seen},
};
use std::collections::BTreeSet;

fn kept(model: &Model) -> Report {
    let report = explore(model);
    if let Some(violation) = &report.violation {
        panic!("broken: {}\n{}", violation.property.says(), violation.trace.join("\n"));
    }
    report
}

#[test]
fn with_every_rule_no_promise_is_broken_and_everything_happened() {
    let (mut seen, mut states) = (Seen::default(), 0);
    for config in bounded() {
        let (name, model) = (config.name, Model::new(config));
        let report = kept(&model);
        println!("{name}: {} states", report.states);
        (seen, states) = (seen.union(model.seen()), states + report.states);
    }
    println!("{states} states");
    let missing: Vec<Event> = Seen::all().without(&seen.iter().collect::<Vec<_>>()).iter().collect();
    assert_eq!(missing, [Event::StaleRow], "only what J7 raises an alarm for may never happen");
}

#[test]
fn each_rule_is_needed_and_the_shortest_run_without_it_is_known() {
    for removal in REMOVALS {
        let report = explore(&Model::new(removal.config()));
        let (config, rules) = (removal.config, removal.rules);
        let violation = report.violation.unwrap_or_else(|| panic!("{config} without {rules:?} breaks nothing"));
        let found = (violation.property, violation.trace.len());
        println!("{config} without {rules:?}: {} states, {found:?}", report.states);
        assert_eq!(found, (removal.breaks, removal.steps), "{config} without {rules:?}: {:#?}", violation.trace);
    }
}

#[test]
fn no_rule_is_forgotten_in_the_list_of_removals() {
    let removed: BTreeSet<&str> = REMOVALS.iter().flat_map(|removal| removal.rules).map(|rule| rule.name()).collect();
    let all: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(removed, all);
    assert!(Property::ALL.iter().all(|property| !property.says().is_empty()));
    assert!(bounded().iter().all(|Config { name, .. }| !name.is_empty()));
}
