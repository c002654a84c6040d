//! Cells: the server's text by type number, and back to the same text.
//!
//! Pure. Exact or `Raw`, never wrong: what does not come back as the very text it came from stays text.
//! The list for people is `TYPES.md`; `tests/types.rs` proves it against a server.
//! Relies on the session's settings in `session.rs`: ISO dates, UTC, hex bytes.

use model::{Cell, ColumnType, Value};
use std::fmt::Write as _;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// What the cells of a column of this type hold. Enums, domains, arrays, floats and all else are `Raw`.
pub fn column_type(oid: u32) -> ColumnType {
    match oid {
        16 => ColumnType::Bool,
        20 | 21 | 23 | 26 => ColumnType::Int,           // int8, int2, int4, oid
        1700 => ColumnType::Decimal,                    // numeric
        18 | 19 | 25 | 1042 | 1043 => ColumnType::Text, // "char", name, text, bpchar, varchar
        114 | 3802 | 2950 => ColumnType::Text,          // json, jsonb, uuid
        17 => ColumnType::Bytes,                        // bytea
        1082 => ColumnType::Date,
        1083 => ColumnType::Time,
        1114 => ColumnType::DateTime, // timestamp
        1184 => ColumnType::Instant,  // timestamptz
        _ => ColumnType::Raw,
    }
}

/// The cell that `text` says in a column of this type. `scratch` holds the bytes of a `bytea` as long as the cell lives.
pub fn cell<'a>(ty: ColumnType, text: &'a str, scratch: &'a mut Vec<u8>) -> Cell<'a> {
    let exact = match ty {
        ColumnType::Bool => match text {
            "t" => Some(Cell::Bool(true)),
            "f" => Some(Cell::Bool(false)),
            _ => None,
        },
        ColumnType::Int => integer(text).map(Cell::Int),
        ColumnType::Decimal => is_decimal(text).then_some(Cell::Decimal(text)),
        ColumnType::Text => Some(Cell::Text(text)),
        ColumnType::Bytes => unhex(text, scratch).map(|()| Cell::Bytes(scratch)),
        ColumnType::Date => date(text.as_bytes()).and_then(|days| i32::try_from(days).ok()).map(Cell::Date),
        ColumnType::Time => time(text.as_bytes()).map(Cell::Time),
        ColumnType::DateTime => date_time(text.as_bytes()).map(Cell::DateTime),
        ColumnType::Instant => text.strip_suffix("+00").and_then(|text| date_time(text.as_bytes())).map(Cell::Instant),
        ColumnType::Raw => None,
    };
    exact.unwrap_or(Cell::Raw(text))
}

/// The server's text of a value: what [`cell`] was given. `None` for `Null` and `Unchanged`.
pub fn text(value: &Value) -> Option<String> {
    let mut out = String::new();
    match value {
        Value::Null | Value::Unchanged => return None,
        Value::Bool(x) => out.push(if *x { 't' } else { 'f' }),
        Value::Int(x) => write!(out, "{x}").expect("a string takes all"),
        Value::Decimal(x) | Value::Text(x) | Value::Raw(x) => out.push_str(x),
        Value::Bytes(x) => {
            out.push_str("\\x");
            x.iter().for_each(|byte| write!(out, "{byte:02x}").expect("a string takes all"));
        }
        Value::Date(days) => push_date(&mut out, i64::from(*days)),
        Value::Time(micros) => push_time(&mut out, *micros),
        Value::DateTime(micros) => push_date_time(&mut out, *micros),
        Value::Instant(micros) => {
            push_date_time(&mut out, *micros);
            out.push_str("+00");
        }
    }
    Some(out)
}

/// Only the form that the server writes: no plus sign, no leading zeros.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] if text.len() == 1 => Some(0),
        [b'1'..=b'9', ..] => text.parse().ok(),
        _ => None,
    }
}

/// Digits with at most one point between them; `NaN` and infinities are not decimals.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

fn unhex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    out.clear();
    out.reserve(digits.len() / 2);
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    for [high, low] in pairs {
        out.push((nibble(*high)? << 4) | nibble(*low)?);
    }
    rest.is_empty().then_some(())
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i64::from(digit - b'0')))
}

/// `YYYY-MM-DD` of the years 1 to 9999 as days since 1970-01-01; infinities, BC and later years stay text.
fn date(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    if year == 0 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// `HH:MM:SS[.ffffff]` as microseconds; `24:00:00` stays text. Trailing zeros would not come back, so they stay text.
fn time(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = text.split_at_checked(8)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let (hours, minutes, seconds) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if matches!(digits.len(), 1..=6) && !digits.ends_with(b"0") => {
            let scale = u32::try_from(6 - digits.len()).ok()?;
            number(digits)? * 10i64.pow(scale)
        }
        _ => return None,
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + micros)
}

