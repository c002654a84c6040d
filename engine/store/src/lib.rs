//! The embedded state store: an ordered map of bytes on local disk, and its twin in memory.
//!
//! A cache of folds, never the truth (J19): whatever is wrong with it is cured by folding the journal again.
//! * A step's writes are seen by the step at once, kept by `accept`, durable after `checkpoint`, in this order only.
//! * A checkpoint is atomic, in key order, once per key (J20).
//! * The first fault poisons the store: nothing read or written after it counts.

mod disk;
mod gap;
mod layered;
mod memory;
mod overlay;
mod redb;
#[cfg(feature = "sled")]
mod sled;

pub use disk::{Disk, DiskStore};
pub use memory::{MemoryDisk, MemoryStore};
pub use redb::RedbStore;
#[cfg(feature = "sled")]
pub use sled::SledStore;
