//! As much XML as FHIR's definitions use: elements, attributes, comments, text that is skipped.
//!
//! Not a general reader: no entities of one's own, no CDATA, no processing of namespaces. What it does not know is a fault.

use std::borrow::Cow;

/// One element: its name, the attributes that FHIR gives a meaning, what stands inside.
pub struct Node<'a> {
    pub name: &'a str,
    value: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    pub inside: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Node<'a>> {
        self.inside.iter().find(|node| node.name == name)
    }

    /// Every child of that name.
    pub fn children(&self, name: &str) -> impl Iterator<Item = &Node<'a>> {
        self.inside.iter().filter(move |node| node.name == name)
    }

    /// The `value` attribute of the first child of that name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.child(name)?.value.as_deref()
    }

    /// The `value` attribute.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The `url` attribute, which names an extension.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// Reads a document; the fault names the byte at which it stands.
pub fn parse(text: &str) -> Result<Node<'_>, String> {
    let mut open: Vec<Node<'_>> = vec![Node::named("")];
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let at = text.len() - rest.len();
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = after(comment, "-->").ok_or_else(|| fault(at, "a comment does not end"))?;
        } else if let Some(instruction) = rest.strip_prefix("<?") {
            rest = after(instruction, "?>").ok_or_else(|| fault(at, "an instruction does not end"))?;
        } else if rest.starts_with("<!") {
            return Err(fault(at, "neither a comment nor an element"));
        } else {
            let end = tag_end(rest).ok_or_else(|| fault(at, "a tag does not end"))?;
            tag(&rest[1..end], &mut open).map_err(|why| fault(at, why))?;
            rest = &rest[end + 1..];
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut root), true) if root.inside.len() == 1 => Ok(root.inside.remove(0)),
        _ => Err(fault(text.len(), "the document does not end where its root does")),
    }
}

impl Node<'_> {
    fn named(name: &str) -> Node<'_> {
        Node { name, value: None, url: None, inside: Vec::new() }
    }
}

fn fault(at: usize, why: &str) -> String {
    format!("byte {at}: {why}")
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.find(mark).map(|at| &text[at + mark.len()..])
}

/// Where the tag's `>` stands; one inside an attribute does not count.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn tag<'a>(tag: &'a str, open: &mut Vec<Node<'a>>) -> Result<(), &'static str> {
    if let Some(name) = tag.strip_prefix('/') {
        let closed = open.pop().ok_or("a closing tag too many")?;
        if closed.name != name.trim() {
            return Err("a closing tag that does not fit");
        }
        open.last_mut().ok_or("a closing tag too many")?.inside.push(closed);
        return Ok(());
    }
    let (tag, alone) = match tag.strip_suffix('/') {
        Some(tag) => (tag, true),
        None => (tag, false),
    };
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut node = Node::named(name);
    read_attributes(attributes, &mut node)?;
    if alone {
        open.last_mut().ok_or("an element outside the root")?.inside.push(node);
    } else {
        open.push(node);
    }
    Ok(())
}

fn read_attributes<'a>(mut rest: &'a str, node: &mut Node<'a>) -> Result<(), &'static str> {
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(());
        }
        let (name, behind) = rest.split_once('=').ok_or("an attribute without a value")?;
        let behind = behind.trim_start();
        let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or("an attribute without quotes")?;
        let (value, behind) = behind[1..].split_once(quote).ok_or("an attribute that does not end")?;
        match name.trim_end() {
            "value" => node.value = Some(unescape(value)?),
            "url" => node.url = Some(unescape(value)?),
            _ => {}
        }
        rest = behind;
    }
}

fn unescape(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains('&') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        let (entity, behind) = behind.split_once(';').ok_or("an entity that does not end")?;
        out.push_str(before);
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => numbered(entity).ok_or("an entity that XML does not define")?,
        });
        rest = behind;
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_comments_are_read() {
        let root =
            parse("<?xml version='1.0'?><a><!-- no <b> --><b value=\"1 &gt; &#48;\"/><c url='x'>text</c></a>").unwrap();
        assert_eq!(root.text("b"), Some("1 > 0"));
        assert_eq!(root.child("c").and_then(Node::url), Some("x"));
    }

    #[test]
    fn a_document_that_is_cut_is_a_fault() {
        for cut in ["<a>", "<a><b></a>", "<a b=>", "<a value=\"1></a>", "</a>", "<a value=\"&x;\"/>"] {
            assert!(parse(cut).is_err(), "{cut}");
        }
    }
}
