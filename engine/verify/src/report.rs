//! What verify says: counts by leg and class, a bounded list of findings, what was left out and why.
//!
//! Holds names, hashes and counts; no value, no key, no body ever enters it.

use model::{EntityName, EntryId, Hash, ResourceType, RowKey, SourcePosition, TableName, Unit};
use std::{collections::BTreeMap, fmt};

/// Which comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Leg {
    /// Source rows ↔ shadow.
    Rows,
    /// map(shadow) ↔ state.
    Units,
    /// State ↔ target.
    Target,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// It should be there and is not.
    Missing,
    /// It is there and should not be.
    Extra,
    /// Both are there and say different things.
    Different,
    /// A row has no unit, or a unit no decision.
    Undecided,
    /// A version that neither we nor anybody the journal knows of made.
    Unattributed,
    /// A version that was acknowledged and is not in the history any more.
    Vanished,
    /// An outcome in the journal whose write no recorded decision asked for, or a state whose decision no record holds.
    Unrecorded,
    /// One more version of a write that was decided once.
    Repeated,
    /// A reference to something that is not there.
    Dangling,
    /// A reference to another patient's record.
    WrongPatient,
}

impl Leg {
    /// Its name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Leg::Rows => "rows",
            Leg::Units => "units",
            Leg::Target => "target",
        }
    }
}

impl Class {
    /// Its name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Missing => "missing",
            Class::Extra => "extra",
            Class::Different => "different",
            Class::Undecided => "undecided",
            Class::Unattributed => "unattributed",
            Class::Vanished => "vanished",
            Class::Unrecorded => "unrecorded",
            Class::Repeated => "repeated",
            Class::Dangling => "dangling",
            Class::WrongPatient => "wrong_patient",
        }
    }
}

/// What a finding is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum About {
    /// A row; its key as a keyed hash.
    Row {
        /// Of which table.
        table: TableName,
        /// Eight hex digits.
        key: Box<str>,
    },
    /// A unit of ours.
    Unit {
        /// Which.
        unit: Unit,
        /// What of the map made it.
        entity: EntityName,
    },
    /// A resource at the target that no unit owns.
    Resource {
        /// Its type.
        kind: ResourceType,
        /// Its logical id if that is a UUID or a number, else a keyed hash of it.
        id: Box<str>,
    },
}

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Where it was found.
    pub leg: Leg,
    /// What is wrong.
    pub class: Class,
    /// With what.
    pub about: About,
    /// The version at the target, if it is about one.
    pub version: Option<Box<str>>,
    /// Columns, or addresses of fields with their keys left out.
    pub fields: Vec<String>,
    /// Journal entries that say more.
    pub entries: Vec<EntryId>,
}

/// What was not compared, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LeftOut {
    /// In which leg.
    pub leg: Leg,
    /// A table, an entity, the map.
    pub what: Box<str>,
    /// Why.
    pub why: Box<str>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// P.
    pub position: SourcePosition,
    /// The entry that the state at P folds next.
    pub folding: EntryId,
    /// The map in force.
    pub map: Option<Hash>,
    /// Rows of the source that were compared.
    pub rows: u64,
    /// Rows that commits right behind P changed before the view was taken, and that were not compared therefore.
    pub moved: u64,
    /// Rows of the shadow whose root has a unit, and units whose row is gone: one disposition each, by the last verdict.
    pub dispositions: BTreeMap<&'static str, u64>,
    /// Units whose joined values are as of their last mapping (`stale: allowed`): they differ from the rows now, and are as
    /// their last recorded decision says.
    pub as_of_last_mapping: u64,
    /// Units whose content at the target was compared and found equal.
    pub equal: u64,
    /// Units with an effect whose outcome was not known at P: not compared, never equal.
    pub unsettled: u64,
    /// Units that are parked, held or waiting and whose content at the target is therefore not the state's.
    pub open: u64,
    /// Versions at the target that were looked at.
    pub versions: u64,
    /// .. that are ours: by the journal, and by the recorded decision that made the request.
    pub ours: u64,
    /// .. that the journal knows as somebody else's.
    pub others: u64,
    /// .. that carry our stamp, are newer than P and had no outcome in the journal yet when verify ended.
    pub in_flight: u64,
    /// Outcomes in the journal that say of a write that it was accepted.
    pub accepted: u64,
    /// Recorded decisions whose write is settled and stands in the history: as many as versions are ours, or more where a
    /// write kept the version that was there.
    pub wrote: u64,
    /// Resources of mapped types that were listed at the target.
    pub listed: u64,
    /// References that were followed.
    pub references: u64,
    /// How many findings of each kind.
    pub counts: BTreeMap<(Leg, Class), u64>,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// What was not compared.
    pub left_out: Vec<LeftOut>,
    secret: TagSecret,
    findings_max: usize,
}

/// Keys the hashes of keys in print; whoever saw it could try keys until a hash fits, so it never prints.
#[derive(Clone, PartialEq, Eq)]
struct TagSecret([u8; 32]);

impl fmt::Debug for TagSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

impl Report {
    pub(crate) fn new(
        position: SourcePosition,
        folding: EntryId,
        map: Option<Hash>,
        secret: [u8; 32],
        findings_max: usize,
    ) -> Report {
        Report {
            position,
            folding,
            map,
            rows: 0,
            moved: 0,
            dispositions: BTreeMap::new(),
            as_of_last_mapping: 0,
            equal: 0,
            unsettled: 0,
            open: 0,
            versions: 0,
            ours: 0,
            others: 0,
            in_flight: 0,
            accepted: 0,
            wrote: 0,
            listed: 0,
            references: 0,
            counts: BTreeMap::new(),
            findings: Vec::new(),
            left_out: Vec::new(),
            secret: TagSecret(secret),
            findings_max,
        }
    }

    /// No difference was found in what was compared.
    pub fn clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// Everything was compared: nothing was left out, moved meanwhile, parked, held or waiting, unsettled or in flight.
    pub fn complete(&self) -> bool {
        let apart = self.moved + self.open + self.unsettled + self.in_flight;
        apart == 0 && self.left_out.is_empty()
    }

    /// How many findings there are.
    pub fn differences(&self) -> u64 {
        self.counts.values().sum()
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        *self.counts.entry((finding.leg, finding.class)).or_default() += 1;
        if self.findings.len() < self.findings_max {
            self.findings.push(finding);
        }
    }

    /// How many more findings it lists.
    pub(crate) fn room(&self) -> usize {
        self.findings_max - self.findings.len()
    }

    pub(crate) fn leave_out(&mut self, leg: Leg, what: &str, why: &str) {
        self.left_out.push(LeftOut { leg, what: what.into(), why: why.into() });
    }

    pub(crate) fn row(&self, table: &TableName, key: &RowKey) -> About {
        About::Row { table: table.clone(), key: key.tag(&self.secret.0).into() }
    }

    /// A resource that is not ours: whoever chose its id may have made it of something private.
    pub(crate) fn resource(&self, kind: &ResourceType, id: &str) -> About {
        let harmless = uuid::Uuid::try_parse(id).is_ok() || id.bytes().all(|byte| byte.is_ascii_digit());
        let id = if harmless { id.into() } else { RowKey::from_bytes(id.as_bytes()).tag(&self.secret.0).into() };
        About::Resource { kind: kind.clone(), id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_does_not_show_what_keys_its_hashes() {
        let position = SourcePosition::new(&[1]).unwrap();
        let report = Report::new(position, EntryId::new(1, 1), None, [201; 32], 1);
        assert!(!format!("{report:?}").contains("201"));
    }
}
