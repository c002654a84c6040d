//! Holds a resource against the R4 table.
//!
//! Never repeats a value: an issue is a path of element names and a rule. Invariants:
//! * Strict: what the table does not know, or knows otherwise, is an issue.
//! * Like HAPI ([`prune`] first, then [`Rigour::Parser`]): what its parser drops is dropped; only what its parser refuses is an issue.

use crate::json::Json;
use crate::primitives;
use schemas::r4::{Element, ElementTable, ElementType, GroupId, Kind, Member};
use std::fmt::Write as _;

/// More issues than this are not told: the first ones are the cure.
const ISSUES_MAX: usize = 20;

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rigour {
    /// All that the table says.
    Strict,
    /// What HAPI's parser refuses: JSON types, primitives' syntax, codes of required bindings.
    Parser,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// `Patient.name[0].family`.
    pub path: String,
    /// Code of `OperationOutcome.issue.code`.
    pub code: &'static str,
    /// The rule that is broken.
    pub rule: String,
}

/// A reference to another resource on this server, or to something else.
pub struct Reference<'a> {
    /// The element that holds it, without indexes: `Observation.subject`.
    pub path: String,
    /// As written.
    pub target: std::borrow::Cow<'a, str>,
    /// The resource types it may point at; empty = any.
    pub allowed: &'static [&'static str],
}

/// What was found in a resource.
#[derive(Default)]
pub struct Findings<'a> {
    pub issues: Vec<Issue>,
    pub references: Vec<Reference<'a>>,
}

/// Holds `resource`, which says to be a `type_name`, against the table.
pub fn check<'a>(resource: &Json<'a>, type_name: &'static str, rigour: Rigour) -> Findings<'a> {
    let mut walk =
        Walk { table: ElementTable::r4(), rigour, steps: vec![Step::Name(type_name)], found: Findings::default() };
    walk.resource(resource, type_name);
    walk.found
}

#[derive(Clone, Copy)]
enum Step {
    Name(&'static str),
    Item(usize),
}

struct Walk<'a> {
    table: &'static ElementTable,
    rigour: Rigour,
    steps: Vec<Step>,
    found: Findings<'a>,
}

impl<'a> Walk<'a> {
    fn issue(&mut self, code: &'static str, rule: impl Into<String>) {
        if self.found.issues.len() < ISSUES_MAX {
            let path = self.path(true);
            self.found.issues.push(Issue { path, code, rule: rule.into() });
        }
    }

