//! Figures: runs that alternate, their medians, and one line of print.

use crate::{Options, outcome::Outcome};
use serde_json::{Value, json};

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// In the bench's unit.
    pub rate: f64,
    /// CPU seconds of what is measured, a million items.
    pub cpu_s_per_million: f64,
    /// The most memory it had.
    pub rss_mib: f64,
    /// CPU seconds of the peer that serves it, a million items.
    pub peer_cpu_s_per_million: Option<f64>,
}

/// What is measured, and what it is held against.
pub struct Figure<'a> {
    /// Its name.
    pub bench: &'a str,
    /// The unit of its rates.
    pub unit: &'a str,
    /// What stands beside it.
    pub against: &'a str,
    /// The ratio that it should reach, or the value where there is no reference.
    pub target: &'a str,
}

/// Runs of ours and of the reference from the same rounds.
pub struct Rounds {
    ours: Vec<Run>,
    reference: Vec<Run>,
    again: Vec<Run>,
}

/// Runs both, in turn: reference, ours, reference again.
pub fn alternate(
    options: &Options,
    mut ours: impl FnMut() -> Outcome<Run>,
    mut reference: impl FnMut() -> Outcome<Run>,
) -> Outcome<Rounds> {
    let mut rounds = Rounds { ours: Vec::new(), reference: Vec::new(), again: Vec::new() };
    for _ in 0..options.runs.max(1) {
        rounds.reference.push(reference()?);
        rounds.ours.push(ours()?);
        rounds.again.push(reference()?);
    }
    Ok(rounds)
}

impl Figure<'_> {
    /// Prints ours against the reference, then the A/A pair.
    pub fn print(&self, options: &Options, rounds: &Rounds) {
        let both: Vec<Run> = rounds.reference.iter().chain(&rounds.again).cloned().collect();
        self.line(options, self.bench, &rounds.ours, Some(&both));
        self.line(options, &format!("{} a/a", self.bench), &rounds.again, Some(&rounds.reference));
    }

    /// Prints runs beside a fixed value.
    pub fn print_alone(&self, options: &Options, runs: &[Run], wanted: f64) {
        let wanted = [Run { rate: wanted, ..Run::default() }];
        self.line(options, self.bench, runs, Some(&wanted));
    }

    /// Prints an A/A pair: every second run against the others.
    pub fn print_equal(&self, options: &Options, runs: &[Run]) {
        let every_second = |first: usize| runs.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>();
        self.line(options, &format!("{} a/a", self.bench), &every_second(1), Some(&every_second(0)));
    }

    /// Prints one part of the runs against another one.
    pub fn print_pair(&self, options: &Options, suffix: &str, ours: &[Run], reference: &[Run]) {
        self.line(options, &format!("{} {suffix}", self.bench), ours, Some(reference));
    }

    fn line(&self, options: &Options, name: &str, ours: &[Run], reference: Option<&[Run]>) {
        let rate = |runs: &[Run]| median(runs.iter().map(|run| run.rate));
        let (own, other) = (rate(ours), reference.map(rate));
        let peer = |runs: &[Run]| median(runs.iter().filter_map(|run| run.peer_cpu_s_per_million));
        let round = |value: f64| (value * 1_000.0).round() / 1_000.0;
        let line = json!({
            "bench": name,
            "unit": self.unit,
            "ours": round(own),
            "reference": other.map(round),
            "ratio": other.map(|other| round(own / other)),
            "target": self.target,
            "against": self.against,
            "cpu_s_per_million": round(median(ours.iter().map(|run| run.cpu_s_per_million))),
            "reference_cpu_s_per_million": reference
                .map(|runs| round(median(runs.iter().map(|run| run.cpu_s_per_million)))),
            "peer_cpu_s_per_million": finite(peer(ours)),
            "reference_peer_cpu_s_per_million": reference.and_then(|runs| finite(peer(runs))),
            "rss_mib": round(ours.iter().map(|run| run.rss_mib).fold(0.0, f64::max)),
            "runs": ours.iter().map(|run| round(run.rate)).collect::<Vec<_>>(),
            "reference_runs": reference.map(|runs| runs.iter().map(|run| round(run.rate)).collect::<Vec<_>>()),
            "scale": options.scale,
        });
        if options.json {
            println!("{line}");
        } else {
            println!("{}", human(&line));
        }
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then(|| (value * 1_000.0).round() / 1_000.0)
}

fn human(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| line[name].as_f64().map_or("-".to_owned(), |value| format!("{value:.2}"));
    format!(
        "{:<22} {:>12} {:<14} against {:>12} ({}): ratio {:>6}, wanted {}; CPU s per million {} (peer {}), {} MiB, runs {}",
        text("bench"),
        number("ours"),
        text("unit"),
        number("reference"),
        text("against"),
        number("ratio"),
        text("target"),
        number("cpu_s_per_million"),
        number("peer_cpu_s_per_million"),
        number("rss_mib"),
        line["runs"]
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_runs_lies_between_the_middle_two() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
        assert_eq!(median([9.0, 1.0, 5.0].into_iter()), 5.0);
    }
}
