//! The nouns of Lockstep.
