//! What the core asks of the R4 element table; `schemas` implements it over the generated table.

use crate::id::ResourceType;

/// The structure of R4, as far as fields and the canonical form need it. Paths are relative to the resource type,
/// without choice suffix or index: `name.family`, `value` (for `valueQuantity`), `component.code`.
pub trait Elements: Send + Sync {
    /// How lists at this path are addressed: the names of the key's members (clinical S6). None = one atomic field.
    fn list_key(&self, resource: &ResourceType, path: &str) -> Option<&[&str]>;

    /// The element's base name and type if `name` below `parent` is one of a choice: `valueQuantity` → (`value`, `Quantity`).
    fn choice<'a>(&'a self, resource: &ResourceType, parent: &str, name: &'a str) -> Option<(&'a str, &'a str)>;

    /// The R4 type at this path: `string`, `dateTime`, `HumanName`, ... None = the element does not exist.
    fn type_of(&self, resource: &ResourceType, path: &str) -> Option<&str>;

    /// Whether the element may repeat.
    fn repeats(&self, resource: &ResourceType, path: &str) -> bool;
}
