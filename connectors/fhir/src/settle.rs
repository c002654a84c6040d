//! What became of a write: the instance's versions since the base, read as evidence (J26, J27). Pure.
//!
//! ```text
//!   newest                                     oldest
//!   ┌─────────┬─────────┬────────┬──────┬─────────┐
//!   │ foreign │ foreign │  ours  │ base │ ...     │      → Accepted(ours), the two above as foreign, oldest first
//!   └─────────┴─────────┴────────┴──────┴─────────┘
//! ```
//! * "Not there" proves nothing: a write is sent again only while its base is what stands.
//! * Equal content under another version id proves nothing where the server keeps our stamp.
//! * The first version that is ours counts. What lies beneath it must be the base, else it is `Stale` with what it is over.

use model::{Json, Outcome, Write, canonical_hash};
use ports::{Failure, Fault, ForeignVersion, NotApplied, SendBase, SendRequest, SinkReply, Version};
use schemas::{
    Profile,
    profile::{History, VersionIds},
    r4::ElementTable,
};

/// A request, and the versions of its unit: newest first, down to the base where it is there.
pub(crate) struct Evidence<'a> {
    pub request: &'a SendRequest,
    pub versions: &'a [Version],
    pub profile: &'a Profile,
}

impl Evidence<'_> {
    /// What became of an attempt whose answer did not say. `refused`: the target itself refused it.
    pub(crate) fn settle(&self, refused: bool) -> SinkReply {
        let since = self.base_at().unwrap_or(self.versions.len());
        if let Some(ours) = self.versions[..since].iter().rposition(|version| self.is_ours(version)) {
            let by = if self.by_stamp() { "stamp" } else { "hash" };
            return self.stands(ours, by);
        }
        match (&self.request.base, self.versions.first()) {
            (SendBase::Create, None) => not_applied(refused),
            (SendBase::Deleted(_), None) => not_applied(refused),
            (SendBase::Version(_), None) => last(Outcome::Gone { version: None }),
            (SendBase::Version(base) | SendBase::Deleted(base), Some(top)) if top.version == *base => {
                not_applied(refused)
            }
            (_, Some(Version { version, body: None, .. })) => last(Outcome::Gone { version: Some(version.clone()) }),
            (SendBase::Version(base) | SendBase::Deleted(base), Some(_))
                if self.base_at().is_none() && self.has_history() =>
            {
                self.regressed(base)
            }
            (_, Some(Version { version, body, .. })) => {
                let outcome = Outcome::Stale { version: version.clone(), current: body.clone(), over: None };
                let beneath = self.versions.get(1..since).unwrap_or_default();
                SinkReply::Final { outcome, foreign: foreign(beneath, true) }
            }
        }
    }

    /// A success that must be looked at: `version` is ours by the answer, whatever lies beneath.
    pub(crate) fn written(&self, version: &str) -> SinkReply {
        match self.versions.iter().position(|held| *held.version == *version) {
            Some(at) => self.stands(at, "reply"),
            None => {
                SinkReply::Unknown { what: format!("version {version} was answered and is not in the history yet") }
            }
        }
    }

    /// The server says that nothing changed: true if what stands at the base says what we sent.
    pub(crate) fn unchanged(&self) -> SinkReply {
        let Some((at, base)) = self.base_at().map(|at| (at, &self.versions[at])) else {
            return SinkReply::Unknown { what: "the base was answered and is not in the history".into() };
        };
        let version = base.version.clone();
        let outcome = match &base.body {
            Some(body) if self.says_what_we_sent(body) => Outcome::Accepted { version, by: "hash".into() },
            body => Outcome::Stale { version, current: body.clone(), over: None },
        };
        SinkReply::Final { outcome, foreign: foreign(&self.versions[..at], false) }
    }

    /// Our version stands at `at`; accepted if right beneath it lies what we meant to write on.
    fn stands(&self, at: usize, by: &str) -> SinkReply {
        let (ours, beneath) = (&self.versions[at], self.versions.get(at + 1));
        let meant = match (&self.request.base, beneath) {
            (SendBase::Create, None) => true,
            (SendBase::Version(base) | SendBase::Deleted(base), Some(beneath)) => beneath.version == *base,
            // Without a history nothing can be seen beneath, and the guard must do.
            (SendBase::Version(_) | SendBase::Deleted(_), None) => !self.has_history() && by != "reply",
            (SendBase::Create, Some(_)) => false,
        };
        let outcome = if meant {
            Outcome::Accepted { version: ours.version.clone(), by: by.into() }
        } else {
            let over = self.has_history().then(|| beneath.and_then(|held| held.body.clone()).unwrap_or(Json::Null));
            Outcome::Stale { version: ours.version.clone(), current: ours.body.clone(), over }
        };
        SinkReply::Final { outcome, foreign: foreign(&self.versions[..at], false) }
    }

    /// Where the base stands among the versions.
    fn base_at(&self) -> Option<usize> {
        match &self.request.base {
            SendBase::Create => None,
            SendBase::Version(base) | SendBase::Deleted(base) => {
                self.versions.iter().position(|held| held.version == *base)
            }
        }
    }

    /// A deletion has neither stamp nor content: the first one above the base is what our DELETE meant.
    fn is_ours(&self, version: &Version) -> bool {
        match (self.request.write, &version.body) {
            (Write::Delete, body) => body.is_none(),
            (Write::Put, None) => false,
            (Write::Put, Some(_)) if self.by_stamp() => {
                version.request.as_deref() == Some(self.request.request.as_str())
            }
            (Write::Put, Some(body)) => self.says_what_we_sent(body),
        }
    }

    fn by_stamp(&self) -> bool {
        self.profile.keeps_stamp && self.request.write == Write::Put
    }

    fn says_what_we_sent(&self, body: &Json) -> bool {
        canonical_hash(body, ElementTable::r4()) == self.request.body_hash
    }

    fn has_history(&self) -> bool {
        self.profile.history == History::Instance
    }

    /// An acknowledged version that the history no longer has (J33).
    fn regressed(&self, base: &str) -> SinkReply {
        let number = |version: &str| version.parse::<u64>().ok();
        let top = self.versions.first().map(|top| &*top.version).unwrap_or_default();
        let restored = self.profile.version_ids == VersionIds::Numbers && number(top) < number(base);
        let how = match (restored, self.profile.expunge_restarts_versions) {
            (true, false) => "is at a smaller version now: it was restored from a backup",
            (true, true) => "is at a smaller version now: it was restored from a backup, or expunged and written again",
            (false, _) => "does not have it",
        };
        let what = format!(
            "the target went back in time: {} was acknowledged as version {base}, and its history {how}",
            self.request.unit
        );
        let cure = "nothing more is sent; ask the server's owner what was restored or expunged, then `lockstep verify` names what is missing there";
        SinkReply::Failed(Fault::new(Failure::Misconfigured, what).cure(cure))
    }
}

/// Whether what stands is what the request was decided on.
pub(crate) fn is_base(request: &SendRequest, current: Option<&Version>) -> bool {
    match (&request.base, current) {
        (SendBase::Version(base), Some(current)) => current.version == *base && current.body.is_some(),
        (SendBase::Create | SendBase::Version(_) | SendBase::Deleted(_), _) => false,
    }
}

fn not_applied(refused: bool) -> SinkReply {
    let what =
        if refused { "the target refused it, and its base stands" } else { "it did not arrive: its base stands" };
    let why = if refused { NotApplied::Refused } else { NotApplied::Busy };
    SinkReply::NotApplied { what: what.into(), retry_after_ms: None, why }
}

fn last(outcome: Outcome) -> SinkReply {
    SinkReply::Final { outcome, foreign: Vec::new() }
}

/// Versions of others, oldest first.
fn foreign(versions: &[Version], beneath: bool) -> Vec<ForeignVersion> {
    let one = |held: &Version| ForeignVersion {
        version: held.version.clone(),
        deleted: held.body.is_none(),
        body: held.body.clone().unwrap_or(Json::Null),
        beneath,
    };
    versions.iter().rev().map(one).collect()
}

#[cfg(test)]
mod tests;
