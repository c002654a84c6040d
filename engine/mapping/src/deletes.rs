//! How FHIR says that a unit is deleted (clinical S2): a patch over the last present content, valid in R4 for each type.
//!
//! * `retracted`: entered in error, where the type has that status; `active: false` where it has only that.
//! * `ended`: the status by which the type says that something stopped, where it has one.
//! * `purged` leaves the cloud untouched, `removed` is an HTTP DELETE: neither patches anything.
//!
//! A removed field removes all that lies beneath it; the order of a patch is the order in which it is applied.

use model::{FieldAddress, FieldChange, Fields, Json, Means};
use schemas::r4::ElementTable;

/// The patch of `means` for a resource type; none if R4 has no way to say it.
pub(crate) fn patch(kind: &str, means: Means, table: &'static ElementTable) -> Option<Vec<FieldChange>> {
    match means {
        Means::Purged | Means::Removed => Some(Vec::new()),
        Means::Retracted => retracted(kind, table),
        Means::Ended => ended(kind, table),
    }
}

fn retracted(kind: &str, table: &'static ElementTable) -> Option<Vec<FieldChange>> {
    match kind {
        "Condition" => Some(concept(kind, "verificationStatus", CONDITION_VERIFICATION, "entered-in-error", table)),
        "AllergyIntolerance" => {
            Some(concept(kind, "verificationStatus", ALLERGY_VERIFICATION, "entered-in-error", table))
        }
        _ => code(kind, "status", "entered-in-error", table).or_else(|| inactive(kind, table)),
    }
}

const CONDITION_CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const CONDITION_VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
const ALLERGY_CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
const ALLERGY_VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";

/// By which status a type says that something stopped. A result or an immunization does not stop: those are not here.
const ENDED: [(&str, &str); 21] = [
    ("Appointment", "cancelled"),
    ("CarePlan", "revoked"),
    ("CareTeam", "inactive"),
    ("Communication", "stopped"),
    ("Consent", "inactive"),
    ("Coverage", "cancelled"),
    ("Device", "inactive"),
    ("DeviceRequest", "revoked"),
    ("Encounter", "finished"),
    ("EpisodeOfCare", "finished"),
    ("List", "retired"),
    ("Location", "inactive"),
    ("Medication", "inactive"),
    ("MedicationAdministration", "stopped"),
    ("MedicationDispense", "stopped"),
    ("MedicationRequest", "stopped"),
    ("MedicationStatement", "stopped"),
    ("NutritionOrder", "revoked"),
    ("Procedure", "stopped"),
    ("ServiceRequest", "revoked"),
    ("Task", "cancelled"),
];

fn ended(kind: &str, table: &'static ElementTable) -> Option<Vec<FieldChange>> {
    match kind {
        "Condition" => Some(concept(kind, "clinicalStatus", CONDITION_CLINICAL, "inactive", table)),
        "AllergyIntolerance" => Some(concept(kind, "clinicalStatus", ALLERGY_CLINICAL, "inactive", table)),
        _ => match ENDED.iter().find(|(name, _)| *name == kind) {
            Some((_, status)) => code(kind, "status", status, table),
            None => inactive(kind, table),
        },
    }
}

/// `status: CODE`, if the type's status may have that code.
fn code(kind: &str, name: &str, code: &str, table: &'static ElementTable) -> Option<Vec<FieldChange>> {
    let element = table.element_at(&format!("{kind}.{name}"))?;
    let set = table.value_set(element.binding?)?;
    let known = element.type_name() == "code" && set.iter().any(|(_, codes)| codes.contains(&code));
    known.then(|| vec![FieldChange { address: FieldAddress::new(name), value: Some(Json::text(code)) }])
}

/// `active: false`, if the type has that.
fn inactive(kind: &str, table: &'static ElementTable) -> Option<Vec<FieldChange>> {
    let element = table.element_at(&format!("{kind}.active"))?;
    let change = FieldChange { address: FieldAddress::new("active"), value: Some(Json::Bool(false)) };
    (element.type_name() == "boolean").then(|| vec![change])
}

