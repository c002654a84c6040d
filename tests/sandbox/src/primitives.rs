//! The syntax of FHIR's primitive types.
//!
//! Never says what stood there, only what was expected.

use crate::json::Json;

/// Whether `value` may stand for a primitive of type `name`.
pub fn check(name: &str, value: &Json<'_>) -> Result<(), &'static str> {
    match name {
        "boolean" => matches!(value, Json::Bool(_)).then_some(()).ok_or("not a JSON boolean"),
        "decimal" => matches!(value, Json::Number(_)).then_some(()).ok_or("not a JSON number"),
        "integer" | "positiveInt" | "unsignedInt" => integer(name, value),
        _ => text(name, &value.text().ok_or("not a JSON string")?),
    }
}

fn integer(name: &str, value: &Json<'_>) -> Result<(), &'static str> {
    let Json::Number(text) = value else { return Err("not a JSON number") };
    let least = match name {
        "positiveInt" => 1,
        "unsignedInt" => 0,
        _ => i32::MIN,
    };
    let number: i32 = text.parse().map_err(|_| "not a 32-bit integer")?;
    if number < least { Err("an integer below what its type allows") } else { Ok(()) }
}

fn text(name: &str, text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("an empty string");
    }
    let (right, why) = match name {
        "id" => (is_id(text), "not an id: 1 to 64 of A-Z a-z 0-9 - ."),
        "code" => (is_code(text), "not a code: blanks at an end, or two in a row"),
        "date" => (is_date(text.as_bytes()), "not a date: YYYY, YYYY-MM or YYYY-MM-DD"),
        "dateTime" => {
            (is_date(text.as_bytes()) || is_instant(text.as_bytes()), "not a dateTime; a time needs seconds and a zone")
        }
        "instant" => (is_instant(text.as_bytes()), "not an instant: date, time with seconds, zone"),
        "time" => (is_time(text.as_bytes()), "not a time: hh:mm:ss, without a zone"),
        "uri" | "url" | "canonical" => (!text.contains(char::is_whitespace), "blanks in a URI"),
        "oid" => (is_oid(text), "not an OID as URN"),
        "uuid" => (is_uuid(text), "not a UUID as URN, in lower case"),
        "base64Binary" => (is_base64(text), "not base64"),
        "xhtml" => (text.trim_start().starts_with("<div"), "a narrative is one <div>"),
        _ => (!text.trim().is_empty(), "nothing but blanks"),
    };
    if right { Ok(()) } else { Err(why) }
}

/// Whether it may be a resource's id.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn is_code(text: &str) -> bool {
    text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn is_date(text: &[u8]) -> bool {
    let part = |from: usize, to: usize| text.get(from..to).and_then(number);
    let Some(year) = part(0, 4).filter(|year| *year > 0) else { return false };
    match text.len() {
        4 => true,
        7 => text[4] == b'-' && part(5, 7).is_some_and(|month| (1..=12).contains(&month)),
        10 => {
            let (Some(month), Some(day)) = (part(5, 7), part(8, 10)) else { return false };
            text[4] == b'-' && text[7] == b'-' && (1..=days(year, month)).contains(&day)
        }
        _ => false,
    }
}

/// Days of a month; none of one that does not exist.
fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

fn is_time(text: &[u8]) -> bool {
    let part = |from: usize, to: usize, most: u32| text.get(from..to).and_then(number).is_some_and(|n| n <= most);
    let whole = part(0, 2, 23) && part(3, 5, 59) && part(6, 8, 60) && text[2] == b':' && text[5] == b':';
    whole
        && match &text[8..] {
            [] => true,
            [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

fn is_instant(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let Some((b'T', rest)) = rest.split_first() else { return false };
    let time = match rest {
        [time @ .., b'Z'] => time,
        [time @ .., b'+' | b'-', h1, h2, b':', m1, m2] => {
            let hours = number(&[*h1, *h2]).is_some_and(|hours| hours <= 14);
            if !hours || number(&[*m1, *m2]).is_none_or(|minutes| minutes > 59) {
                return false;
            }
            time
        }
        _ => return false,
    };
    is_date(date) && is_time(time)
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    let right =
        |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    arcs.starts_with(['0', '1', '2']) && arcs.contains('.') && arcs.split('.').all(right)
}

fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_base64(text: &str) -> bool {
    let bytes: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let body = bytes.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    bytes.len().is_multiple_of(4)
        && bytes.len() - body <= 2
        && bytes[..body].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str, json: &str) -> bool {
        check(name, &Json::parse(json.as_bytes()).unwrap()).is_ok()
    }

    #[test]
    fn right_ones_pass() {
        for (name, json) in [
            ("date", "\"1970\""),
            ("date", "\"2024-02-29\""),
            ("dateTime", "\"2024-02\""),
            ("dateTime", "\"2024-02-29T23:59:60.123Z\""),
            ("instant", "\"2024-02-29T00:00:00+13:45\""),
            ("time", "\"08:30:00.5\""),
            ("decimal", "-1.00e3"),
            ("positiveInt", "1"),
            ("id", "\"A-1.z\""),
            ("code", "\"entered in error\""),
            ("oid", "\"urn:oid:1.2.840\""),
            ("uuid", "\"urn:uuid:0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10\""),
            ("base64Binary", "\"QUJD RA==\""),
            ("string", "\"\\u00e9\""),
            ("boolean", "false"),
        ] {
            assert!(holds(name, json), "{name} {json}");
        }
    }

    #[test]
    fn wrong_ones_do_not() {
        for (name, json) in [
            ("date", "\"1970-13\""),
            ("date", "\"2023-02-29\""),
            ("date", "\"2023-2-9\""),
            ("date", "\"0000\""),
            ("date", "\"2024-02-29T00:00:00Z\""),
            ("dateTime", "\"2024-02-29T10:00Z\""),
            ("dateTime", "\"2024-02-29T10:00:00\""),
            ("instant", "\"2024-02-29\""),
            ("instant", "\"2024-02-29T24:00:00Z\""),
            ("instant", "\"2024-02-29T10:00:00+1400\""),
            ("time", "\"8:30:00\""),
            ("decimal", "\"1.0\""),
            ("integer", "1.0"),
            ("integer", "2147483648"),
            ("positiveInt", "0"),
            ("unsignedInt", "-1"),
            ("id", "\"a_b\""),
            ("code", "\" x\""),
            ("code", "\"a  b\""),
            ("oid", "\"urn:oid:1.02\""),
            ("uuid", "\"urn:uuid:0B7C62E9-7a55-5d13-9f0e-2f7b5a1c4d10\""),
            ("base64Binary", "\"QUJ\""),
            ("string", "\"\""),
            ("string", "\" \""),
            ("boolean", "\"true\""),
            ("xhtml", "\"<p/>\""),
        ] {
            assert!(!holds(name, json), "{name} {json}");
        }
    }
}
