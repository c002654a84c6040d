//! The contracts between the core and the outside.
