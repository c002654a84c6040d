//! Segments: files of a fixed length, filled with zeros ahead of use, named by number and first entry.
//!
//! ```text
//!  00000003-00000000000000001801.log
//!  ┌─────────────┬─────────┬─────────┬─────┬─────────┐
//!  │ header page │ batch   │ batch   │  …  │ zeros   │
//!  └─────────────┴─────────┴─────────┴─────┴─────────┘
//!   0            4,096      every batch begins at a multiple of 8
//! ```
//! * A segment gets its name when its zeros and its header page are durable; then the directory is made durable. A name
//!   therefore means a whole, readable header, and a shorter file than the header says is a damaged one.
//! * The length never changes while the log appends, so `fdatasync` writes no metadata.

use crate::{
    disk::{Disk, DiskFile, write_zeros},
    error::LogError,
    frame::{Break, Seed, u32_at, u64_at},
};
use model::{Fingerprint, Hash};
use std::{fmt, path::Path, sync::Arc};

/// Bytes of the header page; the first batch begins behind it.
pub(crate) const HEADER_BYTES: u64 = 4_096;

/// Format v0 (J5).
const FORMAT: u32 = 0;
/// The number of the key that frames are encrypted with (J40). Format v0 has none, and reads nothing else.
const PLAINTEXT: u32 = 0;
const MAGIC: &[u8; 8] = b"LOCKSTEP";
const CRC_AT: usize = HEADER_BYTES as usize - 4;

/// The number of a segment, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// A segment as its name tells it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SegmentName {
    pub id: SegmentId,
    pub first_seq: u64,
}

impl SegmentName {
    pub(crate) fn file(self) -> String {
        format!("{}-{:020}.log", self.id, self.first_seq)
    }

    fn parse(name: &str) -> Option<SegmentName> {
        let (id, first) = name.strip_suffix(".log")?.split_once('-')?;
        let parsed = SegmentName { id: SegmentId(id.parse().ok()?), first_seq: first.parse().ok()? };
        (parsed.file() == name).then_some(parsed)
    }
}

/// The segments of a directory in order; refuses a hole in their numbers.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentName>, LogError> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names.map_err(LogError::io("cannot list", dir.display().to_string()))?,
    };
    let mut segments: Vec<SegmentName> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    for pair in segments.windows(2) {
        if pair[0].id.0 + 1 != pair[1].id.0 || pair[0].first_seq > pair[1].first_seq {
            let file = format!("a segment between {} and {}", pair[0].id, pair[1].id);
            return Err(LogError::Missing { file, from: pair[0].first_seq, to: pair[1].first_seq.saturating_sub(1) });
        }
    }
    Ok(segments)
}

/// What a header page says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub name: SegmentName,
    pub birth: u64,
    /// Length of the whole file.
    pub bytes: u64,
    /// The chain before the first entry.
    pub prev_chain: Hash,
    pub fingerprint: Fingerprint,
}

impl SegmentHeader {
    pub(crate) fn seed(&self) -> Seed {
        Seed::new(self.name.id, self.birth)
    }

    fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEADER_BYTES as usize);
        page.extend_from_slice(MAGIC);
        page.extend_from_slice(&FORMAT.to_le_bytes());
        page.extend_from_slice(&PLAINTEXT.to_le_bytes());
        for number in [self.name.id.0, self.birth, self.bytes, self.name.first_seq, self.fingerprint.0] {
            page.extend_from_slice(&number.to_le_bytes());
        }
        page.extend_from_slice(&self.prev_chain.0);
        page.resize(CRC_AT, 0);
        page.extend_from_slice(&crc32c::crc32c(&page).to_le_bytes());
        page
    }

    /// Reads the page of the segment that is called `name`.
    fn decode(page: &[u8], name: SegmentName) -> Result<Result<SegmentHeader, Break>, LogError> {
        let checked = page.get(..CRC_AT).filter(|body| u32_at(page, CRC_AT) == Ok(crc32c::crc32c(body)));
        let Some(page) = checked.filter(|page| page.starts_with(MAGIC)) else { return Ok(Err(Break::Header)) };
        match u32_at(page, 8) {
            Ok(FORMAT) => {}
            found => {
                let what = format!("written in format {found:?}, and this binary reads format v0 only");
                return Err(LogError::Format { segment: name.id, what });
            }
        }
        match u32_at(page, 12) {
            Ok(PLAINTEXT) => {}
            Ok(key) => {
                let what = format!("encrypted with key {key}, and this binary reads plaintext only");
                return Err(LogError::Format { segment: name.id, what });
            }
            Err(short) => return Ok(Err(short)),
        }
        let parsed = Self::fields(page);
        Ok(parsed.and_then(|header| if header.name == name { Ok(header) } else { Err(Break::Header) }))
    }

    fn fields(page: &[u8]) -> Result<SegmentHeader, Break> {
        let chain = page.get(56..88).and_then(|bytes| bytes.try_into().ok()).ok_or(Break::Header)?;
        Ok(SegmentHeader {
            name: SegmentName { id: SegmentId(u64_at(page, 16)?), first_seq: u64_at(page, 40)? },
            birth: u64_at(page, 24)?,
            bytes: u64_at(page, 32)?,
            fingerprint: Fingerprint(u64_at(page, 48)?),
            prev_chain: Hash(chain),
        })
    }
}

