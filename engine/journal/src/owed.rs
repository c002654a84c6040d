//! What captured rows will still cost the disk (J24): decisions, outcomes and the state's growth follow from them, and must
//! find room when capture has filled the rest.
//!
//! Counts the bytes of captured appends until somebody says that they are decided. What an earlier life of the process
//! captured and did not decide is not known here: the reserve is for that.

use std::collections::VecDeque;

/// Bytes that may follow from one captured byte. Measured over the test clinic, encoded: decisions 5, outcomes 1, state 4,
/// which the store has twice and more while a checkpoint is written; and bodies until they are acknowledged.
const FOLLOW_PER_BYTE: u64 = 16;

/// Captured appends without a decision, by the last entry of each; rising.
#[derive(Default)]
pub(crate) struct Owed {
    appends: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Owed {
    /// These bytes were captured, up to this entry.
    pub(crate) fn captured(&mut self, upto: u64, bytes: u64) {
        self.appends.push_back((upto, bytes));
        self.bytes += bytes;
    }

    /// Everything up to this entry is decided.
    pub(crate) fn decided(&mut self, upto: u64) {
        while let Some((_, bytes)) = self.appends.pop_front_if(|(last, _)| *last <= upto) {
            self.bytes -= bytes;
        }
    }

    /// The room that is wanted for what follows, with so many bytes more.
    pub(crate) fn wants(&self, more: u64) -> u64 {
        self.bytes.saturating_add(more).saturating_mul(FOLLOW_PER_BYTE)
    }
}
