//! The overlay over a durable base: what both stores and their views have in common.

use crate::{gap::Gaps, overlay::Overlay};
use ports::{Fault, StateTxn};
use std::{
    cell::RefCell,
    sync::{Arc, OnceLock},
};

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
    gaps: RefCell<Gaps>,
}

impl<B: Base> Layered<B> {
    /// Nothing written yet.
    pub fn new(base: B, fault: FirstFault) -> Layered<B> {
        Layered { base, overlay: Overlay::default(), fault, gaps: RefCell::default() }
    }

    /// The base holds what was set aside.
    pub fn settle(&mut self) {
        self.overlay.settle();
        self.gaps.get_mut().forget();
    }

    /// Everything was removed, from the base too.
    pub fn clear(&mut self) {
        self.overlay.clear();
        self.gaps.get_mut().forget();
    }

    fn look(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        if self.gaps.borrow_mut().holds(key) {
            return Ok(None);
        }
        let found = self.base.get(key)?;
        let end = if found.is_none() { self.gaps.borrow_mut().missed(key) } else { None };
        if let Some(end) = end {
            let mut next = end.to_vec();
            self.base.walk(key, &end, &mut |at, _| {
                next = at.to_vec();
                false
            })?;
            self.gaps.borrow_mut().found(key, &next);
        }
        Ok(found)
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
        self.look(key).unwrap_or_else(|fault| {
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
