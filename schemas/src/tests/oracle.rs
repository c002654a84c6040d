//! `apache-avro` as oracle: makes any value that a schema allows, and says what its bytes are.

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter};
use serde_json::Value as Text;
use std::collections::BTreeMap;

/// A schema with its oracle.
pub struct Oracle {
    schema: Schema,
    text: Text,
    named: BTreeMap<String, Text>,
}

impl Oracle {
    pub fn new(avsc: &str) -> Oracle {
        let text: Text = serde_json::from_str(avsc).expect("the schema is JSON");
        let mut named = BTreeMap::new();
        collect(&text, &mut named);
        Oracle { schema: Schema::parse_str(avsc).expect("the schema is Avro"), text, named }
    }

    pub fn write(&self, value: &Value) -> Vec<u8> {
        let writer = GenericDatumWriter::builder(&self.schema).build().expect("writer");
        let mut bytes = Vec::new();
        writer.write_value_ref(&mut bytes, value).expect("the value is of the schema");
        bytes
    }

    pub fn read(&self, mut bytes: &[u8]) -> Value {
        let reader = GenericDatumReader::builder(&self.schema).build().expect("reader");
        let value = reader.read_value(&mut bytes).expect("the bytes are of the schema");
        assert!(bytes.is_empty(), "the oracle leaves {} bytes", bytes.len());
        value
    }

    /// Some value of the schema, the same for the same seed.
    pub fn any(&self, seed: u64) -> Value {
        Any { seed: seed | 1, named: &self.named, depth: 0 }.value(&self.text)
    }
}

fn collect(text: &Text, named: &mut BTreeMap<String, Text>) {
    if let (Some(name), Some(_)) = (text["name"].as_str(), text["type"].as_str()) {
        let is_type = matches!(text["type"].as_str(), Some("record" | "enum" | "fixed"));
        if is_type {
            assert!(named.insert(name.into(), text.clone()).is_none(), "{name} is spelt out twice");
        }
    }
    match text {
        Text::Array(items) => items.iter().for_each(|item| collect(item, named)),
        Text::Object(members) => members.values().for_each(|member| collect(member, named)),
        _ => {}
    }
}

struct Any<'a> {
    seed: u64,
    named: &'a BTreeMap<String, Text>,
    depth: u32,
}

impl Any<'_> {
    fn next(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 3
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Wide and narrow numbers alike.
    fn number(&mut self, bits: u32) -> u64 {
        let shift = self.below(bits as usize) as u32;
        (self.next() << 3) >> (64 - bits) >> shift
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = if self.below(20) == 0 { max } else { self.below(max.min(24) + 1) };
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn string(&mut self) -> String {
        const CHARS: [char; 8] = ['a', 'Z', '0', 'é', '\u{0}', '"', '界', '🜚'];
        let len = if self.below(50) == 0 { 5_000 } else { self.below(9) };
        (0..len).map(|_| CHARS[self.below(8)]).collect()
    }

    fn long(&mut self, ty: &Text) -> i64 {
        match ty["exact"].as_str() {
            Some("u16") => self.number(16) as i64,
            Some("u32") => self.number(32) as i64,
            Some("i32") => i64::from(self.number(32) as i32),
            Some("u64") | None => self.number(64).cast_signed(),
            Some(other) => panic!("{other} is no number"),
        }
    }

    fn array(&mut self, ty: &Text) -> Value {
        let len = if self.depth > 12 { 0 } else { self.below(4) };
        let mut items: Vec<Value> = (0..len).map(|_| self.value(&ty["items"])).collect();
        if ty["exact"] == "rising" {
            let address = |item: &Value| match item {
                Value::Record(fields) => match &fields[0].1 {
                    Value::String(text) => text.clone(),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            };
            items.sort_by_key(address);
            items.dedup_by_key(|item| address(item));
        }
        Value::Array(items)
    }

    fn fixed(&mut self, ty: &Text) -> Value {
        let size = ty["size"].as_u64().expect("a size") as usize;
        let base32 = ty["name"] == "RequestId";
        let byte = |this: &mut Self| if base32 { b'A' + this.below(26) as u8 } else { this.next() as u8 };
        Value::Fixed(size, (0..size).map(|_| byte(self)).collect())
    }

    fn value(&mut self, ty: &Text) -> Value {
        self.depth += 1;
        let value = self.value_of(ty);
        self.depth -= 1;
        value
    }

    fn value_of(&mut self, ty: &Text) -> Value {
        match ty {
            Text::Array(branches) => {
                // Deep in a tree only its leaves.
                let n = if self.depth > 12 { 0 } else { self.below(branches.len()) };
                Value::Union(n as u32, Box::new(self.value(&branches[n])))
            }
            Text::String(name) => match name.as_str() {
                "null" => Value::Null,
                "boolean" => Value::Boolean(self.below(2) == 1),
                "string" => Value::String(self.string()),
                "bytes" => Value::Bytes(self.bytes(3_000)),
                "int" => Value::Int(0),
                "long" => Value::Long(self.long(ty)),
                name => {
                    let named = self.named[name].clone();
                    self.value_of(&named)
                }
            },
            _ => match ty["type"].as_str().expect("a type") {
                "array" => self.array(ty),
                "bytes" => Value::Bytes(self.bytes(23)),
                "long" if ty["logicalType"] == "timestamp-micros" => Value::TimestampMicros(self.long(ty)),
                "long" => Value::Long(self.long(ty)),
                "fixed" => self.fixed(ty),
                "enum" => {
                    let symbols = ty["symbols"].as_array().expect("symbols");
                    let n = self.below(symbols.len());
                    Value::Enum(n as u32, symbols[n].as_str().expect("a symbol").into())
                }
                "record" => {
                    let fields = ty["fields"].as_array().expect("fields");
                    Value::Record(
                        fields
                            .iter()
                            .map(|f| (f["name"].as_str().expect("name").into(), self.value(&f["type"])))
                            .collect(),
                    )
                }
                other => panic!("{other} has no values"),
            },
        }
    }
}
