//! What a reader takes of a partition, whoever wrote into it (J36). Everybody who reads comes to the same verdicts.
//!
//! * Seq is dense and the chain is closed; a gap or another chain stops the reader.
//! * A repeat is dropped, if it is one: the same bytes under the same number.
//! * The first `Opened` of a higher term ends the lower ones, whether it is an entry itself or not: it is none if somebody
//!   appended after its writer had looked. What a lower term appends behind it is void.

use model::{Entry, EntryId, Hash, SystemId, Term, Timestamp, WriterId};
use ports::{Failure, Fault, Resume};
use schemas::ENTRY_FINGERPRINT;
use std::collections::BTreeMap;

/// The one writer's number (J42).
const WRITER: WriterId = WriterId(1);
const PRINT_BYTES: usize = 8;

/// The entries of one partition up to here, and who may append the next one.
#[derive(Default)]
pub struct Reading {
    term: Term,
    taken: Vec<Taken>,
    appended_at: Option<Timestamp>,
    resumes: BTreeMap<SystemId, Resume>,
}

/// An entry that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Where it stands in the partition.
    pub offset: i64,
    /// The chain behind it (J2).
    pub chain: Hash,
}

/// What a record of the partition is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The next entry.
    Taken,
    /// An entry that was there before: its producer sent it twice.
    Repeated,
    /// Appended by a writer that had been overtaken, or by one that lost the race to open.
    Void,
}

/// Why a reader stops: the partition is not what a writer wrote.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// Entries are missing.
    #[error("entries {expected} to {} are missing before offset {offset}", found - 1)]
    Gap {
        /// The next entry.
        expected: u64,
        /// The one that came.
        found: u64,
        /// Its offset.
        offset: i64,
    },
    /// The writer's `Opened` is missing.
    #[error("the opening of term {} is missing before offset {offset}", term.0)]
    Unopened {
        /// The term of what came.
        term: Term,
        /// Its offset.
        offset: i64,
    },
    /// What stands before it is not what stood there when it was written.
    #[error("entry {seq} at offset {offset} does not continue the chain")]
    Chain {
        /// Its number.
        seq: u64,
        /// Its offset.
        offset: i64,
    },
    /// Two bodies under one number.
    #[error("entry {seq} at offset {offset} is another one than before")]
    Changed {
        /// Its number.
        seq: u64,
        /// The offset of the second.
        offset: i64,
    },
    /// Not a record of ours, or of another version.
    #[error("the record at offset {offset} is none of format v0: {why}")]
    Foreign {
        /// Its offset.
        offset: i64,
        /// What was expected; never its bytes.
        why: String,
    },
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Fault {
        Fault::new(Failure::Corrupt, broken.to_string())
            .cure("stop, keep the topic as it is, and restore it or begin with a new one")
    }
}

/// What a record's header holds: the schema's fingerprint, then the chain before the record.
pub fn stamp(prev: Hash) -> [u8; PRINT_BYTES + 32] {
    let mut stamp = [0; PRINT_BYTES + 32];
    stamp[..PRINT_BYTES].copy_from_slice(&ENTRY_FINGERPRINT.0.to_be_bytes());
    stamp[PRINT_BYTES..].copy_from_slice(&prev.0);
    stamp
}

impl Reading {
    /// The highest term that was opened.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The last entry.
    pub fn tail(&self) -> Option<EntryId> {
        let seq = self.taken.len() as u64;
        (seq > 0).then_some(EntryId { writer: WRITER, seq })
    }

    /// The name of the next entry.
    pub fn next(&self) -> EntryId {
        EntryId { writer: WRITER, seq: self.taken.len() as u64 + 1 }
    }

    /// The chain behind the last entry.
    pub fn chain(&self) -> Hash {
        self.taken.last().map_or(Hash::default(), |taken| taken.chain)
    }

    /// The time of the last entry.
    pub fn appended_at(&self) -> Option<Timestamp> {
        self.appended_at
    }

    /// An entry's place.
    pub fn taken(&self, seq: u64) -> Option<Taken> {
        self.taken.get(usize::try_from(seq.checked_sub(1)?).ok()?).copied()
    }

    /// The resume fold of every source (J6).
    pub fn resumes(&self) -> &BTreeMap<SystemId, Resume> {
        &self.resumes
    }

    /// Judges the record at `offset`; offsets only rise.
    pub fn read(&mut self, offset: i64, stamp: Option<&[u8]>, body: &[u8]) -> Result<Verdict, Broken> {
        let foreign = |why: &str| Broken::Foreign { offset, why: why.to_owned() };
        let (print, prev) = stamp.and_then(|stamp| stamp.split_at_checked(PRINT_BYTES)).unwrap_or_default();
        let prev = prev.try_into().map(Hash).map_err(|_| foreign("it has no stamp"))?;
        if print != ENTRY_FINGERPRINT.0.to_be_bytes() {
            return Err(foreign("it has another schema"));
        }
        let journaled = schemas::decode_journaled(body).map_err(|error| foreign(&error.to_string()))?;
        let (seq, term) = (journaled.header.id.seq, journaled.header.term);
        let opens = matches!(journaled.entry, Entry::Opened { .. });
        if term < self.term {
            return Ok(Verdict::Void);
        }
        if term > self.term && !opens {
            return Err(Broken::Unopened { term, offset });
        }
        let next = self.next().seq;
        if seq > next {
            return Err(Broken::Gap { expected: next, found: seq, offset });
        }
        let is_first = term > self.term;
        self.term = term;
        let chain = step(prev, body);
        if seq < next {
            return match self.taken(seq) {
                Some(taken) if taken.chain == chain => Ok(Verdict::Repeated),
                // Its writer had looked before somebody else appended: it has to open once more.
                _ if is_first || opens => Ok(Verdict::Void),
                _ => Err(Broken::Changed { seq, offset }),
            };
        }
        if prev != self.chain() {
            return Err(Broken::Chain { seq, offset });
        }
        self.taken.push(Taken { offset, chain });
        self.appended_at = Some(journaled.header.appended_at);
        if let Some((source, _)) = journaled.entry.source() {
            self.resumes.entry(source.clone()).or_default().fold(&journaled.entry);
        }
        Ok(Verdict::Taken)
    }
}

/// One step of J2's chain.
pub(crate) fn step(prev: Hash, body: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&prev.0).update(&ENTRY_FINGERPRINT.0.to_be_bytes()).update(body);
    Hash(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
