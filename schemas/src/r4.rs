//! What FHIR R4 says of every element: the committed table, read once.
//!
//! Never reads a file: the table is part of the binary, and its bytes are what an activation pins (J38). Invariants:
//! * Every type has all members that it inherits; a choice has one member for each of its types (`valueQuantity`).
//! * A path without the choice's type (`Observation.value.code`) means the first type that has the rest of it.

mod load;

use model::elements::Elements;
use model::id::ResourceType;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The table's text, as committed in `r4/elements.tsv`.
pub const TEXT: &str = include_str!("../r4/elements.tsv");

/// The type that a choice element with more than one type answers: the type of its value is in the member's name.
pub const CHOICE: &str = "choice";

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A resource, such as `Patient`.
    Resource,
    /// A datatype with members, such as `HumanName`.
    Complex,
    /// A JSON string, number or boolean, such as `date`.
    Primitive,
}

/// One of the types that an element may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementType {
    /// `Quantity`, `date`, `Reference`, `BackboneElement`, ..
    pub name: &'static str,
    /// What a reference may point at; empty = any resource.
    pub targets: Vec<&'static str>,
}

/// One line of the table.
#[derive(Debug)]
pub struct Element {
    /// As published, with `[x]` at a choice: `Observation.value[x]`.
    pub path: &'static str,
    /// The last step, without `[x]`.
    pub name: &'static str,
    /// At least so many.
    pub min: u32,
    /// At most so many; none = no limit.
    pub max: Option<u32>,
    /// The types; more than one only at a choice.
    pub types: Vec<ElementType>,
    /// Whether it changes the meaning of what holds it (clinical S3).
    pub modifies: bool,
    /// The members that address an item of this list (clinical S6).
    pub list_key: Option<Vec<&'static str>>,
    /// The value set of a required binding, where its codes are a closed list.
    pub binding: Option<&'static str>,
    is_choice: bool,
    content: Option<&'static str>,
}

impl Element {
    /// Whether JSON writes it as an array.
    pub fn repeats(&self) -> bool {
        self.max != Some(1)
    }

    /// Whether JSON writes its type into the member's name.
    pub fn is_choice(&self) -> bool {
        self.is_choice
    }

    /// The one type, or [`CHOICE`].
    pub fn type_name(&self) -> &'static str {
        match self.types.as_slice() {
            [only] => only.name,
            _ => CHOICE,
        }
    }
}

/// The members of a type, or of an element that has its own.
pub type Group = BTreeMap<Box<str>, Member>;

/// Where a [`Group`] stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupId(usize);

/// A member as JSON writes it.
#[derive(Debug)]
pub struct Member {
    element: usize,
    kind: usize,
    /// What stands inside; none for primitives and for whole resources.
    pub below: Option<GroupId>,
}

/// The codes of a required binding, by code system.
pub type ValueSet = Vec<(&'static str, Vec<&'static str>)>;

/// The R4 element table.
pub struct ElementTable {
    types: BTreeMap<&'static str, Type>,
    elements: Vec<Element>,
    by_path: BTreeMap<&'static str, usize>,
    groups: Vec<Group>,
    group_of: BTreeMap<&'static str, GroupId>,
    sets: BTreeMap<&'static str, ValueSet>,
}

struct Type {
    kind: Kind,
    is_abstract: bool,
    base: &'static str,
}

