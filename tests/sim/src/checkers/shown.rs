//! The target against the tables, by rules written here a second time: nothing of the map or the flow is asked.

use crate::{
    history::{Event, History, Rest, Versions},
    source::{ADDRESS, NAME, OBSERVATION, PATIENT, Source},
    wild::{REFUSED, UNKNOWN_SEX},
};
use model::{EffectId, Entry, Json, RowKey, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A living row is not there.
    Missing,
    /// An older value stands.
    Differs,
    /// A row that is gone looks true.
    Resurrected,
    /// Something is said of somebody else.
    OtherPatient,
}

/// The first difference of this kind, if the run came to an end.
pub(super) fn first(history: &History, kind: Kind) -> Result<(), String> {
    let Some(rest) = history.rest() else { return Ok(()) };
    let mut shown = Shown::new(history, rest);
    shown.patients();
    shown.observations();
    match shown.found.into_iter().find(|(found, _)| *found == kind) {
        Some((_, what)) => Err(what),
        None => Ok(()),
    }
}

struct Shown<'a> {
    rest: &'a Rest,
    bound: BTreeMap<(String, RowKey), String>,
    versions: Versions<'a>,
    deleted: BTreeSet<&'a str>,
    /// Then a number may be another row's now, which waits, and what was said before stands.
    went_back: bool,
    /// Units with an effect that has no outcome.
    unsettled: BTreeSet<String>,
    found: Vec<(Kind, String)>,
}

