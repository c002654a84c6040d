//! The messages of `pgoutput`, protocol 1, borrowed from the bytes they came in.
//!
//! Pure; takes bytes and gives errors, never panics, whatever the bytes. Knows nothing of types: a cell is text.

use crate::position::Lsn;
use model::Timestamp;

/// Microseconds from 1970 to 2000, where PostgreSQL's clock starts.
pub(crate) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Bytes that are not a message of protocol 1. Says where, never what stood there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// The message ended too early.
    #[error("a message of pgoutput ends in the middle of {0}")]
    Short(&'static str),
    /// A tag that protocol 1 does not have.
    #[error("a message of pgoutput has the unknown kind 0x{0:02x}")]
    Kind(u8),
    /// A cell that is not text, null or unchanged.
    #[error("a cell of pgoutput has the unknown kind 0x{0:02x}")]
    Cell(u8),
    /// Text that is not UTF-8, although the session asked for it.
    #[error("text from pgoutput is not UTF-8")]
    Utf8,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A transaction that commits at `commit` begins.
    Begin {
        /// The LSN of its commit record.
        commit: Lsn,
        /// When it committed, by the server's clock.
        at: Timestamp,
        /// The low 32 bits of its number.
        xid: u32,
    },
    /// It ends; the log goes on at `end`.
    Commit {
        /// The LSN of its commit record.
        commit: Lsn,
        /// The LSN behind it.
        end: Lsn,
        /// When it committed, by the server's clock.
        at: Timestamp,
    },
    /// The shape of a relation that the next messages name by number.
    Relation(Relation<'a>),
    /// A new row.
    Insert {
        /// The relation's number.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A changed row.
    Update {
        /// The relation's number.
        relation: u32,
        /// What the server logged of the old row: nothing unless the key changed or the identity is full.
        old: Option<Old<'a>>,
        /// The row.
        new: Tuple<'a>,
    },
    /// A deleted row.
    Delete {
        /// The relation's number.
        relation: u32,
        /// What the server logged of it.
        old: Old<'a>,
    },
    /// Tables were emptied.
    Truncate(Relations<'a>),
    /// A logical message.
    Logical {
        /// Whether it belongs to the transaction around it.
        transactional: bool,
        /// Who wrote it.
        prefix: &'a str,
        /// What it says.
        content: Content<'a>,
    },
    /// Where a replicated transaction came from; says nothing about rows.
    Origin,
    /// The name of a type; cells are text, so it says nothing to us.
    Type,
}

/// What a logical message says; anybody may write one, so that `Debug` prints its length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Content<'a>(pub &'a [u8]);

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.0.len())
    }
}

/// The old row, as far as it was logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Old<'a> {
    /// Only the columns of the replica identity; the others are null on the wire and *unknown* in truth.
    Key(Tuple<'a>),
    /// All columns.
    Full(Tuple<'a>),
}

impl<'a> Old<'a> {
    /// The tuple as it stood on the wire.
    pub fn tuple(self) -> Tuple<'a> {
        match self {
            Old::Key(tuple) | Old::Full(tuple) => tuple,
        }
    }
}

/// A relation's shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relation<'a> {
    /// Its number in this stream.
    pub id: u32,
    /// Its schema.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Replica identity: `d`efault, `n`othing, `f`ull, `i`ndex.
    pub identity: u8,
    count: u16,
    columns: &'a [u8],
}

/// A column of a relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelationColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type's OID.
    pub oid: u32,
    /// Whether the replica identity covers it.
    pub identity: bool,
}

impl<'a> Relation<'a> {
    /// Its columns in the order of the cells. [`parse`] has checked them.
    pub fn columns(self) -> impl Iterator<Item = RelationColumn<'a>> {
        let mut bytes = Bytes(self.columns);
        (0..self.count).map_while(move |_| column(&mut bytes).ok())
    }
}

/// The numbers of some relations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relations<'a>(&'a [u8]);

impl<'a> Relations<'a> {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = u32> + 'a {
        self.0.chunks_exact(4).map(|four| four.iter().fold(0, |n, byte| (n << 8) | u32::from(*byte)))
    }
}

/// A row as it stood on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: u16,
    cells: &'a [u8],
}

impl std::fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tuple[{} cells, {} bytes]", self.count, self.cells.len())
    }
}

/// One cell on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Datum<'a> {
    /// SQL NULL.
    Null,
    /// A TOASTed value that did not change and was not logged.
    Unchanged,
    /// The value as text.
    Text(&'a str),
}

impl std::fmt::Debug for Datum<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Datum::Null => f.write_str("null"),
            Datum::Unchanged => f.write_str("unchanged"),
            Datum::Text(text) => write!(f, "text[{}]", text.len()),
        }
    }
}