    fn path(&self, indexes: bool) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Name(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Item(at) if indexes => write!(path, "[{at}]").expect("a String takes all"),
                Step::Item(_) => {}
            }
        }
        path
    }

    fn within(&mut self, step: Step, act: impl FnOnce(&mut Self)) {
        self.steps.push(step);
        act(self);
        self.steps.pop();
    }

    fn resource(&mut self, value: &Json<'a>, type_name: &'static str) {
        match self.table.group(type_name) {
            Some(group) => self.object(value, group, true),
            None => self.issue("structure", "not a resource type of R4"),
        }
    }

    /// A resource inside another one: its own type is what it says.
    fn inner_resource(&mut self, value: &Json<'a>) {
        let named = value.get("resourceType").and_then(Json::text);
        match named.and_then(|name| self.table.resource_type(&name)) {
            Some(type_name) => self.resource(value, type_name),
            None => self.issue("structure", "a resource without a resource type of R4"),
        }
    }

    fn object(&mut self, value: &Json<'a>, group: GroupId, is_resource: bool) {
        let Json::Object(members) = value else { return self.issue("structure", "not a JSON object") };
        let strict = self.rigour == Rigour::Strict;
        if strict && members.len() == usize::from(is_resource) {
            self.issue("structure", "an element without content");
        }
        let mut seen: Vec<(&Element, &str)> = Vec::with_capacity(members.len());
        for (at, (name, inside)) in members.iter().enumerate() {
            if is_resource && *name == "resourceType" {
                continue;
            }
            let plain = name.strip_prefix('_').unwrap_or(name);
            let Some(member) = self.table.members(group).get(plain) else {
                self.issue(
                    "structure",
                    format!("member {at} (a name of {} bytes) is not an element of R4", name.len()),
                );
                continue;
            };
            let element = self.table.element_of(member);
            if seen.iter().any(|(held, held_name)| std::ptr::eq(*held, element) && *held_name != plain) {
                self.issue("structure", format!("more than one type of {}", element.path));
            }
            seen.push((element, plain));
            let sibling = if matches!(inside, Json::Array(_)) { value.get(&format_sibling(name)) } else { None };
            self.within(Step::Name(element.name), |walk| walk.member(member, name.starts_with('_'), inside, sibling));
        }
        if strict {
            for element in self.table.required(group) {
                if !seen.iter().any(|(held, _)| std::ptr::eq(*held, element)) {
                    self.issue("required", format!("{} is required", element.path));
                }
            }
        }
    }

    /// One member: the list, if it is one, and each of its values.
    fn member(&mut self, member: &'static Member, is_sibling: bool, value: &Json<'a>, sibling: Option<&Json<'a>>) {
        let element = self.table.element_of(member);
        if !element.repeats() {
            if element.max == Some(0) {
                return self.issue("structure", "not allowed here");
            }
            return self.value(member, is_sibling, value);
        }
        let Json::Array(items) = value else {
            return self.issue("structure", "not a JSON array, though it may repeat");
        };
        let strict = self.rigour == Rigour::Strict;
        if strict && items.is_empty() {
            self.issue("structure", "an empty array");
        }
        if strict && element.max.is_some_and(|max| items.len() > max as usize) {
            self.issue("structure", "more values than allowed");
        }
        for (at, item) in items.iter().enumerate() {
            // A null holds a place only for what the sibling list says there, and the other way round.
            let beside =
                matches!(sibling, Some(Json::Array(others)) if !matches!(others.get(at), None | Some(Json::Null)));
            if !(matches!(item, Json::Null) && beside) {
                self.within(Step::Item(at), |walk| walk.value(member, is_sibling, item));
            }
        }
    }

    fn value(&mut self, member: &'static Member, is_sibling: bool, value: &Json<'a>) {
        let kind = self.table.type_of_member(member);
        let primitive = self.table.kind(kind.name) == Some(Kind::Primitive);
        match (primitive, member.below) {
            (true, _) if is_sibling => {
                if let Some(group) = self.table.group("Element") {
                    self.object(value, group, false);
                }
            }
            (false, _) if is_sibling => self.issue("structure", "only primitives have a member with an underscore"),
            (true, _) => self.primitive(member, kind, value),
            (false, Some(group)) => {
                self.object(value, group, false);
                self.complex(self.table.element_of(member), kind, value);
            }
            (false, None) => self.inner_resource(value),
        }
    }

    fn primitive(&mut self, member: &'static Member, kind: &ElementType, value: &Json<'a>) {
        if let Err(rule) = primitives::check(kind.name, value) {
            return self.issue("value", rule);
        }
        let Some(set) = self.table.element_of(member).binding else { return };
        let Some(systems) = self.table.value_set(set).filter(|_| kind.name == "code") else { return };
        let text = value.text().unwrap_or_default();
        if !systems.iter().any(|(_, codes)| codes.contains(&&*text)) {
            self.issue("code-invalid", format!("not a code of the value set {set}"));
        }
    }

    /// What a datatype asks beyond its members.
    fn complex(&mut self, element: &'static Element, kind: &'static ElementType, value: &Json<'a>) {
        if kind.name == "Reference"
            && let Some(target) = value.get("reference").and_then(Json::text)
        {
            let path = self.path(false);
            self.found.references.push(Reference { path, target, allowed: &kind.targets });
        }
        let Some(set) = element.binding.filter(|_| self.rigour == Rigour::Strict) else { return };
        let Some(systems) = self.table.value_set(set) else { return };
        let fits = |coding: &Json<'_>| {
            let part = |name| coding.get(name).and_then(Json::text).unwrap_or_default();
            let (system, code) = (part("system"), part("code"));
            systems.iter().any(|(held, codes)| *held == system && codes.contains(&&*code))
        };
        let right = match (kind.name, value.get("coding")) {
            ("Coding", _) => fits(value),
            ("CodeableConcept", Some(Json::Array(codings))) => codings.iter().any(fits),
            ("CodeableConcept", _) => false,
            _ => true,
        };
        if !right {
            self.issue("code-invalid", format!("no coding of the value set {set}"));
        }
    }
}

/// `name` for `_name`, `_name` for `name`.
fn format_sibling(name: &str) -> String {
    match name.strip_prefix('_') {
        Some(plain) => plain.to_owned(),
        None => format!("_{name}"),
    }
}

/// Takes away what HAPI's parser passes over in silence: unknown members, empty lists and objects, nulls.
pub fn prune(resource: &mut Json<'_>, type_name: &str) {
    let table = ElementTable::r4();
    if let Some(group) = table.group(type_name) {
        prune_object(table, resource, group, true);
    }
}

fn prune_object(table: &'static ElementTable, value: &mut Json<'_>, group: GroupId, is_resource: bool) {
    let Json::Object(members) = value else { return };
    members.retain_mut(|(name, inside)| {
        if is_resource && *name == "resourceType" {
            return true;
        }
        let (plain, sibling) = name.strip_prefix('_').map_or((*name, false), |plain| (plain, true));
        let Some(member) = table.members(group).get(plain) else { return false };
        let below = if sibling { table.group("Element") } else { member.below };
        let whole = table.type_of_member(member).name == "Resource";
        if let Json::Array(items) = inside {
            items.iter_mut().for_each(|item| prune_value(table, item, below, whole));
        } else {
            prune_value(table, inside, below, whole);
        }
        !matches!(inside, Json::Null) && !matches!(inside, Json::Array(items) if items.is_empty())
    });
}

