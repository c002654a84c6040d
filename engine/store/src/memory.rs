//! The twin in memory: the same contract over a map, for simulations and tests.
//!
//! What a checkpoint wrote lies on a [`MemoryDisk`] and outlives the store, as a file would.

use crate::layered::{Base, FirstFault, Layered};
use ports::{Fault, StateStore, StateTxn};
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
};

type Content = Arc<BTreeMap<Box<[u8]>, Box<[u8]>>>;

/// What survives a crash of a [`MemoryStore`].
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Content>>);

impl MemoryDisk {
    fn content(&self) -> Content {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Box<[u8]>, Box<[u8]>>)) {
        change(Arc::make_mut(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// A state store in memory.
pub struct MemoryStore(Layered<MemoryDisk>);

impl MemoryStore {
    /// Opens what the last checkpoint left on the disk.
    pub fn open(disk: &MemoryDisk) -> MemoryStore {
        MemoryStore(Layered::new(disk.clone(), FirstFault::default()))
    }

    /// Loses everything since the last checkpoint, as a killed process does.
    pub fn crash(&mut self) {
        self.0.overlay.clear();
        self.0.fault = FirstFault::default();
    }

    /// Plants a fault, as if the disk had given it.
    pub fn fail(&mut self, fault: Fault) {
        self.0.poison(fault);
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::open(&MemoryDisk::default())
    }
}

impl Base for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.content().get(key).map(|value| value.to_vec()))
    }

    fn walk(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), Fault> {
        let content = self.content();
        let range = content.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        for (key, value) in range {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl StateStore for MemoryStore {
    fn txn(&mut self) -> &mut dyn StateTxn {
        &mut self.0
    }

    fn accept(&mut self) {
        self.0.overlay.accept();
    }

    fn discard(&mut self) {
        self.0.overlay.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.0.overlay.bytes()
    }

    fn checkpoint(&mut self) -> Result<(), Fault> {
        self.0.sound()?;
        self.0.base.change(|content| {
            for (key, value) in self.0.overlay.accepted().iter() {
                match value {
                    Some(value) => content.insert(key.into(), value.into()),
                    None => content.remove(key),
                };
            }
        });
        self.0.overlay.settle();
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Fault> {
        self.0.sound()?;
        self.0.base.change(BTreeMap::clear);
        self.0.overlay.clear();
        Ok(())
    }

    fn fault(&self) -> Option<Fault> {
        self.0.fault.get().cloned()
    }

    fn view(&self) -> Result<Box<dyn StateTxn + Send>, Fault> {
        self.0.sound()?;
        let frozen = MemoryDisk(Arc::new(Mutex::new(self.0.base.content())));
        Ok(Box::new(Layered::new(frozen, self.0.fault.clone())))
    }
}
