//! A JSON tree with numbers as text, so that no decimal is ever rounded (clinical S15).
//!
//! Never holds a float. `Debug` prints kinds and lengths. Objects keep the order they were given in.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

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
}
