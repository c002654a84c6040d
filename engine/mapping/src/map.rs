//! A compiled map: what is read of which table, and what it becomes.
//!
//! Everything in here was checked against the tables' schemas and the R4 element table: what is left to go wrong while
//! a row is mapped is the row.

use crate::{expr::Expr, template::Object, types::Type};
use model::{EntityName, FieldChange, Fingerprint, Hash, Means, ResourceType, TableName};
use schemas::r4::ElementTable;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A compiled map file.
#[derive(Clone)]
pub struct Map {
    /// Its name.
    pub name: Box<str>,
    /// Its version, as its owner counts.
    pub version: u32,
    /// Who answers for it.
    pub owner: Box<str>,
    /// Whether patients' care rests on it: then somebody approved it by name.
    pub clinical: bool,
    /// Who approved it.
    pub approved_by: Option<Box<str>>,
    /// Hash of the file's bytes (J38).
    pub hash: Hash,
    pub(crate) entities: Vec<Entity>,
    pub(crate) tables: Vec<CodeTable>,
    pub(crate) elements: &'static ElementTable,
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map {} {} {:?}", self.name, self.version, self.hash)
    }
}

impl Map {
    /// The entities in the order of the file: an entity's place is its number in a mark (J13).
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The place of the entity called `name`.
    pub fn entity(&self, name: &EntityName) -> Option<usize> {
        self.entities.iter().position(|entity| entity.name == *name)
    }
}

/// One kind of unit, made of a root row and the rows joined to it. One root row makes at most one unit.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its name in the map.
    pub name: EntityName,
    /// What it becomes.
    pub resource_type: ResourceType,
    /// The table whose rows are its units.
    pub root: TableName,
    /// The columns of the root's key.
    pub key: Vec<Box<str>>,
    /// Part of every minted id: raised when the key takes on another meaning.
    pub key_version: u32,
    /// Tells entities over the same root apart.
    pub part: Option<Box<str>>,
    /// What is joined to a root row.
    pub joins: Vec<Join>,
    /// Whose record the unit belongs to.
    pub subject: Option<Subject>,
    /// Whether its confidentiality is mapped, or the reason why it carries no label (clinical S19).
    pub unlabelled: Option<Box<str>>,
    /// What the loss of the root row means.
    pub row_means: Deletion,
    pub(crate) when: Option<(Expr, Deletion)>,
    pub(crate) flags: Vec<(Expr, Deletion)>,
    pub(crate) reads: Vec<Reads>,
    pub(crate) to: Object,
    pub(crate) refs: BTreeSet<EntityName>,
    pub(crate) columns: BTreeMap<TableName, BTreeSet<Box<str>>>,
}

impl Entity {
    /// Its tables: the root, then those of its joins, none twice.
    pub fn tables(&self) -> Vec<&TableName> {
        let mut tables = vec![&self.root];
        for join in &self.joins {
            if !tables.contains(&&join.table) {
                tables.push(&join.table);
            }
        }
        tables
    }

    /// The columns of `table` that the entity uses, keys and join columns too: when one of them is dropped, renamed or
    /// retyped, the entity is held (J49).
    pub fn columns(&self, table: &TableName) -> impl Iterator<Item = &str> {
        self.columns.get(table).into_iter().flatten().map(|name| &**name)
    }

    /// The entities it refers to.
    pub fn refs(&self) -> &BTreeSet<EntityName> {
        &self.refs
    }
}

/// Rows of another table that belong to a root row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    /// Its name in expressions.
    pub alias: Box<str>,
    /// The table.
    pub table: TableName,
    /// Pairs of joined column and root column that must be equal (and not null).
    pub on: Vec<(Box<str>, Box<str>)>,
    /// What orders the rows; empty where at most one row is expected.
    pub order: Vec<Box<str>>,
    /// Whether more than one row is expected.
    pub many: bool,
    /// Whether a change of a joined row maps the unit again (J14); else its value is as of the unit's last mapping.
    pub remap: bool,
}

/// Whose record a unit belongs to.
#[derive(Clone, Debug)]
pub enum Subject {
    /// The unit is the subject.
    Itself,
    /// The unit of that entity to which the root row refers.
    Of(EntityName),
}

/// What a deletion of one kind means, and how FHIR says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deletion {
    /// The line of `delete_means`: `row`, `when`, or the flag's name.
    pub flag: Box<str>,
    /// The declared meaning.
    pub means: Means,
    /// How FHIR says it: over the last present content.
    pub patch: Vec<FieldChange>,
}

/// Which columns of the root (first) or of a join are read: an expression names a column by its place here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reads {
    /// Of the schema that the map was compiled against: a row of another one is asked by name.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) columns: Vec<Read>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    pub(crate) name: Box<str>,
    pub(crate) ty: Type,
    /// Where the column stood when the map was compiled.
    pub(crate) place: usize,
    /// Whether content hangs on it.
    pub(crate) mapped: bool,
    /// Whether `when` or a flag hangs on it.
    pub(crate) control: bool,
}

/// A closed look-up of codes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CodeTable {
    pub(crate) name: Box<str>,
    pub(crate) codes: BTreeMap<Box<str>, Code>,
    pub(crate) otherwise: Code,
}

/// What a code becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// This code.
    Is(Box<str>),
    /// Nothing: null.
    Nothing,
    /// The unit parks.
    Park,
}
