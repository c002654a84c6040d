//! Counts what pg_recvlogical wrote: pgoutput messages of protocol 1, a line break behind each.
//!
//! The length of a message follows from its content alone, so the stream is walked, never searched.

use crate::outcome::{Failed, Outcome};
use postgres::position::Lsn;
use std::io::{BufRead, BufReader, Read};

/// What a drained backlog holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Changed rows.
    pub rows: u64,
    /// Transactions.
    pub commits: u64,
    /// The log's place behind the last commit.
    pub end: Lsn,
}

/// Walks the stream to its end.
pub fn count(from: impl Read) -> Outcome<Backlog> {
    let mut walk = Walk { from: BufReader::with_capacity(1 << 20, from), backlog: Backlog::default() };
    while !walk.from.fill_buf()?.is_empty() {
        walk.message()?;
    }
    Ok(walk.backlog)
}

struct Walk<R: Read> {
    from: BufReader<R>,
    backlog: Backlog,
}

impl<R: Read> Walk<R> {
    fn message(&mut self) -> Outcome<()> {
        match self.byte()? {
            b'B' => self.skip(20)?,
            b'C' => {
                self.skip(9)?;
                self.backlog.end = Lsn(self.number(8)?);
                self.skip(8)?;
                self.backlog.commits += 1;
            }
            b'R' => {
                self.skip(4)?;
                self.text()?;
                self.text()?;
                self.skip(1)?;
                for _ in 0..self.number(2)? {
                    self.skip(1)?;
                    self.text()?;
                    self.skip(8)?;
                }
            }
            b'I' | b'D' => {
                self.skip(5)?;
                self.tuple()?;
                self.backlog.rows += 1;
            }
            b'U' => {
                self.skip(4)?;
                if self.byte()? != b'N' {
                    self.tuple()?;
                    self.skip(1)?;
                }
                self.tuple()?;
                self.backlog.rows += 1;
            }
            kind => return Err(Failed::told(format!("a message of kind {kind}: the backlog holds other than rows"))),
        }
        match self.byte()? {
            b'\n' => Ok(()),
            _ => Err(Failed::told("a message of another length than its content says")),
        }
    }

    fn tuple(&mut self) -> Outcome<()> {
        for _ in 0..self.number(2)? {
            if self.byte()? == b't' {
                let length = self.number(4)?;
                self.skip(length)?;
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> Outcome<u8> {
        Ok(self.number(1)? as u8)
    }

    fn number(&mut self, bytes: usize) -> Outcome<u64> {
        let mut eight = [0; 8];
        self.from.read_exact(&mut eight[8 - bytes..])?;
        Ok(u64::from_be_bytes(eight))
    }

    fn text(&mut self) -> Outcome<()> {
        while self.byte()? != 0 {}
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Outcome<()> {
        match std::io::copy(&mut self.from.by_ref().take(bytes), &mut std::io::sink())? == bytes {
            true => Ok(()),
            false => Err(Failed::told("the stream ends inside a message")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_the_last_commit_are_counted() {
        let mut stream = Vec::new();
        let mut push = |parts: &[&[u8]]| {
            stream.extend(parts.concat());
            stream.push(b'\n');
        };
        push(&[b"B", &[0; 20]]);
        push(&[b"R", &[0; 4], b"public\0t\0d", &[0, 1], &[1], b"id\0", &[0; 8]]);
        push(&[b"I", &[0; 4], b"N", &[0, 2], b"t", &[0, 0, 0, 2], b"\n\n", b"n"]);
        push(&[b"U", &[0; 4], b"K", &[0, 1], b"t", &[0, 0, 0, 1], b"7", b"N", &[0, 1], b"u"]);
        push(&[b"C", &[0; 9], &77u64.to_be_bytes(), &[0; 8]]);
        let found = count(stream.as_slice()).unwrap();
        assert_eq!(found, Backlog { rows: 2, commits: 1, end: Lsn(77) });
        assert!(count(&stream[..stream.len() - 3]).is_err());
    }
}
