//! The twin in memory: the same contract over a map, for simulations and tests.
//!
//! What a checkpoint wrote lies on a [`MemoryDisk`] and outlives the store, as a file would.

use crate::{
    layered::{Base, FirstFault, Layered},
    overlay::Layer,
};
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
    /// With this on it.
    #[cfg(feature = "sled")]
    pub(crate) fn of<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> MemoryDisk {
        let content = pairs.map(|(key, value)| (key.into(), value.into())).collect();
        MemoryDisk(Arc::new(Mutex::new(Arc::new(content))))
    }

    fn content(&self) -> Content {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Box<[u8]>, Box<[u8]>>)) {
        change(Arc::make_mut(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// A state store in memory. A checkpoint that has begun reaches the disk when it is finished, not before.
pub struct MemoryStore {
    state: Layered<MemoryDisk>,
    writing: Option<Arc<Layer>>,
}

impl MemoryStore {
    /// Opens what the last checkpoint left on the disk.
    pub fn open(disk: &MemoryDisk) -> MemoryStore {
        MemoryStore { state: Layered::new(disk.clone(), FirstFault::default()), writing: None }
    }

    /// Loses everything since the last checkpoint that was finished, as a killed process does.
    pub fn crash(&mut self) {
        self.state.clear();
        self.writing = None;
        self.state.fault = FirstFault::default();
    }

    /// Plants a fault, as if the disk had given it.
    pub fn fail(&mut self, fault: Fault) {
        self.state.poison(fault);
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
        &mut self.state
    }

    fn accept(&mut self) {
        self.state.overlay.accept();
    }

    fn discard(&mut self) {
        self.state.overlay.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.state.overlay.bytes()
    }

    fn begin_checkpoint(&mut self) -> Result<(), Fault> {
        self.finish_checkpoint()?;
        self.writing = Some(self.state.overlay.freeze());
        Ok(())
    }

    fn finish_checkpoint(&mut self) -> Result<(), Fault> {
        self.state.sound()?;
        let Some(layer) = self.writing.take() else { return Ok(()) };
        self.state.base.change(|content| {
            for (key, value) in layer.iter() {
                match value {
                    Some(value) => content.insert(key.into(), value.into()),
                    None => content.remove(key),
                };
            }
        });
        self.state.settle();
        Ok(())
    }

    fn is_checkpointing(&self) -> bool {
        self.writing.is_some()
    }

    fn clear(&mut self) -> Result<(), Fault> {
        self.state.sound()?;
        self.state.base.change(BTreeMap::clear);
        self.state.clear();
        self.writing = None;
        Ok(())
    }

    fn fault(&self) -> Option<Fault> {
        self.state.fault.get().cloned()
    }

    fn view(&mut self) -> Result<Box<dyn StateTxn + Send>, Fault> {
        self.finish_checkpoint()?;
        let frozen = MemoryDisk(Arc::new(Mutex::new(self.state.base.content())));
        Ok(Box::new(Layered::new(frozen, self.state.fault.clone())))
    }
}
