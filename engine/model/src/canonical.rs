//! The one canonical form: equality, echo, verify and hash all use it (architecture 5, clinical S15).
//!
//! The form is bytes: every value has a tag, every text its length, every list and object an end, so that two forms are
//! equal only if the resources are. What equals what:
//! * `dateTime` and `instant` with a zone: same instant and same precision. `…T01:00:00+01:00` = `…T00:00:00Z`, `.0` ≠
//!   `.00`. Dates, and times without a zone, by their text.
//! * Numbers: same value and same digits as written. `1.0` ≠ `1.00`, `1.0e-2` = `0.010`, `1E2` (one digit) ≠ `100`
//!   (three), `-0` = `0`.
//! * Texts: in NFC; without white space at either end where R4's pattern of the type forbids it (`code`, `id`, the `uri`
//!   family, dates and times). A `string` or `markdown` may have it there: otherwise to the letter.
//! * References: reduced to `Type/id`; the server's address and `/_history/n` take no part.
//! * Lists with a key, extensions, `meta.security` and `meta.profile`: whatever their order. Other lists: in order.
//! * `meta` (save `security` and `profile`), `text` and `contained` take no part.
//! * Null, and an object or list in which nothing says anything, equals absent.

use crate::{
    elements::{Element, Elements, Node},
    field::{FieldAddress, is_wrapped},
    id::{Hash, ResourceType},
    json::Json,
    scalar::{Decimal, Instant, nfc},
};
use alloc::{borrow::Cow, boxed::Box, vec::Vec};

/// Whether two resources say the same.
pub fn canonically_equal(a: &Json, b: &Json, elements: &dyn Elements) -> bool {
    let kind = |resource: &Json| resource.get("resourceType").and_then(Json::as_str).map(ResourceType::from);
    match (kind(a), kind(b)) {
        (Some(a_type), Some(b_type)) if a_type == b_type => a == b || resource(a, elements) == resource(b, elements),
        _ => false,
    }
}

/// The hash of a resource's canonical form.
pub fn canonical_hash(resource: &Json, elements: &dyn Elements) -> Hash {
    Hash::of(&self::resource(resource, elements))
}

/// Whether two values of one field say the same. None is an absent field.
pub fn field_equal(
    resource_type: &ResourceType,
    address: &FieldAddress,
    a: Option<&Json>,
    b: Option<&Json>,
    elements: &dyn Elements,
) -> bool {
    let (a, b) = (a.filter(|value| !value.is_vacant()), b.filter(|value| !value.is_vacant()));
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || field(resource_type, address, a, elements) == field(resource_type, address, b, elements)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn resource(json: &Json, elements: &dyn Elements) -> Vec<u8> {
    let mut form = Form::new(elements);
    form.resource(json);
    form.out
}

fn field(resource_type: &ResourceType, address: &FieldAddress, value: &Json, elements: &dyn Elements) -> Vec<u8> {
    let mut form = Form::new(elements);
    let mut node = elements.node(resource_type.as_str());
    let mut steps = address.steps().peekable();
    while let Some(step) = steps.next() {
        let name = step.name();
        if steps.peek().is_some() {
            node = node.and_then(|node| elements.element(node, &name)).and_then(|element| element.node);
        } else if step.key.is_none() && is_wrapped(value, &name) {
            form.object(value, node);
        } else {
            form.value(value, node.and_then(|node| elements.element(node, &name)));
        }
    }
    form.out
}

/// The text that a primitive of this type stands for; of an unknown type, to the letter in NFC.
pub(crate) fn text<'t>(text: &'t str, ty: &str) -> Cow<'t, str> {
    match ty {
        "code" | "id" | "uri" | "url" | "canonical" | "oid" | "uuid" | "date" | "dateTime" | "instant" | "time" => {
            nfc(text.trim_matches([' ', '\t', '\n', '\r']))
        }
        _ => nfc(text),
    }
}

/// The canonical bytes of a value of this element, for keys of lists.
pub(crate) fn value(json: &Json, element: Option<Element<'_>>, elements: &dyn Elements) -> Vec<u8> {
    let mut form = Form::new(elements);
    form.value(json, element);
    form.out
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const STRING: u8 = 3;
const DECIMAL: u8 = 4;
const NUMBER: u8 = 5;
const INSTANT: u8 = 6;
const LIST: u8 = 7;
const SET: u8 = 8;
const OBJECT: u8 = 9;
const END: u8 = 0xff;

struct Form<'a> {
    elements: &'a dyn Elements,
    out: Vec<u8>,
}

type Members<'j> = Vec<(&'j str, &'j Json)>;

/// The members that say something, by name.
fn members(members: &[(Box<str>, Json)], keep: impl Fn(&str) -> bool) -> Members<'_> {
    let mut kept: Members<'_> = members
        .iter()
        .filter(|(name, value)| keep(name) && !value.is_vacant())
        .map(|(name, value)| (&**name, value))
        .collect();
    kept.sort_unstable_by_key(|(name, _)| *name);
    kept
}