impl<'a> Tuple<'a> {
    /// How many cells it has.
    pub fn len(self) -> usize {
        usize::from(self.count)
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Its cells in column order. [`parse`] has checked the lengths; only text can still turn out not to be UTF-8.
    pub fn cells(self) -> impl Iterator<Item = Result<Datum<'a>, Malformed>> {
        let mut bytes = Bytes(self.cells);
        (0..self.count).map(move |_| datum(&mut bytes))
    }
}

/// Reads one message.
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut bytes = Bytes(bytes);
    Ok(match bytes.u8("its kind")? {
        b'B' => Message::Begin { commit: bytes.lsn()?, at: bytes.time()?, xid: bytes.u32("a transaction number")? },
        b'C' => {
            bytes.u8("flags")?;
            Message::Commit { commit: bytes.lsn()?, end: bytes.lsn()?, at: bytes.time()? }
        }
        b'R' => Message::Relation(relation(&mut bytes)?),
        b'I' => {
            let relation = bytes.u32("a relation number")?;
            expect(&mut bytes, b'N')?;
            Message::Insert { relation, new: tuple(&mut bytes)? }
        }
        b'U' => update(&mut bytes)?,
        b'D' => {
            let relation = bytes.u32("a relation number")?;
            let kind = bytes.u8("a tuple's kind")?;
            Message::Delete { relation, old: old(&mut bytes, kind)? }
        }
        b'T' => {
            let count = bytes.u32("a count")?;
            bytes.u8("flags")?;
            let length =
                usize::try_from(count).ok().and_then(|n| n.checked_mul(4)).ok_or(Malformed::Short("relations"))?;
            Message::Truncate(Relations(bytes.take(length, "relations")?))
        }
        b'M' => {
            let transactional = bytes.u8("flags")? & 1 == 1;
            bytes.lsn()?;
            let prefix = bytes.text()?;
            let length = bytes.u32("a length")? as usize;
            Message::Logical { transactional, prefix, content: Content(bytes.take(length, "a logical message")?) }
        }
        b'O' => Message::Origin,
        b'Y' => Message::Type,
        kind => return Err(Malformed::Kind(kind)),
    })
}

fn update<'a>(bytes: &mut Bytes<'a>) -> Result<Message<'a>, Malformed> {
    let relation = bytes.u32("a relation number")?;
    let old = match bytes.u8("a tuple's kind")? {
        b'N' => None,
        kind => {
            let old = old(bytes, kind)?;
            expect(bytes, b'N')?;
            Some(old)
        }
    };
    Ok(Message::Update { relation, old, new: tuple(bytes)? })
}

fn old<'a>(bytes: &mut Bytes<'a>, kind: u8) -> Result<Old<'a>, Malformed> {
    match kind {
        b'K' => Ok(Old::Key(tuple(bytes)?)),
        b'O' => Ok(Old::Full(tuple(bytes)?)),
        kind => Err(Malformed::Kind(kind)),
    }
}

fn expect(bytes: &mut Bytes<'_>, kind: u8) -> Result<(), Malformed> {
    match bytes.u8("a tuple's kind")? {
        found if found == kind => Ok(()),
        found => Err(Malformed::Kind(found)),
    }
}

fn relation<'a>(bytes: &mut Bytes<'a>) -> Result<Relation<'a>, Malformed> {
    let id = bytes.u32("a relation number")?;
    let (namespace, name) = (bytes.text()?, bytes.text()?);
    let (identity, count) = (bytes.u8("a replica identity")?, bytes.u16("a count")?);
    let columns = bytes.0;
    for _ in 0..count {
        column(bytes)?;
    }
    Ok(Relation { id, namespace, name, identity, count, columns })
}

fn column<'a>(bytes: &mut Bytes<'a>) -> Result<RelationColumn<'a>, Malformed> {
    let identity = bytes.u8("flags")? & 1 == 1;
    let (name, oid) = (bytes.text()?, bytes.u32("a type number")?);
    bytes.u32("a type modifier")?;
    Ok(RelationColumn { name, oid, identity })
}

fn tuple<'a>(bytes: &mut Bytes<'a>) -> Result<Tuple<'a>, Malformed> {
    let count = bytes.u16("a count")?;
    let cells = bytes.0;
    for _ in 0..count {
        raw(bytes)?;
    }
    Ok(Tuple { count, cells })
}

fn datum<'a>(bytes: &mut Bytes<'a>) -> Result<Datum<'a>, Malformed> {
    Ok(match raw(bytes)? {
        (b'n', _) => Datum::Null,
        (b'u', _) => Datum::Unchanged,
        (_, text) => Datum::Text(std::str::from_utf8(text).map_err(|_| Malformed::Utf8)?),
    })
}

