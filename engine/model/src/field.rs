//! Fields: element paths whose repeating steps are addressed by a declared key, never by index (clinical S6).
//!
//! * A list without a key is one atomic field; repeats of a key make the list atomic for that unit.
//! * A choice element is one field (`effective`), whatever its type.

use crate::json::Json;
use alloc::{boxed::Box, collections::BTreeMap};
use core::fmt;

/// The address of one field inside its resource: `name[official].family`, `birthDate`, `value`.
/// A key's values may be patient data (an identifier's system is not, a telecom's value would be), so `Debug` is the
/// path with each key hashed away; [`FieldAddress::as_str`] is for code.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldAddress(Box<str>);

impl FieldAddress {
    /// Takes the text form.
    pub fn new(text: &str) -> FieldAddress {
        FieldAddress(text.into())
    }

    /// The text form, with keys.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FieldAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut inside = false;
        for c in self.0.chars() {
            match c {
                '[' => {
                    inside = true;
                    f.write_str("[..]")?;
                }
                ']' => inside = false,
                _ if inside => {}
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// The fields of a unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fields(pub BTreeMap<FieldAddress, Json>);
