//! Reads the table's text.
//!
//! Three kinds of lines, told apart by their first field: a type (no dot), an element (with a dot), a value set (`=`).

use super::{Element, ElementTable, ElementType, Group, GroupId, Kind, Member, Type};
use std::collections::BTreeMap;

/// The elements directly below a type or an element.
type Below = BTreeMap<&'static str, Vec<usize>>;

/// The table's text is not as `cargo x gen r4` writes it.
#[derive(Debug, thiserror::Error)]
#[error("schemas/r4/elements.tsv line {line}: {why}; make it again with `cargo x gen r4`")]
pub struct BadTable {
    line: usize,
    why: &'static str,
}

impl ElementTable {
    /// Reads the text of a table.
    pub(super) fn parse(text: &'static str) -> Result<ElementTable, BadTable> {
        let mut table = ElementTable {
            types: BTreeMap::new(),
            elements: Vec::new(),
            by_path: BTreeMap::new(),
            groups: Vec::new(),
            required: Vec::new(),
            group_of: BTreeMap::new(),
            sets: BTreeMap::new(),
        };
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            table.line(line).map_err(|why| BadTable { line: at + 1, why })?;
        }
        table.name_groups()?;
        let mut below: Below = BTreeMap::new();
        for (at, element) in table.elements.iter().enumerate() {
            let parent = element.path.rsplit_once('.').map_or("", |(parent, _)| parent);
            below.entry(parent).or_default().push(at);
        }
        for (name, id) in table.group_of.clone() {
            table.groups[usize::from(id.0)] = table.build(name, &below);
        }
        table.required = table.groups.iter().map(|group| table.required_in(group)).collect();
        Ok(table)
    }

    fn line(&mut self, line: &'static str) -> Result<(), &'static str> {
        let mut fields = line.split('\t');
        let first = fields.next().ok_or("empty")?;
        let mut next = || fields.next().ok_or("a field is missing");
        if let Some(set) = first.strip_prefix('=') {
            let (system, codes) = (next()?, next()?);
            self.sets.entry(set).or_default().push((system, codes.split('|').collect()));
        } else if !first.contains('.') {
            let kind = match next()? {
                "resource" => Kind::Resource,
                "complex" => Kind::Complex,
                "primitive" => Kind::Primitive,
                _ => return Err("neither resource, complex nor primitive"),
            };
            let is_abstract = next()? == "abstract";
            self.types.insert(first, Type { kind, is_abstract, base: next()? });
        } else {
            let element = element(first, fields)?;
            self.by_path.insert(element.path, self.elements.len());
            self.elements.push(element);
        }
        Ok(())
    }

    /// Gives a place to the group of each type, and of each element that has lines below it.
    fn name_groups(&mut self) -> Result<(), BadTable> {
        let below = self.elements.iter().filter_map(|element| Some(element.path.rsplit_once('.')?.0));
        for name in self.types.keys().copied().chain(below) {
            let next = u16::try_from(self.group_of.len()).map_err(|_| BadTable { line: 0, why: "too many types" })?;
            self.group_of.entry(name).or_insert(GroupId(next));
        }
        self.groups.resize_with(self.group_of.len(), Group::new);
        Ok(())
    }

    /// The group's own members over those it inherits.
    fn build(&self, name: &'static str, below: &Below) -> Group {
        let base = match self.types.get(name) {
            Some(held) => held.base,
            None => self.by_path.get(name).map_or("-", |at| self.elements[*at].type_name()),
        };
        let mut group = if base == "-" { Group::new() } else { self.build(base, below) };
        for at in below.get(name).into_iter().flatten().copied() {
            let element = &self.elements[at];
            for (kind, of) in element.types.iter().enumerate() {
                let member = Member { element: at, kind, below: self.group_below(element, of.name) };
                group.insert(json_name(element, of.name), member);
            }
        }
        group
    }

    fn required_in(&self, group: &Group) -> Vec<usize> {
        let mut required: Vec<usize> = group.values().map(|member| member.element).collect();
        required.retain(|at| self.elements[*at].min > 0);
        required.sort_unstable();
        required.dedup();
        required
    }

    fn group_below(&self, element: &Element, of: &'static str) -> Option<GroupId> {
        if let Some(content) = element.content {
            return self.group_of.get(content).copied();
        }
        match self.types.get(of)?.kind {
            Kind::Complex => self.group_of.get(element.path).or_else(|| self.group_of.get(of)).copied(),
            Kind::Resource | Kind::Primitive => None,
        }
    }
}

/// `value` and `Quantity` make `valueQuantity`.
fn json_name(element: &Element, of: &str) -> Box<str> {
    if !element.is_choice {
        return element.name.into();
    }
    let mut name = element.name.to_owned();
    let mut rest = of.chars();
    name.extend(rest.next().map(|first| first.to_ascii_uppercase()));
    name.push_str(rest.as_str());
    name.into()
}

fn element(path: &'static str, mut fields: std::str::Split<'static, char>) -> Result<Element, &'static str> {
    let min = fields.next().and_then(|min| min.parse().ok()).ok_or("min is not a number")?;
    let max = match fields.next() {
        Some("*") => None,
        Some(max) => Some(max.parse().map_err(|_| "max is neither a number nor *")?),
        None => return Err("max is missing"),
    };
    let types = fields.next().ok_or("types are missing")?;
    // What a content reference points at is always an element with members of its own.
    let content = types.strip_prefix('#');
    let types = content.map_or(types, |_| "BackboneElement").split('|').map(element_type).collect::<Result<_, _>>()?;
    let modifies = fields.next() == Some("!");
    let list_key = fields.next().filter(|key| !key.is_empty()).map(|key| key.split(',').collect());
    let binding = fields.next().filter(|name| !name.is_empty());
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_choice = last.ends_with("[x]");
    let name = last.strip_suffix("[x]").unwrap_or(last);
    Ok(Element { path, name, min, max, types, modifies, list_key, binding, is_choice, content })
}

fn element_type(text: &'static str) -> Result<ElementType, &'static str> {
    let (name, targets) = match text.split_once('(') {
        None => (text, Vec::new()),
        Some((name, targets)) => (name, targets.strip_suffix(')').ok_or("targets do not end")?.split(',').collect()),
    };
    if name.is_empty() { Err("a type without a name") } else { Ok(ElementType { name, targets }) }
}
