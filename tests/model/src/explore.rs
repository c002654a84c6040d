//! Breadth-first search over every state: the first violation is one of the shortest.
//!
//! States are kept as 64-bit fingerprints (two of 8 million collide with a chance of 2 in a million); one thread, no
//! random order, so that two explorations are the same.

use crate::{
    Model,
    property::Property,
    state::{Act, State},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hash, Hasher},
};

/// What an exploration found.
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps of the longest shortest way.
    pub depth: usize,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
}

/// A broken promise and the shortest way there.
pub struct Violation {
    /// Which one.
    pub property: Property,
    /// What was done, one line a step.
    pub trace: Vec<String>,
}

/// Number of the parent and of the action in the parent's list.
type Came = (u32, u16);
type Fingerprints = HashMap<u64, (), BuildHasherDefault<Mixed>>;

/// Explores `model` to the end, or to the first violation.
pub fn explore(model: &Model) -> Report {
    visit(model, &mut |_| {})
}

/// Explores `model`, and shows each state once.
pub(crate) fn visit(model: &Model, shown: &mut dyn FnMut(&State)) -> Report {
    let first = model.first();
    let mut known = Fingerprints::default();
    known.insert(fingerprint(&first), ());
    let mut came: Vec<Came> = vec![(0, 0)];
    let (mut level, mut depth) = (vec![(0, first)], 0);
    let mut acts = Vec::new();
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, state) in level.drain(..) {
            shown(&state);
            acts.clear();
            let can_move = model.acts(&state, &mut acts);
            if let Some(property) = model.broken(&state, !can_move) {
                let trace = trace(model, &came, number);
                return Report { states: came.len(), depth, violation: Some(Violation { property, trace }) };
            }
            for (choice, act) in (0..).zip(&acts) {
                let then = model.apply(&state, act);
                if let Entry::Vacant(new) = known.entry(fingerprint(&then)) {
                    new.insert(());
                    next.push((u32::try_from(came.len()).expect("fewer than four milliards"), then));
                    came.push((number, choice));
                }
            }
        }
        (depth, level) = (depth + 1, next);
    }
    Report { states: came.len(), depth, violation: None }
}

/// The acts that lead from the first state to `number`, done again.
fn trace(model: &Model, came: &[Came], mut number: u32) -> Vec<String> {
    let mut choices = Vec::new();
    while number != 0 {
        let (parent, choice) = came[number as usize];
        choices.push(choice);
        number = parent;
    }
    let mut state = model.first();
    let mut step = |choice: u16| {
        let mut acts: Vec<Act> = Vec::new();
        model.acts(&state, &mut acts);
        let act = &acts[usize::from(choice)];
        state = model.apply(&state, act);
        format!("{act:?}")
    };
    choices.into_iter().rev().map(&mut step).collect()
}

fn fingerprint(state: &State) -> u64 {
    let mut mixed = Mixed::default();
    state.hash(&mut mixed);
    mixed.finish()
}

/// Multiplies and rotates: states are many and small.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        let folded = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        folded ^ (folded >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95).wrapping_add(0x9e37);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}
