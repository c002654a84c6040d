//! Doors for `tests/fuzz`: whatever bytes a server sends are cut into frames and read. No part of the API.

use crate::{
    pgoutput,
    snapshot::Visible,
    wire::{Event, Frames, data_row},
};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Bytes of a change stream, all here at once; how many events they hold.
pub fn stream(bytes: &[u8]) -> usize {
    let mut frames = Frames::new(bytes);
    // A slice is never waited for.
    let read = pin!(frames.read()).poll(&mut Context::from_waker(Waker::noop()));
    if !matches!(read, Poll::Ready(Ok(_))) {
        return 0;
    }
    let mut events = 0;
    while let Ok(Some(event)) = frames.event() {
        events += 1;
        if let Event::Change(change) = event {
            let _ = pgoutput::parse(change);
        }
    }
    events
}

/// A row that answers an ordinary query of the replication session.
pub fn row(bytes: &[u8]) -> Option<usize> {
    data_row(bytes).map(|row| row.len())
}

/// A text of `pg_current_snapshot()`; whether it sees a transaction.
pub fn snapshot(text: &str, xid: u32) -> Option<bool> {
    Visible::parse(text).map(|visible| visible.sees(xid))
}
