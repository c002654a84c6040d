//! Marks: which units the present input dirties, one by one or a whole entity; and the bindings they need.
//!
//! A mark with an empty key is a range: every unit of the entity (a readiness, an activation, an answered hold). Its value
//! says how far it is, so that a crash resumes between steps (J13).

use crate::{
    input::FlowOutput,
    recover::Stage,
    rows,
    shadow::{self, PAGE},
    step::{Flow, Then},
    stored, waiting,
};
use model::{Bound, Entry, Mark, RowKey, Unit};
use ports::{Class, StateTxn};
use schemas::{keys, wire_record};

/// How far a range mark is.
#[derive(Default)]
struct Range {
    /// Every row of the root table up to here is bound.
    bound_upto: Option<RowKey>,
    all_bound: bool,
    /// Units up to here are mapped.
    mapped_upto: Option<RowKey>,
}

wire_record!(Range { bound_upto, all_bound, mapped_upto });

impl Flow {
    /// Marks one unit.
    pub(crate) fn mark(&mut self, entity: usize, key: &RowKey, state: &mut dyn StateTxn) {
        let Ok(entity) = u16::try_from(entity) else { return };
        state.put(&keys::mark(&Mark { cause: self.place.input, entity, key: key.clone() }), &[]);
        self.marked = true;
    }

    /// Marks every unit of an entity.
    pub(crate) fn mark_range(&mut self, entity: usize, state: &mut dyn StateTxn) {
        let Ok(entity) = u16::try_from(entity) else { return };
        let mark = Mark { cause: self.place.input, entity, key: RowKey::from_bytes(&[]) };
        stored::put(state, &keys::mark(&mark), &Range::default());
        self.marked = true;
    }

    /// Whether the present input has marks left.
    pub(crate) fn any_marks(&self, state: &dyn StateTxn) -> bool {
        self.marked && !stored::keys(state, &keys::marks_of(self.place.input), 1).is_empty()
    }

    /// Drops marks that cannot be decided now and binds what the others need: rows that were captured before their map
    /// was known to ingest have no unit yet (J41). True: bindings are on their way.
    pub(crate) fn bind_marked(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        if self.binding.is_some() {
            return true;
        }
        let closed = self.closed_entities();
        let mut unbound = Vec::new();
        for key in stored::keys(state, &keys::marks_of(self.place.input), usize::MAX) {
            let mark = keys::mark_of(&key).expect("the range holds marks only");
            let Some(entity) = self.entity(mark.entity).filter(|_| !closed.contains(&mark.entity)) else {
                state.delete(&key);
                continue;
            };
            if mark.key.as_bytes().is_empty() {
                if self.bind_range(&key, &mark, state, out) {
                    return true;
                }
            } else if rows::unit(state, &entity.name, &mark.key).is_none() {
                let row = shadow::get(state, &entity.root, &mark.key);
                unbound.extend(row.filter(|row| row.row.is_some()).map(|_| self.mint(entity, &mark.key)));
            }
        }
        self.append_bound(unbound, state, out)
    }

    /// Appends bindings for the present step to wait for. What is decided again or read back waited for them when it was
    /// decided: they stand further on in the journal, and are taken in place.
    fn append_bound(&mut self, bound: Vec<Bound>, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        if bound.is_empty() || self.replaying || self.stage == Stage::Folding {
            bound.iter().for_each(|bound| bind(bound, state));
            return false;
        }
        let entries = bound.into_iter().map(Entry::Bound).collect();
        self.binding = Some(self.append(entries, Class::Vital, Then::Bound, out));
        true
    }

    fn entity(&self, at: u16) -> Option<&mapping::Entity> {
        self.map.as_ref()?.map.as_ref()?.entities().get(usize::from(at))
    }

    /// Binds the next unbound rows of a range mark's entity, and ends a range without units.
    fn bind_range(&mut self, key: &[u8], mark: &Mark, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        let mut range: Range = stored::get(state, key).unwrap_or_default();
        while !range.all_bound {
            let Some(entity) = self.entity(mark.entity) else { return false };
            let page = shadow::page(&entity.root, range.bound_upto.as_ref(), PAGE, state);
            let unbound =
                page.iter().filter(|(key, row)| row.row.is_some() && rows::unit(state, &entity.name, key).is_none());
            let bound: Vec<Bound> = unbound.map(|(key, _)| self.mint(entity, key)).collect();
            range.all_bound = page.len() < PAGE;
            range.bound_upto = page.last().map(|(key, _)| key.clone()).or(range.bound_upto);
            stored::put(state, key, &range);
            if self.append_bound(bound, state, out) {
                return true;
            }
        }
        if self.units_after(mark.entity, range.mapped_upto.as_ref(), 1, state).is_empty() {
            self.end_range(mark.entity, state);
        }
        false
    }

