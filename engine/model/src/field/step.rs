//! Steps of an address, and the escapes that keep them apart.

use alloc::{borrow::Cow, string::String};

/// One step of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The member's name as it stands in the address.
    pub(crate) raw: &'a str,
    /// The item's key as it stands between the brackets; none unless the step is an item of a list.
    pub(crate) key: Option<&'a str>,
}

impl<'a> Step<'a> {
    /// The member's name.
    pub fn name(&self) -> Cow<'a, str> {
        unescape(self.raw)
    }

    /// Whether it is an item of a list.
    pub fn is_item(&self) -> bool {
        self.key.is_some()
    }
}

pub(super) struct Steps<'a> {
    rest: Option<&'a str>,
}

impl Steps<'_> {
    pub(super) fn new(address: &str) -> Steps<'_> {
        Steps { rest: Some(address) }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let rest = self.rest.take()?;
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (raw, tail) = rest.split_at(end);
        let (key, tail) = match tail.strip_prefix('[').and_then(|tail| tail.split_once(']')) {
            Some((key, tail)) => (Some(key), tail),
            None => (None, tail),
        };
        self.rest = tail.strip_prefix('.');
        Some(Step { raw, key })
    }
}

/// Appends `text` with everything escaped that has a meaning in an address.
pub(super) fn escape(out: &mut String, text: &str, dot: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for c in text.chars() {
        match c {
            '[' | ']' | ',' | '=' | '#' | '|' | ';' | '%' => {
                let byte = c as u8;
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
            '.' if dot => out.push_str("%2E"),
            c => out.push(c),
        }
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let byte = behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, behind.get(2..)) {
            (Some(byte), Some(tail)) if byte.is_ascii() => {
                out.push(char::from(byte));
                rest = tail;
            }
            _ => {
                out.push('%');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}
