//! Licence expressions: `MIT OR Apache-2.0 WITH LLVM-exception AND (ISC)`, and cargo's older `MIT/Apache-2.0`.

/// What an expression asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Licence {
    /// One licence, its exception included: `Apache-2.0 WITH LLVM-exception`.
    One(String),
    /// All of them hold at once.
    All(Vec<Licence>),
    /// We may choose.
    Any(Vec<Licence>),
}

impl Licence {
    /// Parses an expression; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let licence = any(&mut rest)?;
        rest.is_empty().then_some(licence)
    }

    /// Whether the licences on the list suffice.
    pub fn allowed_by(&self, allow: &[String]) -> bool {
        match self {
            Self::One(name) => allow.contains(name),
            Self::All(parts) => parts.iter().all(|part| part.allowed_by(allow)),
            Self::Any(parts) => parts.iter().any(|part| part.allowed_by(allow)),
        }
    }
}

/// OR binds weakest.
fn any(rest: &mut &[&str]) -> Option<Licence> {
    let mut parts = vec![all(rest)?];
    while eat(rest, "OR") {
        parts.push(all(rest)?);
    }
    Some(single(parts, Licence::Any))
}

fn all(rest: &mut &[&str]) -> Option<Licence> {
    let mut parts = vec![one(rest)?];
    while eat(rest, "AND") {
        parts.push(one(rest)?);
    }
    Some(single(parts, Licence::All))
}

fn one(rest: &mut &[&str]) -> Option<Licence> {
    if eat(rest, "(") {
        let inner = any(rest)?;
        return eat(rest, ")").then_some(inner);
    }
    let name = word(rest)?;
    if !eat(rest, "WITH") {
        return Some(Licence::One(name.to_owned()));
    }
    let exception = word(rest)?;
    Some(Licence::One(format!("{name} WITH {exception}")))
}

fn eat(rest: &mut &[&str], wanted: &str) -> bool {
    match rest.split_first() {
        Some((first, after)) if *first == wanted => {
            *rest = after;
            true
        }
        _ => false,
    }
}

fn word<'a>(rest: &mut &[&'a str]) -> Option<&'a str> {
    let (first, after) = rest.split_first()?;
    let operator = ["AND", "OR", "WITH", "(", ")"].contains(first);
    *rest = after;
    (!operator).then_some(first)
}

fn single(mut parts: Vec<Licence>, several: fn(Vec<Licence>) -> Licence) -> Licence {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            several(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> bool {
        let allow = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        Licence::parse(text).unwrap().allowed_by(&allow)
    }

    #[test]
    fn one_of_a_choice_suffices_and_all_of_a_sum_must() {
        assert!(allowed("MIT"));
        assert!(allowed("GPL-3.0-only OR MIT"));
        assert!(!allowed("GPL-3.0-only AND MIT"));
        assert!(allowed("ISC AND MIT"));
        assert!(allowed("MIT/Apache-2.0") && allowed("Apache-2.0 / MIT"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(allowed("MIT OR GPL-3.0-only AND ISC"));
        assert!(!allowed("(MIT OR GPL-3.0-only) AND Zlib"));
        assert!(allowed("(MIT OR GPL-3.0-only) AND ISC"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(allowed("Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("Apache-2.0"));
        assert!(!allowed("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        for text in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND", "MIT WITH"] {
            assert_eq!(Licence::parse(text), None, "{text}");
        }
    }
}
