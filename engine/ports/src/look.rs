//! The idle heartbeat of a target (J35): one authenticated read of the last written unit, whose version must still be ours.
//!
//! What it finds is told to people. It reaches no entry, decision or hash (J34), and it writes nothing.

use model::{RequestId, Unit};

/// What a target is known to hold of the unit that was written last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The unit.
    pub unit: Unit,
    /// Its version, as acknowledged or met.
    pub version: Box<str>,
    /// False: that version is a deletion.
    pub exists: bool,
    /// The stamp that this version carries, where that is known.
    pub request: Option<RequestId>,
}

/// What stands there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// The target answers and lets us in; there was nothing to compare.
    Answered,
    /// What we know of is what stands.
    Ours,
    /// Somebody else wrote on top; the version that stands.
    Foreign(Box<str>),
    /// Somebody else deleted it, or it is not there at all: the deletion's version, if it has one.
    Gone(Option<Box<str>>),
    /// Our version is not there any more: the target went back in time, and this version stands (J33).
    Behind(Box<str>),
}
