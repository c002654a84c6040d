//! Marks: which units the present input dirties, one by one or a whole entity; and the bindings they need.
//!
//! A mark with an empty key is a range: every unit of the entity (a readiness, an activation, an answered hold). Its value
//! says how far it is, so that a crash resumes between steps (J13).

use crate::{
    input::FlowOutput,
    ledger::RELEASED,
    recover::Stage,
    rows::{self, StateRows},
    shadow::{self, PAGE},
    step::{Flow, Then},
    stored,
    waiting::{self, UnitKey},
    work::Work,
};
use model::{Bound, Entry, EntryId, Mark, RowKey, Unit};
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

/// Whether the units of the next marks have their ids.
#[derive(PartialEq, Eq)]
pub(crate) enum Binding {
    /// They have.
    Done,
    /// Another page must be looked at first.
    More,
    /// Bindings are on their way into the journal.
    Waits,
}

impl Flow {
    /// Marks one unit, unless the present input has marked its whole entity.
    pub(crate) fn mark(&mut self, entity: usize, key: &RowKey, value: &[u8], state: &mut dyn StateTxn) {
        let Ok(entity) = u16::try_from(entity) else { return };
        let cause = self.place.input;
        if !(self.ranged && state.get(&range_key(cause, entity)).is_some()) {
            state.put(&keys::mark(&Mark { cause, entity, key: key.clone() }), value);
            self.marked = true;
        }
    }

    /// Marks a unit that is known by its entity's name, if the map in force has that entity.
    pub(crate) fn mark_unit(&mut self, unit: &UnitKey, value: &[u8], state: &mut dyn StateTxn) {
        let entity = self.map.as_ref().and_then(|active| active.map.as_ref()?.entity(&unit.entity));
        if let Some(entity) = entity {
            self.mark(entity, &unit.key, value, state);
        }
    }

    /// Marks every unit of an entity; before any single mark of the same input.
    pub(crate) fn mark_range(&mut self, entity: usize, state: &mut dyn StateTxn) {
        let Ok(entity) = u16::try_from(entity) else { return };
        stored::put(state, &range_key(self.place.input, entity), &Range::default());
        (self.marked, self.ranged) = (true, true);
    }

    /// Whether the present input has something left to decide: marks, or timers that were due at it.
    pub(crate) fn any_left(&self, state: &dyn StateTxn) -> bool {
        let marks = self.marked && !stored::keys(state, &keys::marks_of(self.place.input), 1).is_empty();
        marks || self.timers_left()
    }

    /// Drops marks that cannot be decided now and binds what the others need, as far as the next step goes, or through
    /// `upto`: rows that were captured before their map was known to ingest have no unit yet (J41).
    pub(crate) fn bind_marked(
        &mut self,
        upto: Option<&Mark>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) -> Binding {
        if self.binding.is_some() {
            return Binding::Waits;
        }
        let page = self.page_of_marks(upto, state);
        let closed = self.closed_entities();
        let (mut unbound, mut dropped) = (Vec::new(), false);
        for key in &page {
            let mark = keys::mark_of(key).expect("the range holds marks only");
            let Some(entity) = self.entity(mark.entity).filter(|_| !closed.contains(&mark.entity)) else {
                state.delete(key);
                dropped = true;
                continue;
            };
            if mark.key.as_bytes().is_empty() {
                let binding = self.bind_range(key, &mark, state, out);
                if binding != Binding::Done {
                    return binding;
                }
            } else if rows::unit(state, &entity.name, &mark.key).is_none() {
                let view = StateRows { state, tables: &self.tables, indexes: &self.indexes };
                let is_there = !view.roots(&entity.root, &mark.key).is_empty();
                unbound.extend(is_there.then(|| self.mint(entity, &mark.key)));
            }
        }
        match (dropped, self.append_bound(unbound, state, out)) {
            (_, true) => Binding::Waits,
            // Behind what was dropped stand marks that were not looked at.
            (true, false) => Binding::More,
            (false, false) => Binding::Done,
        }
    }

    fn page_of_marks(&self, upto: Option<&Mark>, state: &dyn StateTxn) -> Vec<Vec<u8>> {
        let (from, to) = keys::marks_of(self.place.input);
        match upto {
            _ if !self.marked => Vec::new(),
            Some(upto) => stored::keys(state, &(from, [&keys::mark(upto)[..], &[0]].concat()), usize::MAX),
            None => stored::keys(state, &(from, to), self.config.limits.step_units_max),
        }
    }

