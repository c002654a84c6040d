//! What must stand at the target, worked out from the rows: written beside the map, by hand, sharing no code with it.
//!
//! Rows and resources meet by content (medical record number, moments that no two rows share), not by id: ids are Lockstep's.
//! * A row that is there and not void has its resource, element by element.
//! * A void row has none, or one that says so and keeps the rest.
//! * A resource without a row is one of a deleted row, and says so. A purged patient stays as it was.

use crate::postgres::Cluster;
use crate::target::{Everything, Version};
use model::Json;
use std::collections::{BTreeMap, BTreeSet};

/// The rows of the clinic, as texts.
#[derive(Debug, Default)]
pub struct Rows {
    patients: Vec<Vec<String>>,
    names: BTreeMap<String, Vec<Vec<String>>>,
    addresses: BTreeMap<String, Vec<Vec<String>>>,
    encounters: Vec<Vec<String>>,
    observations: Vec<Vec<String>>,
    deleted: Vec<Vec<String>>,
}

/// A moment as FHIR writes it, without zeros at the end of its fraction.
const MOMENT: &str =
    "regexp_replace(to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '\\.?0+$', '') || 'Z'";

fn moment(column: &str) -> String {
    // Only the fraction's zeros may go, never those of the seconds.
    format!(
        "CASE WHEN date_trunc('second', {column}) = {column} \
         THEN to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') ELSE {} END",
        MOMENT.replace("{}", column)
    )
}

impl Rows {
    /// Reads them all.
    pub fn read(cluster: &Cluster) -> Rows {
        let by_patient = |sql: &str| {
            let mut found: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
            for row in cluster.rows(sql) {
                found.entry(row[0].clone()).or_default().push(row);
            }
            found
        };
        let observation = format!(
            "SELECT patient_id, encounter_id, loinc, label, value, unit, status, {}, note, voided FROM",
            moment("taken_at")
        );
        Rows {
            patients: cluster.rows("SELECT patient_id, mrn, sex, born, voided FROM patient WHERE NOT is_test"),
            names: by_patient("SELECT patient_id, kind, family, given FROM patient_name ORDER BY name_id"),
            addresses: by_patient("SELECT patient_id, street, btrim(city) FROM patient_address ORDER BY address_id"),
            encounters: cluster.rows(&format!(
                "SELECT encounter_id, patient_id, class, status, {}, {}, voided FROM encounter",
                moment("started"),
                moment("ended")
            )),
            observations: cluster.rows(&format!("{observation} observation")),
            deleted: cluster.rows(&format!("{observation} deleted_observation")),
        }
    }
}

/// Every difference between rows and resources; none if all is as it should be. Values are named by place only.
pub fn differences(rows: &Rows, everything: &Everything) -> Vec<String> {
    let mut compare = Compare::new(everything);
    compare.patients(rows);
    compare.encounters(rows);
    compare.observations(rows);
    compare.rest();
    compare.found
}

/// The present content of every resource, by what it says about itself.
struct Compare<'a> {
    found: Vec<String>,
    current: BTreeMap<String, &'a Json>,
    unclaimed: BTreeSet<String>,
    by_content: BTreeMap<Vec<String>, String>,
    /// The target's `Type/id` of rows.
    patient_of: BTreeMap<String, String>,
    encounter_of: BTreeMap<String, String>,
}

fn text(json: &Json, path: &[&str]) -> String {
    let mut at = json;
    for step in path {
        let next = match step.parse::<usize>() {
            Ok(index) => at.items().and_then(|items| items.get(index)),
            Err(_) => at.get(step),
        };
        let Some(next) = next else { return String::new() };
        at = next;
    }
    match at {
        Json::Number(text) | Json::String(text) => text.to_string(),
        Json::Bool(value) => value.to_string(),
        _ => "?".to_owned(),
    }
}

fn length(json: &Json, name: &str) -> usize {
    json.get(name).and_then(Json::items).map_or(0, <[Json]>::len)
}

fn identity(unit: &str, body: &Json) -> Vec<String> {
    let kind = unit.split('/').next().unwrap_or_default().to_owned();
    let subject = || text(body, &["subject", "reference"]);
    match &*kind {
        "Patient" => vec![kind, text(body, &["identifier", "0", "value"])],
        "Encounter" => vec![kind, subject(), text(body, &["period", "start"])],
        _ => vec![kind, subject(), text(body, &["effectiveDateTime"]), text(body, &["code", "coding", "0", "code"])],
    }
}

