//! The target against the tables, by rules written here a second time: nothing of the map or the flow is asked.

use crate::{
    source::{ADDRESS, NAME, OBSERVATION, PATIENT, Source},
    target::Target,
    wild::{REFUSED, UNKNOWN_SEX},
};
use model::{Entry, Journaled, Json, RowKey, Value};
use std::collections::BTreeMap;

impl Source {
    /// Compares the target with the tables: every living row of a known patient is there with its value, no voided or
    /// deleted one looks true.
    pub fn check(&self, target: &Target, journal: &[Journaled]) {
        let bound: BTreeMap<(String, RowKey), String> = journal
            .iter()
            .filter_map(|entry| match &entry.entry {
                Entry::Bound(bound) => Some(((bound.table.to_string(), bound.key.clone()), bound.unit.to_string())),
                _ => None,
            })
            .collect();
        let unit = |table: &str, id: i64| bound.get(&(table.to_string(), Self::key(id)));
        let shown = |table: &str, id: i64| target.units.get(unit(table, id)?)?.last()?.body.clone();
        let gone = |table: &str, id: i64| unit(table, id).is_some_and(|unit| target.deleted.contains(unit));
        for (id, values) in &self.rows[PATIENT] {
            let body = shown("public.patient", *id);
            let unknown = values[2] == Value::Text(UNKNOWN_SEX.into());
            if unknown || (body.is_none() && gone("public.patient", *id)) {
                continue; // parked, or a person keeps it deleted
            }
            let body =
                body.unwrap_or_else(|| panic!("a patient is at the target: {id} {:?}", unit("public.patient", *id)));
            let want = if values[2] == Value::Text("M".into()) { "male" } else { "female" };
            assert_eq!(body.get("gender").and_then(|gender| gender.as_str()), Some(want), "the last sex stands");
            assert_eq!(
                inside(&body, "name", "family"),
                self.joined(NAME, *id, 3),
                "names of patient {id} {:?}",
                unit("public.patient", *id)
            );
            assert_eq!(
                inside(&body, "address", "line"),
                self.joined(ADDRESS, *id, 2),
                "addresses of patient {id} {:?}",
                unit("public.patient", *id)
            );
        }
        let mut living = Vec::new();
        for (id, values) in &self.rows[OBSERVATION] {
            living.extend(unit("public.observation", *id).cloned());
            let Value::Int(patient) = values[1] else { continue };
            let body = shown("public.observation", *id);
            if !self.rows[PATIENT].contains_key(&patient) {
                assert!(body.is_none(), "an observation waits for its patient");
                continue;
            }
            let ever = unit("public.patient", patient).and_then(|unit| target.units.get(unit));
            if ever.is_none_or(|versions| versions.is_empty()) {
                assert!(body.is_none(), "no observation stands before its patient");
                continue;
            }
            if body.is_none() && shown("public.patient", patient).is_none() {
                continue; // its patient was deleted there, and whoever refers to it waits for a person
            }
            let voided = values[10] == Value::Bool(true);
            let Value::Decimal(value) = &values[5] else { continue };
            if (voided && body.is_none()) || **value == *REFUSED || (body.is_none() && gone("public.observation", *id))
            {
                continue; // never shown, so nothing to retract; or refused; or a person keeps it deleted
            }
            let body = body.unwrap_or_else(|| {
                panic!("an observation is at the target: {id} {:?}", unit("public.observation", *id))
            });
            let want = if voided { "entered-in-error" } else { "final" };
            assert_eq!(
                body.get("status").and_then(|status| status.as_str()),
                Some(want),
                "observation {id} {:?}",
                unit("public.observation", *id)
            );
            if voided {
                continue; // what was never true keeps the content it had
            }
            let number = body.get("valueQuantity").and_then(|quantity| quantity.get("value"));
            let shown = match number {
                Some(Json::Number(text)) => text.to_string(),
                _ => String::new(),
            };
            assert_eq!(
                shown,
                value.to_string(),
                "exact, and the last one: observation {id} {:?}",
                unit("public.observation", *id)
            );
        }
        self.no_resurrection(target, &bound, &living);
    }

    /// What has no row any more does not look true.
    fn no_resurrection(&self, target: &Target, bound: &BTreeMap<(String, RowKey), String>, living: &[String]) {
        for ((table, _), unit) in bound.iter().filter(|((table, _), _)| table == "public.observation") {
            let body = target.units.get(unit).and_then(|versions| versions.last()?.body.as_ref());
            let status = body.and_then(|body| body.get("status")?.as_str());
            if !living.contains(unit) {
                assert_ne!(status, Some("final"), "a row of {table} is gone, and its unit looks true: {unit}");
            }
        }
    }

    /// A column of the rows of a joined table that belong to a patient, sorted.
    fn joined(&self, table: usize, patient: i64, column: usize) -> Vec<String> {
        let rows = self.rows[table].values().filter(|values| values[1] == Value::Int(patient));
        let mut texts: Vec<String> = rows
            .filter_map(|values| match &values[column] {
                Value::Text(text) => Some(text.to_string()),
                _ => None,
            })
            .collect();
        texts.sort();
        texts
    }
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
