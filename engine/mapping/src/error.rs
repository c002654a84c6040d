//! What is wrong with a map file: every fault has its place, its reason and its remedy.
//!
//! A map holds no patient's value, so a fault may quote it.

use core::fmt;
use model::{TableName, words};

/// A place in a file: line and column from 1, both in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Place {
    /// The place `chars` further on the same line.
    pub(crate) fn plus(self, chars: usize) -> Place {
        Place { line: self.line, column: self.column.saturating_add(u32::try_from(chars).unwrap_or(u32::MAX)) }
    }
}

/// One fault of a map file. `Display` is `file:line:column: reason; remedy`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{}:{}: {reason}; {remedy}", place.line, place.column)]
pub struct MapFault {
    /// The file as it was named.
    pub file: Box<str>,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub reason: Box<str>,
    /// What to do about it.
    pub remedy: Box<str>,
    /// The table that is not there, if that is what is wrong.
    pub table: Option<TableName>,
}

impl MapFault {
    /// The byte offset of the fault in the file's text: what a report that shows the line needs.
    pub fn offset(&self, text: &str) -> usize {
        let line = (self.place.line.max(1) - 1) as usize;
        let start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
        let rest = text.get(start..).unwrap_or_default();
        let column = (self.place.column.max(1) - 1) as usize;
        start + rest.char_indices().nth(column).map_or(rest.trim_end().len(), |(at, _)| at)
    }
}

/// The faults found so far: all of a file are reported at once.
#[derive(Default)]
pub(crate) struct Faults {
    file: Box<str>,
    found: Vec<MapFault>,
}

impl Faults {
    pub(crate) fn of(file: &str) -> Faults {
        Faults { file: file.into(), found: Vec::new() }
    }

    pub(crate) fn add(&mut self, place: Place, reason: impl fmt::Display, remedy: impl fmt::Display) {
        self.found.push(MapFault {
            file: self.file.clone(),
            place,
            reason: reason.to_string().into(),
            remedy: remedy.to_string().into(),
            table: None,
        });
    }

    /// A table that nobody shows.
    pub(crate) fn no_table(&mut self, place: Place, table: &TableName, remedy: impl fmt::Display) {
        self.add(place, format!("table {table} is not captured"), remedy);
        self.found.iter_mut().rev().take(1).for_each(|fault| fault.table = Some(table.clone()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them in the order of the file; none means that the file is good.
    pub(crate) fn finish(mut self) -> Option<Vec<MapFault>> {
        self.found.sort_by_key(|fault| fault.place);
        self.found.dedup();
        (!self.found.is_empty()).then_some(self.found)
    }
}

/// `did you mean` the nearest of `known`, else the list of them.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match words::nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        _ if known.is_empty() => "there is none to choose from".to_owned(),
        _ => {
            let more = if known.len() > NAMES_SHOWN_MAX { ", .." } else { "" };
            let shown: Vec<&str> = known.into_iter().take(NAMES_SHOWN_MAX).collect();
            format!("choose one of {}{more}", shown.join(", "))
        }
    }
}

/// A longer list does not help to find a name.
const NAMES_SHOWN_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(did_you_mean("brithDate", ["birthDate", "gender"].into_iter()), "did you mean `birthDate`?");
        assert_eq!(did_you_mean("xyz", ["birthDate", "gender"].into_iter()), "choose one of birthDate, gender");
    }

    #[test]
    fn an_offset_counts_bytes_of_the_line() {
        let fault = |line, column| MapFault {
            file: "m".into(),
            place: Place { line, column },
            reason: "".into(),
            remedy: "".into(),
            table: None,
        };
        let text = "a: 1\nü: {x}\n";
        assert_eq!(&text[fault(2, 4).offset(text)..], "{x}\n");
        assert_eq!(fault(9, 9).offset(text), text.len());
    }
}
