//! What decides beside maps and rules, told by each opening of the journal (J38): a replay takes it from there and never from
//! a configuration, so that an edited file cannot change what was decided.

use crate::{Hash, SystemId};
use alloc::boxed::Box;

/// Which deployment writes the journal, and by which limits it decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pins {
    /// The same at every opening, for as long as the journal lives: ids and stamps are made of it.
    pub deployment: Deployment,
    /// In force from this opening on.
    pub limits: PinnedLimits,
}

/// Names that every minted id, slot, effect and stamp is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deployment {
    /// The pipeline.
    pub pipeline: Box<str>,
    /// The site.
    pub site: Box<str>,
    /// Hash of the deployment's namespace, which is a secret (clinical S18).
    pub namespace: Hash,
    /// The source's system.
    pub source: SystemId,
    /// The sink's system.
    pub sink: SystemId,
    /// What stamps begin with (J28).
    pub stamp_uri: Box<str>,
}

impl Default for Deployment {
    /// Of a log that belongs to nobody.
    fn default() -> Deployment {
        Deployment {
            pipeline: "".into(),
            site: "".into(),
            namespace: Hash::default(),
            source: "".into(),
            sink: "".into(),
            stamp_uri: "".into(),
        }
    }
}

impl Deployment {
    /// The first name that is another one in `other`: its key in the configuration, ours, theirs. A secret is not shown.
    pub fn differs<'a>(&'a self, other: &'a Deployment) -> Option<(&'static str, &'a str, &'a str)> {
        let names = [
            ("pipeline", &*self.pipeline, &*other.pipeline),
            ("site", &*self.site, &*other.site),
            ("the name of the source's system", self.source.as_str(), other.source.as_str()),
            ("the name of the sink's system", self.sink.as_str(), other.sink.as_str()),
            ("stamp_uri", &*self.stamp_uri, &*other.stamp_uri),
        ];
        let secret = ("namespace", "this one", "another one");
        let named = names.into_iter().find(|(_, ours, theirs)| ours != theirs);
        named.or_else(|| (self.namespace != other.namespace).then_some(secret))
    }
}

/// Limits that a decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinnedLimits {
    /// Marked units per decided step (J13).
    pub step_units_max: u64,
    /// Inferred deletes of one chunk, percent of its rows; more hold the table (J8).
    pub inferred_deletes_percent: u64,
    /// .. but never fewer than this.
    pub inferred_deletes_at_least: u64,
    /// A unit that waits longer for a reference is held for a person.
    pub waiting_age_max_seconds: u64,
}

impl Default for PinnedLimits {
    fn default() -> PinnedLimits {
        PinnedLimits {
            step_units_max: 1_000,
            inferred_deletes_percent: 1,
            inferred_deletes_at_least: 10,
            waiting_age_max_seconds: 86_400,
        }
    }
}
