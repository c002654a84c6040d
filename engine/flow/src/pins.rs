//! Settings that decide are those of the journal's last opening (J38): never those of a configuration that was edited since.

use crate::{
    config::{Config, Limits},
    step::Flow,
    stored,
};
use model::{Deployment, Hash, PinnedLimits, Pins};
use ports::StateTxn;
use schemas::keys;

const PINS: &str = "pins";

impl Config {
    /// What an opening of the journal tells of this configuration.
    pub fn pins(&self) -> Pins {
        let limits = &self.limits;
        Pins {
            deployment: self.deployment(),
            limits: PinnedLimits {
                step_units_max: limits.step_units_max as u64,
                inferred_deletes_percent: limits.inferred_deletes_percent,
                inferred_deletes_at_least: limits.inferred_deletes_at_least,
                waiting_age_max_seconds: limits.waiting_age_max_seconds,
            },
        }
    }

    /// The names that must be the same at every opening.
    pub fn deployment(&self) -> Deployment {
        Deployment {
            pipeline: self.pipeline.clone(),
            site: self.site.clone(),
            namespace: Hash::of_parts(&[b"lockstep namespace", self.namespace.as_bytes()]),
            source: self.source.system.clone(),
            sink: self.sink.system.clone(),
            stamp_uri: self.sink.stamp_uri.clone(),
        }
    }
}

impl Limits {
    fn pin(&mut self, pinned: PinnedLimits) {
        self.step_units_max = usize::try_from(pinned.step_units_max).unwrap_or(usize::MAX);
        self.inferred_deletes_percent = pinned.inferred_deletes_percent;
        self.inferred_deletes_at_least = pinned.inferred_deletes_at_least;
        self.waiting_age_max_seconds = pinned.waiting_age_max_seconds;
    }
}

impl Flow {
    /// Those in force where the state stands.
    pub(crate) fn load_pins(&mut self, state: &dyn StateTxn) {
        self.config.limits.pin(stored::get(state, &keys::meta(PINS)).unwrap_or_default());
    }

    /// The journal was opened with these.
    pub(crate) fn opened_with(&mut self, pins: &Pins, state: &mut dyn StateTxn) {
        self.config.limits.pin(pins.limits);
        stored::put(state, &keys::meta(PINS), &pins.limits);
    }
}