impl<'a> Compare<'a> {
    fn new(everything: &'a Everything) -> Compare<'a> {
        let present = |versions: &'a Vec<Version>| versions.last().and_then(|version| version.body.as_ref());
        let current: BTreeMap<String, &Json> =
            everything.iter().filter_map(|(unit, versions)| Some((unit.clone(), present(versions)?))).collect();
        let mut found = Vec::new();
        let mut by_content = BTreeMap::new();
        for (unit, body) in &current {
            if let Some(other) = by_content.insert(identity(unit, body), unit.clone()) {
                found.push(format!("{unit} and {other} are the same fact"));
            }
        }
        for (unit, _) in everything.iter().filter(|(_, versions)| present(versions).is_none()) {
            found.push(format!("{unit} was deleted at the target, and nothing asked for that"));
        }
        let unclaimed = current.keys().cloned().collect();
        Compare { found, current, unclaimed, by_content, patient_of: BTreeMap::new(), encounter_of: BTreeMap::new() }
    }

    fn claim(&mut self, identity: &[String]) -> Option<(String, &'a Json)> {
        let unit = self.by_content.get(identity)?.clone();
        self.unclaimed.remove(&unit);
        let body = *self.current.get(&unit)?;
        Some((unit, body))
    }

    fn equal(&mut self, unit: &str, body: &Json, path: &[&str], wanted: &str) {
        let found = text(body, path);
        // Only the place is printed: a test's log is an output too.
        if found != wanted {
            let lengths = (wanted.len(), found.len());
            self.found.push(format!("{unit} {}: wanted {} characters, found {}", path.join("."), lengths.0, lengths.1));
        }
    }

    fn patients(&mut self, rows: &Rows) {
        for row in &rows.patients {
            let [id, mrn, sex, born, voided] = &row[..] else { unreachable!("five columns") };
            let claimed = self.claim(&["Patient".to_owned(), mrn.clone()]);
            let Some((unit, body)) = claimed else {
                if voided != "t" {
                    self.found.push("a patient is missing".to_owned());
                }
                continue;
            };
            self.patient_of.insert(id.clone(), unit.clone());
            self.equal(&unit, body, &["active"], if voided == "t" { "false" } else { "true" });
            let gender = match &**sex {
                "M" => "male",
                "F" => "female",
                _ => "unknown",
            };
            self.equal(&unit, body, &["gender"], gender);
            self.equal(&unit, body, &["birthDate"], born);
            // A void patient keeps what was said before it was void.
            if voided != "t" {
                self.names(&unit, body, rows.names.get(id).map_or(&[], |names| names));
                self.addresses(&unit, body, rows.addresses.get(id).map_or(&[], |addresses| addresses));
            }
        }
    }

    fn names(&mut self, unit: &str, body: &Json, names: &[Vec<String>]) {
        if length(body, "name") != names.len() {
            self.found.push(format!("{unit} name: wanted {}, found {}", names.len(), length(body, "name")));
        }
        for name in names {
            // A name is addressed by its use, so their order says nothing.
            let wanted = if name[1] == "L" { "official" } else { "maiden" };
            let listed = body.get("name").and_then(Json::items).unwrap_or_default();
            let at = listed.iter().position(|name| text(name, &["use"]) == wanted);
            let at = &*at.unwrap_or(usize::MAX).to_string();
            self.equal(unit, body, &["name", at, "use"], wanted);
            self.equal(unit, body, &["name", at, "family"], &name[2]);
            self.equal(unit, body, &["name", at, "given", "0"], &name[3]);
        }
    }

    fn addresses(&mut self, unit: &str, body: &Json, addresses: &[Vec<String>]) {
        if length(body, "address") != addresses.len() {
            self.found.push(format!("{unit} address: wanted {}, found {}", addresses.len(), length(body, "address")));
        }
        for (at, address) in addresses.iter().enumerate() {
            let at = &*at.to_string();
            self.equal(unit, body, &["address", at, "line", "0"], &address[1]);
            self.equal(unit, body, &["address", at, "city"], &address[2]);
        }
    }

    fn encounters(&mut self, rows: &Rows) {
        for row in &rows.encounters {
            let [id, patient, class, status, started, ended, voided] = &row[..] else { unreachable!("seven columns") };
            let Some(subject) = self.patient_of.get(patient).cloned() else { continue };
            let claimed = self.claim(&["Encounter".to_owned(), subject, started.clone()]);
            let Some((unit, body)) = claimed else {
                if voided != "t" {
                    self.found.push("an encounter is missing".to_owned());
                }
                continue;
            };
            self.encounter_of.insert(id.clone(), unit.clone());
            let status = match (&**voided, &**status) {
                ("t", _) => "entered-in-error",
                (_, "I") => "in-progress",
                (_, "F") => "finished",
                _ => "?",
            };
            self.equal(&unit, body, &["status"], status);
            let class = match &**class {
                "A" => "AMB",
                "I" => "IMP",
                _ => "EMER",
            };
            self.equal(&unit, body, &["class", "code"], class);
            self.equal(&unit, body, &["period", "end"], ended);
        }
    }

    fn observations(&mut self, rows: &Rows) {
        for (row, is_deleted) in
            rows.observations.iter().map(|row| (row, false)).chain(rows.deleted.iter().map(|row| (row, true)))
        {
            let [patient, encounter, loinc, label, value, unit_text, status, taken, note, voided] = &row[..] else {
                unreachable!("ten columns")
            };
            let Some(subject) = self.patient_of.get(patient).cloned() else { continue };
            let visit = self.encounter_of.get(encounter).cloned();
            let sendable = encounter.is_empty() || visit.is_some();
            let claimed = self.claim(&["Observation".to_owned(), subject, taken.clone(), loinc.clone()]);
            let Some((unit, body)) = claimed else {
                if !is_deleted && voided != "t" && sendable {
                    self.found.push("an observation is missing".to_owned());
                }
                continue;
            };
            let status = match (is_deleted || voided == "t", &**status) {
                (true, _) => "entered-in-error",
                (_, "P") => "preliminary",
                (_, "C") => "corrected",
                _ => "final",
            };
            self.equal(&unit, body, &["status"], status);
            self.equal(&unit, body, &["encounter", "reference"], visit.as_deref().unwrap_or_default());
            self.equal(&unit, body, &["code", "text"], label);
            self.equal(&unit, body, &["note", "0", "text"], note);
            self.equal(&unit, body, &["valueQuantity", "unit"], unit_text);
            let code = match &**unit_text {
                "mmHg" => "mm[Hg]",
                "/min" | "kg" => unit_text,
                _ => "",
            };
            self.equal(&unit, body, &["valueQuantity", "code"], code);
            self.equal(&unit, body, &["valueQuantity", "value"], value);
        }
    }

    fn rest(&mut self) {
        for unit in std::mem::take(&mut self.unclaimed) {
            self.found.push(format!("{unit} stands at the target, and no row ever said so"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(bodies: &[&str]) -> Everything {
        let one = |body: &&str| {
            let body = Json::parse(body.as_bytes()).unwrap();
            let unit = format!("{}/{}", text(&body, &["resourceType"]), text(&body, &["id"]));
            (unit, vec![Version { id: "1".to_owned(), body: Some(body) }])
        };
        bodies.iter().map(one).collect()
    }

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    const ADA: &str = r#"{"resourceType":"Patient","id":"a","identifier":[{"value":"M1"}],"active":true,"gender":"female","birthDate":"1950-02-03"}"#;

    #[test]
    fn a_missing_an_extra_and_a_different_resource_are_named() {
        let rows = Rows { patients: vec![row(&["1", "M1", "F", "1950-02-03", "f"])], ..Rows::default() };
        assert!(differences(&rows, &everything(&[ADA])).is_empty());
        assert_eq!(differences(&rows, &everything(&[])), ["a patient is missing"]);
        assert_eq!(differences(&Rows::default(), &everything(&[ADA])).len(), 1);
        let other = ADA.replace("female", "male");
        assert_eq!(differences(&rows, &everything(&[&other])).len(), 1);
    }

    #[test]
    fn an_observation_of_a_deleted_row_must_say_so() {
        let cells = ["1", "", "8867-4", "l", "1.50", "kg", "F", "2026-01-01T00:00:00Z", "", "f"];
        let observation = r#"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"code":"8867-4"}],"text":"l"},"subject":{"reference":"Patient/a"},"effectiveDateTime":"2026-01-01T00:00:00Z","valueQuantity":{"value":1.50,"unit":"kg","code":"kg"}}"#;
        let patients = vec![row(&["1", "M1", "F", "1950-02-03", "f"])];
        let there = everything(&[ADA, observation]);
        let rows = Rows { patients: patients.clone(), observations: vec![row(&cells)], ..Rows::default() };
        assert!(differences(&rows, &there).is_empty(), "{:?}", differences(&rows, &there));
        let rows = Rows { patients, deleted: vec![row(&cells)], ..Rows::default() };
        assert_eq!(differences(&rows, &there).len(), 1);
    }
}
