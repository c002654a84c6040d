//! The closed set of functions: what they take, what they give.
//!
//! Total: a value that a function cannot read parks the unit, it never becomes another value. Null in, null out, except
//! for `first`. A change that can alter one byte takes a new behaviour number (J38).

use crate::{
    expr::Function,
    format,
    types::{Texts, Type, Val},
};
use std::borrow::Cow;

/// Every name, with the form people see.
pub(crate) const NAMES: [(&str, &str); 11] = [
    ("code", "code(x, table)"),
    ("ref", "ref(entity, key..)"),
    ("first", "first(a, b..)"),
    ("trim", "trim(x)"),
    ("lower", "lower(x)"),
    ("upper", "upper(x)"),
    ("concat", "concat(a, b..)"),
    ("text", "text(x)"),
    ("decimal", "decimal(x)"),
    ("date", "date(x)"),
    ("part", "part(x, 'separator', n)"),
];

/// The function of that name, if its arguments are ordinary values.
pub(crate) fn ordinary(name: &str) -> Option<Function> {
    Some(match name {
        "first" => Function::First,
        "trim" => Function::Trim,
        "lower" => Function::Lower,
        "upper" => Function::Upper,
        "concat" => Function::Concat,
        "text" => Function::Text,
        "decimal" => Function::Decimal,
        "date" => Function::Date,
        _ => return None,
    })
}

/// Why arguments do not fit: which one, and what to do.
pub(crate) type Misfit = (usize, String);

/// The type that `function` gives for arguments of these types.
pub(crate) fn result(function: Function, arguments: &[(Type, Texts)]) -> Result<(Type, Texts), Misfit> {
    let one = |takes: &[Type], gives: Type, remedy: &str| match arguments[0].0 {
        Type::Null => Ok((gives, Texts::Any)),
        ty if takes.contains(&ty) => Ok((gives, Texts::Any)),
        _ => Err((0, remedy.to_owned())),
    };
    match function {
        Function::First => arguments.iter().enumerate().skip(1).try_fold(arguments[0].clone(), |held, (n, next)| {
            let ty =
                held.0.join(next.0).ok_or_else(|| (n, format!("give values of one type; the first is {}", held.0)))?;
            Ok((ty, held.1.or(next.1.clone())))
        }),
        Function::Trim | Function::Lower | Function::Upper => {
            one(&[Type::Text], Type::Text, "turn it into text first: `text(x)`")?;
            let changed = match &arguments[0].1 {
                Texts::Only(texts) => Texts::Only(texts.iter().map(|text| letters(function, text).into()).collect()),
                Texts::Any => Texts::Any,
            };
            Ok((Type::Text, changed))
        }
        Function::Concat => match arguments.iter().position(|(ty, _)| !matches!(ty, Type::Text | Type::Null)) {
            None => Ok((Type::Text, Texts::Any)),
            Some(n) => Err((n, "turn it into text first: `text(x)`".to_owned())),
        },
        Function::Text => match arguments[0].0 {
            Type::Bytes => Err((0, "bytes are no text; map them to a base64Binary element".to_owned())),
            Type::Text => Ok((Type::Text, arguments[0].1.clone())),
            _ => Ok((Type::Text, Texts::Any)),
        },
        Function::Decimal => one(
            &[Type::Text, Type::Raw, Type::Int, Type::Decimal],
            Type::Decimal,
            "a decimal is read from text, raw or int",
        ),
        Function::Date => match arguments[0].0 {
            Type::Instant => Err((0, "the day of an instant hangs on a zone; map a date column".to_owned())),
            _ => one(
                &[Type::Text, Type::Raw, Type::DateTime, Type::Date],
                Type::Date,
                "a date is read from text, raw or datetime",
            ),
        },
    }
}

/// How many arguments a function takes: from, to.
pub(crate) fn arity(function: Function) -> (usize, usize) {
    match function {
        Function::First | Function::Concat => (2, usize::MAX),
        _ => (1, 1),
    }
}

fn letters<'t>(function: Function, text: &'t str) -> Cow<'t, str> {
    match function {
        Function::Trim => text.trim().into(),
        Function::Lower => text.to_lowercase().into(),
        Function::Upper => text.to_uppercase().into(),
        _ => text.into(),
    }
}

