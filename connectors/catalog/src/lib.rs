//! Names the connectors.
