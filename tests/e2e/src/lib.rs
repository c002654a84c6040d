//! End to end on real peers.
