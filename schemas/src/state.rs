//! The state of an aggregate as a value of the store.
//!
//! A cache entry: never in a log. One state has one encoding, so equal stores have equal bytes (J19).

use crate::{
    codec::{Wire, decode, encode},
    wire::WireError,
    wire_record,
};
use model::AggregateState;

wire_record!(AggregateState {
    unit,
    entity,
    n,
    fields,
    foreign,
    presence,
    verdict,
    rule,
    last_effect,
    base,
    create,
    owed,
    met,
    retried,
});

/// Appends the state to `out`.
pub fn encode_state(state: &AggregateState, out: &mut Vec<u8>) {
    encode(state, out);
}

/// Reads a state that [`encode_state`] made.
pub fn decode_state(bytes: &[u8]) -> Result<AggregateState, WireError> {
    decode(bytes)
}

/// The Avro type of a state, for its fingerprint and its tests.
pub fn state_avro() -> String {
    AggregateState::avro(&mut crate::codec::Names::default())
}
