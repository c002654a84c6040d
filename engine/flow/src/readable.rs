//! Whether what the journal holds reads as its schema says: decoded once, when it is folded, before anything changes.
//!
//! What does not read is no panic and is not passed over: the fold holds its table, and the entry stays as evidence. The
//! errors are words without a value; they follow the entry's name.

use model::{Cell, Chunk, Row, RowKey};
use schemas::Plan;

const UNEXPLAINED: &str = "has bytes that its schema does not explain";
const KEYLESS: &str = "has a row without its key";

/// A row that reads.
pub(crate) struct Readable<'a> {
    pub key: RowKey,
    pub cells: Vec<Cell<'a>>,
}

/// Reads a row whole.
pub(crate) fn read<'a>(plan: &Plan, row: &'a Row) -> Result<Readable<'a>, &'static str> {
    let cells = plan.cells(row).map_err(|_| UNEXPLAINED)?;
    let key = plan.key_of_cells(&cells).ok_or(KEYLESS)?;
    Ok(Readable { key, cells })
}

/// The key of a row before its change, if the log told it.
pub(crate) fn key_before(plan: &Plan, before: &Row) -> Result<Option<RowKey>, &'static str> {
    plan.key(before).map_err(|_| UNEXPLAINED)
}

/// A chunk's rows with their keys and places, in key order. Each has a key of its own in the chunk's range, else the range would say of other
/// rows that they are gone.
pub(crate) fn rows_by_key<'a>(plan: &Plan, chunk: &'a Chunk) -> Result<Vec<(RowKey, u32, &'a Row)>, &'static str> {
    let (mut seen, mut cells) = (Vec::with_capacity(chunk.rows.len()), Vec::new());
    for (at, row) in (0..).zip(&chunk.rows) {
        plan.read_into(row, &mut cells).map_err(|_| UNEXPLAINED)?;
        if cells.contains(&Cell::Unchanged) {
            return Err("has a row that is not whole");
        }
        let key = plan.key_of_cells(&cells).ok_or(KEYLESS)?;
        let behind = chunk.key_from.as_ref().is_some_and(|from| key <= *from);
        if behind || chunk.key_to.as_ref().is_some_and(|to| key > *to) {
            return Err("has a row outside of its range");
        }
        seen.push((key, at, row));
    }
    let rises = |seen: &[(RowKey, u32, &Row)]| seen.is_sorted_by(|(a, ..), (b, ..)| a < b);
    if !rises(&seen) {
        seen.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        if !rises(&seen) {
            return Err("has two rows of one key");
        }
    }
    Ok(seen)
}