/// Applies a function to its arguments.
pub(crate) fn call<'a>(function: Function, mut arguments: Vec<Val<'a>>) -> Result<Val<'a>, &'static str> {
    match function {
        Function::First => return Ok(arguments.into_iter().find(|value| !value.is_null()).unwrap_or(Val::Null)),
        Function::Concat => return Ok(concat(&arguments)),
        _ => {}
    }
    let Some(value) = arguments.pop().filter(|value| !value.is_null()) else { return Ok(Val::Null) };
    match (function, value) {
        (Function::Trim, Val::Text(Cow::Borrowed(text))) => Ok(Val::Text(text.trim().into())),
        (Function::Trim | Function::Lower | Function::Upper, Val::Text(text)) => {
            Ok(Val::Text(letters(function, &text).into_owned().into()))
        }
        (Function::Text, value) => text(value),
        (Function::Decimal, Val::Int(x)) => Ok(Val::Decimal(x.to_string().into())),
        (Function::Decimal, Val::Text(text) | Val::Raw(text) | Val::Decimal(text)) => {
            if format::is_decimal(&text) {
                Ok(Val::Decimal(text))
            } else {
                Err("the text is no decimal")
            }
        }
        (Function::Date, Val::Date(day)) => Ok(Val::Date(day)),
        (Function::Date, Val::DateTime(micros)) => Ok(Val::Date(format::day_of(micros)?)),
        (Function::Date, Val::Text(text) | Val::Raw(text)) => {
            format::parse_date(&text).map(Val::Date).ok_or("the text is no date of the form YYYY-MM-DD")
        }
        _ => Err("the value is of another type than the function takes"),
    }
}

fn concat<'a>(arguments: &[Val<'a>]) -> Val<'a> {
    let mut whole = String::new();
    for value in arguments {
        match value {
            Val::Text(text) => whole.push_str(text),
            _ => return Val::Null,
        }
    }
    Val::Text(whole.into())
}

fn text(value: Val<'_>) -> Result<Val<'_>, &'static str> {
    Ok(Val::Text(match value {
        Val::Text(text) | Val::Raw(text) | Val::Decimal(text) | Val::Reference(text) => text,
        Val::Bool(x) => if x { "true" } else { "false" }.into(),
        Val::Int(x) => x.to_string().into(),
        Val::Date(x) => format::date(x)?.into(),
        Val::Time(x) => format::time(x)?.into(),
        Val::DateTime(x) => format::date_time(x)?.into(),
        Val::Instant(x) => (format::date_time(x)? + "Z").into(),
        Val::Null => return Ok(Val::Null),
        Val::Bytes(_) => return Err("bytes are no text"),
    }))
}

/// The `n`th piece (from 1) of a text between separators; null where there are fewer.
pub(crate) fn part<'a>(value: Val<'a>, separator: &str, n: usize) -> Result<Val<'a>, &'static str> {
    match value {
        Val::Null => Ok(Val::Null),
        Val::Text(Cow::Borrowed(text)) => {
            Ok(text.split(separator).nth(n.saturating_sub(1)).map_or(Val::Null, |piece| Val::Text(piece.into())))
        }
        Val::Text(Cow::Owned(text)) => Ok(text
            .split(separator)
            .nth(n.saturating_sub(1))
            .map_or(Val::Null, |piece| Val::Text(piece.to_owned().into()))),
        _ => Err("the value is of another type than the function takes"),
    }
}

/// Whether two values are the same; decimals by value, nulls are equal.
pub(crate) fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Decimal(a), Val::Decimal(b)) => {
            a == b || decimal_value(a).is_some_and(|value| Some(value) == decimal_value(b))
        }
        _ => a == b,
    }
}

/// Sign, digits without outer zeros, power of ten behind the last digit; equal for equal values.
fn decimal_value(text: &str) -> Option<(bool, String, i64)> {
    if !format::is_decimal(text) {
        return None;
    }
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let kept = digits.trim_end_matches('0');
    let zeros = digits.len() - kept.len();
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some((false, String::new(), 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let shift = i64::try_from(zeros).ok()? - i64::try_from(fraction.len()).ok()?;
    Some((negative, kept.to_owned(), exponent.checked_add(shift)?))
}
