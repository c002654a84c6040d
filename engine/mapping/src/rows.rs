//! What a map reads: rows as the shadow holds them, and bindings.

use crate::map::Entity;
use model::{Cite, EntityName, Row, RowKey, TableName, Unit};
use schemas::Plan;
use std::sync::Arc;

/// A row as the shadow holds it.
#[derive(Clone, Debug)]
pub struct RowView {
    /// How its bytes are read: made of the schema under which the row was captured.
    pub plan: Arc<Plan>,
    /// Its bytes.
    pub row: Row,
    /// Which entry brought it.
    pub cite: Cite,
}

/// The state that `map` may look at. Every answer is a function of history alone.
pub trait Rows {
    /// The row of `table` with this key; none if it is not there (deleted, or not yet seen).
    fn root(&self, table: &TableName, key: &RowKey) -> Option<RowView>;

    /// The rows that join number `join` of `entity` finds for `root`, in the order of the join's `order` columns.
    fn joined(&self, entity: &Entity, join: usize, root: &RowView) -> Vec<RowView>;

    /// The unit bound to this key; never mints (J41).
    fn unit(&self, entity: &EntityName, key: &RowKey) -> Option<Unit>;
}
