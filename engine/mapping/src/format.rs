//! Values as FHIR writes them.
//!
//! Decimals and texts go out as they came in; what FHIR cannot write parks the unit. An empty text says nothing and is
//! dropped like null, because FHIR has no empty string.

use crate::{template::Primitive, types::Val};
use model::Json;

/// Writes `value` as `to`; none for null.
pub(crate) fn write(value: &Val<'_>, to: Primitive) -> Result<Option<Json>, &'static str> {
    Ok(Some(match (value, to) {
        (Val::Null, _) => return Ok(None),
        (Val::Bool(x), Primitive::Boolean) => Json::Bool(*x),
        (Val::Int(x), Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt) => integer(*x, to)?,
        (Val::Int(x), Primitive::Decimal) => Json::Number(x.to_string().into()),
        (Val::Decimal(x), Primitive::Decimal) => {
            if !is_decimal(x) {
                return Err("the value is not a decimal that JSON can write");
            }
            Json::Number((&**x).into())
        }
        (Val::Text(x), Primitive::String | Primitive::Code | Primitive::Id | Primitive::Uri) => {
            if x.is_empty() {
                return Ok(None);
            }
            text(x, to)?;
            Json::text(x)
        }
        (Val::Reference(x), Primitive::String) => Json::text(x),
        (Val::Date(x), Primitive::Date | Primitive::DateTime) => Json::text(&date(*x)?),
        (Val::Instant(x), Primitive::DateTime | Primitive::Instant) => {
            let mut text = date_time(*x)?;
            text.push('Z');
            Json::text(&text)
        }
        (Val::Time(x), Primitive::Time) => Json::text(&time(*x)?),
        (Val::Bytes(x), Primitive::Base64) => {
            if x.is_empty() {
                return Ok(None);
            }
            Json::text(&base64(x))
        }
        _ => return Err("the value is of another type than the element"),
    }))
}

fn integer(x: i64, to: Primitive) -> Result<Json, &'static str> {
    let low = match to {
        Primitive::PositiveInt => 1,
        Primitive::UnsignedInt => 0,
        _ => i64::from(i32::MIN),
    };
    if (low..=i64::from(i32::MAX)).contains(&x) {
        Ok(Json::Number(x.to_string().into()))
    } else {
        Err("the number is outside the range of the element's type")
    }
}

/// Whether FHIR takes this text as `to`: the patterns of R4's primitive types.
pub(crate) fn text(text: &str, to: Primitive) -> Result<(), &'static str> {
    if text.chars().any(|c| c < ' ' && !matches!(c, '\t' | '\r' | '\n')) {
        return Err("the text holds a control character");
    }
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    match to {
        Primitive::Code if text.starts_with(blank) || text.ends_with(blank) || has_two_blanks(text) => {
            Err("a code has no outer and no double blanks")
        }
        Primitive::Uri if text.chars().any(char::is_whitespace) => Err("a URI has no blanks"),
        Primitive::Id if !is_id(text) => Err("an id has at most 64 letters, digits, `-` and `.`"),
        Primitive::String if text.chars().all(char::is_whitespace) => Err("the text holds nothing but blanks"),
        _ => Ok(()),
    }
}

fn has_two_blanks(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_whitespace))
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
pub(crate) fn is_decimal(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    let mut rest = &rest[whole..];
    if let [b'.', tail @ ..] = rest {
        match digits(tail) {
            0 => return false,
            n => rest = &tail[n..],
        }
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let tail = tail.strip_prefix(b"+").or_else(|| tail.strip_prefix(b"-")).unwrap_or(tail);
        return digits(tail) > 0 && digits(tail) == tail.len();
    }
    rest.is_empty()
}

/// `YYYY-MM-DD` of days since 1970-01-01. FHIR has the years 1 to 9999.
pub(crate) fn date(days: i32) -> Result<String, &'static str> {
    let (year, month, day) = civil(i64::from(days));
    if !(1..=9999).contains(&year) {
        return Err("the year is outside 0001 to 9999");
    }
    let mut out = String::with_capacity(27);
    push(&mut out, year, 4);
    out.push('-');
    push(&mut out, month, 2);
    out.push('-');
    push(&mut out, day, 2);
    Ok(out)
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]` of microseconds since 1970-01-01T00:00, without trailing zeros of the fraction.
pub(crate) fn date_time(micros: i64) -> Result<String, &'static str> {
    let days = micros.div_euclid(DAY);
    let mut out = date(i32::try_from(days).map_err(|_| "the year is outside 0001 to 9999")?)?;
    out.push('T');
    push_time(&mut out, micros.rem_euclid(DAY));
    Ok(out)
}

/// `HH:MM:SS[.ffffff]`.
pub(crate) fn time(micros: i64) -> Result<String, &'static str> {
    if !(0..DAY).contains(&micros) {
        return Err("the time is outside 00:00:00 to 23:59:59");
    }
    let mut out = String::with_capacity(15);
    push_time(&mut out, micros);
    Ok(out)
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

fn push_time(out: &mut String, micros: i64) {
    let seconds = micros / SECOND;
    push(out, seconds / 3_600, 2);
    out.push(':');
    push(out, seconds / 60 % 60, 2);
    out.push(':');
    push(out, seconds % 60, 2);
    let (mut fraction, mut width) = (micros % SECOND, 6);
    if fraction > 0 {
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        out.push('.');
        push(out, fraction, width);
    }
}

/// A number of `width` digits with leading zeros.
fn push(out: &mut String, mut x: i64, width: usize) {
    let mut digits = [b'0'; 6];
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + u8::try_from(x % 10).unwrap_or(0);
        x /= 10;
    }
    out.extend(digits[..width].iter().map(|digit| char::from(*digit)));
}

/// Year, month and day of the proleptic Gregorian calendar: eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`; none if there is no such day.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok()).flatten();
    let (year, month, day) = (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..)?)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468;
    // The 31st of a shorter month comes back as another day.
    (civil(days) == (year, month, day)).then(|| i32::try_from(days).ok()).flatten()
}

