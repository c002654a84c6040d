//! Checked expressions, as `eval` walks them.

use crate::types::Val;
use model::EntityName;

/// Where a column's row comes from: 0 is the root, n + 1 is join n (a single row, or the row at hand of its `$each`).
pub(crate) type From = usize;

/// An expression whose names and types hold.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Literal(Val<'static>),
    Column { from: From, slot: usize },
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Equal(Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Code { of: Box<Expr>, table: usize },
    Ref { entity: EntityName, key: Vec<Expr> },
    Call(Function, Vec<Expr>),
    Part { of: Box<Expr>, separator: Box<str>, n: usize },
}

/// The functions whose arguments are ordinary values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Function {
    First,
    Trim,
    Lower,
    Upper,
    Concat,
    Text,
    Decimal,
    Date,
}
