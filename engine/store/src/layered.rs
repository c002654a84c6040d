//! The overlay over a durable base: what both stores and their views have in common.

use crate::overlay::Overlay;
use ports::{Fault, StateTxn};
use std::sync::{Arc, OnceLock};

/// What is durable.
pub trait Base {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// The pairs of `from..to` in key order until `visit` returns false; `from` is below `to`.
    fn walk(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault>;
}

/// The first fault met; shared with the views, so that whoever drives the store hears of theirs too.
pub type FirstFault = Arc<OnceLock<Fault>>;

/// A base with writes over it.
pub struct Layered<B> {
    /// What is durable.
    pub base: B,
    /// What is not.
    pub overlay: Overlay,
    /// Why nothing counts any more.
    pub fault: FirstFault,
}

impl<B: Base> Layered<B> {
    /// Nothing written yet.
    pub fn new(base: B, fault: FirstFault) -> Layered<B> {
        Layered { base, overlay: Overlay::default(), fault }
    }

    /// Fails if the store is poisoned.
    pub fn sound(&self) -> Result<(), Fault> {
        self.fault.get().cloned().map_or(Ok(()), Err)
    }

    /// Remembers a fault, if it is the first.
    pub fn poison(&self, fault: Fault) -> Fault {
        self.fault.get_or_init(|| fault).clone()
    }
}

impl<B: Base> StateTxn for Layered<B> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(found) = self.overlay.get(key) {
            return found.map(<[u8]>::to_vec);
        }
        self.base.get(key).unwrap_or_else(|fault| {
            self.poison(fault);
            None
        })
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.overlay.set(key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.overlay.set(key, None);
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) {
        let mut over = self.overlay.over(from, to, visit);
        if over.stopped() {
            return;
        }
        match self.base.walk(from, to, &mut |key, value| over.base(key, value)) {
            Ok(()) => over.finish(),
            Err(fault) => {
                self.poison(fault);
            }
        }
    }
}
