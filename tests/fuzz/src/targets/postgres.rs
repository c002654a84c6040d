//! What a PostgreSQL server sends, and what is written about one in a configuration.

use super::{text, texts as of_texts};
use model::ColumnType;
use postgres::{
    fuzz, parse_url,
    pgoutput::{Message, parse},
    position::{Lsn, show},
    values,
};

/// Any bytes are a message or an error, and a message can be read to its end.
pub fn pgoutput(bytes: &[u8]) {
    match parse(bytes) {
        Ok(Message::Insert { new, .. }) => drop(new.cells().collect::<Vec<_>>()),
        Ok(Message::Update { old, new, .. }) => {
            let _ = old.map(|old| old.tuple().cells().count());
            drop(new.cells().collect::<Vec<_>>());
        }
        Ok(Message::Delete { old, .. }) => drop(old.tuple().cells().collect::<Vec<_>>()),
        Ok(Message::Relation(relation)) => drop(relation.columns().collect::<Vec<_>>()),
        Ok(Message::Truncate(relations)) => drop(relations.iter().collect::<Vec<_>>()),
        Ok(_) | Err(_) => {}
    }
}

fn tuple(cells: &[Option<&str>]) -> Vec<u8> {
    let mut out = u16::try_from(cells.len()).unwrap_or(0).to_be_bytes().to_vec();
    for cell in cells {
        match cell {
            Some(text) => {
                out.push(b't');
                out.extend((text.len() as u32).to_be_bytes());
                out.extend(text.as_bytes());
            }
            None => out.push(b'n'),
        }
    }
    out
}

pub fn pgoutput_seeds() -> Vec<Vec<u8>> {
    let id = 16_400_u32.to_be_bytes();
    let (old, new) = (tuple(&[Some("7"), None]), tuple(&[Some("7"), Some("a text")]));
    let begin = [&b"B"[..], &[0; 20]].concat();
    let commit = [&b"C"[..], &[0; 25]].concat();
    let mut relation = [&b"R"[..], &id, b"public\0patient\0d", &2_u16.to_be_bytes()].concat();
    for (key, name, ty) in [(1, "id", 20_u32), (0, "mrn", 25)] {
        relation.extend([&[key][..], name.as_bytes(), &[0], &ty.to_be_bytes(), &[0xff; 4]].concat());
    }
    let unchanged = [&2_u16.to_be_bytes()[..], b"u", b"n"].concat();
    vec![
        begin,
        commit,
        relation,
        [&b"I"[..], &id, b"N", &new].concat(),
        [&b"U"[..], &id, b"K", &old, b"N", &new].concat(),
        [&b"U"[..], &id, b"N", &unchanged].concat(),
        [&b"D"[..], &id, b"K", &old].concat(),
        [&b"T"[..], &1_u32.to_be_bytes(), &[0], &id].concat(),
        [&b"M"[..], &[1], &[0; 8], b"lockstep:clinic\0", &4_u32.to_be_bytes(), b"text"].concat(),
        [&b"Y"[..], &id, b"public\0kind\0"].concat(),
        [&b"O"[..], &[0; 8], b"origin\0"].concat(),
    ]
}

/// Bytes of the socket are cut into frames.
pub fn stream(bytes: &[u8]) {
    fuzz::stream(bytes);
    fuzz::row(bytes);
}

pub fn stream_seeds() -> Vec<Vec<u8>> {
    let frame = |tag: u8, body: &[u8]| [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat();
    let changes = pgoutput_seeds().into_iter().map(|change| frame(b'd', &[&b"w"[..], &[0; 24], &change].concat()));
    let mut all: Vec<Vec<u8>> = changes.collect();
    all.push(frame(b'd', &[&b"k"[..], &[0, 0, 0, 0, 1, 2, 3, 4], &[0; 8], &[1]].concat()));
    all.push(frame(b'E', b"SERROR\0C57P01\0Mterminating connection\0\0"));
    all.push(frame(b'c', b""));
    all.push(all.concat());
    all.push([&2_u16.to_be_bytes()[..], &4_i32.to_be_bytes(), b"slot", &(-1_i32).to_be_bytes()].concat());
    all
}

const TYPES: [ColumnType; 10] = [
    ColumnType::Bool,
    ColumnType::Int,
    ColumnType::Decimal,
    ColumnType::Text,
    ColumnType::Bytes,
    ColumnType::Date,
    ColumnType::Time,
    ColumnType::DateTime,
    ColumnType::Instant,
    ColumnType::Raw,
];

/// Any text of any column type comes back as the very same text.
pub fn values(bytes: &[u8]) {
    let Some((ty, rest)) = bytes.split_first() else { return };
    let (ty, text) = (TYPES[usize::from(*ty) % TYPES.len()], text(rest));
    let value = values::cell(ty, text, &mut Vec::new()).to_value();
    assert!(values::text(&value).as_deref() == Some(text), "{ty:?}: another text comes back");
}

pub fn values_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "t",
        "-9223372036854775808",
        "-0.10",
        "a text",
        "\\x00ff",
        "2024-02-29",
        "23:59:59.999999",
        "2024-02-29 24:00:00",
        "0044-03-15 12:00:00+00",
        "infinity",
        "-infinity",
        "0001-01-01 BC",
        "294276-12-31 23:59:59.999999+00",
        "NaN",
    ];
    let each = |ty: u8| texts.iter().map(move |text| [&[ty][..], text.as_bytes()].concat());
    (0..TYPES.len() as u8).flat_map(each).collect()
}

/// Places in the log, snapshots, URLs. A place comes back as it was; no fault of a URL says its password.
pub fn texts(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(lsn) = Lsn::parse(text) {
        assert!(Lsn::parse(&lsn.to_string()) == Some(lsn), "another place comes back");
        assert!(Lsn::of(&lsn.position()) == Some(lsn), "a place is its position");
    }
    if let Some(position) = model::SourcePosition::new(bytes) {
        drop(show(&position));
    }
    fuzz::snapshot(text, 7);
    if let Ok(address) = parse_url(text) {
        drop(format!("{address:?}"));
    }
}

pub fn texts_seeds() -> Vec<Vec<u8>> {
    of_texts(&[
        "0/1A2B3C0",
        "FFFFFFFF/FFFFFFFF",
        "10:20:10,14,15",
        "4294967296:4294967300:",
        "postgres://capture@127.0.0.1:5432/ehr?sslmode=verify-full",
        "postgres://capture@[::1]:5432/ehr?sslmode=disable",
        "postgresql://a%20b@/ehr?host=/var/run/postgresql",
    ])
}
