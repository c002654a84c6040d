//! Batches: what one call appends together, under one head and one closing chain hash.
//!
//! ```text
//!  Head{first_seq, count, rest, durable_upto, prev_chain, resume?}  Entry  Entry  …  Close{chain, padding to 8}
//! ```
//! * `chain_n = BLAKE3(chain_{n-1} ‖ schema fingerprint ‖ body)`, over every entry, written once a batch (J2).
//! * `durable_upto` is the last entry that was durable when the batch was written: recovery tells corruption from a torn
//!   tail by it (J16).
//! * The first batch of a segment carries the resume of every source (J6).

use crate::{
    codec::{Codec, Resumes},
    error::LogError,
    frame::{self, Break, FRAME_HEAD, Kind, Seed, u32_at, u64_at},
    resume,
};
use model::{EntryId, Fingerprint, Hash, Header, Term, Timestamp, WriterId};

/// Begins every head's body; recovery looks for it behind a break.
const MAGIC: &[u8; 8] = b"LKBATCH0";
const REST_AT: usize = FRAME_HEAD + 1 + 20;
const HEAD_FIXED: usize = 72;
const HASH_BYTES: usize = 32;

/// What a head says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub first_seq: u64,
    pub count: u32,
    /// Bytes of the head's own frame.
    pub head_bytes: usize,
    /// Bytes of the whole batch, a multiple of 8.
    pub bytes: u64,
    pub durable_upto: u64,
    pub prev_chain: Hash,
    /// Whether a resume follows the fixed part.
    pub resume: bool,
}

impl Head {
    /// The last entry of the batch.
    pub(crate) fn last_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count) - 1
    }

    /// Reads the head at the beginning of `bytes`.
    pub(crate) fn parse(bytes: &[u8], seed: Seed) -> Result<Head, Break> {
        let (body, head_bytes) = frame::parse(bytes, Kind::Head, seed)?;
        if !body.starts_with(MAGIC) {
            return Err(Break::Kind);
        }
        let (first_seq, count) = (u64_at(body, 8)?, u32_at(body, 16)?);
        let (rest, durable_upto) = (u64_at(body, 20)?, u64_at(body, 28)?);
        let chain = body.get(36..68).and_then(|chain| chain.try_into().ok()).ok_or(Break::Length)?;
        let resume = u32_at(body, 68)? == 1;
        let bytes = rest.checked_add(head_bytes as u64).ok_or(Break::Length)?;
        let last = first_seq.checked_add(u64::from(count)).ok_or(Break::Sequence)?;
        if count == 0 || durable_upto >= first_seq || last == u64::MAX {
            return Err(Break::Sequence);
        }
        Ok(Head { first_seq, count, head_bytes, bytes, durable_upto, prev_chain: Hash(chain), resume })
    }

    /// The resume in the head of `batch`, if there is one.
    pub(crate) fn resumes(&self, batch: &[u8]) -> Result<Option<Resumes>, Break> {
        if !self.resume {
            return Ok(None);
        }
        let bytes = batch.get(FRAME_HEAD + 1 + HEAD_FIXED..self.head_bytes).ok_or(Break::Length)?;
        resume::decode(bytes).map(Some).map_err(|error| Break::Undecodable(error.to_string()))
    }

    /// Whether a head may begin at the beginning of `bytes`: a quick look before its CRC is computed.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        bytes.get(FRAME_HEAD) == Some(&(Kind::Head as u8))
            && bytes.get(FRAME_HEAD + 1..FRAME_HEAD + 9).is_some_and(|magic| magic == MAGIC)
    }
}

/// Everything that the batches of one append share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder {
    pub seed: Seed,
    pub fingerprint: Fingerprint,
    pub durable_upto: u64,
    pub writer: WriterId,
    pub term: Term,
    pub appended_at: Timestamp,
}

impl Encoder {
    /// Appends one batch to `out`, whose length is a multiple of 8, and returns the chain behind it.
    pub(crate) fn push<C: Codec>(
        &self,
        out: &mut Vec<u8>,
        bodies: &[C::Body],
        first_seq: u64,
        prev_chain: Hash,
        resumes: Option<&Resumes>,
    ) -> Result<Hash, LogError> {
        let count = u32::try_from(bodies.len()).map_err(|_| too_large("a batch"))?;
        let head = frame::begin(out, Kind::Head);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&first_seq.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.durable_upto.to_le_bytes());
        out.extend_from_slice(&prev_chain.0);
        out.extend_from_slice(&u32::from(resumes.is_some()).to_le_bytes());
        if let Some(resumes) = resumes {
            resume::encode(resumes, out);
        }
        let rest = out.len();

