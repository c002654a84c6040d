//! `cargo x model`: the model explored whole, and the shortest run to what breaks without a rule.

use clap::Parser;
use lockstep_protocol::{
    Model,
    config::{self, Config},
    explore::{Report, explore},
    removed::REMOVALS,
    rules::Rule,
    seen::Seen,
};
use std::{process::ExitCode, time::Instant};

/// The contracts between the logs, every state of them.
#[derive(Parser)]
#[command(
    name = "cargo x model",
    after_help = "Examples:\n  cargo x model                              everything: two minutes, 1.2 GB\n  cargo x model two-way                      one configuration\n  cargo x model two-way --without VoidByInput   the shortest run that breaks a promise\n  cargo x model --list                       configurations and rules"
)]
struct Cli {
    /// One configuration by name; all of them, and then every rule taken away, when left out.
    config: Option<String>,
    /// Rules that are taken away, by name.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Prints the configurations and the rules, and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        list();
        return ExitCode::SUCCESS;
    }
    match &cli.config {
        None => everything(),
        Some(name) => one(name, &cli.without),
    }
}

fn list() {
    config::all().iter().for_each(|config| println!("{}", config.name));
    Rule::ALL.iter().for_each(|rule| println!("  {:18} {}", rule.name(), rule.says()));
}

fn one(name: &str, without: &[String]) -> ExitCode {
    let rules: Option<Vec<Rule>> = without.iter().map(|name| Rule::named(name)).collect();
    let (Some(config), Some(rules)) = (config::named(name), rules) else {
        eprintln!("no configuration `{name}` or no such rule; there are:");
        list();
        return ExitCode::from(2);
    };
    let model = Model::new(Config { rules: config.rules.without(&rules), ..config });
    let report = told(name, &rules, &model);
    ExitCode::from(u8::from(report.violation.is_some()))
}

fn everything() -> ExitCode {
    let (mut seen, mut states, mut wrong) = (Seen::default(), 0, 0);
    for config in config::all() {
        let (name, model) = (config.name, Model::new(config));
        let report = told(name, &[], &model);
        (seen, states) = (seen.union(model.seen()), states + report.states);
        wrong += u32::from(report.violation.is_some());
    }
    println!("{states} states; never seen:");
    Seen::all().iter().filter(|&event| !seen.has(event)).for_each(|event| println!("  {}", event.says()));
    for removal in REMOVALS {
        let report = told(removal.config, removal.rules, &Model::new(removal.config()));
        wrong += u32::from(report.violation.is_none());
    }
    println!("{wrong} of them not as they should be");
    ExitCode::from(u8::from(wrong > 0))
}

fn told(name: &str, without: &[Rule], model: &Model) -> Report {
    let started = Instant::now();
    let report = explore(model);
    let names: Vec<&str> = without.iter().map(|rule| rule.name()).collect();
    let (states, seconds) = (report.states, started.elapsed().as_secs_f64());
    println!("{name} without [{}]: {states} states, {} steps, {seconds:.1} s", names.join(", "), report.depth);
    if let Some(violation) = &report.violation {
        println!("  broken: {}", violation.property.says());
        violation.trace.iter().for_each(|act| println!("    {act}"));
    }
    report
}
