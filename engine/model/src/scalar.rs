//! Numbers, instants and strings as the canonical form compares them. Borrowed, exact, never a float.

use alloc::{borrow::Cow, string::String};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A number as written: `whole` and `fraction` together are its digits, times ten to the `exponent`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal<'t> {
    pub negative: bool,
    pub exponent: i64,
    pub whole: &'t str,
    pub fraction: &'t str,
}

impl Decimal<'_> {
    /// Reads a JSON number; none if its exponent is out of all reason.
    pub fn read(text: &str) -> Option<Decimal<'_>> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
        let whole = whole.trim_start_matches('0');
        let fraction = if whole.is_empty() { fraction.trim_start_matches('0') } else { fraction };
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Decimal { negative: negative && !zero, exponent, whole, fraction })
    }
}

/// An instant with its precision: the fraction's digits as written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant<'t> {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    pub fraction: &'t str,
}

impl Instant<'_> {
    /// Reads `YYYY-MM-DDThh:mm:ss[.f]` with `Z` or an offset; none for anything else, a leap second too: then the text counts.
    pub fn read(text: &str) -> Option<Instant<'_>> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<i64> {
            bytes
                .get(from..to)?
                .iter()
                .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
        };
        let mark = |at: usize, due: u8| (bytes.get(at) == Some(&due)).then_some(());
        mark(4, b'-').and(mark(7, b'-')).and(mark(10, b'T')).and(mark(13, b':')).and(mark(16, b':'))?;
        let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let rest = text.get(19..)?;
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                (rest.get(..digits).filter(|digits| !digits.is_empty())?, rest.get(digits..)?)
            }
            None => ("", rest),
        };
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
        Some(Instant { seconds, fraction })
    }
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = *zone.as_bytes() else { return None };
    let pair = |a: u8, b: u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    };
    let (hours, minutes) = (pair(h1, h2)?, pair(m1, m2)?);
    let east = (hours <= 14 && minutes <= 59).then_some(hours * 3_600 + minutes * 60)?;
    Some(if sign == b'-' { -east } else { east })
}

/// The civil calendar's day number; none for a day that does not exist.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The text in Unicode's normal form C.
pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Option<(i64, &str)> {
        Instant::read(text).map(|instant| (instant.seconds, instant.fraction))
    }

    #[test]
    fn instants_count_from_1970_in_utc() {
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some((0, "")));
        assert_eq!(instant("2000-02-29T23:59:59.50+14:00"), Some((951_818_399, "50")));
        assert_eq!(instant("2026-01-01T01:00:00+01:00"), instant("2026-01-01T00:00:00Z"));
        assert_eq!(instant("1969-12-31T23:00:00-01:00"), Some((0, "")));
        assert_eq!(instant("0001-01-01T00:00:00Z"), Some((-62_135_596_800, "")));
    }

    #[test]
    fn what_is_no_instant_is_left_alone() {
        for text in [
            "",
            "2026",
            "2026-01",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+15:00",
            "2026-13-01T00:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00Zx",
            "2026-01-01T00:00:00é",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
