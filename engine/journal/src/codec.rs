//! What the log needs to know of what it stores: bodies to bytes and back, the first record of a term, the resume fold.
//!
//! The log never looks into a body by itself.

use crate::log::Config;
use model::{Entry, Fingerprint, Header, Journaled, Record, Recorded, SystemId};
use ports::Resume;
use std::collections::BTreeMap;

/// The resume fold of every source (J6).
pub type Resumes = BTreeMap<SystemId, Resume>;

/// One kind of log: the journal's entries, or the records of the decisions log.
pub trait Codec: Send + 'static {
    /// What is appended.
    type Body: Send + Sync;
    /// What is read: the same with its header.
    type Stored;

    /// Fingerprint of the schema's own bytes (J2); a log written with another one is refused (J5).
    fn fingerprint() -> Fingerprint;

    /// Appends header and body to `out`; exactly one encoding for a value, since the chain hashes it.
    fn encode(header: &Header, body: &Self::Body, out: &mut Vec<u8>);

    /// Reads what [`Codec::encode`] made. The error names a place and what was expected, never the bytes.
    fn decode(bytes: &[u8]) -> Result<Self::Stored, String>;

    /// The header of what was read.
    fn header(stored: &Self::Stored) -> &Header;

    /// The body of what was read.
    fn body(stored: &Self::Stored) -> &Self::Body;

    /// The body that the log appends when it is opened for writing (J42).
    fn opened(config: &Config) -> Self::Body;

    /// Folds one body into the resume of its source; does nothing for the decisions log.
    fn fold(resumes: &mut Resumes, body: &Self::Body);
}

/// The journal: entries.
#[derive(Clone, Copy, Debug)]
pub enum EntryCodec {}

impl Codec for EntryCodec {
    type Body = Entry;
    type Stored = Journaled;

    fn fingerprint() -> Fingerprint {
        schemas::ENTRY_FINGERPRINT
    }

    fn encode(header: &Header, body: &Entry, out: &mut Vec<u8>) {
        schemas::encode_journaled(header, body, out);
    }

    fn decode(bytes: &[u8]) -> Result<Journaled, String> {
        schemas::decode_journaled(bytes).map_err(|error| error.to_string())
    }

    fn header(stored: &Journaled) -> &Header {
        &stored.header
    }

    fn body(stored: &Journaled) -> &Entry {
        &stored.entry
    }

    fn opened(config: &Config) -> Entry {
        let Config { binary, behaviour, pins, .. } = config.clone();
        Entry::Opened { binary, behaviour, pins }
    }

    fn fold(resumes: &mut Resumes, body: &Entry) {
        let Some((source, _)) = body.source() else { return };
        match resumes.get_mut(source) {
            Some(resume) => resume.fold(body),
            None => resumes.entry(source.clone()).or_default().fold(body),
        }
    }
}

/// The decisions log: records.
#[derive(Clone, Copy, Debug)]
pub enum RecordCodec {}

impl Codec for RecordCodec {
    type Body = Record;
    type Stored = Recorded;

    fn fingerprint() -> Fingerprint {
        schemas::RECORD_FINGERPRINT
    }

    fn encode(header: &Header, body: &Record, out: &mut Vec<u8>) {
        schemas::encode_recorded(header, body, out);
    }

    fn decode(bytes: &[u8]) -> Result<Recorded, String> {
        schemas::decode_recorded(bytes).map_err(|error| error.to_string())
    }

    fn header(stored: &Recorded) -> &Header {
        &stored.header
    }

    fn body(stored: &Recorded) -> &Record {
        &stored.record
    }

    fn opened(config: &Config) -> Record {
        Record::Opened { binary: config.binary.clone(), behaviour: config.behaviour }
    }

    fn fold(_: &mut Resumes, _: &Record) {}
}
