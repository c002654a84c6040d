//! Reads a TOML table key by key: every key that is asked for is known, every other one is a fault.

use super::fault::Collector;
use ports::setting::did_you_mean;
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Where the last key of a path stands that the file has: its value, or the key itself if that is `unknown`.
pub fn place<'k>(
    file: &Spanned<DeTable<'_>>,
    path: impl Iterator<Item = &'k str>,
    unknown: bool,
) -> Option<Range<usize>> {
    let mut table = file.get_ref();
    let mut found = None;
    for key in path {
        let Some((name, value)) = table.get_key_value(key) else { break };
        found = Some(if unknown { name.span() } else { value.span() });
        match value.get_ref().as_table() {
            Some(below) => table = below,
            None => break,
        }
    }
    found
}

/// One table of the file.
pub struct Section<'a> {
    path: String,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(table: &'a Spanned<DeTable<'a>>) -> Section<'a> {
        Section { path: String::new(), table: table.get_ref(), span: 0..0, known: Vec::new() }
    }

    /// The table's name as the file writes it, for messages.
    fn named(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the table stands.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value at a key that may be absent.
    pub fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Where the value of a key stands; the table itself if it is absent.
    pub fn place(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or(self.span(), Spanned::span)
    }

    /// Says that a key is missing.
    pub fn missing(&self, key: &str, example: &str, faults: &mut Collector) {
        faults.absent(self.span(), format!("`{}` is missing", self.named(key)), format!("add {example}"));
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, faults: &mut Collector) {
        let reason = format!("`{}` is {}, not {wanted}", self.named(key), value.get_ref().type_str());
        faults.add(value.span(), reason, format!("write {wanted}"));
    }

    /// A text that may be absent.
    pub fn text(&mut self, key: &'static str, faults: &mut Collector) -> Option<&'a str> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(key, value, "a text", faults);
        }
        text
    }

    /// A text that must be there; `example` is the line to add.
    pub fn required(&mut self, key: &'static str, example: &str, faults: &mut Collector) -> Option<&'a str> {
        if self.get(key).is_none() {
            self.missing(key, example, faults);
        }
        self.text(key, faults)
    }

    /// A whole number in a range, or the default where it is absent.
    pub fn number(&mut self, key: &'static str, default: u64, range: Range<u64>, faults: &mut Collector) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|integer| u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok());
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                let wanted = format!("a whole number from {} to {}", range.start, range.end - 1);
                faults.add(value.span(), format!("`{}` is not {wanted}", self.named(key)), format!("write {wanted}"));
                default
            }
        }
    }

    /// The table at a key.
    pub fn section(&mut self, key: &'static str, faults: &mut Collector) -> Option<Section<'a>> {
        let value = self.get(key)?;
        let section = self.child(key, value);
        if section.is_none() {
            self.wrong(key, value, "a table", faults);
        }
        section
    }

    fn child(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        let table = value.get_ref().as_table()?;
        Some(Section { path: self.named(key), table, span: value.span(), known: Vec::new() })
    }

    /// Every table below this one, whatever its name.
    pub fn sections(&self, faults: &mut Collector) -> Vec<(&'a str, Section<'a>)> {
        let mut found = Vec::new();
        for (key, value) in self.table.iter() {
            match self.child(key.get_ref(), value) {
                Some(section) => found.push((&**key.get_ref(), section)),
                None => self.wrong(key.get_ref(), value, "a table", faults),
            }
        }
        found
    }

    /// Every key and value, for parts whose keys only a connector knows.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.table.iter().map(|(key, value)| (&**key.get_ref(), value))
    }

    /// Everything that was not asked for is unknown.
    pub fn close(self, faults: &mut Collector) {
        for (key, _) in self.table.iter() {
            if !self.known.contains(&&**key.get_ref()) {
                let reason = format!("`{}` is not known", self.named(key.get_ref()));
                faults.add(key.span(), reason, did_you_mean(key.get_ref(), &self.known));
            }
        }
    }
}
