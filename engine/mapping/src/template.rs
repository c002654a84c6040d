//! The shape of a resource, ready to be filled.

use crate::{expr::Expr, types::Texts};
use model::{FieldAddress, Json};

/// What stands at an element.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Always the same.
    Fixed(Json),
    /// What an expression gives, written as the element's type.
    Leaf(Leaf),
    /// An object.
    Object(Object),
    /// A list.
    List(Vec<Item>),
}

/// An expression at an element.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) expr: Expr,
    pub(crate) write: Primitive,
    /// The element's path, for people.
    pub(crate) path: Box<str>,
    /// Null parks the unit, instead of dropping the element.
    pub(crate) required: bool,
    /// What it can say, as far as that is known before any row.
    pub(crate) texts: Texts,
}

/// The members of an object, in the order of the map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    pub(crate) node: Node,
    /// An object that has something else but lacks this is not valid: its unit parks, with this path as the cause.
    pub(crate) required: Option<Box<str>>,
    /// Of a choice, its name without the type: `value` of `valueQuantity`.
    pub(crate) base: &'static str,
    /// A member of the resource that is one field as a whole, so that nobody has to take it apart row by row.
    pub(crate) whole: Option<Whole>,
}

/// A field that is known before any row: its address, and whether its value is an object of full names (a choice).
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) address: FieldAddress,
    pub(crate) wrapped: bool,
}

/// One entry of a list: an element, or one for each row of a source (the root is 0, join n is n + 1).
#[derive(Clone, Debug)]
pub(crate) enum Item {
    One(Node),
    Each { source: usize, node: Node },
}

/// The R4 primitive types, as far as they are written differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Primitive {
    Boolean,
    Integer,
    PositiveInt,
    UnsignedInt,
    Decimal,
    String,
    Code,
    Id,
    Uri,
    Date,
    DateTime,
    Instant,
    Time,
    Base64,
}
