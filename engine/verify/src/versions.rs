//! Whose each version at the target is: ours by the journal, somebody else's by the journal, or nobody's.
//!
//! * Ours: an `Acked` entry names the version, and the version's stamp, where it has one, is that request's. A stamp alone
//!   proves nothing: whoever reads a resource and writes it back copies it.
//! * Somebody else's: a `Resource`, `Stale` or `Gone` entry names it, or it lies beneath one that such an entry names and
//!   above the last one of ours: settling looked at all of those and none was ours (J27).

use crate::facts::{Fact, Says, VersionTag};
use model::EntryId;
use ports::Version;

/// Whose a version is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Ours: the entry that says so.
    Ours(EntryId),
    /// Somebody else's: the entry that says so.
    Others(EntryId),
    /// It carries a stamp that no outcome of the unit has: a request that is not settled yet, if it is newer than P.
    Stamped,
    /// Nobody's.
    Nobody,
}

/// The owners of a unit's versions, in the order of `versions` (newest first).
pub(crate) fn owners(versions: &[Version], facts: &[Fact]) -> Vec<Owner> {
    let mut owners: Vec<Owner> = versions.iter().map(|version| named(version, facts)).collect();
    // From the newest down: what lies beneath a version that was met is covered by that entry, down to one of ours.
    let mut cover = None;
    for (owner, version) in owners.iter_mut().zip(versions) {
        let met = facts.iter().rev().find(|fact| meets(fact, version));
        match owner {
            Owner::Nobody => {
                if let Some(entry) = cover {
                    *owner = Owner::Others(entry);
                }
            }
            Owner::Ours(_) | Owner::Stamped => cover = None,
            Owner::Others(_) => {}
        }
        cover = met.map(|fact| fact.entry).or(cover);
    }
    owners
}

/// Whether the fact is of a request that looked at everything beneath this version.
fn meets(fact: &Fact, version: &Version) -> bool {
    let tag = VersionTag::of(&version.version);
    match fact.says {
        Says::Stale { version, .. } => version == tag,
        Says::Gone { version } => version == Some(tag),
        Says::Accepted { .. } | Says::Foreign { .. } | Says::Rejected => false,
    }
}

/// What the entries that name this version say of it.
fn named(version: &Version, facts: &[Fact]) -> Owner {
    let tag = VersionTag::of(&version.version);
    let stamp = version.request.as_deref();
    let stamped = |request: &model::RequestId| stamp == Some(request.as_str());
    // A write that changed nothing may keep the version of the one before: several requests, one version.
    let ours = |fact: &&Fact| match &fact.says {
        Says::Accepted { version, request } => *version == tag && (stamp.is_none() || stamped(request)),
        Says::Stale { version, request } => *version == tag && stamped(request),
        Says::Gone { .. } | Says::Rejected | Says::Foreign { .. } => false,
    };
    if let Some(fact) = facts.iter().find(ours) {
        return Owner::Ours(fact.entry);
    }
    let theirs = |fact: &&Fact| match fact.says {
        Says::Foreign { version } | Says::Stale { version, .. } => version == tag,
        Says::Gone { version: at } => at == Some(tag) && version.body.is_none(),
        Says::Accepted { .. } | Says::Rejected => false,
    };
    if let Some(fact) = facts.iter().find(theirs) {
        return Owner::Others(fact.entry);
    }
    let known = |fact: &Fact| match &fact.says {
        Says::Accepted { request, .. } | Says::Stale { request, .. } => stamped(request),
        Says::Gone { .. } | Says::Rejected | Says::Foreign { .. } => false,
    };
    if stamp.is_some() && !facts.iter().any(known) { Owner::Stamped } else { Owner::Nobody }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{EffectId, Json, RequestId, UnitId};

    fn request(n: u64) -> RequestId {
        let unit = model::Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([7; 16]) };
        EffectId::derive("clinic", &"cloud".into(), &unit, 0, n).request()
    }

    fn version(id: &str, request: Option<RequestId>) -> Version {
        let request = request.map(|request| request.as_str().into());
        Version { version: id.into(), request, body: Some(Json::Object(Vec::new())) }
    }

    fn fact(seq: u64, says: Says) -> Fact {
        Fact { entry: EntryId::new(1, seq), says }
    }

    fn tag(version: &str) -> VersionTag {
        VersionTag::of(version)
    }

    #[test]
    fn a_copied_stamp_makes_nothing_ours() {
        let versions = [version("2", Some(request(1))), version("1", Some(request(1)))];
        let facts = [fact(5, Says::Accepted { version: tag("1"), request: request(1) })];
        assert_eq!(owners(&versions, &facts), [Owner::Nobody, Owner::Ours(EntryId::new(1, 5))]);
    }

    #[test]
    fn what_lies_beneath_a_version_that_was_met_is_covered_down_to_ours() {
        let versions = [version("4", None), version("3", None), version("2", None), version("1", Some(request(1)))];
        let ours = fact(5, Says::Accepted { version: tag("1"), request: request(1) });
        let met = fact(9, Says::Stale { version: tag("3"), request: request(2) });
        let nine = Owner::Others(EntryId::new(1, 9));
        assert_eq!(owners(&versions, &[ours, met]), [Owner::Nobody, nine, nine, Owner::Ours(ours.entry)]);
    }

    #[test]
    fn a_foreign_version_between_two_accepted_ones_is_nobodys() {
        let versions = [version("3", Some(request(2))), version("2", None), version("1", Some(request(1)))];
        let first = fact(5, Says::Accepted { version: tag("1"), request: request(1) });
        let second = fact(6, Says::Accepted { version: tag("3"), request: request(2) });
        let expected = [Owner::Ours(second.entry), Owner::Nobody, Owner::Ours(first.entry)];
        assert_eq!(owners(&versions, &[first, second]), expected);
    }

    #[test]
    fn a_write_that_stands_over_something_foreign_is_ours_and_covers_what_is_beneath() {
        let versions = [version("3", Some(request(2))), version("2", None), version("1", Some(request(1)))];
        let first = fact(5, Says::Accepted { version: tag("1"), request: request(1) });
        let over = fact(6, Says::Stale { version: tag("3"), request: request(2) });
        let expected = [Owner::Ours(over.entry), Owner::Others(over.entry), Owner::Ours(first.entry)];
        assert_eq!(owners(&versions, &[first, over]), expected);
    }

    #[test]
    fn a_stamp_without_an_outcome_is_a_request_under_way() {
        let versions = [version("1", Some(request(1)))];
        assert_eq!(owners(&versions, &[]), [Owner::Stamped]);
    }
}
