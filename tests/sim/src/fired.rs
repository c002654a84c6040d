//! Proof that it happened: which faults fired in a batch of runs, which pairs of them in one run, and which rows of the
//! crash table a crash stood in.

use crate::{fault::Fault, history::History, windows};
use std::collections::{BTreeMap, BTreeSet};

/// What fired in a batch of runs, and in how many of them.
#[derive(Clone, Default, Debug)]
pub struct Fired {
    /// Runs.
    pub runs: u64,
    /// Faults, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Pairs of different ones in one run, in the order of their names.
    pub pairs: BTreeMap<(&'static str, &'static str), u64>,
    /// Rows of the crash table, by their beginnings.
    pub rows: BTreeMap<&'static str, u64>,
}

impl Fired {
    /// Takes in what fired in a run.
    pub fn take(&mut self, history: &History) {
        self.runs += 1;
        windows::stood_in(history).into_iter().for_each(|row| *self.rows.entry(row).or_default() += 1);
        let fired: BTreeSet<&str> = history.injected().collect();
        for (at, one) in fired.iter().enumerate() {
            *self.faults.entry(one).or_default() += 1;
            for other in fired.iter().skip(at + 1) {
                *self.pairs.entry((one, other)).or_default() += 1;
            }
        }
    }

    /// Adds another batch.
    pub fn add(&mut self, other: &Fired) {
        self.runs += other.runs;
        other.faults.iter().for_each(|(name, n)| *self.faults.entry(name).or_default() += n);
        other.rows.iter().for_each(|(row, n)| *self.rows.entry(row).or_default() += n);
        other.pairs.iter().for_each(|(pair, n)| *self.pairs.entry(*pair).or_default() += n);
    }

    /// What never fired, and should have.
    pub fn missing(&self) -> Vec<String> {
        let names: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        let mut missing: Vec<String> =
            names.iter().filter(|name| !self.faults.contains_key(*name)).map(|name| (*name).to_owned()).collect();
        let rows = windows::ROWS.iter().filter(|row| !self.rows.contains_key(*row));
        missing.extend(rows.map(|row| format!("a crash behind: {row}")));
        for (at, one) in names.iter().enumerate() {
            let never = names.iter().skip(at + 1).filter(|other| !self.pairs.contains_key(&(*one, **other)));
            missing.extend(never.map(|other| format!("{one} + {other}")));
        }
        missing
    }
}