fn raw<'a>(bytes: &mut Bytes<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    match bytes.u8("a cell")? {
        kind @ (b'n' | b'u') => Ok((kind, &[])),
        b't' => {
            let length = bytes.u32("a cell")? as usize;
            Ok((b't', bytes.take(length, "a cell")?))
        }
        kind => Err(Malformed::Cell(kind)),
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Malformed::Short(what))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Malformed::Short(what))?;
        self.0 = tail;
        Ok(*head)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    fn lsn(&mut self) -> Result<Lsn, Malformed> {
        self.array("an LSN").map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.array("a time").map(|bytes| Timestamp(i64::from_be_bytes(bytes).saturating_add(POSTGRES_EPOCH)))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed::Short("a name"))?;
        let text = self.take(length, "a name")?;
        self.u8("a name")?;
        std::str::from_utf8(text).map_err(|_| Malformed::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_logical_message_shows_the_length_of_its_content_and_nothing_of_it() {
        let message = Message::Logical { transactional: false, prefix: "p", content: Content(b"zq") };
        let shown = format!("{message:?}");
        assert!(shown.contains("content: [2]") && !shown.contains("122"), "{shown}");
    }

    /// Reads everything that a message offers, so that laziness hides nothing.
    fn exhaust(bytes: &[u8]) -> Result<(), Malformed> {
        let all = |tuple: Tuple<'_>| tuple.cells().try_for_each(|cell| cell.map(drop));
        match parse(bytes)? {
            Message::Relation(relation) => drop(relation.columns().count()),
            Message::Insert { new, .. } => all(new)?,
            Message::Update { old, new, .. } => {
                old.map_or(Ok(()), |old| all(old.tuple()))?;
                all(new)?;
            }
            Message::Delete { old, .. } => all(old.tuple())?,
            Message::Truncate(relations) => drop(relations.iter().count()),
            Message::Begin { .. } | Message::Commit { .. } | Message::Logical { .. } => {}
            Message::Origin | Message::Type => {}
        }
        Ok(())
    }

    /// As PostgreSQL 15 sent them.
    fn recorded() -> Vec<Vec<u8>> {
        let relation = b"R\0\0\x40\0public\0patient\0d\0\x03\x01patient_id\0\0\0\0\x14\xff\xff\xff\xff\0sex\0\0\0\0\x19\xff\xff\xff\xff\0note\0\0\0\0\x19\xff\xff\xff\xff";
        vec![
            b"B\0\0\0\0\x01\x9d\x0e\x10\0\x02\xa1\x10\x5c\x80\x00\x01\0\0\x02\xf1".to_vec(),
            relation.to_vec(),
            b"I\0\0\x40\0N\0\x03t\0\0\0\x017t\0\0\0\x01Fn".to_vec(),
            b"U\0\0\x40\0K\0\x03t\0\0\0\x017nnN\0\x03t\0\0\0\x018t\0\0\0\x01Fu".to_vec(),
            b"U\0\0\x40\0N\0\x03t\0\0\0\x018t\0\0\0\x01Mu".to_vec(),
            b"D\0\0\x40\0K\0\x03t\0\0\0\x018nn".to_vec(),
            b"T\0\0\0\x01\0\0\0\x40\0".to_vec(),
            b"M\x01\0\0\0\0\x01\x9d\x0e\x10lockstep_x\0\0\0\0\x03low".to_vec(),
            b"C\0\0\0\0\0\x01\x9d\x0e\x10\0\0\0\0\x01\x9d\x0e\x40\0\x02\xa1\x10\x5c\x80\x00\x01".to_vec(),
        ]
    }

    #[test]
    fn recorded_messages_are_read_whole() {
        for message in recorded() {
            assert_eq!(exhaust(&message), Ok(()), "kind {}", message[0] as char);
        }
        let messages = recorded();
        let Ok(Message::Update { old: Some(Old::Key(key)), new, .. }) = parse(&messages[3]) else {
            panic!("an update")
        };
        assert_eq!(key.cells().next(), Some(Ok(Datum::Text("7"))));
        assert_eq!(new.cells().last(), Some(Ok(Datum::Unchanged)));
        let Ok(Message::Relation(relation)) = parse(&messages[1]) else { panic!("a relation") };
        let columns: Vec<_> = relation.columns().map(|c| (c.name, c.oid, c.identity)).collect();
        assert_eq!(columns, [("patient_id", 20, true), ("sex", 25, false), ("note", 25, false)]);
    }

    #[test]
    fn a_cut_message_is_short_at_every_length() {
        for message in recorded() {
            for length in 0..message.len() {
                assert!(matches!(exhaust(&message[..length]), Err(Malformed::Short(_))), "{} of {length}", message[0]);
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = exhaust(&bytes);
        }

        #[test]
        fn a_changed_byte_never_panics(which in 0usize..9, at: prop::sample::Index, byte: u8) {
            let mut message = recorded()[which].clone();
            let at = at.index(message.len());
            message[at] = byte;
            let _ = exhaust(&message);
        }
    }
}
