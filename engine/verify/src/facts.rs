//! What the logs know of versions at the target, by unit: outcomes, foreign versions that settling found, bindings; and
//! which effects were decided.
//!
//! Some fifty bytes a fact: a version is kept as eight bytes of its hash. Read once to the tail, and further on whenever
//! somebody asks for what came since: a version that we made has its `Bound` before the send, and its outcome soon after.
//! An outcome's decision was durable before the send (J24): it is in the decisions log when the outcome is read.

use crate::{ReadDecisions, ReadJournal};
use model::{Acked, Entry, EntryId, Hash, Outcome, Record, RequestId, SystemId, Unit, UnitId};
use ports::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// A version id, shortened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct VersionTag([u8; 8]);

impl VersionTag {
    pub(crate) fn of(version: &str) -> VersionTag {
        let mut tag = [0; 8];
        tag.copy_from_slice(&Hash::of(version.as_bytes()).0[..8]);
        VersionTag(tag)
    }
}

/// What one entry says of one unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fact {
    pub entry: EntryId,
    pub says: Says,
}

/// What it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Says {
    /// This version is the request's.
    Accepted { version: VersionTag, request: RequestId },
    /// The request met this version, or became it over something foreign (J26).
    Stale { version: VersionTag, request: RequestId },
    /// It was found deleted, as this version where the target says so.
    Gone { version: Option<VersionTag> },
    /// The request was refused.
    Rejected,
    /// This version is somebody else's.
    Foreign { version: VersionTag },
}

/// Everything known so far.
pub(crate) struct Facts {
    read: ReadJournal,
    system: SystemId,
    next: EntryId,
    facts: BTreeMap<(UnitId, EntryId), Says>,
    /// Units bound at or behind `since`.
    bound: BTreeSet<UnitId>,
    since: EntryId,
    decisions: ReadDecisions,
    next_decision: EntryId,
    /// What was decided to be written, and of which unit.
    issued: BTreeMap<RequestId, UnitId>,
    /// Outcomes of what nobody decided.
    unrecorded: Vec<(Unit, EntryId)>,
}

impl Facts {
    /// Reads the journal to its tail; bindings from `since` on, which the state at P does not hold, are kept too.
    pub(crate) fn open(
        (read, decisions): (ReadJournal, ReadDecisions),
        system: SystemId,
        since: EntryId,
    ) -> Result<Facts, Fault> {
        let first = EntryId::new(1, 1);
        let mut all = Facts {
            read,
            system,
            next: first,
            facts: BTreeMap::new(),
            bound: BTreeSet::new(),
            since,
            decisions,
            next_decision: first,
            issued: BTreeMap::new(),
            unrecorded: Vec::new(),
        };
        all.advance()?;
        Ok(all)
    }

    /// The first entry that was not read.
    pub(crate) fn read_upto(&self) -> EntryId {
        self.next
    }

    /// Reads what came since.
    pub(crate) fn advance(&mut self) -> Result<(), Fault> {
        loop {
            let entries = (self.read)(self.next)?;
            let Some(last) = entries.last() else { return Ok(()) };
            self.next = last.header.id.next();
            for entry in &entries {
                self.take(entry.header.id, &entry.entry)?;
            }
        }
    }

    fn take(&mut self, id: EntryId, entry: &Entry) -> Result<(), Fault> {
        match entry {
            Entry::Acked(acked) if acked.system == self.system => {
                if !self.decided(acked)? {
                    self.unrecorded.push((acked.unit.clone(), id));
                }
                if let Some(says) = outcome(acked) {
                    self.facts.insert((acked.unit.id, id), says);
                }
            }
            Entry::Resource(found) if found.system == self.system => {
                self.facts.insert((found.unit.id, id), Says::Foreign { version: VersionTag::of(&found.version) });
            }
            Entry::Bound(bound) if id >= self.since => {
                self.bound.insert(bound.unit.id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a recorded decision about this unit issued the effect.
    fn decided(&mut self, acked: &Acked) -> Result<bool, Fault> {
        let request = acked.effect.request();
        if !self.issued.contains_key(&request) {
            self.advance_decisions()?;
        }
        Ok(self.recorded(acked.unit.id, &request))
    }

    fn advance_decisions(&mut self) -> Result<(), Fault> {
        loop {
            let records = (self.decisions)(self.next_decision)?;
            let Some(last) = records.last() else { return Ok(()) };
            self.next_decision = last.header.id.next();
            for record in records {
                let Record::Decided(decided) = record.record else { continue };
                let ours = decided.effects.iter().filter(|effect| effect.system == self.system);
                self.issued.extend(ours.map(|effect| (effect.id.request(), effect.unit.id)));
            }
        }
    }

    /// Whether a recorded decision about this unit made the request.
    pub(crate) fn recorded(&self, unit: UnitId, request: &RequestId) -> bool {
        self.issued.get(request) == Some(&unit)
    }

    /// Outcomes that no recorded decision leads to, with the entries that tell them.
    pub(crate) fn unrecorded(&mut self) -> Vec<(Unit, EntryId)> {
        std::mem::take(&mut self.unrecorded)
    }

    /// What is known of a unit, in the order of the entries.
    pub(crate) fn of(&self, unit: UnitId) -> Vec<Fact> {
        let (from, to) = ((unit, EntryId::new(0, 0)), (unit, EntryId::new(u32::MAX, u64::MAX)));
        self.facts.range(from..=to).map(|((_, entry), says)| Fact { entry: *entry, says: *says }).collect()
    }

    /// Whether the unit was bound behind P.
    pub(crate) fn bound_since(&self, unit: UnitId) -> bool {
        self.bound.contains(&unit)
    }
}

fn outcome(acked: &Acked) -> Option<Says> {
    let request = acked.effect.request();
    match &acked.outcome {
        Outcome::Accepted { version, .. } => Some(Says::Accepted { version: VersionTag::of(version), request }),
        Outcome::Stale { version, .. } => Some(Says::Stale { version: VersionTag::of(version), request }),
        Outcome::Gone { version } => Some(Says::Gone { version: version.as_deref().map(VersionTag::of) }),
        Outcome::Rejected { .. } => Some(Says::Rejected),
        Outcome::Observed => None,
    }
}