    /// Ends an input whose other marks decide nothing, a page at a time. What they bind is bound all the same: later
    /// decisions saw it.
    pub(crate) fn end_input(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        self.causes.clear();
        if self.bind_marked(None, state, out) == Binding::Done {
            let page = self.page_of_marks(None, state);
            page.iter().for_each(|key| state.delete(key));
            if page.len() < self.config.limits.step_units_max.max(1) {
                self.finish_input(false);
            }
        }
        true
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
    fn bind_range(&mut self, key: &[u8], mark: &Mark, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> Binding {
        let mut range: Range = stored::get(state, key).unwrap_or_default();
        let Some(entity) = self.entity(mark.entity).filter(|_| !range.all_bound) else {
            if self.units_after(mark.entity, range.mapped_upto.as_ref(), 1, state).is_empty() {
                state.delete(key);
                return Binding::More;
            }
            return Binding::Done;
        };
        let page = shadow::page(&entity.root, range.bound_upto.as_ref(), PAGE, state);
        let mut names: Vec<RowKey> = page.iter().filter_map(|(key, row)| self.tables.name_in(key, row)).collect();
        names.dedup();
        let unbound = names.iter().filter(|name| rows::unit(state, &entity.name, name).is_none());
        let bound: Vec<Bound> = unbound.map(|name| self.mint(entity, name)).collect();
        range.all_bound = page.len() < PAGE;
        range.bound_upto = page.last().map(|(key, _)| key.clone()).or(range.bound_upto);
        self.worked += PAGE;
        stored::put(state, key, &range);
        if self.append_bound(bound, state, out) { Binding::Waits } else { Binding::More }
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
        let waits = UnitKey { entity: bound.entity.clone(), key: bound.key.clone() };
        if waiting::any_on(&waits, state) {
            self.begin_work(vec![Work::Wake { waits, after: Box::default() }], state);
        }
    }

    /// The next marked units in mark order, at most `max`, and whether a person released them.
    pub(crate) fn next_marks(&self, max: usize, state: &dyn StateTxn) -> Vec<(Mark, bool)> {
        let mut marks: Vec<(Mark, bool)> = Vec::new();
        if !self.marked {
            return marks;
        }
        let (from, to) = keys::marks_of(self.place.input);
        state.range(&from, &to, &mut |key, value| {
            let mark = keys::mark_of(key).expect("the range holds marks only");
            if mark.key.as_bytes().is_empty() {
                let range: Range = stored::value(value);
                let units = self.units_after(mark.entity, range.mapped_upto.as_ref(), max - marks.len(), state);
                marks.extend(units.into_iter().map(|key| (Mark { key, ..mark.clone() }, false)));
            } else {
                marks.push((mark, value == RELEASED));
            }
            marks.len() < max
        });
        marks
    }

    fn units_after(&self, entity: u16, after: Option<&RowKey>, max: usize, state: &dyn StateTxn) -> Vec<RowKey> {
        let Some(entity) = self.entity(entity) else { return Vec::new() };
        rows::units_after(&entity.name, after, max, state)
    }

    /// Forgets the marks up to and with `upto`: those of one step.
    pub(crate) fn clear_marks(&mut self, upto: &Mark, state: &mut dyn StateTxn) {
        for key in self.page_of_marks(Some(upto), state) {
            let mark = keys::mark_of(&key).expect("the range holds marks only");
            let within = mark.entity == upto.entity && mark.key.as_bytes().is_empty();
            if within && !self.units_after(upto.entity, Some(&upto.key), 1, state).is_empty() {
                let mut range: Range = stored::get(state, &key).unwrap_or_default();
                range.mapped_upto = Some(upto.key.clone());
                stored::put(state, &key, &range);
            } else {
                state.delete(&key);
            }
        }
    }
}

fn range_key(cause: EntryId, entity: u16) -> Vec<u8> {
    keys::mark(&Mark { cause, entity, key: RowKey::from_bytes(&[]) })
}

/// Puts a binding into the state; the first of a key stands for ever (J41).
fn bind(bound: &Bound, state: &mut dyn StateTxn) {
    let at = keys::unit(&bound.entity, &bound.key);
    if state.get(&at).is_some() {
        return;
    }
    stored::put::<Unit>(state, &at, &bound.unit);
    let key = UnitKey { entity: bound.entity.clone(), key: bound.key.clone() };
    stored::put(state, &keys::unit_by_id(bound.unit.id), &key);
}