        let mut chain = Chain::new(prev_chain, self.fingerprint);
        for (seq, body) in (first_seq..).zip(bodies) {
            let id = EntryId { writer: self.writer, seq };
            let start = frame::begin(out, Kind::Entry);
            C::encode(&Header { id, term: self.term, appended_at: self.appended_at }, body, out);
            chain.add(&out[start + FRAME_HEAD + 1..]);
            frame::finish(out, start, self.seed).ok_or_else(|| too_large("an entry"))?;
        }
        let close = frame::begin(out, Kind::Close);
        out.extend_from_slice(&chain.hash().0);
        out.resize(out.len().next_multiple_of(8), 0);
        frame::finish(out, close, self.seed).ok_or_else(|| too_large("a batch"))?;

        let rest_bytes = (out.len() - rest) as u64;
        out[head + REST_AT..head + REST_AT + 8].copy_from_slice(&rest_bytes.to_le_bytes());
        let head_len = u32::try_from(rest - head - FRAME_HEAD).map_err(|_| too_large("the resume of all sources"))?;
        frame::seal(&mut out[head..rest], head_len, self.seed);
        Ok(chain.hash())
    }
}

fn too_large(what: &str) -> LogError {
    LogError::Refused(format!("{what} is larger than a frame can be (4 GiB)"))
}

/// The running hash of J2.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// Hash and fingerprint side by side: what each step hashes first.
    prefix: [u8; HASH_BYTES + 8],
}

impl Chain {
    pub(crate) fn new(from: Hash, fingerprint: Fingerprint) -> Chain {
        let mut prefix = [0; HASH_BYTES + 8];
        prefix[..HASH_BYTES].copy_from_slice(&from.0);
        prefix[HASH_BYTES..].copy_from_slice(&fingerprint.0.to_be_bytes());
        Chain { prefix }
    }

    pub(crate) fn add(&mut self, body: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.prefix).update(body);
        self.prefix[..HASH_BYTES].copy_from_slice(hasher.finalize().as_bytes());
    }

    pub(crate) fn hash(&self) -> Hash {
        let mut hash = Hash::default();
        hash.0.copy_from_slice(&self.prefix[..HASH_BYTES]);
        hash
    }
}

/// The entries of one batch, frame by frame, then its closing hash.
pub(crate) struct Frames<'a> {
    batch: &'a [u8],
    at: usize,
    seq: u64,
    left: u32,
    seed: Seed,
}

impl<'a> Frames<'a> {
    /// `batch` holds the whole batch of `head`.
    pub(crate) fn new(batch: &'a [u8], head: &Head, seed: Seed) -> Frames<'a> {
        Frames { batch, at: head.head_bytes, seq: head.first_seq, left: head.count, seed }
    }

    /// The next entry's number and body; none behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &'a [u8])>, Break> {
        if self.left == 0 {
            return Ok(None);
        }
        let (body, size) = frame::parse(self.batch.get(self.at..).ok_or(Break::Length)?, Kind::Entry, self.seed)?;
        let seq = self.seq;
        (self.at, self.seq, self.left) = (self.at + size, seq + 1, self.left - 1);
        Ok(Some((seq, body)))
    }

    /// The closing hash; asked for behind the last entry.
    pub(crate) fn close(self) -> Result<Hash, Break> {
        let (body, size) = frame::parse(self.batch.get(self.at..).ok_or(Break::Length)?, Kind::Close, self.seed)?;
        if self.at + size != self.batch.len() {
            return Err(Break::Length);
        }
        body.get(..HASH_BYTES).and_then(|hash| hash.try_into().ok()).map(Hash).ok_or(Break::Length)
    }
}

/// Decodes an entry and checks that it is the one with this number.
pub(crate) fn decode<C: Codec>(seq: u64, body: &[u8]) -> Result<C::Stored, Break> {
    let stored = C::decode(body).map_err(Break::Undecodable)?;
    if C::header(&stored).id.seq == seq { Ok(stored) } else { Err(Break::Sequence) }
}