/// A coded status in the place of whatever it said. A retraction takes `clinicalStatus` with it: R4 forbids it beside
/// `entered-in-error` (con-5, ait-2).
fn concept(kind: &str, name: &str, system: &str, code: &str, table: &'static ElementTable) -> Vec<FieldChange> {
    let object = |members: Vec<(&str, Json)>| Json::Object(members.into_iter().map(|(k, v)| (k.into(), v)).collect());
    let coding = object(vec![("system", Json::text(system)), ("code", Json::text(code))]);
    let status = object(vec![("coding", Json::Array(vec![coding]))]);
    let resource = object(vec![("resourceType", Json::text(kind)), (name, status)]);
    let remove = |name: &str| FieldChange { address: FieldAddress::new(name), value: None };
    let mut patch = vec![remove(name)];
    if name == "verificationStatus" {
        patch.push(remove("clinicalStatus"));
    }
    let set = Fields::from_resource(&resource, table).0;
    patch.extend(set.into_iter().map(|(address, value)| FieldChange { address, value: Some(value) }));
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: &str, means: Means) -> Vec<String> {
        let changes = patch(kind, means, ElementTable::r4()).unwrap_or_default();
        let value = |json: &Json| match json {
            Json::String(text) => text.to_string(),
            Json::Bool(x) => x.to_string(),
            Json::Object(_) => json.get("code").and_then(Json::as_str).unwrap_or_default().to_owned(),
            _ => "?".to_owned(),
        };
        let change = |change: &FieldChange| match &change.value {
            Some(json) => format!("{}={}", change.address.as_str(), value(json)),
            None => format!("-{}", change.address.as_str()),
        };
        changes.iter().map(change).collect()
    }

    #[test]
    fn a_retraction_says_entered_in_error_where_the_type_can() {
        for kind in [
            "Observation",
            "Encounter",
            "MedicationRequest",
            "Immunization",
            "DiagnosticReport",
            "Procedure",
            "ServiceRequest",
        ] {
            assert_eq!(shown(kind, Means::Retracted), ["status=entered-in-error"], "{kind}");
        }
        assert_eq!(shown("Patient", Means::Retracted), ["active=false"]);
        assert!(patch("Binary", Means::Retracted, ElementTable::r4()).is_none());
    }

    #[test]
    fn a_retracted_condition_or_allergy_loses_its_clinical_status() {
        for (kind, system) in [("Condition", CONDITION_VERIFICATION), ("AllergyIntolerance", ALLERGY_VERIFICATION)] {
            let found = shown(kind, Means::Retracted);
            assert_eq!(found[..2], ["-verificationStatus", "-clinicalStatus"], "{kind}");
            assert!(found[2].contains(system) && found[2].ends_with("=entered-in-error"), "{}", found[2]);
        }
        let ended = shown("Condition", Means::Ended);
        assert_eq!(ended[0], "-clinicalStatus");
        assert!(ended[1].ends_with("=inactive"));
    }

    #[test]
    fn every_ended_status_is_one_that_r4_has() {
        for (kind, status) in &ENDED {
            assert_eq!(shown(kind, Means::Ended), [format!("status={status}")], "{kind}");
        }
        assert_eq!(shown("Practitioner", Means::Ended), ["active=false"]);
        assert!(patch("Observation", Means::Ended, ElementTable::r4()).is_none());
        assert!(patch("Basic", Means::Ended, ElementTable::r4()).is_none());
    }

    #[test]
    fn a_purge_and_a_removal_patch_nothing() {
        assert_eq!(patch("Patient", Means::Purged, ElementTable::r4()), Some(vec![]));
        assert_eq!(patch("Patient", Means::Removed, ElementTable::r4()), Some(vec![]));
    }
}
