//! What the core asks of the R4 element table; `schemas` implements it over the generated table.
//!
//! The table is walked from node to node, one step a member, so that a resource is read without building a path.

use crate::id::ResourceType;

/// A place with members: a resource type, a data type, a backbone element. A number of the table's own, never recorded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node(pub u16);

/// What the table says of one member of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// Its name; of a choice without the type: `value` for `valueQuantity`.
    pub base: &'a str,
    /// Whether it is one of a choice.
    pub choice: bool,
    /// Its R4 type: `string`, `dateTime`, `HumanName`, `Reference`, `BackboneElement`, `Resource`.
    pub ty: &'a str,
    /// Where its own members are looked up; none for a primitive, and for a whole resource (its `resourceType` says).
    pub node: Option<Node>,
    /// Whether it may repeat.
    pub repeats: bool,
    /// How its items are addressed: the names of the key's members (clinical S6). None = one atomic field.
    pub key: Option<&'a [&'a str]>,
}

impl Element<'_> {
    /// Whether it is one of R4's primitive types: those are written small.
    pub fn is_primitive(&self) -> bool {
        self.ty.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

/// The structure of R4, as far as fields and the canonical form need it.
pub trait Elements: Send + Sync {
    /// The node of a resource type or data type by its name: `Patient`, `HumanName`, `Element`.
    fn node(&self, name: &str) -> Option<Node>;

    /// The member of `node` called `name` in JSON, inherited ones too (`id`, `extension`, `meta`, `text`); a choice goes
    /// by its full name (`valueQuantity`), never by its base alone; a `_` sibling is not asked for. None = not in R4.
    fn element(&self, node: Node, name: &str) -> Option<Element<'_>>;

    /// The element at a path of JSON names, relative to the resource type and without indexes: `name.family`,
    /// `component.valueQuantity`.
    fn at(&self, resource: &ResourceType, path: &str) -> Option<Element<'_>> {
        let mut node = self.node(resource.as_str());
        let mut found = None;
        for name in path.split('.') {
            let element = self.element(node?, name)?;
            node = element.node;
            found = Some(element);
        }
        found
    }

    /// How lists at this path are addressed. None = one atomic field.
    fn list_key(&self, resource: &ResourceType, path: &str) -> Option<&[&str]> {
        self.at(resource, path)?.key
    }

    /// The R4 type at this path. None = the element does not exist.
    fn type_of(&self, resource: &ResourceType, path: &str) -> Option<&str> {
        self.at(resource, path).map(|element| element.ty)
    }

    /// Whether the element may repeat.
    fn repeats(&self, resource: &ResourceType, path: &str) -> bool {
        self.at(resource, path).is_some_and(|element| element.repeats)
    }
}

#[cfg(test)]
pub(crate) mod double;
