//! The model's small nouns on the wire: names, positions, keys, hashes, JSON trees, table shapes.

use crate::{
    codec::{Names, Wire},
    wire::{Reader, WireError, Writer},
    wire_record, wire_symbols,
};
use model::{
    Column, ColumnType, EffectId, EntityName, EntryId, FieldAddress, Fields, Fingerprint, Hash, Header, Incarnation,
    Json, RequestId, ResourceType, Row, RowKey, SourcePosition, SystemId, TableName, TableSchema, Term, Timestamp,
    Unit, UnitId, WriterId,
};

macro_rules! wire_name {
    ($($ty:ident),*) => {$(
        impl Wire for $ty {
            fn put(&self, out: &mut Writer<'_>) {
                out.string(self.as_str());
            }
            fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok($ty::from(from.string()?))
            }
            fn avro(_: &mut Names) -> String {
                r#""string""#.into()
            }
        }
    )*};
}

macro_rules! wire_newtype {
    ($($ty:ident),*) => {$(
        impl Wire for $ty {
            fn put(&self, out: &mut Writer<'_>) {
                self.0.put(out);
            }
            fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
                Wire::get(from).map($ty)
            }
            fn avro(names: &mut Names) -> String {
                crate::codec::avro_of(|it: &$ty| Some(&it.0), names)
            }
        }
    )*};
}

wire_name!(SystemId, TableName, EntityName, ResourceType);
wire_newtype!(WriterId, Term, Incarnation, EffectId, Row);
wire_record!(EntryId { writer, seq });
wire_record!(Header { id, term, appended_at });
wire_record!(Unit { resource_type, id });
wire_symbols!(ColumnType { Bool, Int, Decimal, Text, Bytes, Date, Time, DateTime, Instant, Raw });
wire_record!(Column { name, ty, native });
wire_record!(TableSchema { table, columns, key });

impl Wire for Timestamp {
    fn put(&self, out: &mut Writer<'_>) {
        out.long(self.0);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.long().map(Timestamp)
    }
    fn avro(_: &mut Names) -> String {
        r#"{"type":"long","logicalType":"timestamp-micros"}"#.into()
    }
}

impl Wire for Hash {
    fn put(&self, out: &mut Writer<'_>) {
        out.fixed(&self.0);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.array_of().map(Hash)
    }
    fn avro(names: &mut Names) -> String {
        names.fixed("Hash", 32)
    }
}

impl Wire for Fingerprint {
    fn put(&self, out: &mut Writer<'_>) {
        out.fixed(&self.0.to_be_bytes());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Fingerprint(u64::from_be_bytes(from.array_of()?)))
    }
    fn avro(names: &mut Names) -> String {
        names.fixed("Fingerprint", 8)
    }
}

impl Wire for UnitId {
    fn put(&self, out: &mut Writer<'_>) {
        out.fixed(self.as_bytes());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.array_of().map(UnitId::from_bytes)
    }
    fn avro(names: &mut Names) -> String {
        names.fixed("UnitId", 16)
    }
}

impl Wire for RequestId {
    fn put(&self, out: &mut Writer<'_>) {
        out.fixed(&self.0);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let id: [u8; 16] = from.array_of()?;
        if id.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) {
            return Ok(RequestId(id));
        }
        Err(from.refuse("a request in base32"))
    }
    fn avro(names: &mut Names) -> String {
        names.fixed("RequestId", 16)
    }
}

impl Wire for SourcePosition {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(self.as_bytes());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        SourcePosition::new(from.bytes()?).ok_or_else(|| from.refuse("a position"))
    }
    fn avro(_: &mut Names) -> String {
        r#"{"type":"bytes","exact":"position"}"#.into()
    }
}

impl Wire for RowKey {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(self.as_bytes());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.bytes().map(RowKey::from_bytes)
    }
    fn avro(_: &mut Names) -> String {
        r#""bytes""#.into()
    }
}

impl Wire for FieldAddress {
    fn put(&self, out: &mut Writer<'_>) {
        out.string(self.as_str());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.string().map(FieldAddress::new)
    }
    fn avro(_: &mut Names) -> String {
        r#""string""#.into()
    }
}

/// Address and value in turn, in the order of the addresses.
impl Wire for Fields {
    fn put(&self, out: &mut Writer<'_>) {
        out.array(self.0.iter(), |out, (address, value)| {
            address.put(out);
            value.put(out);
        });
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let pairs = from.array(|from| Ok((FieldAddress::get(from)?, <Json as Wire>::get(from)?)))?;
        // One content has one encoding: hashes over these bytes rely on it.
        if pairs.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(from.refuse("fields in the order of their addresses"));
        }
        Ok(Fields(pairs.into_iter().collect()))
    }
    fn avro(names: &mut Names) -> String {
        let item =
            names.record("Field", |names| vec![("address", FieldAddress::avro(names)), ("value", Json::avro(names))]);
        format!(r#"{{"type":"array","exact":"rising","items":{item}}}"#)
    }
}

/// Numbers stay the text they were written as. Branches: 0 null, 1 boolean, 2 string, 3 number, 4 array, 5 object.
impl Wire for Json {
    fn put(&self, out: &mut Writer<'_>) {
        match self {
            Json::Null => out.branch(0),
            Json::Bool(x) => {
                out.branch(1);
                out.boolean(*x);
            }
            Json::String(text) => {
                out.branch(2);
                out.string(text);
            }
            Json::Number(text) => {
                out.branch(3);
                out.string(text);
            }
            Json::Array(items) => {
                out.branch(4);
                items.put(out);
            }
            Json::Object(members) => {
                out.branch(5);
                out.array(members.iter(), |out, (name, value)| {
                    out.string(name);
                    value.put(out);
                });
            }
        }
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match from.branch()? {
            0 => Json::Null,
            1 => Json::Bool(from.boolean()?),
            2 => Json::String(from.string()?.into()),
            3 => Json::Number(from.string()?.into()),
            4 => Json::Array(from.nested(Wire::get)?),
            5 => Json::Object(from.nested(|from| from.array(|from| Ok((Wire::get(from)?, Wire::get(from)?))))?),
            _ => return Err(from.refuse("a branch of Json")),
        })
    }
    fn avro(names: &mut Names) -> String {
        names.record("Json", |names| {
            let number = names.record("JsonNumber", |_| vec![("text", r#""string""#.into())]);
            let array = names.record("JsonArray", |_| vec![("items", r#"{"type":"array","items":"Json"}"#.into())]);
            let member =
                names.record("JsonMember", |_| vec![("name", r#""string""#.into()), ("value", r#""Json""#.into())]);
            let object =
                names.record("JsonObject", |_| vec![("members", format!(r#"{{"type":"array","items":{member}}}"#))]);
            vec![("is", format!(r#"["null","boolean","string",{number},{array},{object}]"#))]
        })
    }
}