impl<'a> Shown<'a> {
    fn new(history: &'a History, rest: &'a Rest) -> Shown<'a> {
        let bound = history.journal().filter_map(|entry| match &entry.entry {
            Entry::Bound(bound) => Some(((bound.table.to_string(), bound.key.clone()), bound.unit.to_string())),
            _ => None,
        });
        let deleted = history.events.iter().filter_map(|event| match event {
            Event::Applied { unit, request: None, body: None, .. } => Some(&**unit),
            _ => None,
        });
        let (bound, deleted) = (bound.collect(), deleted.collect());
        let went_back = history.events.iter().any(|event| matches!(event, Event::WentBack { .. }));
        let mut open: BTreeMap<EffectId, String> = history
            .decided()
            .flat_map(|step| &step.effects)
            .map(|effect| (effect.id, effect.unit.to_string()))
            .collect();
        history.journal().for_each(|entry| {
            if let Entry::Acked(acked) = &entry.entry {
                open.remove(&acked.effect);
            }
        });
        let (versions, unsettled) = (history.versions(), open.into_values().collect());
        Shown { rest, bound, versions, deleted, went_back, unsettled, found: Vec::new() }
    }

    fn unit(&self, table: &str, id: i64) -> Option<&str> {
        self.bound.get(&(table.to_string(), Source::key(id))).map(String::as_str)
    }

    fn body(&self, table: &str, id: i64) -> Option<&'a Json> {
        self.versions.get(self.unit(table, id)?)?.last()?.1
    }

    /// Somebody deleted it, and a person may have kept it so.
    fn was_deleted(&self, table: &str, id: i64) -> bool {
        self.unit(table, id).is_some_and(|unit| self.deleted.contains(unit))
    }

    fn find(&mut self, kind: Kind, what: String) {
        self.found.push((kind, what));
    }

    fn patients(&mut self) {
        for (id, values) in &self.rest.tables[PATIENT] {
            let unit = self.unit("public.patient", *id).unwrap_or("nobody").to_owned();
            let unknown = values[2] == Value::Text(UNKNOWN_SEX.into());
            let Some(body) = self.body("public.patient", *id).filter(|_| !unknown) else {
                // Parked, or a person keeps it deleted.
                if !unknown && !self.was_deleted("public.patient", *id) {
                    self.find(Kind::Missing, format!("patient {id} is not at the target: {unit}"));
                }
                continue;
            };
            let want = if values[2] == Value::Text("M".into()) { "male" } else { "female" };
            if body.get("gender").and_then(Json::as_str) != Some(want) {
                self.find(Kind::Differs, format!("the last sex of patient {id} does not stand: {unit}"));
            }
            for (list, element, table, column) in [("name", "family", NAME, 3), ("address", "line", ADDRESS, 2)] {
                if inside(body, list, element) != joined(self.rest, table, *id, column) {
                    self.find(Kind::Differs, format!("the last {list} of patient {id} does not stand: {unit}"));
                }
            }
        }
    }

    fn observations(&mut self) {
        const TABLE: &str = "public.observation";
        let mut living = BTreeSet::new();
        for (id, values) in &self.rest.tables[OBSERVATION] {
            let unit = self.unit(TABLE, *id).unwrap_or("nobody").to_owned();
            living.insert(unit.clone());
            let (Value::Int(patient), Value::Decimal(value)) = (&values[1], &values[5]) else { continue };
            let body = self.body(TABLE, *id);
            let known = self.unit("public.patient", *patient);
            let ever = known.and_then(|unit| self.versions.get(unit)).is_some_and(|versions| !versions.is_empty());
            if !self.rest.tables[PATIENT].contains_key(patient) || !ever {
                if body.is_some() && !ever && !self.went_back {
                    self.find(Kind::OtherPatient, format!("observation {id} stands before its patient: {unit}"));
                }
                continue;
            }
            let voided = values[10] == Value::Bool(true);
            let Some(body) = body else {
                // Never shown, so nothing to retract; or refused; or a person keeps it or its patient deleted.
                let patient_gone = self.body("public.patient", *patient).is_none();
                // What another row of this number said stands first in its lane, and may wait for a patient who is parked.
                let stuck = self.went_back && self.unsettled.contains(&unit);
                if !patient_gone && !voided && **value != *REFUSED && !self.was_deleted(TABLE, *id) && !stuck {
                    self.find(Kind::Missing, format!("observation {id} is not at the target: {unit}"));
                }
                continue;
            };
            if **value == *REFUSED {
                continue;
            }
            let want = if voided { "entered-in-error" } else { "final" };
            if body.get("status").and_then(Json::as_str) != Some(want) {
                self.find(Kind::Differs, format!("the status of observation {id} is not {want}: {unit}"));
            }
            if voided {
                continue; // what was never true keeps the content it had
            }
            let subject = body.get("subject").and_then(|subject| subject.get("reference")).and_then(Json::as_str);
            if subject != self.unit("public.patient", *patient) {
                self.find(Kind::OtherPatient, format!("observation {id} is said of somebody else: {unit}"));
            }
            let number = body.get("valueQuantity").and_then(|quantity| quantity.get("value"));
            if !matches!(number, Some(Json::Number(text)) if text.to_string() == value.to_string()) {
                self.find(Kind::Differs, format!("the last value of observation {id} does not stand: {unit}"));
            }
        }
        let gone = self.bound.iter().filter(|((table, _), unit)| table == TABLE && !living.contains(*unit));
        let looks_true = |unit: &String| {
            let body = self.versions.get(unit.as_str()).and_then(|versions| versions.last()?.1);
            body.and_then(|body| body.get("status")?.as_str()) == Some("final")
        };
        let found: Vec<String> = gone.map(|(_, unit)| unit.clone()).filter(looks_true).collect();
        for unit in found {
            self.find(Kind::Resurrected, format!("the row of {unit} is gone, and it looks true"));
        }
    }
}

/// A column of the rows of a joined table that belong to a patient, sorted.
fn joined(rest: &Rest, table: usize, patient: i64, column: usize) -> Vec<String> {
    let rows = rest.tables[table].values().filter(|values| values[1] == Value::Int(patient));
    let mut texts: Vec<String> = rows
        .filter_map(|values| match &values[column] {
            Value::Text(text) => Some(text.to_string()),
            _ => None,
        })
        .collect();
    texts.sort();
    texts
}

/// An element of every item of a list, sorted; of a list its first.
fn inside(body: &Json, list: &str, element: &str) -> Vec<String> {
    let Some(Json::Array(items)) = body.get(list) else { return Vec::new() };
    let text = |item: &Json| match item.get(element)? {
        Json::Array(all) => all.first()?.as_str().map(str::to_string),
        one => one.as_str().map(str::to_string),
    };
    let mut texts: Vec<String> = items.iter().filter_map(text).collect();
    texts.sort();
    texts
}
