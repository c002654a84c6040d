//! The parser: bytes to tree, RFC 8259.

use super::{JSON_DEPTH_MAX, Json};
use alloc::{boxed::Box, string::String, vec::Vec};

/// Why a text is no JSON of ours, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// The byte at which it was seen.
    pub offset: usize,
    /// What is wrong.
    pub kind: JsonErrorKind,
}

/// What can be wrong with a JSON text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum JsonErrorKind {
    /// The text ends inside a value.
    #[error("the text ends inside a value: was it cut?")]
    Ended,
    /// Another byte was due.
    #[error("unexpected byte")]
    Unexpected,
    /// Something follows the value.
    #[error("more text behind the value")]
    Trailing,
    /// Not UTF-8.
    #[error("not UTF-8: have the sender encode it as such")]
    Utf8,
    /// A number that RFC 8259 does not know.
    #[error("malformed number")]
    Number,
    /// An escape that RFC 8259 does not know, or half of a surrogate pair.
    #[error("malformed escape")]
    Escape,
    /// A control character inside a string.
    #[error("unescaped control character in a string")]
    Control,
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested too deep")]
    Depth,
    /// Two members of one object have one name: which of them is meant, nobody knows.
    #[error("repeated member name")]
    Repeated,
}

/// Up to here names are compared pair by pair, above they are sorted: a hostile object costs n log n.
const PAIRWISE_MAX: usize = 24;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, JsonError>;

pub(super) fn parse(bytes: &[u8]) -> Parsed<Json> {
    let text = core::str::from_utf8(bytes)
        .map_err(|error| JsonError { offset: error.valid_up_to(), kind: JsonErrorKind::Utf8 })?;
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.space();
    if parser.at < bytes.len() {
        return parser.fault(JsonErrorKind::Trailing);
    }
    Ok(value)
}

pub(super) fn is_number(bytes: &[u8]) -> bool {
    number_end(bytes, 0) == Some(bytes.len())
}

impl Parser<'_> {
    fn fault<T>(&self, kind: JsonErrorKind) -> Parsed<T> {
        Err(JsonError { offset: self.at, kind })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no space; stays on it.
    fn next(&mut self) -> Parsed<u8> {
        self.space();
        match self.peek() {
            Some(byte) => Ok(byte),
            None => self.fault(JsonErrorKind::Ended),
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Json> {
        match self.next()? {
            b'{' | b'[' if depth >= JSON_DEPTH_MAX => self.fault(JsonErrorKind::Depth),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => Ok(Json::String(self.string()?)),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.fault(JsonErrorKind::Unexpected),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Parsed<Json> {
        for due in word.bytes() {
            match self.peek() {
                Some(byte) if byte == due => self.at += 1,
                Some(_) => return self.fault(JsonErrorKind::Unexpected),
                None => return self.fault(JsonErrorKind::Ended),
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Parsed<Json> {
        let Some(end) = number_end(self.text.as_bytes(), self.at) else {
            return self.fault(JsonErrorKind::Number);
        };
        let text = &self.text[self.at..end];
        self.at = end;
        Ok(Json::Number(text.into()))
    }

    fn array(&mut self, depth: usize) -> Parsed<Json> {
        self.at += 1;
        let mut items = Vec::new();
        if self.next()? == b']' {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            match self.next()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.fault(JsonErrorKind::Unexpected),
            }
        }
        self.at += 1;
        Ok(Json::Array(items))
    }

    fn object(&mut self, depth: usize) -> Parsed<Json> {
        self.at += 1;
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        if self.next()? == b'}' {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            if self.next()? != b'"' {
                return self.fault(JsonErrorKind::Unexpected);
            }
            let start = self.at;
            let name = self.string()?;
            if members.len() < PAIRWISE_MAX && members.iter().any(|(known, _)| *known == name) {
                return Err(JsonError { offset: start, kind: JsonErrorKind::Repeated });
            }
            if self.next()? != b':' {
                return self.fault(JsonErrorKind::Unexpected);
            }
            self.at += 1;
            let value = self.value(depth)?;
            members.push((name, value));
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return self.fault(JsonErrorKind::Unexpected),
            }
        }
        if members.len() > PAIRWISE_MAX && repeats(&members) {
            return self.fault(JsonErrorKind::Repeated);
        }
        self.at += 1;
        Ok(Json::Object(members))
    }

    fn string(&mut self) -> Parsed<Box<str>> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.peek() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(text.into());
        }
        let mut text = String::from(&self.text[start..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return self.fault(JsonErrorKind::Control),
                None => return self.fault(JsonErrorKind::Ended),
            }
            let from = self.at;
            self.plain();
            text.push_str(&self.text[from..self.at]);
        }
        self.at += 1;
        Ok(text.into())
    }

    /// Goes on to the next quote, backslash or control character. All of them are ASCII: it stops at a character's edge.
    fn plain(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\').unwrap_or(rest.len());
        self.at += len;
    }

    fn escape(&mut self) -> Parsed<char> {
        let Some(byte) = self.peek() else { return self.fault(JsonErrorKind::Ended) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return self.fault(JsonErrorKind::Escape),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let high = self.hex()?;
        let code = match high {
            0xd800..=0xdbff => {
                if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                    return self.fault(JsonErrorKind::Escape);
                }
                self.at += 1;
                let low = self.hex()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return self.fault(JsonErrorKind::Escape);
                }
                0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            code => code,
        };
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fault(JsonErrorKind::Escape),
        }
    }

    /// Four hex digits behind the `u` it stands on.
    fn hex(&mut self) -> Parsed<u32> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return self.fault(JsonErrorKind::Ended) };
            let Some(digit) = char::from(byte).to_digit(16) else { return self.fault(JsonErrorKind::Escape) };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

fn repeats(members: &[(Box<str>, Json)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Where the number that begins at `start` ends; none if it is none.
fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        let from = at;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > from).then_some(at)
    };
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits(at)?;
    }
    // `01` and `1.2.3`: a number ends where a number may end.
    (!matches!(bytes.get(at), Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'))).then_some(at)
}
