//! What happens in a run: made of a seed before anything runs, so that a part of it can be left out and the rest stays.

use crate::{
    Chance,
    fault::{Fault, Faults, Feature},
};
use std::{collections::BTreeSet, fmt};

/// A run before it is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The seed that it was made of.
    pub seed: u64,
    /// What it has.
    pub features: BTreeSet<Feature>,
    /// What may go wrong in it.
    pub faults: Faults,
    /// What happens, in order.
    pub acts: Vec<Act>,
}

/// One act with a chance of its own: what it does depends on no other one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Act {
    /// Seeds everything that is left to chance until the next act.
    pub seed: u64,
    /// What is done.
    pub what: What,
}

/// What is done to the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The source commits a transaction of so many changes.
    Commit(u64),
    /// It rolls one back.
    Abort,
    /// So many events, one after the other.
    Events(u64),
    /// The process dies.
    Crash,
    /// The connection to the source is cut.
    Cut,
    /// Its slot is dropped.
    LoseSlot,
    /// It goes back by so many transactions.
    GoBack(usize),
    /// Somebody writes at the target.
    Edit,
    /// .. or deletes.
    Delete,
    /// The clock is set, in seconds.
    Clock(i64),
    /// The map is activated.
    Activate,
    /// .. another one, or the same again.
    ActivateAnother,
    /// People answer what waits for them.
    Answer,
    /// .. and release what is parked.
    Release,
    /// A table is read again.
    ReadAgain,
    /// The disk has room for so many bytes more.
    FillDisk(usize),
    /// .. or for everything again.
    FreeDisk,
    /// The process dies, and a bit of its logs flips.
    Rot,
}

/// Commits of a run.
const ROUNDS: u64 = 30;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut chance = Chance::new(seed);
        let features: BTreeSet<Feature> = Feature::ALL.iter().copied().filter(|_| chance.one_in(2)).collect();
        // Some runs have hardly any fault, some have nearly all.
        let one_in = 1 + chance.below(4);
        let faults: Faults = Fault::ALL.iter().copied().filter(|_| chance.below(one_in + 1) < 1).collect();
        let mut plan = Plan { seed, features, faults, acts: Vec::new() };
        plan.begin(&mut chance);
        for _ in 0..ROUNDS {
            plan.round(&mut chance);
        }
        plan
    }

    fn push(&mut self, chance: &mut Chance, what: What) {
        let seed = chance.below(u64::MAX);
        self.acts.push(Act { seed, what });
    }

    fn begin(&mut self, chance: &mut Chance) {
        for _ in 0..chance.below(8) {
            self.push(chance, What::Commit(3));
        }
        if chance.one_in(2) {
            self.push(chance, What::Activate);
        }
    }

    fn round(&mut self, chance: &mut Chance) {
        let large = self.features.contains(&Feature::Large) && chance.one_in(6);
        let size = if large { 12 } else { 1 + chance.below(4) };
        self.push(chance, What::Commit(size));
        let events = chance.below(60);
        self.push(chance, What::Events(events));
        if let Some(what) = self.trouble(chance) {
            self.push(chance, what);
        }
    }

    /// One thing of those that this run has.
    fn trouble(&self, chance: &mut Chance) -> Option<What> {
        let (fault, feature) = (|one| self.faults.contains(&one), |one| self.features.contains(&one));
        let hour = 3_600 * (1 + chance.below(3) as i64);
        let all = [
            (fault(Fault::Crash), 3, What::Crash),
            (fault(Fault::Aborted), 1, What::Abort),
            (fault(Fault::Cut), 2, What::Cut),
            (fault(Fault::SlotLost), 1, What::LoseSlot),
            (fault(Fault::Failover), 1, What::GoBack(1 + chance.below(3) as usize)),
            (fault(Fault::Restored), 1, What::GoBack(crate::past::KEPT)),
            (fault(Fault::ForeignEdit), 2, What::Edit),
            (fault(Fault::ForeignDelete), 1, What::Delete),
            (fault(Fault::ClockForward), 1, What::Clock(hour)),
            (fault(Fault::ClockBack), 1, What::Clock(-hour)),
            (feature(Feature::Maps), 1, What::ActivateAnother),
            (feature(Feature::People), 2, What::Answer),
            (feature(Feature::People), 1, What::Release),
            (feature(Feature::ReadAgain), 1, What::ReadAgain),
            (fault(Fault::PowerLoss) && !fault(Fault::Crash), 3, What::Crash),
            (fault(Fault::DiskFull), 1, What::FillDisk(chance.below(20_000) as usize)),
            (fault(Fault::DiskFull), 1, What::FreeDisk),
            (fault(Fault::Rot), 1, What::Rot),
            (true, 3, What::Events(0)),
        ];
        let here = || all.iter().filter(|(here, ..)| *here);
        let mut at = chance.below(here().map(|(_, weight, _)| weight).sum());
        for (_, weight, what) in here() {
            match at.checked_sub(*weight) {
                None => return Some(*what).filter(|what| *what != What::Events(0)),
                Some(rest) => at = rest,
            }
        }
        None
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let features = names(self.features.iter().map(|feature| feature.name()).collect());
        let faults = names(self.faults.iter().map(|fault| fault.name()).collect());
        write!(f, "seed {}: {} acts; features: {features}; faults: {faults}", self.seed, self.acts.len())
    }
}
