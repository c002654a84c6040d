//! What is wrong with a configuration: all faults of a file at once, each pointing at its place.
//!
//! The file's text is shown with passwords starred out, whatever they stand in.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::{ops::Range, sync::Arc};

/// One fault.
#[derive(Clone, Debug, thiserror::Error, Diagnostic)]
#[error("{reason}")]
#[diagnostic(help("{remedy}"))]
pub struct ConfigFault {
    reason: String,
    remedy: String,
    #[source_code]
    text: NamedSource<Arc<str>>,
    #[label]
    span: SourceSpan,
}

/// All of them.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{file} cannot be used")]
pub struct ConfigFaults {
    file: String,
    #[related]
    faults: Vec<ConfigFault>,
}

impl ConfigFaults {
    /// Reason and remedy of each.
    pub fn messages(&self) -> Vec<(String, String)> {
        self.faults.iter().map(|fault| (format!("{}: {}", self.file, fault.reason), fault.remedy.clone())).collect()
    }
}

/// Gathers faults while a file is read.
pub struct Collector {
    file: String,
    text: String,
    found: Vec<(Range<usize>, String, String)>,
    secret: Vec<Range<usize>>,
    /// Part of the file is not there, for it could not be read.
    partial: bool,
}

impl Collector {
    /// Of the file as it was named, with its text.
    pub fn new(file: &str, text: &str) -> Collector {
        Collector {
            file: file.to_owned(),
            text: text.to_owned(),
            found: Vec::new(),
            secret: Vec::new(),
            partial: false,
        }
    }

    /// Notes a fault at a place.
    pub fn add(&mut self, span: Range<usize>, reason: impl Into<String>, remedy: impl Into<String>) {
        self.found.push((span, reason.into(), remedy.into()));
    }

    /// The text is not TOML: what was read of it is not all that stands in it.
    pub fn partial(&mut self) {
        self.partial = true;
    }

    /// Notes that something is not there; not of a text that was read in part, where it may stand all the same.
    pub fn absent(&mut self, span: Range<usize>, reason: impl Into<String>, remedy: impl Into<String>) {
        if !self.partial {
            self.add(span, reason, remedy);
        }
    }

    /// This part of the text is never shown.
    pub fn hide(&mut self, span: Range<usize>) {
        self.secret.push(span);
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether something was found at this place already; of a whole table, something about this `word`.
    pub fn has(&self, place: &Range<usize>, word: &str, whole: bool) -> bool {
        self.found.iter().any(|(span, reason, _)| span == place && (!whole || reason.contains(word)))
    }

    /// The faults, if there are any.
    pub fn finish(mut self) -> Result<(), ConfigFaults> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(span, ..)| span.start);
        self.secret.extend(looks_secret(&self.text));
        let shown: Arc<str> = starred(&self.text, &self.secret).into();
        let faults = self.found.into_iter().map(|(span, reason, remedy)| ConfigFault {
            reason,
            remedy,
            text: NamedSource::new(&self.file, shown.clone()),
            span: span.into(),
        });
        Err(ConfigFaults { faults: faults.collect(), file: self.file })
    }
}

/// What a line shows that may be a secret in the wrong place: a misspelt key, a file that is no TOML, a URL with a password.
fn looks_secret(text: &str) -> Vec<Range<usize>> {
    const WORDS: [&str; 6] = ["pass", "secret", "token", "bearer", "key", "namespace"];
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let (end, whole) = (start + line.trim_end().len(), line.to_ascii_lowercase());
        if let Some(equals) = whole.find('=')
            && (whole.contains("bearer") || WORDS.iter().any(|word| whole[..equals].contains(word)))
            && !["file", "env"].iter().any(|word| whole[equals..].contains(word))
        {
            found.push(start + equals + 1..end.max(start + equals + 1));
        }
        if let Some((user, rest)) = line.find("://").and_then(|at| Some((at + 3, line[at + 3..].find('@')?)))
            && let Some(colon) = line[user..user + rest].find(':')
        {
            found.push(start + user + colon + 1..start + user + rest);
        }
        start += line.len();
    }
    found
}

/// The text with those places as stars, byte for byte, so that spans stay true.
fn starred(text: &str, secret: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in secret.iter().flat_map(|span| span.clone()) {
        if bytes.get(byte).is_some_and(|b| *b != b'\n') {
            bytes[byte] = b'*';
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
