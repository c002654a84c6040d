//! What a clinic does on its bad days: names and addresses that come and go, keys that move, codes that no map knows, values
//! that the target refuses, truncations, columns that are added or get another type.

use crate::fault::Fault;
use crate::source::{ADDRESS, Change, NAME, OBSERVATION, PATIENT, Source};
use model::{Column, ColumnType, RowChange, Value};
use schemas::Plan;
use std::sync::Arc;

/// A value that the target refuses.
pub const REFUSED: &str = "999.9";
/// A code that no map knows.
pub const UNKNOWN_SEX: &str = "Q";

fn text(text: String) -> Value {
    Value::Text(text.into())
}

impl Source {
    /// The columns that were added since, at their end.
    pub(crate) fn widened(&self, table: usize, mut values: Vec<Value>) -> Vec<Value> {
        values.resize(self.plans[table].schema().columns.len(), Value::Null);
        values
    }

    pub(crate) fn wild_change(&mut self) -> Option<Change> {
        match self.chance.below(24) {
            0..=2 => self.name_of_a_patient(),
            3..=5 => self.joined_change(NAME, 3),
            6..=8 => self.joined_change(ADDRESS, 3),
            9 | 10 => {
                let (id, patient) = (self.fresh(), self.any(PATIENT)?);
                let (street, city) = (format!("S{}", self.chance.below(100)), "C".to_string());
                Some(self.insert(ADDRESS, id, vec![Value::Int(id), Value::Int(patient), text(street), text(city)]))
            }
            11..=13 => self.joined_delete(),
            14 | 15 => self.move_key(),
            16..=18 => {
                let id = self.any(PATIENT)?;
                let mut values = self.rows[PATIENT][&id].clone();
                values[2] = text(if self.chance.one_in(2) { UNKNOWN_SEX } else { "M" }.into());
                Some(self.update(PATIENT, id, values))
            }
            19 | 20 => {
                let id = self.any(OBSERVATION)?;
                let mut values = self.rows[OBSERVATION][&id].clone();
                match self.chance.below(2) {
                    0 if self.strikes(Fault::Rejected) => values[5] = Value::Decimal(REFUSED.into()),
                    _ => values[9] = text(format!("N{}", self.chance.below(1_000))),
                }
                Some(self.update(OBSERVATION, id, values))
            }
            21 if self.chance.one_in(3) && self.strikes(Fault::Truncated) => {
                let table = if self.chance.one_in(2) { NAME } else { OBSERVATION };
                self.rows[table].clear();
                Some(Change::Truncate(table))
            }
            22 if self.chance.one_in(2) && self.strikes(Fault::Ddl) => self.add_column(),
            23 if self.chance.one_in(4) && self.strikes(Fault::Ddl) => self.retype(),
            _ => None,
        }
    }

    fn name_of_a_patient(&mut self) -> Option<Change> {
        let (id, patient) = (self.fresh(), self.any(PATIENT)?);
        let family = text(format!("F{}", self.chance.below(100)));
        Some(self.insert(NAME, id, vec![Value::Int(id), Value::Int(patient), text("L".into()), family, Value::Null]))
    }

    /// Another text in a joined row, or another patient.
    fn joined_change(&mut self, table: usize, column: usize) -> Option<Change> {
        let id = self.any(table)?;
        let mut values = self.rows[table][&id].clone();
        if self.chance.one_in(4) {
            values[1] = Value::Int(self.any(PATIENT)?);
        }
        values[column] = text(format!("T{}", self.chance.below(100)));
        Some(self.update(table, id, values))
    }

    fn joined_delete(&mut self) -> Option<Change> {
        let table = if self.chance.one_in(2) { NAME } else { ADDRESS };
        let id = self.any(table)?;
        self.rows[table].remove(&id);
        let before = self.only_key(table, id);
        Some(self.told(table, RowChange::Delete { before }))
    }

    /// The row stays, its key changes: for the engine that is another row.
    fn move_key(&mut self) -> Option<Change> {
        let table = if self.chance.one_in(2) { NAME } else { OBSERVATION };
        let (old, new) = (self.any(table)?, self.fresh());
        let mut values = self.rows[table].remove(&old)?;
        values[0] = Value::Int(new);
        let before = Some(self.only_key(table, old));
        let after = self.row(table, &values);
        self.rows[table].insert(new, values);
        Some(self.told(table, RowChange::Update { before, after }))
    }

    /// A new nullable column; the rows that are there have null in it.
    fn add_column(&mut self) -> Option<Change> {
        let table = if self.chance.one_in(2) { PATIENT } else { OBSERVATION };
        let mut schema = self.plans[table].schema().clone();
        if schema.columns.len() > 13 {
            return None;
        }
        let name = format!("added_{}", schema.columns.len());
        schema.columns.push(Column { name: name.as_str().into(), ty: ColumnType::Text, native: 1 });
        self.plans[table] = Arc::new(Plan::new(&schema));
        self.rows[table].values_mut().for_each(|values| values.push(Value::Null));
        None
    }

    /// A mapped column gets another type of the database, which reads as before.
    fn retype(&mut self) -> Option<Change> {
        let mut schema = self.plans[OBSERVATION].schema().clone();
        schema.columns[4].native += 1;
        self.plans[OBSERVATION] = Arc::new(Plan::new(&schema));
        None
    }
}