impl<'a> Form<'a> {
    fn new(elements: &'a dyn Elements) -> Form<'a> {
        Form { elements, out: Vec::with_capacity(1024) }
    }

    fn resource(&mut self, json: &Json) {
        let Json::Object(all) = json else { return self.value(json, None) };
        let node = json.get("resourceType").and_then(Json::as_str).and_then(|kind| self.elements.node(kind));
        self.out.push(OBJECT);
        for (name, value) in
            members(all, |name| !matches!(name, "text" | "contained" | "_text" | "_contained" | "_meta"))
        {
            if name == "meta" {
                self.meta(value);
            } else {
                self.member(name, value, node);
            }
        }
        self.out.push(END);
    }

    fn meta(&mut self, json: &Json) {
        let Json::Object(all) = json else { return };
        let kept = members(all, |name| matches!(name, "security" | "profile"));
        if kept.is_empty() {
            return;
        }
        let node = self.elements.node("Meta");
        self.string("meta");
        self.out.push(OBJECT);
        for (name, value) in kept {
            self.string(name);
            match value {
                Json::Array(items) => self.set(items, node.and_then(|node| self.elements.element(node, name))),
                other => self.value(other, None),
            }
        }
        self.out.push(END);
    }

    fn object(&mut self, json: &Json, node: Option<Node>) {
        let Json::Object(all) = json else { return self.value(json, None) };
        self.out.push(OBJECT);
        for (name, value) in members(all, |_| true) {
            self.member(name, value, node);
        }
        self.out.push(END);
    }

    fn member(&mut self, name: &str, value: &Json, node: Option<Node>) {
        self.string(name);
        let element = node.and_then(|node| self.elements.element(node, name));
        match (element, value) {
            (None, Json::Object(_)) if name.starts_with('_') => {
                let node = self.elements.node("Element");
                self.object(value, node);
            }
            (None, Json::Array(items)) if name.starts_with('_') => {
                let node = self.elements.node("Element");
                self.out.push(LIST);
                items.iter().for_each(|item| self.object(item, node));
                self.out.push(END);
            }
            (_, Json::Array(items)) if matches!(name, "extension" | "modifierExtension") => self.set(items, element),
            (_, value) => self.value(value, element),
        }
    }

    fn value(&mut self, json: &Json, element: Option<Element<'_>>) {
        match json {
            Json::Null => self.out.push(NULL),
            Json::Bool(false) => self.out.push(FALSE),
            Json::Bool(true) => self.out.push(TRUE),
            Json::Number(text) => self.number(text),
            Json::String(text) => match element.map_or("", |element| element.ty) {
                ty @ ("dateTime" | "instant") => self.instant(&self::text(text, ty)),
                ty => self.string(&self::text(text, ty)),
            },
            Json::Array(items) if element.is_some_and(|element| element.key.is_some()) => self.set(items, element),
            Json::Array(items) => {
                self.out.push(LIST);
                items.iter().for_each(|item| self.value(item, element));
                self.out.push(END);
            }
            json if json.is_vacant() => self.out.push(NULL),
            Json::Object(_) => match element {
                Some(element) if element.ty == "Reference" => self.reference(json, element.node),
                Some(element) if element.ty == "Resource" => self.resource(json),
                element => self.object(json, element.and_then(|element| element.node)),
            },
        }
    }

    fn reference(&mut self, json: &Json, node: Option<Node>) {
        let Json::Object(all) = json else { return };
        self.out.push(OBJECT);
        for (name, value) in members(all, |_| true) {
            match value {
                Json::String(text) if name == "reference" => {
                    self.string(name);
                    self.string(reduced(text, self.elements));
                }
                value => self.member(name, value, node),
            }
        }
        self.out.push(END);
    }

    /// Items in the order of their own forms: no order of theirs takes part.
    fn set(&mut self, items: &[Json], element: Option<Element<'_>>) {
        self.out.push(SET);
        let start = self.out.len();
        let mut ends = Vec::with_capacity(items.len());
        for item in items {
            self.value(item, element);
            ends.push(self.out.len() - start);
        }
        if items.len() > 1 {
            let forms = self.out.split_off(start);
            let mut from = 0;
            let mut slices: Vec<&[u8]> =
                ends.iter().map(|end| &forms[core::mem::replace(&mut from, *end)..*end]).collect();
            slices.sort_unstable();
            slices.iter().for_each(|slice| self.out.extend_from_slice(slice));
        }
        self.out.push(END);
    }

    fn string(&mut self, text: &str) {
        let text = nfc(text);
        self.out.push(STRING);
        self.text(&text);
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, text: &str) {
        match Decimal::read(text) {
            Some(decimal) => {
                self.out.extend_from_slice(&[DECIMAL, u8::from(decimal.negative)]);
                self.out.extend_from_slice(&decimal.exponent.to_be_bytes());
                let length = decimal.whole.len() + decimal.fraction.len();
                self.out.extend_from_slice(&(length as u64).to_be_bytes());
                self.out.extend_from_slice(decimal.whole.as_bytes());
                self.out.extend_from_slice(decimal.fraction.as_bytes());
            }
            None => {
                self.out.push(NUMBER);
                self.text(text);
            }
        }
    }

    fn instant(&mut self, text: &str) {
        match Instant::read(text) {
            Some(instant) => {
                self.out.push(INSTANT);
                self.out.extend_from_slice(&instant.seconds.to_be_bytes());
                self.text(instant.fraction);
            }
            None => self.string(text),
        }
    }
}

/// `Type/id` of a literal reference to a resource type of R4, relative or absolute; anything else as it is.
pub(crate) fn reduced<'t>(text: &'t str, elements: &dyn Elements) -> &'t str {
    let whole = text.split_once("/_history/").map_or(text, |(before, _)| before);
    let Some((rest, id)) = whole.rsplit_once('/') else { return text };
    let (server, kind) = rest.rsplit_once('/').map_or(("", rest), |(server, kind)| (server, kind));
    let addressed = server.is_empty() && !rest.starts_with('/')
        || ["http://", "https://"].iter().any(|scheme| server.starts_with(scheme));
    let names = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let known = kind.starts_with(|c: char| c.is_ascii_uppercase()) && elements.node(kind).is_some();
    if addressed && names && known { &whole[whole.len() - id.len() - 1 - kind.len()..] } else { text }
}

#[cfg(test)]
mod tests;
