//! What FHIR R4 says of every element: the committed table, read once.
//!
//! Never reads a file: the table is part of the binary, and its bytes are what an activation pins (J38). Invariants:
//! * Every type has all members that it inherits; a choice has one member for each of its types (`valueQuantity`).
//! * A path without the choice's type (`Observation.value.code`) means the first type that has the rest of it.

mod load;

use model::elements::{Elements, Node};
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
pub struct GroupId(u16);

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
    required: Vec<Vec<usize>>,
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
    pub fn element_at(&self, path: &str) -> Option<&Element> {
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
        &self.groups[usize::from(group.0)]
    }

    /// The elements of a group that must be there.
    pub fn required(&self, group: GroupId) -> impl Iterator<Item = &Element> {
        self.required[usize::from(group.0)].iter().map(|at| &self.elements[*at])
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
}

impl Elements for ElementTable {
    fn node(&self, name: &str) -> Option<Node> {
        self.group(name).map(|group| Node(group.0))
    }

    fn element(&self, node: Node, name: &str) -> Option<model::elements::Element<'_>> {
        let member = self.groups.get(usize::from(node.0))?.get(name)?;
        let element = self.element_of(member);
        Some(model::elements::Element {
            base: element.name,
            choice: element.is_choice,
            ty: self.type_of_member(member).name,
            node: member.below.map(|group| Node(group.0)),
            repeats: element.repeats(),
            key: element.list_key.as_deref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::ResourceType;

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
        assert_eq!(table.element_at("Patient.name.family").unwrap().path, "HumanName.family");
        assert_eq!(table.element_at("Patient.meta.security.code").unwrap().path, "Coding.code");
        assert_eq!(table.element_at("Observation.component.code").unwrap().min, 1);
        let deep = "Questionnaire.item.item.item.linkId";
        assert_eq!(table.element_at(deep).unwrap().path, "Questionnaire.item.linkId");
        assert!(table.element_at("Observation.status").unwrap().modifies);
        assert!(table.element_at("Patient.nickname").is_none());
        assert!(table.element_at("Patient.gender.family").is_none());
    }

    #[test]
    fn a_choice_is_one_element_with_one_member_a_type() {
        let table = ElementTable::r4();
        assert_eq!(table.element_at("Observation.valueQuantity").unwrap().path, "Observation.value[x]");
        assert_eq!(table.element_at("Observation.value[x]").unwrap().types.len(), 11);
        let at = |path: &str| table.at(&observation(), path).map(|element| (element.base, element.choice, element.ty));
        assert_eq!(at("valueQuantity"), Some(("value", true, "Quantity")));
        assert_eq!(at("component.valueString"), Some(("value", true, "string")));
        assert_eq!(at("effectiveDateTime"), Some(("effective", true, "dateTime")));
        assert_eq!(at("status"), Some(("status", false, "code")));
        assert_eq!(at("valueMoney"), None);
        assert_eq!(at("value"), None);
        assert_eq!(table.element_at("Observation.value.coding").unwrap().path, "CodeableConcept.coding");
        assert_eq!(table.element_at("Observation.value").unwrap().type_name(), CHOICE);
    }

    #[test]
    fn the_table_is_walked_from_node_to_node() {
        let table = ElementTable::r4();
        let node = table.node("Patient").unwrap();
        let contact = table.element(node, "contact").unwrap();
        assert_eq!((contact.ty, contact.repeats, contact.key), ("BackboneElement", true, None));
        let name = table.element(contact.node.unwrap(), "name").unwrap();
        assert_eq!((name.ty, name.repeats, name.node), ("HumanName", false, table.node("HumanName")));
        let contained = table.element(node, "contained").unwrap();
        assert_eq!((contained.ty, contained.node), ("Resource", None));
        assert!(table.element(node, "birthDate").unwrap().is_primitive());
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
        let set = table.element_at("Patient.gender").unwrap().binding.unwrap();
        assert_eq!(table.value_set(set).unwrap()[0].1, ["male", "female", "other", "unknown"]);
        assert_eq!(table.element_at("Observation.code").unwrap().binding, None);
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
