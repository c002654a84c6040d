//! Avro's binary encoding: the few primitives that every format of ours is made of.
//!
//! Knows no type of the model. Invariants:
//! * Reading arbitrary bytes never panics, never allocates more than the bytes at hand could fill, and always ends.
//! * An error names the byte's place and what was expected there, never the bytes.

use thiserror::Error;

/// The format that this binary writes, and the only one that it reads (J5).
pub const FORMAT: u8 = 0;

/// Nesting of a JSON tree that a reader accepts; deeper ones are refused before the stack is in danger.
pub const NESTING_MAX: u16 = 200;

/// Why bytes are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum WireError {
    /// The bytes end before the value does.
    #[error(
        "the bytes end at {offset} where {expected} was expected: what wrote them was cut off, or they are damaged"
    )]
    End {
        /// Where.
        offset: usize,
        /// What.
        expected: &'static str,
    },
    /// A value that cannot stand there.
    #[error("what ends at byte {offset} is not {expected}: these bytes are of another schema, or damaged")]
    Invalid {
        /// Where it ended.
        offset: usize,
        /// What.
        expected: &'static str,
    },
    /// The value ends before the bytes do.
    #[error("{rest} bytes follow the end of the value at {offset}: these bytes are of another schema, or damaged")]
    Trailing {
        /// Where the value ended.
        offset: usize,
        /// How many bytes are left.
        rest: usize,
    },
    /// Another format.
    #[error(
        "these bytes are not in format v0 (their format byte is {found}); this binary reads format v0 only: \
         use the binary that wrote them, or begin with a new data_dir"
    )]
    Format {
        /// The format byte found.
        found: u8,
    },
    /// Another revision of the same format: until v1 is frozen they are not converted (J5).
    #[error(
        "this is another revision of format v0 (schema {found:?}, this binary has {ours:?}), and v0 is not converted: \
         use the binary that wrote it, or begin with a new data_dir"
    )]
    Revision {
        /// The fingerprint found.
        found: model::Fingerprint,
        /// Ours.
        ours: model::Fingerprint,
    },
}

/// Appends Avro values to a buffer.
pub struct Writer<'v> {
    out: &'v mut Vec<u8>,
}

impl<'v> Writer<'v> {
    /// Writes behind what `out` holds.
    pub fn new(out: &'v mut Vec<u8>) -> Writer<'v> {
        Writer { out }
    }

    /// An `int` or `long`: zig-zag, seven bits a byte, low bits first.
    #[inline]
    pub fn long(&mut self, x: i64) {
        let mut rest = ((x << 1) ^ (x >> 63)).cast_unsigned();
        if rest < 0x80 {
            self.out.push(rest as u8);
            return;
        }
        let (mut bytes, mut len) = ([0u8; 10], 0);
        while rest >= 0x80 {
            bytes[len] = (rest as u8) | 0x80;
            rest >>= 7;
            len += 1;
        }
        bytes[len] = rest as u8;
        self.out.extend_from_slice(&bytes[..=len]);
    }

    /// A `boolean`.
    #[inline]
    pub fn boolean(&mut self, x: bool) {
        self.out.push(u8::from(x));
    }

    /// `bytes`: length, then content.
    #[inline]
    pub fn bytes(&mut self, x: &[u8]) {
        self.long(x.len() as i64);
        self.out.extend_from_slice(x);
    }

    /// A `string`.
    #[inline]
    pub fn string(&mut self, x: &str) {
        self.bytes(x.as_bytes());
    }

    /// A `fixed`: content only.
    #[inline]
    pub fn fixed(&mut self, x: &[u8]) {
        self.out.extend_from_slice(x);
    }

    /// The number of a union's branch or an enum's symbol.
    #[inline]
    pub fn branch(&mut self, n: u32) {
        self.long(i64::from(n));
    }

    /// An `array` in one block.
    pub fn array<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut put: impl FnMut(&mut Self, T)) {
        if items.len() > 0 {
            self.long(items.len() as i64);
            items.for_each(|item| put(self, item));
        }
        self.out.push(0);
    }
}