impl ElementTable {
    /// The table of FHIR R4 (4.0.1).
    pub fn r4() -> &'static ElementTable {
        static TABLE: OnceLock<ElementTable> = OnceLock::new();
        TABLE.get_or_init(|| ElementTable::parse(TEXT).expect("the committed table is read by a test"))
    }

    /// The resource types that exist, in alphabetical order.
    pub fn resource_types(&self) -> impl Iterator<Item = &'static str> {
        let concrete = |(_, held): &(&&'static str, &Type)| held.kind == Kind::Resource && !held.is_abstract;
        self.types.iter().filter(concrete).map(|(name, _)| *name)
    }

    /// The name as the table holds it, if it is a resource type that can be written.
    pub fn resource_type(&self, name: &str) -> Option<&'static str> {
        let (name, held) = self.types.get_key_value(name)?;
        (held.kind == Kind::Resource && !held.is_abstract).then_some(*name)
    }

    /// What the type is, if it exists.
    pub fn kind(&self, type_name: &str) -> Option<Kind> {
        self.types.get(type_name).map(|held| held.kind)
    }

    /// The element at a path that begins with a type: `Patient.name.family`, `Observation.valueQuantity.code`, `Observation.value`.
    pub fn element(&self, path: &str) -> Option<&Element> {
        let path = path.strip_suffix("[x]").unwrap_or(path);
        let (head, rest) = path.split_once('.')?;
        let member = self.find(*self.group_of.get(head)?, rest)?;
        Some(&self.elements[member.element])
    }

    /// The elements directly below a type or an element, each once, in the order of the table. Empty below a primitive.
    pub fn children(&self, path: &str) -> Vec<&Element> {
        let group = match path.split_once('.') {
            None => self.group_of.get(path).copied(),
            Some((head, rest)) => self.group_of.get(head).and_then(|group| self.find(*group, rest)?.below),
        };
        let mut found: Vec<usize> =
            group.iter().flat_map(|group| self.members(*group).values().map(|member| member.element)).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|at| &self.elements[at]).collect()
    }

    /// The group of a type (`HumanName`) or of an element that has its own (`Observation.component`).
    pub fn group(&self, name: &str) -> Option<GroupId> {
        self.group_of.get(name).copied()
    }

    /// The members of a group, by their name in JSON.
    pub fn members(&self, group: GroupId) -> &Group {
        &self.groups[group.0]
    }

    /// The element that a member stands for.
    pub fn element_of(&self, member: &Member) -> &Element {
        &self.elements[member.element]
    }

    /// The one type that a member's value has.
    pub fn type_of_member(&self, member: &Member) -> &ElementType {
        &self.elements[member.element].types[member.kind]
    }

    /// The codes of a required binding.
    pub fn value_set(&self, name: &str) -> Option<&ValueSet> {
        self.sets.get(name)
    }

    /// Follows a path from a group. A choice without its type means the first type that has the rest of the path.
    fn find(&self, group: GroupId, path: &str) -> Option<&Member> {
        let (step, rest) = match path.split_once('.') {
            Some((step, rest)) => (step, Some(rest)),
            None => (path, None),
        };
        let follow = |member| match rest {
            None => Some(member),
            Some(rest) => self.find(self.below(member)?, rest),
        };
        let group = self.members(group);
        if let Some(member) = group.get(step) {
            return follow(member);
        }
        // By the order of the element's types, which is the published one, not by the alphabet.
        let mut choices: Vec<&Member> = group.values().filter(|member| self.is_choice_named(member, step)).collect();
        choices.sort_unstable_by_key(|member| member.kind);
        choices.into_iter().find_map(follow)
    }

    fn is_choice_named(&self, member: &Member, name: &str) -> bool {
        let element = &self.elements[member.element];
        element.is_choice && element.name == name
    }

    /// What a path may go on to: also a primitive has `id` and `extension`.
    fn below(&self, member: &Member) -> Option<GroupId> {
        let primitive = || self.kind(self.type_of_member(member).name) == Some(Kind::Primitive);
        member.below.or_else(|| if primitive() { self.group("Element") } else { None })
    }

    fn member(&self, resource: &ResourceType, path: &str) -> Option<&Member> {
        self.find(self.group(resource.as_str())?, path)
    }
}

impl Elements for ElementTable {
    fn list_key(&self, resource: &ResourceType, path: &str) -> Option<&[&str]> {
        self.element_of(self.member(resource, path)?).list_key.as_deref()
    }

