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
}

impl Collector {
    /// Of the file as it was named, with its text.
    pub fn new(file: &str, text: &str) -> Collector {
        Collector { file: file.to_owned(), text: text.to_owned(), found: Vec::new(), secret: Vec::new() }
    }

    /// Notes a fault at a place.
    pub fn add(&mut self, span: Range<usize>, reason: impl Into<String>, remedy: impl Into<String>) {
        self.found.push((span, reason.into(), remedy.into()));
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
