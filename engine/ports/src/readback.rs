//! What verify needs of both sides (J45): the source's rows at a fence, the target's versions.

use crate::{Boxed, Fault};
use model::{Json, ResourceType, Row, RowKey, SourcePosition, TableName, TableSchema, Unit};

/// A sink's target, read.
pub trait Readback: Send + Sync {
    /// The unit's versions, newest first, all of them.
    fn versions<'a>(&'a self, unit: &'a Unit) -> Boxed<'a, Result<Vec<Version>, Fault>>;

    /// Whether old versions can be read; without them `versions` gives the current one alone.
    fn keeps_history(&self) -> bool {
        true
    }

    /// A page of the current resources of a type; pass the last page's `next` to go on.
    fn list<'a>(&'a self, kind: &'a ResourceType, next: Option<&'a str>) -> Boxed<'a, Result<Page, Fault>>;
}

/// One version of a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Version id, without quotes or `W/`.
    pub version: Box<str>,
    /// Our stamp, if the version carries one of this pipeline's.
    pub request: Option<Box<str>>,
    /// None for a deletion.
    pub body: Option<Json>,
}

/// Some current resources of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Logical id, version, content.
    pub resources: Vec<(Box<str>, Version)>,
    /// How to ask for the next page; none at the end.
    pub next: Option<Box<str>>,
}

/// Opens fences at a source.
pub trait FenceSource: Send {
    /// A view of the source's tables at one position, which the stream will pass: everything committed at or below
    /// [`Fence::position`] is in the view, nothing above it is. `waiting` is called with the pids that hold it up.
    fn fence<'a>(
        &'a mut self,
        waiting: &'a mut (dyn FnMut(Vec<i32>) + Send),
    ) -> Boxed<'a, Result<Box<dyn Fence>, Fault>>;
}

/// One fenced view; dropped when done.
pub trait Fence: Send {
    /// P.
    fn position(&self) -> SourcePosition;

    /// The next rows of a table in key order, behind `after`, with the schema they are encoded in; empty at the end.
    fn rows<'a>(
        &'a mut self,
        table: &'a TableName,
        after: Option<&'a RowKey>,
        max: usize,
    ) -> Boxed<'a, Result<FencedRows, Fault>>;
}

/// Some rows of a table, in key order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FencedRows {
    /// The schema that the rows are encoded in.
    pub schema: TableSchema,
    /// Keys and rows; empty at the end of the table.
    pub rows: Vec<(RowKey, Row)>,
}