    fn choice<'a>(&'a self, resource: &ResourceType, parent: &str, name: &'a str) -> Option<(&'a str, &'a str)> {
        let root = self.group(resource.as_str())?;
        let group = if parent.is_empty() { root } else { self.below(self.find(root, parent)?)? };
        let member = self.members(group).get(name)?;
        let element = self.element_of(member);
        element.is_choice.then(|| (element.name, self.type_of_member(member).name))
    }

    fn type_of(&self, resource: &ResourceType, path: &str) -> Option<&str> {
        let member = self.member(resource, path)?;
        let element = self.element_of(member);
        let last = path.rsplit('.').next().unwrap_or(path);
        Some(if element.is_choice && last == element.name {
            element.type_name()
        } else {
            self.type_of_member(member).name
        })
    }

    fn repeats(&self, resource: &ResourceType, path: &str) -> bool {
        self.member(resource, path).is_some_and(|member| self.element_of(member).repeats())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation() -> ResourceType {
        ResourceType::from("Observation")
    }

    #[test]
    fn every_line_of_the_committed_table_is_read() {
        let table = ElementTable::r4();
        assert_eq!(table.resource_types().count(), 146);
        assert!(table.elements.len() > 4_500, "{}", table.elements.len());
        assert_eq!(table.kind("HumanName"), Some(Kind::Complex));
        assert_eq!(table.resource_type("DomainResource"), None);
    }

    #[test]
    fn a_path_goes_through_datatypes_backbones_and_content_references() {
        let table = ElementTable::r4();
        assert_eq!(table.element("Patient.name.family").unwrap().path, "HumanName.family");
        assert_eq!(table.element("Patient.meta.security.code").unwrap().path, "Coding.code");
        assert_eq!(table.element("Observation.component.code").unwrap().min, 1);
        let deep = "Questionnaire.item.item.item.linkId";
        assert_eq!(table.element(deep).unwrap().path, "Questionnaire.item.linkId");
        assert!(table.element("Observation.status").unwrap().modifies);
        assert!(table.element("Patient.nickname").is_none());
        assert!(table.element("Patient.gender.family").is_none());
    }

    #[test]
    fn a_choice_is_one_element_with_one_member_a_type() {
        let table = ElementTable::r4();
        assert_eq!(table.element("Observation.valueQuantity").unwrap().path, "Observation.value[x]");
        assert_eq!(table.element("Observation.value[x]").unwrap().types.len(), 11);
        assert_eq!(table.choice(&observation(), "", "valueQuantity"), Some(("value", "Quantity")));
        assert_eq!(table.choice(&observation(), "component", "valueString"), Some(("value", "string")));
        assert_eq!(table.choice(&observation(), "", "status"), None);
        assert_eq!(table.choice(&observation(), "", "valueMoney"), None);
        assert_eq!(table.type_of(&observation(), "value"), Some(CHOICE));
        assert_eq!(table.type_of(&observation(), "effectiveDateTime"), Some("dateTime"));
        assert_eq!(table.type_of(&observation(), "value.coding"), Some("Coding"));
        assert_eq!(table.type_of(&observation(), "value.code"), Some("code"));
    }

    #[test]
    fn lists_have_the_default_keys() {
        let table = ElementTable::r4();
        let key = |resource: &str, path: &str| table.list_key(&ResourceType::from(resource), path);
        assert_eq!(key("Patient", "identifier"), Some(&["system", "type"][..]));
        assert_eq!(key("Patient", "name"), Some(&["use"][..]));
        assert_eq!(key("Patient", "contact.telecom"), Some(&["system", "use"][..]));
        assert_eq!(key("Observation", "code.coding"), Some(&["system"][..]));
        assert_eq!(key("Observation", "component"), Some(&["code"][..]));
        assert_eq!(key("Observation", "extension"), Some(&["url"][..]));
        assert_eq!(key("Appointment", "participant"), Some(&["type", "actor"][..]));
        assert_eq!(key("Observation", "note"), None);
        assert_eq!(key("Patient", "name.given"), None);
        assert!(table.repeats(&ResourceType::from("Patient"), "name.given"));
        assert!(!table.repeats(&ResourceType::from("Patient"), "gender"));
    }

    #[test]
    fn a_required_binding_has_its_codes() {
        let table = ElementTable::r4();
        let set = table.element("Patient.gender").unwrap().binding.unwrap();
        assert_eq!(table.value_set(set).unwrap()[0].1, ["male", "female", "other", "unknown"]);
        assert_eq!(table.element("Observation.code").unwrap().binding, None);
    }

    #[test]
    fn children_are_listed_once_with_what_is_inherited() {
        let table = ElementTable::r4();
        let names: Vec<&str> = table.children("Observation.component").iter().map(|element| element.name).collect();
        assert_eq!(names.iter().filter(|name| **name == "value").count(), 1);
        assert!(names.contains(&"modifierExtension") && names.contains(&"id"));
        assert!(table.children("Patient.birthDate").is_empty());
    }
}
