//! A JSON tree that borrows from the body: numbers and strings stay the text that was sent.
//!
//! Never rounds a number and never copies a string. Refuses what JSON allows but FHIR servers disagree about: a member
//! twice in one object, more than [`DEPTH_MAX`] levels. Faults name the byte, not what stands there.

use std::borrow::Cow;

/// Levels of nesting that a body may have; deeper ones are attacks or accidents.
pub const DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(&'a str),
    /// Between its quotes, escapes and all.
    String(&'a str),
    Array(Vec<Json<'a>>),
    /// Names are between their quotes too, and each stands once.
    Object(Vec<(&'a str, Json<'a>)>),
}

/// Why a body is not JSON.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {why}; nothing was stored")]
pub struct Malformed {
    /// The byte at which reading stopped.
    pub at: usize,
    /// What was expected there.
    pub why: &'static str,
}

impl<'a> Json<'a> {
    /// Reads a whole body.
    pub fn parse(body: &'a [u8]) -> Result<Json<'a>, Malformed> {
        let text = std::str::from_utf8(body).map_err(|bad| Malformed { at: bad.valid_up_to(), why: "not UTF-8" })?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at < text.len() { Err(reader.fault("something stands behind the value")) } else { Ok(value) }
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => members.iter().find(|(held, _)| *held == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A string's text with its escapes resolved.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Json::String(raw) => Some(unescape(raw)),
            _ => None,
        }
    }

    /// Writes it without blanks; numbers and strings as they came.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::String(raw) => quoted(out, raw),
            Json::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_member(out, name, value);
                }
                out.push('}');
            }
        }
    }

    /// Whether both say the same: members in any order, strings by their text, numbers by their digits.
    pub fn same_as(&self, other: &Json<'_>) -> bool {
        match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Number(a), Json::Number(b)) => a == b,
            (Json::String(a), Json::String(b)) => a == b || unescape(a) == unescape(b),
            (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_as(b)),
            (Json::Object(a), Json::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| other.get(name).is_some_and(|b| a.same_as(b)))
            }
            _ => false,
        }
    }
}

/// Writes `"name":value`.
pub fn write_member(out: &mut String, name: &str, value: &Json<'_>) {
    quoted(out, name);
    out.push(':');
    value.write(out);
}

fn quoted(out: &mut String, raw: &str) {
    out.push('"');
    out.push_str(raw);
    out.push('"');
}

/// Writes text as a JSON string, with the escapes it needs.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Resolves the escapes of a string that [`Json::parse`] has read.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut units = Vec::new();
    let mut rest = raw;
    while let Some((before, behind)) = rest.split_once('\\') {
        units.extend(before.encode_utf16());
        let (kind, mut after) = behind.split_at(behind.len().min(1));
        let unit = match kind {
            "b" => 8,
            "f" => 12,
            "n" => 10,
            "r" => 13,
            "t" => 9,
            "u" => {
                let (hex, behind) = after.split_at(after.len().min(4));
                after = behind;
                u16::from_str_radix(hex, 16).unwrap_or(0xfffd)
            }
            other => other.bytes().next().map_or(0xfffd, u16::from),
        };
        units.push(unit);
        rest = after;
    }
    units.extend(rest.encode_utf16());
    Cow::Owned(String::from_utf16_lossy(&units))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, why: &'static str) -> Malformed {
        Malformed { at: self.at, why }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next, blanks aside.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        if depth > DEPTH_MAX {
            return Err(self.fault("too many levels"));
        }
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)] {
                    if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fault("a value is expected"))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `]` is expected"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        self.at += 1;
        let mut members: Vec<(&'a str, Json<'a>)> = Vec::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            if members.iter().any(|(held, _)| *held == name) {
                return Err(self.fault("a member stands twice"));
            }
            if !self.take(b':') {
                return Err(self.fault("`:` is expected"));
            }
            members.push((name, self.value(depth + 1)?));
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.fault("`,` or `}` is expected"));
            }
        }
    }

    fn string(&mut self) -> Result<&'a str, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("a string is expected"));
        }
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(raw);
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => return Err(self.fault("a control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("a string does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let long = match rest {
            [b'u', hex @ ..] if hex.len() >= 4 && hex[..4].iter().all(u8::is_ascii_hexdigit) => 6,
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            _ => return Err(self.fault("an escape that JSON does not define")),
        };
        self.at += long;
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a digit is expected")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json<'a>, Malformed> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Json::Number(&self.text[start..self.at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let mut out = String::new();
        Json::parse(text.as_bytes()).map(|json| json.write(&mut out)).unwrap();
        out
    }

    #[test]
    fn numbers_and_strings_come_back_as_they_were_sent() {
        let text = r#"{"a":[1.00,-0.50e+3,"\u00e9\n",true,null],"b":{}}"#;
        assert_eq!(again(text), text);
        assert_eq!(again(" { \"a\" : [ ] } "), r#"{"a":[]}"#);
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let wrong = [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "+1",
            "\"\\x\"",
            "\"a",
            "{\"a\":1}x",
            "{\"a\":1,\"a\":2}",
            "\"\u{1}\"",
        ];
        for text in wrong {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(Json::parse(b"[1 2]").err().map(|bad| bad.at), Some(3));
        assert!(Json::parse("[".repeat(DEPTH_MAX + 2).as_bytes()).is_err());
    }

    #[test]
    fn escapes_and_member_order_make_no_difference() {
        let a = Json::parse(br#"{"x":"\u0041","y":[1]}"#).unwrap();
        assert!(a.same_as(&Json::parse(br#"{"y":[1],"x":"A"}"#).unwrap()));
        assert!(!a.same_as(&Json::parse(br#"{"y":[1.0],"x":"A"}"#).unwrap()));
    }
}