/// The calendar day of a wall clock.
pub(crate) fn day_of(micros: i64) -> Result<i32, &'static str> {
    i32::try_from(micros.div_euclid(DAY)).map_err(|_| "the year is outside 0001 to 9999")
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut window = [0u8; 3];
        window[..group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes([0, window[0], window[1], window[2]]);
        for place in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_and_instants_are_those_of_the_calendar(days in -719_162i32..=2_932_896, micros in 0..DAY) {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = epoch.checked_add(jiff::Span::new().days(days)).expect("in range");
            prop_assert_eq!(date(days), Ok(day.to_string()));
            prop_assert_eq!(parse_date(&day.to_string()), Some(days));
            // jiff's own last instant is short of the end of 9999.
            if days < 2_932_896 {
                let whole = i64::from(days) * DAY + micros;
                let instant = jiff::Timestamp::from_microsecond(whole).expect("in range");
                prop_assert_eq!(date_time(whole).map(|text| text + "Z"), Ok(instant.to_string()));
            }
        }
    }

    #[test]
    fn a_day_that_is_none_is_refused() {
        for text in [
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-04-31",
            "23-04-01",
            "2023-4-1",
            "2023-04-0x",
            "2023/04/01",
            "２０２３-04",
            "",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert_eq!(parse_date("2024-02-29").map(date), Some(Ok("2024-02-29".into())));
        assert!(date(i32::MAX).is_err() && date(i32::MIN).is_err());
        assert!(date_time(i64::MAX).is_err() && date_time(i64::MIN).is_err());
        assert!(time(DAY).is_err() && time(-1).is_err());
        assert_eq!(time(0), Ok("00:00:00".into()));
        assert_eq!(time(DAY - 1), Ok("23:59:59.999999".into()));
        assert_eq!(date_time(1_500_000), Ok("1970-01-01T00:00:01.5".into()));
    }

    #[test]
    fn a_decimal_is_what_json_calls_one() {
        for good in ["0", "-0", "1.00", "12345678901234567890123456789012345678.90", "1e+06", "-0.5E-3"] {
            assert!(is_decimal(good), "{good}");
        }
        for bad in [
            "", "-", ".5", "5.", "007", "1,5", "NaN", "Infinity", "1e", "1e+", "0x1", " 1", "1 ", "+1", "--1", "1.2.3",
            "٣",
        ] {
            assert!(!is_decimal(bad), "{bad}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [(&b"f"[..], "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\xff\xfe\xfd\x00", "//79AA==")]
        {
            assert_eq!(base64(bytes), text);
        }
    }

    #[test]
    fn texts_that_fhir_does_not_take_park() {
        assert!(text("a\u{1}b", Primitive::String).is_err());
        assert!(text(" \u{a0}", Primitive::String).is_err());
        assert!(text("a\nb", Primitive::String).is_ok());
        assert!(text(" final", Primitive::Code).is_err() && text("a  b", Primitive::Code).is_err());
        assert!(text("a b", Primitive::Code).is_ok() && text("a b", Primitive::Uri).is_err());
        assert!(text("a_b", Primitive::Id).is_err() && text(&"x".repeat(65), Primitive::Id).is_err());
        assert_eq!(write(&Val::Text("".into()), Primitive::String), Ok(None));
        assert_eq!(write(&Val::Bytes(b""[..].into()), Primitive::Base64), Ok(None));
    }

    #[test]
    fn integers_keep_to_their_range() {
        assert!(write(&Val::Int(0), Primitive::PositiveInt).is_err());
        assert!(write(&Val::Int(-1), Primitive::UnsignedInt).is_err());
        assert!(write(&Val::Int(1 << 31), Primitive::Integer).is_err());
        assert!(write(&Val::Int(i64::MIN), Primitive::Decimal).is_ok());
    }
}
