//! A map file as a tree whose every word knows its place.
//!
//! Read from the parser's events, not through serde: a number keeps its digits, a repeated key is a fault, and so is
//! whatever makes one text mean two things (anchors, tags, several documents).

use crate::error::{Faults, Place};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// A piece of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A single word or text.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    /// Written without quotes: then it may be a number, `true`, `null` or a word of ours.
    pub(crate) plain: bool,
    /// Where the text itself begins: behind an opening quote.
    pub(crate) inner: Place,
}

/// The name of a member.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: Box<str>,
    pub(crate) plain: bool,
    pub(crate) at: Place,
}

impl Node {
    /// What it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.what {
            What::Scalar(_) => "a single value",
            What::List(_) => "a list",
            What::Map(_) => "a mapping",
        }
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.what {
            What::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null")
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" if self.plain => Some(true),
            "false" if self.plain => Some(false),
            _ => None,
        }
    }
}

/// No map nests deeper; a file that does is not a map.
const DEPTH_MAX: usize = 64;

/// Reads the tree; none if the text is no YAML or is empty (the fault says so).
pub(crate) fn read(text: &str, faults: &mut Faults) -> Option<Node> {
    let mut reader = Reader { events: Parser::new_from_str(text), faults };
    match reader.document() {
        Ok(found) => found,
        Err(stop) => {
            reader.faults.add(stop.at, stop.reason, stop.remedy);
            None
        }
    }
}

struct Reader<'t, 'f> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    faults: &'f mut Faults,
}

struct Stop {
    at: Place,
    reason: String,
    remedy: &'static str,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Stop {
        let marker = error.marker();
        Stop {
            at: place(marker.line(), marker.col()),
            reason: format!("this is not YAML: {}", error.info()),
            remedy: "check indentation, quotes and brackets here and on the line before",
        }
    }
}

fn place(line: usize, column: usize) -> Place {
    let small = |x: usize| u32::try_from(x).unwrap_or(u32::MAX);
    Place { line: small(line), column: small(column.saturating_add(1)) }
}

fn start(span: &Span) -> Place {
    place(span.start.line(), span.start.col())
}

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Stop> {
        while let Some((event, span)) = self.events.next_event().transpose()? {
            let ends = matches!(event, Event::SequenceEnd | Event::MappingEnd | Event::DocumentStart(..));
            if ends || event.is_node() {
                return Ok(Some((event, span)));
            }
        }
        Ok(None)
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    self.faults.add(start(&span), "a second document begins", "put each map in a file of its own");
                    return Ok(root);
                }
                Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                    root = Some(self.node(event, span, 0)?);
                }
                _ => {}
            }
        }
        if root.is_none() {
            self.faults.add(place(1, 0), "the file is empty", "begin with `map: NAME`");
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stop> {
        let at = start(&span);
        if depth > DEPTH_MAX {
            return Err(Stop { at, reason: "this is nested too deep".into(), remedy: "flatten it" });
        }
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => (*anchor, tag.is_some()),
            Event::Alias(_) => (1, false),
            _ => (0, false),
        };
        if anchor != 0 {
            self.faults.add(at, "anchors and aliases are not read", "write the text out where it is used");
        }
        if tagged {
            self.faults.add(at, "tags are not read", "leave the `!` word out, quote text that must stay text");
        }
        let what = match event {
            Event::Scalar(text, style, ..) => What::Scalar(scalar(&text, style, at)),
            Event::SequenceStart(..) => What::List(self.list(depth)?),
            Event::MappingStart(..) => What::Map(self.map(depth)?),
            _ => What::Scalar(scalar("", ScalarStyle::Plain, at)),
        };
        Ok(Node { at, what })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Stop> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let name = self.node(event, span, depth + 1)?;
            let Some((event, span)) = self.next()? else { break };
            let value = self.node(event, span, depth + 1)?;
            let What::Scalar(word) = name.what else {
                self.faults.add(name.at, "a name must be a single word", "check the colons and braces before it");
                continue;
            };
            let key = Key { text: word.text, plain: word.plain, at: name.at };
            // A quoted `else` is a code, a plain one is ours: they may stand beside each other.
            if members
                .iter()
                .any(|(held, _)| held.text == key.text && (held.plain == key.plain || &*key.text != "else"))
            {
                self.faults.add(key.at, format!("`{}` stands here twice", key.text), "keep one of them");
                continue;
            }
            members.push((key, value));
        }
        Ok(members)
    }
}

fn scalar(text: &str, style: ScalarStyle, at: Place) -> Scalar {
    let plain = matches!(style, ScalarStyle::Plain);
    Scalar { text: text.into(), plain, inner: if plain { at } else { at.plus(1) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Faults::of("m.yaml");
        read(text, &mut faults);
        faults.finish().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_keep_their_digits_and_words_their_places() {
        let mut faults = Faults::of("m.yaml");
        let node = read("a: 1.00\nb: {c: ['x', \"y\"]}\n", &mut faults).expect("read");
        let What::Map(members) = node.what else { panic!("a mapping") };
        assert_eq!(&*members[0].1.scalar().expect("scalar").text, "1.00");
        assert_eq!(members[1].0.at, Place { line: 2, column: 1 });
        let What::Map(inner) = &members[1].1.what else { panic!("a mapping") };
        let What::List(items) = &inner[0].1.what else { panic!("a list") };
        assert_eq!(items[1].scalar().expect("scalar").inner, Place { line: 2, column: 15 });
    }

    #[test]
    fn what_makes_a_text_mean_two_things_is_refused() {
        assert_eq!(faults("a: 1\na: 2\n"), ["m.yaml:2:1: `a` stands here twice; keep one of them"]);
        assert_eq!(faults("a: &x 1\nb: *x\n").len(), 2);
        assert_eq!(faults("a: !!str 1\n").len(), 1);
        assert_eq!(
            faults("a: 1\n---\nb: 2\n"),
            ["m.yaml:2:1: a second document begins; put each map in a file of its own"]
        );
        assert_eq!(faults(""), ["m.yaml:1:1: the file is empty; begin with `map: NAME`"]);
        assert!(faults("a: [1, 2\n")[0].contains("this is not YAML"));
        assert!(faults(&"[".repeat(500))[0].contains("not YAML") || faults(&"[".repeat(500))[0].contains("too deep"));
    }
}