fn prune_value(table: &'static ElementTable, value: &mut Json<'_>, below: Option<GroupId>, whole: bool) {
    let inner = || table.group(&value.get("resourceType").and_then(Json::text)?);
    if let Some(group) = if whole { inner() } else { below } {
        prune_object(table, value, group, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Vec<String> {
        let parsed = Json::parse(json.as_bytes()).unwrap();
        let name = ElementTable::r4().resource_type(&parsed.get("resourceType").unwrap().text().unwrap()).unwrap();
        check(&parsed, name, Rigour::Strict)
            .issues
            .into_iter()
            .map(|issue| format!("{} {}", issue.path, issue.code))
            .collect()
    }

    #[test]
    fn a_right_resource_has_no_issue() {
        let patient = r##"{"resourceType":"Patient","id":"p1","active":true,"name":[{"use":"official","family":"Ada","given":["A",null],
            "_given":[null,{"extension":[{"url":"http://x","valueString":"y"}]}]}],"birthDate":"1970-01-02",
            "maritalStatus":{"text":"m"},"contained":[{"resourceType":"Organization","id":"o","name":"x"}],
            "managingOrganization":{"reference":"#o"}}"##;
        assert_eq!(rules(patient), [""; 0]);
        let observation = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
            "valueQuantity":{"value":72.0,"unit":"/min"},"component":[{"code":{"text":"a"},"valueInteger":3}]}"#;
        assert_eq!(rules(observation), [""; 0]);
    }

    #[test]
    fn each_rule_is_broken_by_name() {
        for (json, issue) in [
            (r#"{"resourceType":"Patient","nickname":"A"}"#, "Patient structure"),
            (r#"{"resourceType":"Patient","name":{"family":"A"}}"#, "Patient.name structure"),
            (r#"{"resourceType":"Patient","gender":["male"]}"#, "Patient.gender value"),
            (r#"{"resourceType":"Patient","gender":"M"}"#, "Patient.gender code-invalid"),
            (r#"{"resourceType":"Patient","name":[]}"#, "Patient.name structure"),
            (r#"{"resourceType":"Patient","name":[{}]}"#, "Patient.name[0] structure"),
            (r#"{"resourceType":"Patient","name":[null]}"#, "Patient.name[0] structure"),
            (r#"{"resourceType":"Patient","active":null}"#, "Patient.active value"),
            (r#"{"resourceType":"Patient","birthDate":"1970-02-30"}"#, "Patient.birthDate value"),
            (r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"1970"}"#, "Patient structure"),
            (r#"{"resourceType":"Patient","deceasedString":"x"}"#, "Patient structure"),
            (r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#, "Patient.name[0] structure"),
            (r#"{"resourceType":"Patient","extension":[{"valueString":"x"}]}"#, "Patient.extension[0] required"),
            (r#"{"resourceType":"Observation","code":{"text":"x"}}"#, "Observation required"),
            (
                r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":"1"}}"#,
                "Observation.value.value value",
            ),
            (
                r#"{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"text":"x"}}"#,
                "Condition.clinicalStatus code-invalid",
            ),
            (r#"{"resourceType":"Patient"}"#, "Patient structure"),
        ] {
            assert_eq!(rules(json), [issue], "{json}");
        }
    }

    #[test]
    fn no_issue_repeats_what_was_sent() {
        let json = r#"{"resourceType":"Patient","Canary":"Canary","gender":"Canary","birthDate":"Canary"}"#;
        let parsed = Json::parse(json.as_bytes()).unwrap();
        let found = check(&parsed, "Patient", Rigour::Strict);
        assert_eq!(found.issues.len(), 3);
        assert!(!format!("{:?}", found.issues).contains("Canary"));
    }

    #[test]
    fn like_hapi_unknown_members_and_empty_lists_go_in_silence() {
        let json =
            r#"{"resourceType":"Patient","nickname":"A","name":[{"family":"A","foo":1}],"telecom":[],"active":null}"#;
        let mut parsed = Json::parse(json.as_bytes()).unwrap();
        prune(&mut parsed, "Patient");
        let mut out = String::new();
        parsed.write(&mut out);
        assert_eq!(out, r#"{"resourceType":"Patient","name":[{"family":"A"}]}"#);
        assert!(check(&parsed, "Patient", Rigour::Parser).issues.is_empty());
    }

    #[test]
    fn references_are_found_with_their_path() {
        let json = r#"{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"participant":[{"individual":{"reference":"Practitioner/1"}}]}"#;
        let parsed = Json::parse(json.as_bytes()).unwrap();
        let found = check(&parsed, "Encounter", Rigour::Strict);
        assert_eq!(found.references[0].path, "Encounter.participant.individual");
        assert_eq!(found.references[0].allowed, ["Practitioner", "PractitionerRole", "RelatedPerson"]);
    }
}
