//! The contract of the state store: an ordered map of bytes, a cache of folds (J19), never the truth.

use crate::Fault;

/// Reads and writes of one step. Ordered, reads its own writes, synchronous.
///
/// An I/O fault never becomes a value: the store remembers it, and whoever drives the step must ask
/// [`StateStore::fault`] before it acts on anything the step returned.
pub trait StateTxn {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Sets `key`.
    fn put(&mut self, key: &[u8], value: &[u8]);

    /// Removes `key`, if it is there.
    fn delete(&mut self, key: &[u8]);

    /// Visits the pairs of `from..to` in key order until `visit` returns false.
    fn range(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool);
}

/// Owns the state between steps.
///
/// ```text
///   step's writes ──accept──► overlay (memory, bounded) ──begin_checkpoint──► set aside ──finish_checkpoint──► durable
///              └──discard──► nothing happened                  (still read; the next steps write over it)
/// ```
/// A checkpoint is what had been accepted when it began; whether it is there after a crash is told by nobody before
/// `finish_checkpoint` returns. There is one at a time.
pub trait StateStore: Send {
    /// The writes of the present step go here.
    fn txn(&mut self) -> &mut dyn StateTxn;

    /// Keeps the step's writes, in memory.
    fn accept(&mut self);

    /// Throws the step's writes away (J32).
    fn discard(&mut self);

    /// Bytes that the next checkpoint will write, about.
    fn overlay_bytes(&self) -> usize;

    /// Begins to make everything accepted durable, atomically, once per key; the steps go on meanwhile. A checkpoint that
    /// is under way is finished first. After a fault, now or behind this call, the store is poisoned.
    fn begin_checkpoint(&mut self) -> Result<(), Fault>;

    /// Waits until the checkpoint that is under way is durable, if there is one.
    fn finish_checkpoint(&mut self) -> Result<(), Fault>;

    /// Whether a checkpoint is under way, as far as the last `accept` knows.
    fn is_checkpointing(&self) -> bool;

    /// Makes everything accepted durable now.
    fn checkpoint(&mut self) -> Result<(), Fault> {
        self.begin_checkpoint()?;
        self.finish_checkpoint()
    }

    /// Removes everything, durably: the next fold begins at nothing.
    fn clear(&mut self) -> Result<(), Fault>;

    /// The I/O fault that a step met, if one did.
    fn fault(&self) -> Option<Fault>;

    /// A frozen, readable view of the last checkpoint, for another thread (verify, J45); waits for the one under way.
    fn view(&mut self) -> Result<Box<dyn StateTxn + Send>, Fault>;
}