    /// Bindings that a step waits for are durable.
    pub(crate) fn bound_early(&mut self, entries: &[Entry], state: &mut dyn StateTxn) {
        self.binding = None;
        for entry in entries {
            if let Entry::Bound(bound) = entry {
                bind(bound, state);
            }
        }
    }

    /// Folds a binding: whoever waits for the key is dirty.
    pub(crate) fn bound(&mut self, bound: &Bound, state: &mut dyn StateTxn) {
        bind(bound, state);
        self.ingest.minted.remove(&(bound.entity.clone(), bound.key.clone()));
        for unit in waiting::on(&bound.entity, &bound.key, state) {
            let entity = self.map.as_ref().and_then(|active| active.map.as_ref()?.entity(&unit.entity));
            if let Some(entity) = entity {
                self.mark(entity, &unit.key, state);
            }
        }
    }

    /// The next marked units in mark order, at most `max`.
    pub(crate) fn next_marks(&self, max: usize, state: &dyn StateTxn) -> Vec<Mark> {
        let mut marks: Vec<Mark> = Vec::new();
        let mut ranged = None;
        let (from, to) = keys::marks_of(self.place.input);
        state.range(&from, &to, &mut |key, value| {
            let mark = keys::mark_of(key).expect("the range holds marks only");
            if mark.key.as_bytes().is_empty() {
                ranged = Some(mark.entity);
                let range: Range = stored::value(value);
                let units = self.units_after(mark.entity, range.mapped_upto.as_ref(), max - marks.len(), state);
                marks.extend(units.into_iter().map(|key| Mark { key, ..mark.clone() }));
            } else if ranged != Some(mark.entity) {
                marks.push(mark);
            }
            marks.len() < max
        });
        marks
    }

    fn units_after(&self, entity: u16, after: Option<&RowKey>, max: usize, state: &dyn StateTxn) -> Vec<RowKey> {
        let Some(entity) = self.entity(entity) else { return Vec::new() };
        let mut range = keys::units(&entity.name);
        if let Some(after) = after {
            range.0 = [&keys::unit(&entity.name, after)[..], &[0]].concat();
        }
        stored::keys(state, &range, max).iter().filter_map(|key| keys::unit_key(&entity.name, key)).collect()
    }

    /// Forgets the marks up to and with `upto`.
    pub(crate) fn clear_marks(&mut self, upto: &Mark, state: &mut dyn StateTxn) {
        let (from, _) = keys::marks_of(upto.cause);
        let end = [&keys::mark(upto)[..], &[0]].concat();
        let mut ranged = false;
        for key in stored::keys(state, &(from, end), usize::MAX) {
            let mark = keys::mark_of(&key).expect("the range holds marks only");
            if mark.entity == upto.entity && mark.key.as_bytes().is_empty() {
                ranged = true;
                let mut range: Range = stored::get(state, &key).unwrap_or_default();
                range.mapped_upto = Some(upto.key.clone());
                stored::put(state, &key, &range);
            } else if !(ranged && mark.entity == upto.entity) {
                state.delete(&key);
            }
        }
        if ranged && self.units_after(upto.entity, Some(&upto.key), 1, state).is_empty() {
            self.end_range(upto.entity, state);
        }
    }

    /// A range is done, and with it every single mark of its entity.
    fn end_range(&mut self, entity: u16, state: &mut dyn StateTxn) {
        for key in stored::keys(state, &keys::marks_of(self.place.input), usize::MAX) {
            if keys::mark_of(&key).is_some_and(|mark| mark.entity == entity) {
                state.delete(&key);
            }
        }
    }
}

/// Puts a binding into the state.
fn bind(bound: &Bound, state: &mut dyn StateTxn) {
    stored::put::<Unit>(state, &keys::unit(&bound.entity, &bound.key), &bound.unit);
    let key = waiting::UnitKey { entity: bound.entity.clone(), key: bound.key.clone() };
    stored::put(state, &keys::unit_by_id(bound.unit.id), &key);
}
