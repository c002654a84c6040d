//! Declarative maps.
