//! How a row's bytes are read. A stand-in until the row codec is there.

use model::TableSchema;

/// The plan of one schema.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The schema.
    pub schema: TableSchema,
}
