//! A thread that takes the change stream off a plain socket.
//!
//! An event loop is woken for each segment that arrives, whether anybody wants to read or not, and each wake-up is paid by
//! the walsender that sends it. A thread that sleeps is woken by its timer alone: the socket fills meanwhile, and one
//! system call takes what has gathered.
//! Invariants:
//! * What was read is handed on before the thread sleeps or reads again: a small message after a silence waits for nothing.
//! * At most about [`ROOM`] bytes wait for whoever parses them; then the socket fills, and then the server waits.
//! * Dropping the [`Intake`] shuts the socket down and ends the thread. What the thread ended with comes behind the last byte.
//! * Writing never blocks: a status update that the socket has no room for waits for a timer.

use crate::{pace::Flow, socket::Plain};
use rustix::{
    buffer::spare_capacity,
    io::{Errno, read},
    net::{SendFlags, Shutdown, send, shutdown},
};
use std::{
    future::Future,
    io, mem,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Bytes that may wait for the parser.
const ROOM: usize = 1 << 20;
/// What one system call may take.
const READ_BYTES: usize = 256 << 10;
/// When a write that found no room is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(20);

/// Begins to read; what comes, and what can be written.
pub(crate) fn begin(plain: Plain) -> io::Result<(Intake, Outlet)> {
    let socket = Arc::new(plain.socket);
    let pipe = Arc::new(Pipe::default());
    let intake = Intake { socket: Arc::clone(&socket), pipe: Arc::clone(&pipe), taken: Vec::new(), at: 0 };
    let outlet = Outlet { socket: Arc::clone(&socket), waits: None };
    let nap = plain.nap;
    thread::Builder::new().name("source-read".to_owned()).spawn(move || {
        let ended = drain(&socket, &pipe, Flow::new(nap));
        pipe.end(ended);
    })?;
    Ok((intake, outlet))
}

/// Reads until the other end closes, something fails, or nobody wants it any more.
fn drain(socket: &OwnedFd, pipe: &Pipe, mut flow: Flow) -> io::Result<()> {
    let mut piece = Vec::with_capacity(READ_BYTES);
    loop {
        piece.clear();
        match read(socket, spare_capacity(&mut piece)) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                if !pipe.push(&mut piece) {
                    return Ok(());
                }
                if let Some(nap) = flow.nap(count, Instant::now()) {
                    thread::sleep(nap);
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Between the thread and whoever parses.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    ended: Option<io::Result<()>>,
    /// Nobody takes anything any more.
    closed: bool,
    reader: Option<Waker>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on, as soon as there is room; false if nobody wants it.
    fn push(&self, piece: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while state.waiting.len() >= ROOM && !state.closed {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.waiting.is_empty() && state.waiting.capacity() >= READ_BYTES {
            mem::swap(&mut state.waiting, piece);
        } else {
            state.waiting.extend_from_slice(piece);
        }
        wake(state)
    }

    fn end(&self, ended: io::Result<()>) {
        let mut state = self.lock();
        state.ended = Some(ended);
        wake(state);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.room.notify_one();
    }
}

/// Lets go of the lock first, so that whoever is woken does not wait for it.
fn wake(mut state: MutexGuard<'_, State>) -> bool {
    let (open, reader) = (!state.closed, state.reader.take());
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
    open
}

/// The bytes that the thread has read.
pub(crate) struct Intake {
    socket: Arc<OwnedFd>,
    pipe: Arc<Pipe>,
    /// Taken from the pipe; up to `at` handed on.
    taken: Vec<u8>,
    at: usize,
}

impl AsyncRead for Intake {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.at == this.taken.len() {
            this.taken.clear();
            this.at = 0;
            let mut state = this.pipe.lock();
            if state.waiting.is_empty() {
                let Some(ended) = state.ended.take() else {
                    state.reader = Some(context.waker().clone());
                    return Poll::Pending;
                };
                state.ended = Some(Ok(()));
                return Poll::Ready(ended);
            }
            mem::swap(&mut state.waiting, &mut this.taken);
            drop(state);
            this.pipe.room.notify_one();
        }
        let rest = &this.taken[this.at..];
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        this.at += count;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.pipe.close();
        // A connection that is gone already needs no end.
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }
}

/// The way back to the server.
pub(crate) struct Outlet {
    socket: Arc<OwnedFd>,
    waits: Option<Pin<Box<Sleep>>>,
}

impl AsyncWrite for Outlet {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if let Some(waits) = &mut this.waits {
                if waits.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.waits = None;
            }
            match send(&*this.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(Errno::INTR) => {}
                // No event loop knows the socket, and a server that does not read is a rare thing.
                Err(Errno::AGAIN) => this.waits = Some(Box::pin(sleep(WRITE_AGAIN))),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{NAP, SHORT_NAP};
    use std::{io::Read as _, io::Write as _, os::unix::net::UnixStream, sync::Weak};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    const SOON: Duration = Duration::from_secs(10);

    fn pair(nap: Duration) -> (Intake, Outlet, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (intake, outlet) = begin(Plain { socket: ours.into(), nap }).unwrap();
        (intake, outlet, theirs)
    }

    /// The thread holds the pipe as long as it lives.
    async fn thread_ends(pipe: Weak<Pipe>) {
        let since = Instant::now();
        while pipe.strong_count() > 0 {
            assert!(since.elapsed() < SOON, "the reading thread goes on");
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_small_message_after_a_silence_is_there_at_once() {
        for nap in [NAP, SHORT_NAP] {
            let (mut intake, _outlet, mut theirs) = pair(nap);
            let mut quickest = SOON;
            for _ in 0..10 {
                sleep(Duration::from_millis(3)).await;
                let sent = Instant::now();
                theirs.write_all(b"abc").unwrap();
                let mut got = [0; 3];
                timeout(SOON, intake.read_exact(&mut got)).await.unwrap().unwrap();
                quickest = quickest.min(sent.elapsed());
            }
            assert!(quickest < Duration::from_millis(20), "{quickest:?}");
        }
    }

    #[tokio::test]
    async fn a_flood_comes_whole_and_in_order_and_so_does_what_follows() {
        for nap in [NAP, SHORT_NAP] {
            let (mut intake, _outlet, mut theirs) = pair(nap);
            let sent: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
            let flood = sent.clone();
            let writer = thread::spawn(move || {
                flood.chunks(301).for_each(|piece| theirs.write_all(piece).unwrap());
                theirs
            });
            let mut got = vec![0; sent.len()];
            timeout(SOON, intake.read_exact(&mut got)).await.unwrap().unwrap();
            assert!(got == sent);
            let mut theirs = writer.join().unwrap();
            theirs.write_all(b"x").unwrap();
            assert_eq!(timeout(SOON, intake.read_u8()).await.unwrap().unwrap(), b'x');
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_ends_behind_its_last_byte() {
        let (mut intake, _outlet, mut theirs) = pair(NAP);
        let pipe = Arc::downgrade(&intake.pipe);
        theirs.write_all(b"last").unwrap();
        drop(theirs);
        let mut got = Vec::new();
        timeout(SOON, intake.read_to_end(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, b"last");
        drop(intake);
        thread_ends(pipe).await;
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_owner_while_it_waits_for_bytes() {
        let (intake, _outlet, mut theirs) = pair(SHORT_NAP);
        let pipe = Arc::downgrade(&intake.pipe);
        sleep(Duration::from_millis(5)).await;
        drop(intake);
        thread_ends(pipe).await;
        assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0, "the server sees the end too");
    }

    #[tokio::test]
    async fn nobody_reading_holds_up_the_sender_and_the_thread_ends_all_the_same() {
        let (intake, _outlet, mut theirs) = pair(NAP);
        let pipe = Arc::downgrade(&intake.pipe);
        theirs.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut sent = 0;
        while let Ok(count) = theirs.write(&[7; 4096]) {
            sent += count;
        }
        assert!((ROOM..ROOM + (4 << 20)).contains(&sent), "{sent}");
        drop(intake);
        thread_ends(pipe).await;
    }

    #[tokio::test]
    async fn an_update_waits_for_a_server_that_does_not_read_and_blocks_nobody() {
        let (_intake, mut outlet, mut theirs) = pair(NAP);
        let mut written = 0;
        while let Ok(count) = timeout(Duration::from_millis(100), outlet.write(&[1; 4096])).await {
            written += count.unwrap();
        }
        let reader = thread::spawn(move || {
            let mut got = vec![0; written + 39];
            theirs.read_exact(&mut got).unwrap();
            got.split_off(written)
        });
        timeout(SOON, outlet.write_all(&[2; 39])).await.unwrap().unwrap();
        assert_eq!(reader.join().unwrap(), [2; 39]);
    }
}
