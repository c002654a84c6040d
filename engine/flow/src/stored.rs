//! Values of ours in the store.
//!
//! The store is a cache of this fold and returns the bytes that the fold put there; a file damaged underneath is the
//! store's own fault, found by its checksums, and ends the process before a step's outputs are acted upon.

use ports::StateTxn;
use schemas::Wire;

/// The value at `key`.
pub(crate) fn get<T: Wire>(state: &dyn StateTxn, key: &[u8]) -> Option<T> {
    state.get(key).map(|bytes| value(&bytes))
}

/// A value from its bytes.
pub(crate) fn value<T: Wire>(bytes: &[u8]) -> T {
    schemas::decode(bytes).expect("the store returns the bytes that the fold put there")
}

/// Sets `key`.
pub(crate) fn put<T: Wire>(state: &mut dyn StateTxn, key: &[u8], value: &T) {
    let mut bytes = Vec::with_capacity(256);
    schemas::encode(value, &mut bytes);
    state.put(key, &bytes);
}

/// The keys of a range, at most `max`.
pub(crate) fn keys(state: &dyn StateTxn, (from, to): &schemas::keys::KeyRange, max: usize) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    state.range(from, to, &mut |key, _| {
        keys.push(key.to_vec());
        keys.len() < max
    });
    keys
}
