//! A JSON tree with numbers as text, so that no decimal is ever rounded (clinical S15).
//!
//! Never holds a float. `Debug` prints kinds and lengths. Objects keep the order they were given in.
//! Parsing is RFC 8259 to the letter, with two refusals of ours: a repeated member name, and nesting below
//! [`JSON_DEPTH_MAX`]. An error says where and what kind, never what stood there.

mod parse;

pub use parse::{JsonError, JsonErrorKind};

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// How deep lists and objects may nest: R4 resources stay below 20, and the parser recurses.
pub const JSON_DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number exactly as written.
    Number(Box<str>),
    /// A string.
    String(Box<str>),
    /// A list.
    Array(Vec<Json>),
    /// An object; names are unique (the parser refuses repeats).
    Object(Vec<(Box<str>, Json)>),
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(_) => f.write_str("bool"),
            Json::Number(text) => write!(f, "number[{}]", text.len()),
            Json::String(text) => write!(f, "string[{}]", text.len()),
            Json::Array(items) => write!(f, "array[{}]", items.len()),
            Json::Object(members) => write!(f, "object[{}]", members.len()),
        }
    }
}

impl Json {
    /// Parses one JSON text.
    pub fn parse(text: &[u8]) -> Result<Json, JsonError> {
        parse::parse(text)
    }

    /// Appends the compact text: no spaces, the fewest escapes that RFC 8259 allows.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(true) => out.extend_from_slice(b"true"),
            Json::Bool(false) => out.extend_from_slice(b"false"),
            Json::Number(text) => out.extend_from_slice(text.as_bytes()),
            Json::String(text) => write_string(out, text),
            Json::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_string(out, name);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The compact text.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        out
    }

    /// A string.
    pub fn text(text: &str) -> Json {
        Json::String(text.into())
    }

    /// The member called `name` of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| &**key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The content of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number as written; none if `text` is not one by RFC 8259.
    pub fn number(text: &str) -> Option<Json> {
        parse::is_number(text.as_bytes()).then(|| Json::Number(text.into()))
    }

    /// An object of these members, in this order. The names must be unique.
    pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The members of an object.
    pub fn members(&self) -> Option<&[(Box<str>, Json)]> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it says nothing: null, or an object or list in which nothing says anything. Such a member equals an
    /// absent one.
    pub fn is_vacant(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
            Json::Array(items) => items.iter().all(Json::is_vacant),
            Json::Object(members) => members.iter().all(|(_, value)| value.is_vacant()),
        }
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(control >> 4)]);
                out.push(DIGITS[usize::from(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

#[cfg(test)]
pub(crate) mod tests;
