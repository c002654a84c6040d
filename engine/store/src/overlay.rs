//! What was written and is not durable yet: the step's writes over the accepted ones.
//!
//! ```text
//!   step      ──accept──┐     read: step, else accepted, else the base
//!   accepted  ◄─────────┘     `None` in a layer hides what lies beneath
//! ```

use std::{
    collections::{BTreeMap, btree_map},
    iter::Peekable,
    ops::Bound,
};

/// What a node of the map costs beside the bytes of key and value, about.
const ENTRY_BYTES: usize = 48;

type Key = Box<[u8]>;
type Content = Option<Box<[u8]>>;

/// One layer of writes.
#[derive(Default)]
pub struct Layer {
    entries: BTreeMap<Key, Content>,
    bytes: usize,
}

impl Layer {
    fn set(&mut self, key: Key, value: Content) {
        let len = |value: &Content| value.as_deref().map_or(0, <[u8]>::len);
        self.bytes += len(&value);
        let key_bytes = key.len() + ENTRY_BYTES;
        match self.entries.insert(key, value) {
            Some(old) => self.bytes -= len(&old),
            None => self.bytes += key_bytes,
        }
    }

    fn range(&self, from: &[u8], to: &[u8]) -> btree_map::Range<'_, Key, Content> {
        self.entries.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
    }

    /// Every write, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.entries.iter().map(|(key, value)| (&**key, value.as_deref()))
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Both layers.
#[derive(Default)]
pub struct Overlay {
    step: Layer,
    accepted: Layer,
}

impl Overlay {
    /// What a layer says of the key; `Some(None)` says that it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let found = self.step.entries.get(key).or_else(|| self.accepted.entries.get(key));
        found.map(Option::as_deref)
    }

    /// Writes in the step's layer; `None` deletes.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.step.set(key.into(), value.map(Box::from));
    }

    /// Moves the step's writes down.
    pub fn accept(&mut self) {
        let step = std::mem::take(&mut self.step);
        if self.accepted.is_empty() {
            self.accepted = step;
        } else {
            // Key by key: a step is small beside what was accepted before it.
            step.entries.into_iter().for_each(|(key, value)| self.accepted.set(key, value));
        }
    }

    /// Forgets the step's writes.
    pub fn discard(&mut self) {
        self.step = Layer::default();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Overlay::default();
    }

    /// What a checkpoint writes.
    pub fn accepted(&self) -> &Layer {
        &self.accepted
    }

    /// The accepted writes are durable.
    pub fn settle(&mut self) {
        self.accepted = Layer::default();
    }

    /// Bytes of both layers, about.
    pub fn bytes(&self) -> usize {
        self.step.bytes + self.accepted.bytes
    }

    /// Lays the range over what the base will say of it.
    pub fn over<'a>(&'a self, from: &[u8], to: &[u8], visit: &'a mut dyn FnMut(&[u8], &[u8]) -> bool) -> Over<'a> {
        let empty = from >= to;
        let (from, to) = if empty { (&[][..], &[][..]) } else { (from, to) };
        Over {
            step: self.step.range(from, to).peekable(),
            accepted: self.accepted.range(from, to).peekable(),
            visit,
            stopped: empty,
        }
    }
}

type Side<'a> = Peekable<btree_map::Range<'a, Key, Content>>;

/// A walk over both layers and the base; the base's pairs are pushed in, in key order.
pub struct Over<'a> {
    step: Side<'a>,
    accepted: Side<'a>,
    visit: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
    stopped: bool,
}

impl<'a> Over<'a> {
    /// Whether nothing more is wanted.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The base's next pair; false if nothing more is wanted.
    pub fn base(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.layers_below(Some(key));
        if self.stopped {
            return false;
        }
        match self.next_if(|next| next == key) {
            Some((_, content)) => self.show(key, content),
            None => self.show(key, Some(value)),
        }
        !self.stopped
    }

    /// The base has no more pairs.
    pub fn finish(mut self) {
        self.layers_below(None);
    }

    fn layers_below(&mut self, bound: Option<&[u8]>) {
        while !self.stopped {
            let Some((key, content)) = self.next_if(|next| bound.is_none_or(|bound| next < bound)) else { return };
            self.show(key, content);
        }
    }

    fn show(&mut self, key: &[u8], content: Option<&[u8]>) {
        if let Some(value) = content {
            self.stopped = !(self.visit)(key, value);
        }
    }

    /// The lowest key of both layers, if it is wanted; the step's word counts where both have it.
    fn next_if(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let pair = |(key, content): (&'a Key, &'a Content)| (&**key, content.as_deref());
        let step = self.step.peek().map(|next| pair(*next));
        let accepted = self.accepted.peek().map(|next| pair(*next));
        let next = match (step, accepted) {
            (Some(step), Some(accepted)) if accepted.0 < step.0 => accepted,
            (Some(step), _) => step,
            (None, accepted) => accepted?,
        };
        if !wanted(next.0) {
            return None;
        }
        for side in [&mut self.step, &mut self.accepted] {
            side.next_if(|(key, _)| ***key == *next.0);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_what_is_kept() {
        let mut overlay = Overlay::default();
        overlay.set(b"key", Some(&[0; 1_000]));
        overlay.accept();
        overlay.set(b"key", Some(&[0; 10]));
        overlay.accept();
        assert_eq!(overlay.bytes(), 3 + 10 + ENTRY_BYTES);
        overlay.set(b"key", None);
        overlay.discard();
        assert_eq!(overlay.bytes(), 3 + 10 + ENTRY_BYTES);
        overlay.settle();
        assert_eq!(overlay.bytes(), 0);
    }
}
