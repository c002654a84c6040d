//! A transaction that is being received: numbers its changes, holds back a row that may be alone.

use crate::{batch::Batch, error::Error, position::Lsn};
use model::{CommitEnd, RowEntry, SourcePosition, Timestamp};

/// A transaction whose end has not come yet.
pub(crate) struct Transaction {
    commit: Lsn,
    xid: u32,
    ordinal: u32,
    rows: u64,
    /// Whether it made entries other than rows.
    others: bool,
    held: Option<RowEntry>,
}

impl Transaction {
    /// Begins one that commits at `commit`.
    pub(crate) fn begin(commit: Lsn, xid: u32) -> Transaction {
        Transaction { commit, xid, ordinal: 0, rows: 0, others: false, held: None }
    }

    pub(crate) fn xid(&self) -> u32 {
        self.xid
    }

    /// The place of the next change of ours. The same at every delivery under one configuration; under another one the whole
    /// transaction is numbered anew, because of what was delivered without its end nothing stands (J11).
    pub(crate) fn next_position(&mut self) -> Result<SourcePosition, Error> {
        let next = self.ordinal.checked_add(1);
        self.ordinal = next.ok_or_else(|| Error::Protocol("more changes than can be numbered".to_owned()))?;
        Ok(self.commit.change(self.ordinal))
    }

    /// Holds the row back until the next message says whether it is alone; the one before it was not.
    pub(crate) fn row(&mut self, row: RowEntry, batch: &mut Batch) {
        self.rows += 1;
        if let Some(before) = self.held.replace(row) {
            batch.row(before);
        }
    }

    /// Something else follows: the held row goes first.
    pub(crate) fn release(&mut self, batch: &mut Batch) {
        if let Some(row) = self.held.take() {
            batch.row(row);
        }
    }

    /// An entry that is not a row follows: the transaction needs a `Commit` of its own.
    pub(crate) fn other(&mut self, batch: &mut Batch) {
        self.others = true;
        self.release(batch);
    }

    /// Closes it; whether it made any entry.
    pub(crate) fn end(mut self, commit: Lsn, end: Lsn, at: Timestamp, batch: &mut Batch) -> Result<bool, Error> {
        if self.commit != commit {
            return Err(Error::Protocol(format!("the transaction of {} ends as that of {commit}", self.commit)));
        }
        if self.rows == 0 && !self.others {
            return Ok(false);
        }
        let position = self.next_position()?;
        let transaction = self.xid.to_string().into();
        let (end, count, partitions) = (end.position(), self.rows, Vec::new());
        let close = CommitEnd { end, count, transaction, committed_at: at, partitions };
        match self.held.take() {
            Some(row) if self.rows == 1 && !self.others => batch.row(RowEntry { commit: Some(close), ..row }),
            held => {
                held.into_iter().for_each(|row| batch.row(row));
                batch.commit(position, close);
            }
        }
        Ok(true)
    }
}

/// The transaction that a change belongs to.
pub(crate) fn inside(transaction: &mut Option<Transaction>) -> Result<&mut Transaction, Error> {
    transaction.as_mut().ok_or_else(outside)
}

/// The server sent something between transactions that belongs into one.
pub(crate) fn outside() -> Error {
    Error::Protocol("a change outside a transaction".to_owned())
}
