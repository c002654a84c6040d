//! Acts of people that enter the journal: activations, controls, answers; each with who did it (clinical U1).
#![expect(
    missing_docs,
    reason = "fields are named by the field's standard terms; types and variants say what they promise"
)]

use crate::{
    id::{Hash, SystemId},
    position::SourcePosition,
};
use alloc::{boxed::Box, vec::Vec};

/// Pinned content: its bytes, their hash, who put it in force, the behaviour number that interprets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activated {
    pub by: Principal,
    pub kind: Kind,
    pub name: Box<str>,
    pub hash: Hash,
    pub bytes: Box<[u8]>,
    pub behaviour: u32,
}

/// What can be activated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Map,
    Rules,
    Elements,
    Zones,
}

/// An act of a person on something larger than a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    pub by: Principal,
    pub act: ControlAct,
    pub reason: Box<str>,
}

/// The acts of v0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ControlAct {
    /// The gap (passed, slot] of a source is accepted: a new slot, and every table read again by marked chunks (J10).
    AcceptGap { source: SystemId, passed: SourcePosition, slot: Option<SourcePosition> },
    /// A held table or entity is answered.
    /// `about` is the hash of the question as it stood: an answer to another one decides nothing.
    Answered { hold: Box<str>, answer: Answer, about: Hash },
    /// Parked units of one cause are tried again (J31).
    Released { cause: Box<str> },
    /// What `check --probe` found out about a target (J26).
    Probed { system: SystemId, profile: Box<str>, findings: Box<str> },
    /// A source was dropped: nothing of ours is left there.
    Dropped { source: SystemId },
}

/// Answers to holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Answer {
    Expand,
    ReadAgain,
    Accept,
    Release,
    Recreate,
    KeepDeleted,
    /// The columns of the old key go on naming the units of a table that has another key.
    Rebind,
    /// The units of a table that has another key are left as they are, and its rows are others.
    Unbind,
}

/// Who did it: an identity provider's subject, or the uid on the control socket; never anonymous.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    pub issuer: Box<str>,
    pub subject: Box<str>,
    pub name: Box<str>,
    pub roles: Vec<Box<str>>,
    pub how: Box<str>,
}
