//! What was written and is not durable yet: a layer that the steps write, over one that a checkpoint is writing.
//!
//! ```text
//!   set ─► active ──freeze──► frozen ──settle──► the base has it
//!            read: active, else frozen, else the base; `None` in a layer hides what lies beneath
//! ```
//! The open step writes into the active layer and notes what stood there, so that it can be taken back: one map is
//! searched, and accepting costs nothing a key.

use std::{
    collections::{
        BTreeMap,
        btree_map::{self, Entry},
    },
    iter::Peekable,
    mem,
    ops::Bound,
    sync::Arc,
};

/// What a node of the map costs beside the bytes of key and value, about.
const ENTRY_BYTES: usize = 48;

type Key = Arc<[u8]>;
type Content = Option<Box<[u8]>>;

/// One layer of writes.
#[derive(Default)]
pub struct Layer {
    entries: BTreeMap<Key, Content>,
    bytes: usize,
}

fn len(value: &Content) -> usize {
    value.as_deref().map_or(0, <[u8]>::len)
}

impl Layer {
    /// Sets a key; returns what stood there.
    fn set(&mut self, key: Key, value: Content) -> Option<Content> {
        self.bytes += len(&value);
        let key_bytes = key.len() + ENTRY_BYTES;
        let old = self.entries.insert(key, value);
        match &old {
            Some(old) => self.bytes -= len(old),
            None => self.bytes += key_bytes,
        }
        old
    }

    /// Takes a key out; returns what stood there.
    fn unset(&mut self, key: &Key) -> Option<Content> {
        let old = self.entries.remove(key)?;
        self.bytes -= key.len() + ENTRY_BYTES + len(&old);
        Some(old)
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
    active: Layer,
    /// What the open step's writes replaced, first to last; `None` where nothing stood.
    undo: Vec<(Key, Option<Content>)>,
    frozen: Option<Arc<Layer>>,
}

impl Overlay {
    /// What a layer says of the key; `Some(None)` says that it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let beneath = || self.frozen.as_ref()?.entries.get(key);
        self.active.entries.get(key).or_else(beneath).map(Option::as_deref)
    }

    /// Writes for the open step; `None` deletes.
    pub fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.write(key.into(), value.map(Box::from));
    }

    fn write(&mut self, key: Key, value: Content) {
        self.active.bytes += len(&value);
        let old = match self.active.entries.entry(key) {
            Entry::Occupied(mut there) => {
                let old = there.insert(value);
                self.active.bytes -= len(&old);
                (there.key().clone(), Some(old))
            }
            Entry::Vacant(place) => {
                let key = place.key().clone();
                self.active.bytes += key.len() + ENTRY_BYTES;
                place.insert(value);
                (key, None)
            }
        };
        self.undo.push(old);
    }

    /// The open step's writes stay.
    pub fn accept(&mut self) {
        self.undo.clear();
    }

    /// The open step's writes never were.
    pub fn discard(&mut self) {
        drop(self.take_step());
    }

    /// Takes the open step's writes out of the active layer.
    fn take_step(&mut self) -> BTreeMap<Key, Content> {
        let mut step = BTreeMap::new();
        while let Some((key, old)) = self.undo.pop() {
            let written = match old {
                Some(old) => self.active.set(key.clone(), old),
                None => self.active.unset(&key),
            };
            // A key's last write comes first.
            step.entry(key).or_insert(written.unwrap_or_default());
        }
        step
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Overlay::default();
    }

    /// Sets the accepted writes aside for a checkpoint, which is the only one; the open step stays open.
    pub fn freeze(&mut self) -> Arc<Layer> {
        let step = self.take_step();
        let frozen = Arc::new(mem::take(&mut self.active));
        self.frozen = Some(frozen.clone());
        step.into_iter().for_each(|(key, value)| self.write(key, value));
        frozen
    }

    /// What was set aside is in the base.
    pub fn settle(&mut self) {
        self.frozen = None;
    }

    /// Bytes that the next checkpoint writes, about.
    pub fn bytes(&self) -> usize {
        self.active.bytes
    }

    /// Lays the range over what the base will say of it.
    pub fn over<'a>(&'a self, from: &[u8], to: &[u8], visit: &'a mut dyn FnMut(&[u8], &[u8]) -> bool) -> Over<'a> {
        let empty = from >= to;
        let (from, to) = if empty { (&[][..], &[][..]) } else { (from, to) };
        let side = |layer: &'a Layer| layer.range(from, to).peekable();
        Over { active: side(&self.active), frozen: self.frozen.as_deref().map(side), visit, stopped: empty }
    }
}

type Side<'a> = Peekable<btree_map::Range<'a, Key, Content>>;

/// A walk over both layers and the base; the base's pairs are pushed in, in key order.
pub struct Over<'a> {
    active: Side<'a>,
    frozen: Option<Side<'a>>,
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

    /// The lowest key of both layers, if it is wanted; the active layer's word counts where both have it.
    fn next_if(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let pair = |(key, content): (&'a Key, &'a Content)| (&**key, content.as_deref());
        let active = self.active.peek().map(|next| pair(*next));
        let frozen = self.frozen.as_mut().and_then(|side| side.peek().map(|next| pair(*next)));
        let next = match (active, frozen) {
            (Some(active), Some(frozen)) if frozen.0 < active.0 => frozen,
            (Some(active), _) => active,
            (None, frozen) => frozen?,
        };
        if !wanted(next.0) {
            return None;
        }
        for side in [Some(&mut self.active), self.frozen.as_mut()].into_iter().flatten() {
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
        overlay.set(b"other", Some(&[0; 7]));
        overlay.set(b"other", Some(&[0; 9]));
        overlay.discard();
        assert_eq!(overlay.bytes(), 3 + 10 + ENTRY_BYTES);
        overlay.freeze();
        assert_eq!(overlay.bytes(), 0);
        overlay.settle();
        assert_eq!(overlay.get(b"key"), None);
    }

    #[test]
    fn what_is_set_aside_is_read_until_the_base_has_it_and_leaves_the_open_step_out() {
        let mut overlay = Overlay::default();
        overlay.set(b"a", Some(b"1"));
        overlay.set(b"b", Some(b"1"));
        overlay.accept();
        overlay.set(b"b", Some(b"2"));
        overlay.set(b"b", Some(b"3"));
        overlay.set(b"c", Some(b"3"));
        let frozen = overlay.freeze();
        assert!(frozen.iter().eq([(&b"a"[..], Some(&b"1"[..])), (b"b", Some(b"1"))]));
        assert_eq!(overlay.get(b"a"), Some(Some(&b"1"[..])));
        assert_eq!(overlay.get(b"b"), Some(Some(&b"3"[..])));
        overlay.discard();
        assert_eq!((overlay.get(b"b"), overlay.get(b"c")), (Some(Some(&b"1"[..])), None));
    }
}
