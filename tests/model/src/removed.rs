//! Rules taken away, and what breaks without them.

use crate::{
    config::{self, Config, Tx},
    property::Property,
    rules::Rule,
};

/// Rules that are taken away together, where, and what is broken then.
pub struct Removal {
    /// Which rules; none where it is the configuration that breaks one (J28: the stamp is made anew at each start).
    pub rules: &'static [Rule],
    /// The configuration that needs them, by its name.
    pub config: &'static str,
    /// The promise that breaks first.
    pub breaks: Property,
    /// The acts of the shortest run that breaks it.
    pub steps: usize,
}

impl Removal {
    /// The configuration without the rules.
    pub fn config(&self) -> Config {
        let config = config::named(self.config).expect("a removal names a configuration that there is");
        let rules = config.rules.without(self.rules);
        match self.rules {
            // With two crashes the alarm at the second open is the shorter run.
            [Rule::Gap] => Config { rules, crashes: 1, ..config },
            // One kind of transaction is enough; the others only make more states.
            [Rule::ChunkRow] => Config { rules, crashes: 1, kinds: &[Tx::B], ..config },
            [Rule::BehindHigh | Rule::VisibleLow] => Config { rules, crashes: 1, kinds: &[Tx::Both], ..config },
            _ => Config { rules, ..config },
        }
    }
}

const fn without(rules: &'static [Rule], config: &'static str, breaks: Property, steps: usize) -> Removal {
    Removal { rules, config, breaks, steps }
}

/// Each rule of the contracts that the model has is needed: taken away, this breaks.
pub const REMOVALS: &[Removal] = &[
    without(&[Rule::AsOf], "capture", Property::CommittedRows, 10),
    without(&[Rule::Tombstone], "capture", Property::CommittedRows, 10),
    without(&[Rule::ChunkRow], "capture", Property::CommittedRows, 14),
    without(&[Rule::ChunkLack], "capture", Property::CommittedRows, 11),
    without(&[Rule::BehindHigh], "capture", Property::CommittedRows, 14),
    without(&[Rule::Fill], "capture-unchanged", Property::CommittedRows, 11),
    without(&[Rule::VisibleLow], "capture-visible", Property::CommittedRows, 16),
    without(&[Rule::Range], "capture-gap", Property::CommittedRows, 12),
    without(&[Rule::FoldResume], "capture", Property::CommittedRows, 6),
    without(&[Rule::Wanted], "capture", Property::NoFalseAlarm, 5),
    without(&[Rule::Wanted], "capture-gap", Property::NoFalseAlarm, 5),
    without(&[Rule::WholeTransaction], "capture", Property::CommittedRows, 11),
    without(&[Rule::Void], "capture", Property::Count, 11),
    without(&[Rule::Ready], "capture", Property::CommittedRows, 7),
    without(&[Rule::DurableJournal], "capture", Property::Tails, 8),
    without(&[Rule::ConfirmDurable], "capture", Property::NoFalseAlarm, 8),
    without(&[Rule::Heartbeat], "capture-keepalive", Property::NoFalseAlarm, 9),
    without(&[Rule::Gap], "capture-gap", Property::AtRestLoss, 4),
    without(&[Rule::FoldDecisions], "upgrade", Property::OneBody, 19),
    without(&[Rule::BodyKept], "upgrade", Property::AckedBody, 8),
    without(&[Rule::DurableDecision], "upgrade", Property::OneBody, 14),
    without(&[Rule::SymbolicBase], "target-small", Property::OwnIsOwn, 17),
    without(&[Rule::Checkpoint], "target-small", Property::Tails, 8),
    without(&[Rule::Release], "target-tails", Property::ForeignCited, 18),
    without(&[Rule::VoidByInput], "two-way", Property::OwnIsOwn, 29),
    // The history repairs what a ledger that moves too early forgets.
    without(&[Rule::History, Rule::DurableAcked], "target-small", Property::AtRestOwn, 27),
    without(&[Rule::CreateGuard], "target-create-race", Property::ForeignCited, 11),
    without(&[Rule::GuardedResend], "target-tails", Property::ForeignCited, 12),
    without(&[Rule::Lifetime], "target-no-guard", Property::OneVersion, 10),
    without(&[Rule::History], "target-tails", Property::AtRestOwn, 21),
    without(&[Rule::History], "target-no-guard", Property::AtRestForeign, 12),
    without(&[Rule::History], "target-twin", Property::AtRestOwn, 24),
    without(&[Rule::History, Rule::SameVersion], "target-hash", Property::AtRestOwn, 13),
    without(&[Rule::SameVersion], "target-hash", Property::ForeignCited, 17),
    without(&[Rule::Meant], "target-no-guard", Property::AtRestForeign, 10),
    without(&[Rule::Meant], "target-creates-by-match", Property::AtRestForeign, 17),
    without(&[Rule::Twin], "target-twin", Property::OwnIsOwn, 21),
    without(&[Rule::LookForTwin], "target-twin", Property::AtRestForeign, 12),
    without(&[Rule::WaitForEcho], "two-way-hash", Property::OwnIsOwn, 10),
    without(&[Rule::TakenOnce], "two-way-hash", Property::OwnIsOwn, 11),
    without(&[], "target-stamp-of-the-start", Property::OwnIsOwn, 12),
];