fn date_time(text: &[u8]) -> Option<i64> {
    let (day, clock) = text.split_at_checked(10)?;
    let clock = clock.strip_prefix(b" ")?;
    Some(date(day)? * MICROS_PER_DAY + time(clock)?)
}

fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil_from_days(days);
    write!(out, "{year:04}-{month:02}-{day:02}").expect("a string takes all");
}

fn push_time(out: &mut String, micros: i64) {
    let (seconds, fraction) = (micros.div_euclid(MICROS_PER_SECOND), micros.rem_euclid(MICROS_PER_SECOND));
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hours:02}:{minutes:02}:{seconds:02}").expect("a string takes all");
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

fn push_date_time(out: &mut String, micros: i64) {
    push_date(out, micros.div_euclid(MICROS_PER_DAY));
    out.push(' ');
    push_time(out, micros.rem_euclid(MICROS_PER_DAY));
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's algorithm, whole eras of 400 years).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(ty: ColumnType, text: &str) -> Value {
        cell(ty, text, &mut Vec::new()).to_value()
    }

    #[test]
    fn known_texts_are_exact() {
        use ColumnType as T;
        assert_eq!(value(T::Bool, "t"), Value::Bool(true));
        assert_eq!(value(T::Int, "-9223372036854775808"), Value::Int(i64::MIN));
        assert_eq!(value(T::Date, "1970-01-02"), Value::Date(1));
        assert_eq!(value(T::Date, "1969-12-31"), Value::Date(-1));
        assert_eq!(value(T::Date, "2000-02-29"), Value::Date(11_016));
        assert_eq!(value(T::Time, "00:00:01.5"), Value::Time(1_500_000));
        assert_eq!(value(T::DateTime, "1970-01-01 00:00:00.000001"), Value::DateTime(1));
        assert_eq!(value(T::Instant, "1969-12-31 23:59:59+00"), Value::Instant(-1_000_000));
        assert_eq!(value(T::Bytes, "\\x00ff"), Value::Bytes(Box::from([0, 255])));
        assert_eq!(value(T::Bytes, "\\x"), Value::Bytes(Box::from([])));
        assert_eq!(value(T::Decimal, "-0.10"), Value::Decimal("-0.10".into()));
    }

    #[test]
    fn what_is_not_exact_stays_the_servers_text() {
        use ColumnType as T;
        let raw: &[(T, &str)] = &[
            (T::Bool, "true"),
            (T::Int, "007"),
            (T::Int, "-0"),
            (T::Int, "+1"),
            (T::Int, "9223372036854775808"),
            (T::Int, ""),
            (T::Decimal, "NaN"),
            (T::Decimal, "-Infinity"),
            (T::Decimal, "1."),
            (T::Decimal, "1e5"),
            (T::Date, "infinity"),
            (T::Date, "0044-03-15 BC"),
            (T::Date, "10000-01-01"),
            (T::Date, "2023-02-29"),
            (T::Date, "2023-00-10"),
            (T::Date, "0000-01-01"),
            (T::Time, "24:00:00"),
            (T::Time, "12:00:00.50"),
            (T::DateTime, "-infinity"),
            (T::DateTime, "2023-01-01T00:00:00"),
            (T::Instant, "2023-01-01 00:00:00+01"),
            (T::Instant, "0044-03-15 12:00:00+00 BC"),
            (T::Bytes, "\\x0"),
            (T::Bytes, "abc"),
            (T::Raw, "1.5"),
        ];
        for (ty, text) in raw {
            assert_eq!(value(*ty, text), Value::Raw((*text).into()), "{ty:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_came(text: String, ty in 0usize..10) {
            use ColumnType as T;
            let ty = [T::Bool, T::Int, T::Decimal, T::Text, T::Bytes, T::Date, T::Time, T::DateTime, T::Instant, T::Raw][ty];
            prop_assert_eq!(super::text(&value(ty, &text)), Some(text));
        }

        #[test]
        fn every_day_and_microsecond_comes_back(days in -719_162i64..2_932_896, micros in 0..MICROS_PER_DAY) {
            let at = Value::DateTime(days * MICROS_PER_DAY + micros);
            prop_assert_eq!(value(ColumnType::DateTime, &super::text(&at).unwrap()), at);
            let day = Value::Date(i32::try_from(days).unwrap());
            prop_assert_eq!(value(ColumnType::Date, &super::text(&day).unwrap()), day);
        }

        #[test]
        fn digits_in_a_clocks_shape_come_back(text in "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,7})?(\\+00)?") {
            for ty in [ColumnType::DateTime, ColumnType::Instant] {
                prop_assert_eq!(super::text(&value(ty, &text)).unwrap(), text.clone());
            }
        }
    }
}
