//! Row keys: the key's cells as bytes whose order is the order of the cells.
//!
//! Chunks are ranges of them (J8), store keys are made of them (J20). A key may hold patient data: `Debug` prints the
//! length, people are shown a keyed hash.
//! Layout: per cell a tag, then for integers eight bytes big-endian with the sign flipped, for text and bytes the
//! content with `00` written as `00 ff` and closed by `00 01`.

use crate::{
    id::Hash,
    value::{Cell, Value},
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

/// A row's key; byte order is key order for types whose order we reproduce exactly (J8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(Box<[u8]>);

impl RowKey {
    /// Encodes the key's cells, in key order. `None` if a cell is `Unchanged`: then the row has no known key.
    pub fn encode<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<RowKey> {
        let mut bytes = Vec::with_capacity(16);
        for cell in cells {
            push(&mut bytes, cell)?;
        }
        Some(RowKey(bytes.into()))
    }

    /// Takes bytes that [`RowKey::encode`] made.
    pub fn from_bytes(bytes: &[u8]) -> RowKey {
        RowKey(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's cells again; `None` if the bytes are not a key's.
    pub fn decode(&self) -> Option<Vec<Value>> {
        let (mut rest, mut cells) = (&*self.0, Vec::new());
        while let Some((tag, tail)) = rest.split_first() {
            let (value, tail) = pull(*tag, tail)?;
            cells.push(value);
            rest = tail;
        }
        Some(cells)
    }

    /// The key for people: eight hex digits of a hash keyed with a secret of the deployment (clinical S18).
    pub fn tag(&self, secret: &[u8; 32]) -> String {
        Hash(*blake3::keyed_hash(secret, &self.0).as_bytes()).short()
    }
}

fn push(out: &mut Vec<u8>, cell: Cell<'_>) -> Option<()> {
    match cell {
        Cell::Null => out.push(0),
        Cell::Unchanged => return None,
        Cell::Bool(x) => out.extend([1, u8::from(x)]),
        Cell::Int(x) => push_int(out, 2, x),
        Cell::Date(x) => push_int(out, 3, i64::from(x)),
        Cell::Time(x) => push_int(out, 4, x),
        Cell::DateTime(x) => push_int(out, 5, x),
        Cell::Instant(x) => push_int(out, 6, x),
        Cell::Bytes(x) => push_bytes(out, 7, x),
        Cell::Text(x) => push_bytes(out, 8, x.as_bytes()),
        Cell::Decimal(x) => push_bytes(out, 9, x.as_bytes()),
        Cell::Raw(x) => push_bytes(out, 10, x.as_bytes()),
    }
    Some(())
}

fn push_int(out: &mut Vec<u8>, tag: u8, x: i64) {
    out.push(tag);
    out.extend((x.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

fn push_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 1]);
}

fn pull(tag: u8, bytes: &[u8]) -> Option<(Value, &[u8])> {
    let int = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?).cast_signed() ^ i64::MIN);
    Some(match tag {
        0 => (Value::Null, bytes),
        1 => (Value::Bool(*bytes.first()? == 1), bytes.get(1..)?),
        2 => (Value::Int(int(bytes)?), bytes.get(8..)?),
        3 => (Value::Date(i32::try_from(int(bytes)?).ok()?), bytes.get(8..)?),
        4 => (Value::Time(int(bytes)?), bytes.get(8..)?),
        5 => (Value::DateTime(int(bytes)?), bytes.get(8..)?),
        6 => (Value::Instant(int(bytes)?), bytes.get(8..)?),
        7 => pull_bytes(bytes).map(|(content, tail)| (Value::Bytes(content.into()), tail))?,
        8 => text(bytes).map(|(content, tail)| (Value::Text(content), tail))?,
        9 => text(bytes).map(|(content, tail)| (Value::Decimal(content), tail))?,
        10 => text(bytes).map(|(content, tail)| (Value::Raw(content), tail))?,
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Option<(Box<str>, &[u8])> {
    let (content, tail) = pull_bytes(bytes)?;
    Some((String::from_utf8(content).ok()?.into(), tail))
}

fn pull_bytes(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        match bytes {
            [0, 1, tail @ ..] => return Some((content, tail)),
            [0, 0xff, tail @ ..] => {
                content.push(0);
                bytes = tail;
            }
            [0, ..] | [] => return None,
            [byte, tail @ ..] => {
                content.push(*byte);
                bytes = tail;
            }
        }
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key[{}]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(cells: &[Cell<'_>]) -> RowKey {
        RowKey::encode(cells.iter().copied()).expect("known")
    }

    proptest! {
        #[test]
        fn byte_order_is_integer_order(a: i64, b: i64) {
            prop_assert_eq!(key(&[Cell::Int(a)]).cmp(&key(&[Cell::Int(b)])), a.cmp(&b));
        }

        #[test]
        fn byte_order_is_text_order_and_parts_do_not_run_together(a: [String; 2], b: [String; 2]) {
            let ka = key(&[Cell::Text(&a[0]), Cell::Text(&a[1])]);
            let kb = key(&[Cell::Text(&b[0]), Cell::Text(&b[1])]);
            let order = a.iter().map(|s| s.as_bytes()).cmp(b.iter().map(|s| s.as_bytes()));
            prop_assert_eq!(ka.cmp(&kb), order);
        }
    }

    #[test]
    fn a_key_decodes_to_its_cells() {
        let cells = [
            Cell::Int(-7),
            Cell::Text("a\0b"),
            Cell::Null,
            Cell::Bytes(&[0, 1, 255]),
            Cell::Date(-1),
            Cell::Bool(true),
            Cell::Instant(5),
            Cell::Decimal("1.00"),
            Cell::Raw("x"),
            Cell::Time(9),
            Cell::DateTime(i64::MIN),
        ];
        let values: Vec<Value> = cells.iter().map(|cell| cell.to_value()).collect();
        assert_eq!(key(&cells).decode(), Some(values));
        assert_eq!(RowKey::from_bytes(&[8, 0]).decode(), None);
    }

    #[test]
    fn a_key_with_an_unknown_cell_is_no_key() {
        assert!(RowKey::encode([Cell::Int(1), Cell::Unchanged]).is_none());
    }
}