/// Reads Avro values, borrowing text and bytes from where they lie.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    nesting: u16,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, nesting: 0 }
    }

    /// Where the next value begins.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Refuses bytes that follow the last value.
    pub fn end(&self) -> Result<(), WireError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            rest => Err(WireError::Trailing { offset: self.at, rest }),
        }
    }

    /// An error for a value that ended here and should have been `expected`.
    pub fn refuse(&self, expected: &'static str) -> WireError {
        WireError::Invalid { offset: self.at, expected }
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self, expected: &'static str) -> Result<u8, WireError> {
        let byte = *self.bytes.get(self.at).ok_or(WireError::End { offset: self.at, expected })?;
        self.at += 1;
        Ok(byte)
    }

    /// A `long`.
    #[inline]
    pub fn long(&mut self) -> Result<i64, WireError> {
        let first = self.byte("a number")?;
        if first < 0x80 {
            return Ok(unzigzag(u64::from(first)));
        }
        self.long_rest(u64::from(first & 0x7f))
    }

    fn long_rest(&mut self, mut sum: u64) -> Result<i64, WireError> {
        for shift in (7..64).step_by(7) {
            let byte = self.byte("a number's next byte")?;
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 {
                return Err(self.refuse("a number of at most 64 bits"));
            }
            sum |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(unzigzag(sum));
            }
        }
        Err(self.refuse("a number of at most ten bytes"))
    }

    /// A `long` that fits into `T`.
    #[inline]
    pub fn number<T: TryFrom<i64>>(&mut self, expected: &'static str) -> Result<T, WireError> {
        T::try_from(self.long()?).map_err(|_| self.refuse(expected))
    }

    /// A `boolean`.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, WireError> {
        match self.byte("a boolean")? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.refuse("a boolean")),
        }
    }

    /// `bytes`.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.number::<usize>("a length")?;
        self.fixed(len)
    }

    /// A `string`.
    #[inline]
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| self.refuse("text in UTF-8"))
    }

    /// A `fixed` of `len` bytes.
    #[inline]
    pub fn fixed(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let content =
            rest.get(..len).ok_or(WireError::End { offset: self.at, expected: "as many bytes as announced" })?;
        self.at += len;
        Ok(content)
    }

    /// A `fixed` as an array.
    #[inline]
    pub fn array_of<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let content = self.fixed(N)?;
        content.try_into().map_err(|_| self.refuse("as many bytes as announced"))
    }

    /// The number of a union's branch or an enum's symbol.
    #[inline]
    pub fn branch(&mut self) -> Result<u32, WireError> {
        self.number("a branch number")
    }

    /// An `array`, in one block or several. Every item type of ours takes at least one byte, so this ends.
    pub fn array<T>(&mut self, mut get: impl FnMut(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let mut items = Vec::new();
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // A negative count is followed by the block's size, for readers that skip.
                self.number::<usize>("a block's size")?;
                count = count.checked_neg().ok_or_else(|| self.refuse("a count"))?;
            }
            let count = usize::try_from(count).map_err(|_| self.refuse("a count"))?;
            let rest = self.bytes.len() - self.at;
            if count > rest {
                return Err(WireError::End { offset: self.at, expected: "as many items as announced" });
            }
            items.reserve(count.min(rest / size_of::<T>().max(1) + 1));
            for _ in 0..count {
                items.push(get(self)?);
            }
        }
    }

    /// Runs `get` one level deeper; refuses what is nested deeper than [`NESTING_MAX`].
    pub fn nested<T>(&mut self, get: impl FnOnce(&mut Self) -> Result<T, WireError>) -> Result<T, WireError> {
        if self.nesting >= NESTING_MAX {
            return Err(self.refuse("a tree of at most 200 levels"));
        }
        self.nesting += 1;
        let result = get(self);
        self.nesting -= 1;
        result
    }
}

#[inline]
fn unzigzag(x: u64) -> i64 {
    (x >> 1).cast_signed() ^ -(x & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(put: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut Writer::new(&mut out));
        out
    }

    #[test]
    fn the_ends_of_the_number_line_survive() {
        for x in [0, -1, 1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            let bytes = written(|out| out.long(x));
            let mut reader = Reader::new(&bytes);
            assert_eq!((reader.long(), reader.end()), (Ok(x), Ok(())));
        }
    }

    #[test]
    fn an_eleventh_byte_or_a_sixty_fifth_bit_is_no_number() {
        assert!(Reader::new(&[0xff; 11]).long().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).long().is_err());
    }

    #[test]
    fn an_array_in_several_blocks_with_sizes_is_one_array() {
        let bytes = written(|out| {
            out.long(-2);
            out.long(2);
            out.long(7);
            out.long(8);
            out.long(1);
            out.long(9);
            out.long(0);
        });
        assert_eq!(Reader::new(&bytes).array(Reader::long), Ok(vec![7, 8, 9]));
    }

    #[test]
    fn an_announced_length_costs_no_memory() {
        let bytes = written(|out| out.long(i64::MAX));
        assert!(matches!(Reader::new(&bytes).bytes(), Err(WireError::End { .. })));
        assert!(matches!(Reader::new(&bytes).array(Reader::long), Err(WireError::End { .. })));
    }

    #[test]
    fn errors_name_the_place_and_never_the_bytes() {
        let bytes = written(|out| out.bytes(b"canary\xff"));
        let error = Reader::new(&bytes).string().expect_err("not UTF-8");
        assert_eq!(error, WireError::Invalid { offset: 8, expected: "text in UTF-8" });
        assert!(!error.to_string().contains("canary"));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(x: i64) {
            prop_assert_eq!(Reader::new(&written(|out| out.long(x))).long(), Ok(x));
        }
    }
}