/// A segment with its file.
#[derive(Clone)]
pub(crate) struct Segment {
    pub header: SegmentHeader,
    pub file: Arc<dyn DiskFile>,
}

impl Segment {
    /// Opens the segment and checks its header and its length. A damage is a value: who meets it knows what it means.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        name: SegmentName,
        fingerprint: Fingerprint,
        write: bool,
    ) -> Result<Result<Segment, Break>, LogError> {
        let path = dir.join(name.file());
        let file = disk.open(&path, write).map_err(LogError::io("cannot open", name.file()))?;
        let mut page = vec![0; HEADER_BYTES as usize];
        let read = file.read_at(&mut page, 0).map_err(LogError::io("cannot read", name.file()))?;
        page.truncate(read);
        let header = match SegmentHeader::decode(&page, name)? {
            Ok(header) => header,
            Err(damage) => return Ok(Err(damage)),
        };
        if header.fingerprint != fingerprint {
            let what = format!(
                "its entries are in schema {:?} and this binary writes {:?}; format v0 is not converted",
                header.fingerprint, fingerprint
            );
            return Err(LogError::Format { segment: name.id, what });
        }
        let found = file.len().map_err(LogError::io("cannot stat", name.file()))?;
        if found < header.bytes {
            return Ok(Err(Break::Short { found, planned: header.bytes }));
        }
        Ok(Ok(Segment { header, file }))
    }
}

/// Makes a file of `bytes` zeros called `path`, durable but for its name. Leaves nothing behind when it fails.
pub(crate) fn prepare(
    disk: &dyn Disk,
    path: &Path,
    bytes: u64,
    go_on: &mut dyn FnMut(&dyn DiskFile) -> std::io::Result<()>,
) -> std::io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(path)?;
    let filled = write_zeros(&*file, 0, bytes, &mut || go_on(&*file)).and_then(|()| file.sync_data());
    match filled {
        Ok(()) => Ok(file),
        Err(error) => {
            // What matters is the first error; a half-made file that stays is overwritten by the next attempt.
            let _ = disk.unlink(path);
            Err(error)
        }
    }
}

/// Turns a prepared file into the segment of `header`: header page, name, directory, each durable before the next.
pub(crate) fn put_into_place(
    disk: &dyn Disk,
    dir: &Path,
    prepared: &Path,
    file: Arc<dyn DiskFile>,
    header: SegmentHeader,
) -> Result<Segment, LogError> {
    let name = header.name.file();
    file.write_at(&header.encode(), 0).map_err(LogError::io("cannot write", &name))?;
    file.sync_data().map_err(LogError::io("cannot make durable", &name))?;
    disk.rename(prepared, &dir.join(&name)).map_err(LogError::io("cannot rename to", &name))?;
    disk.sync_dir(dir).map_err(LogError::io("cannot make durable the directory of", &name))?;
    Ok(Segment { header, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parsed_only_if_it_is_one_of_ours() {
        let name = SegmentName { id: SegmentId(3), first_seq: 1_801 };
        assert_eq!(SegmentName::parse(&name.file()), Some(name));
        for other in ["tail", "reserve", "spare", "3-1801.log", "00000003-00000000000000001801.log.tmp"] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_page_is_noticed() {
        let name = SegmentName { id: SegmentId(3), first_seq: 1_801 };
        let header = SegmentHeader {
            name,
            birth: 77,
            bytes: 65_536,
            prev_chain: Hash::of(b"before"),
            fingerprint: Fingerprint(5),
        };
        let page = header.encode();
        assert_eq!(SegmentHeader::decode(&page, name).unwrap(), Ok(header));
        for bit in 0..page.len() * 8 {
            let mut bad = page.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad, name).unwrap(), Err(Break::Header), "bit {bit}");
        }
    }

    #[test]
    fn an_encrypted_segment_is_refused_in_words() {
        let name = SegmentName { id: SegmentId(3), first_seq: 1 };
        let (prev_chain, fingerprint) = (Hash::default(), Fingerprint(5));
        let mut page = SegmentHeader { name, birth: 7, bytes: 65_536, prev_chain, fingerprint }.encode();
        page[12] = 1;
        let crc = crc32c::crc32c(&page[..CRC_AT]);
        page[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let error = SegmentHeader::decode(&page, name).unwrap_err().to_string();
        assert!(error.contains("encrypted with key 1,"), "{error}");
    }
}
