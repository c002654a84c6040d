//! The replication session: startup, login, replication commands, and the frames of the change stream.
//!
//! Generic over the byte stream. Reads frames borrowed from one buffer; never looks into what a change says.

use crate::{
    config::Options,
    error::Error,
    intake,
    position::Lsn,
    session::{PATIENCE, SETTINGS},
    socket::Bytestream,
};
use bytes::{Buf, BytesMut};
use postgres_protocol::{
    authentication::{md5_hash, sasl},
    message::frontend,
};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

/// Room for one read. Larger messages grow the buffer as they must.
const READ_BYTES: usize = 256 << 10;
/// A buffer that one huge row made is not kept for the life of the connection.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// No message of PostgreSQL is longer.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// One message of the server.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) tag: u8,
    pub(crate) body: &'a [u8],
}

/// What comes on a started change stream.
pub(crate) enum Event<'a> {
    /// A message of the output plugin.
    Change(&'a [u8]),
    /// Everything up to `end` was sent; `reply`: the server wants to hear from us now.
    Keepalive { end: Lsn, reply: bool },
    /// A notice or a changed setting.
    Notice,
}

/// The server's messages, cut from the byte stream.
pub(crate) struct Frames<R> {
    from: R,
    buffer: BytesMut,
    at: usize,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(from: R) -> Frames<R> {
        Frames { from, buffer: BytesMut::with_capacity(READ_BYTES), at: 0 }
    }

    /// The next message, if it is here whole.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let Some([tag, l0, l1, l2, l3]) = self.buffer.get(self.at..).and_then(|rest| rest.first_chunk::<5>()) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        if !(4..MESSAGE_BYTES_MAX).contains(&length) {
            return Err(Error::Protocol(format!("a message of {length} bytes")));
        }
        let (start, end, tag) = (self.at + 5, self.at + 1 + length, *tag);
        if end > self.buffer.len() {
            // Room for the whole message, so that a long one is not copied again and again.
            self.buffer.advance(self.at);
            self.at = 0;
            self.buffer.reserve((1 + length).saturating_sub(self.buffer.len()));
            return Ok(None);
        }
        self.at = end;
        Ok(Some(Frame { tag, body: &self.buffer[start..end] }))
    }

    /// The next event of a started change stream, if it is here whole.
    pub(crate) fn event(&mut self) -> Result<Option<Event<'_>>, Error> {
        let Some(Frame { tag, body }) = self.next()? else { return Ok(None) };
        match (tag, body) {
            // Start, end and clock come first.
            (b'd', [b'w', rest @ ..]) => Ok(Some(Event::Change(rest.get(24..).unwrap_or_default()))),
            (b'd', [b'k', rest @ ..]) => {
                let end = rest.first_chunk::<8>().map_or(0, |end| u64::from_be_bytes(*end));
                Ok(Some(Event::Keepalive { end: Lsn(end), reply: rest.get(16) == Some(&1) }))
            }
            (b'E', body) => Err(server_error("streaming changes", body)),
            (b'c' | b'C' | b'Z', _) => Err(Error::Closed),
            _ => Ok(Some(Event::Notice)),
        }
    }

    fn make_room(&mut self) {
        self.buffer.advance(self.at);
        self.at = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES_MAX {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(READ_BYTES);
    }

    /// Waits for more bytes; how many came. Dropping the future loses nothing.
    pub(crate) async fn read(&mut self) -> Result<usize, Error> {
        self.make_room();
        match self.from.read_buf(&mut self.buffer).await {
            Ok(0) => Err(Error::Closed),
            Ok(count) => Ok(count),
            Err(source) => Err(broken(source)),
        }
    }

    /// Takes what is here already; 0 if nothing is. Asks for no wake-up: whoever calls this comes again by itself.
    pub(crate) fn read_now(&mut self) -> Result<usize, Error> {
        self.make_room();
        let mut reading = pin!(self.from.read_buf(&mut self.buffer));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(0)) => Err(Error::Closed),
            Poll::Ready(Ok(count)) => Ok(count),
            Poll::Ready(Err(source)) => Err(broken(source)),
        }
    }
}

fn broken(source: std::io::Error) -> Error {
    Error::Unreachable { address: "the other end".to_owned(), source }
}

/// A replication session.
pub(crate) struct Wire<S> {
    frames: Frames<ReadHalf<S>>,
    write: WriteHalf<S>,
    out: BytesMut,
    pid: i32,
}

/// What reads a started stream: a thread of its own, or the event loop where TLS stands before the socket.
pub(crate) type Incoming = Box<dyn AsyncRead + Send + Sync + Unpin>;
/// What takes its status updates.
pub(crate) type Outgoing = Box<dyn AsyncWrite + Send + Sync + Unpin>;

impl Wire<Bytestream> {
    /// Begins the change stream; what comes and what is written go their own ways from here.
    pub(crate) async fn start(mut self, command: &str) -> Result<(Frames<Incoming>, Outgoing), Error> {
        self.started(command).await?;
        let Wire { frames, write, .. } = self;
        let Frames { from, buffer, at } = frames;
        let (from, out): (Incoming, Outgoing) = match from.unsplit(write).into_plain().map_err(broken)? {
            Ok(plain) => {
                let (intake, outlet) = intake::begin(plain).map_err(broken)?;
                (Box::new(intake), Box::new(outlet))
            }
            Err(tls) => {
                let (read, write) = tokio::io::split(tls);
                (Box::new(read), Box::new(write))
            }
        };
        Ok((Frames { from, buffer, at }, out))
    }
}

/// The rows of a command's result: text or null.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Starts a replication session over a connected stream and logs in.
    pub(crate) async fn open(stream: S, options: &Options) -> Result<Wire<S>, Error> {
        Wire::login_as(stream, options, &[("replication", "database")]).await
    }

    /// Starts an ordinary session, for what [`Wire::copy`] does better than an SQL client.
    pub(crate) async fn open_sql(stream: S, options: &Options) -> Result<Wire<S>, Error> {
        Wire::login_as(stream, options, &[]).await
    }

    async fn login_as(stream: S, options: &Options, kind: &[(&str, &str)]) -> Result<Wire<S>, Error> {
        let (read, write) = tokio::io::split(stream);
        let mut wire = Wire { frames: Frames::new(read), write, out: BytesMut::new(), pid: 0 };
        let name = options.name();
        let session = [
            ("user", options.address.user.as_str()),
            ("database", options.address.database.as_str()),
            ("application_name", name.as_str()),
        ];
        let session = session.into_iter().chain(kind.iter().copied()).chain(SETTINGS);
        frontend::startup_message(session, &mut wire.out).map_err(broken)?;
        wire.flush().await?;
        wire.login(options).await?;
        wire.until_ready("logging in").await?;
        wire.query("setting up the session", PATIENCE).await?;
        Ok(wire)
    }

    async fn login(&mut self, options: &Options) -> Result<(), Error> {
        let password = options.password.as_ref().map(|secret| secret.expose().as_bytes());
        loop {
            let (kind, rest) = self.authentication().await?;
            if kind == 0 {
                return Ok(());
            }
            let Some(password) = password else {
                return Err(Error::Login("the server asks for a password, and none is configured".to_owned()));
            };
            match kind {
                3 => frontend::password_message(password, &mut self.out).map_err(broken)?,
                5 => {
                    let salt = rest.first_chunk::<4>().ok_or_else(|| Error::Protocol("no salt".to_owned()))?;
                    let hash = md5_hash(options.address.user.as_bytes(), password, *salt);
                    frontend::password_message(hash.as_bytes(), &mut self.out).map_err(broken)?;
                }
                10 => {
                    self.scram(password).await?;
                    continue;
                }
                _ => {
                    return Err(Error::Login(
                        "the server asks for a method other than SCRAM, MD5 or password".to_owned(),
                    ));
                }
            }
            self.flush().await?;
        }
    }

    async fn scram(&mut self, password: &[u8]) -> Result<(), Error> {
        let mut scram = sasl::ScramSha256::new(password, sasl::ChannelBinding::unsupported());
        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut self.out).map_err(broken)?;
        self.flush().await?;
        let refused = |_| Error::Login("the server's side of SCRAM does not fit the password".to_owned());
        let (11, challenge) = self.authentication().await? else {
            return Err(Error::Protocol("SCRAM without a challenge".to_owned()));
        };
        scram.update(&challenge).map_err(refused)?;
        frontend::sasl_response(scram.message(), &mut self.out).map_err(broken)?;
        self.flush().await?;
        let (12, proof) = self.authentication().await? else {
            return Err(Error::Protocol("SCRAM without an end".to_owned()));
        };
        scram.finish(&proof).map_err(refused)
    }

    /// The next authentication message: its kind and what follows.
    async fn authentication(&mut self) -> Result<(u32, Vec<u8>), Error> {
        let (tag, body) = self.message("logging in").await?;
        match (tag, body.split_first_chunk::<4>()) {
            (b'R', Some((kind, rest))) => Ok((u32::from_be_bytes(*kind), rest.to_vec())),
            _ => Err(Error::Protocol("a login without authentication".to_owned())),
        }
    }

    /// The server's process behind this session.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Runs a `COPY … TO STDOUT` and gives each line away as it lies in the buffer. Behind an error of `line` the session
    /// is of no use any more.
    pub(crate) async fn copy(
        &mut self,
        during: &'static str,
        command: &str,
        mut line: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        frontend::query(command, &mut self.out).map_err(broken)?;
        self.flush().await?;
        let mut fault = None;
        loop {
            while let Some(Frame { tag, body }) = self.frames.next()? {
                match tag {
                    b'd' => line(body)?,
                    b'E' => fault = Some(server_error(during, body)),
                    b'Z' => return fault.map_or(Ok(()), Err),
                    _ => {}
                }
            }
            self.frames.read().await?;
        }
    }

    /// Runs one command, or several in one go.
    pub(crate) async fn query(&mut self, during: &'static str, command: &str) -> Result<Rows, Error> {
        frontend::query(command, &mut self.out).map_err(broken)?;
        self.flush().await?;
        let (mut rows, mut fault) = (Vec::new(), None);
        loop {
            match self.message(during).await {
                Ok((b'Z', _)) => return fault.map_or(Ok(rows), Err),
                Ok((b'D', body)) => rows.push(data_row(&body).ok_or_else(|| Error::Protocol("a cut row".to_owned()))?),
                Ok(_) => {}
                // The server is ready again behind its error.
                Err(error @ Error::Server { .. }) => fault = Some(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins the change stream.
    async fn started(&mut self, command: &str) -> Result<(), Error> {
        frontend::query(command, &mut self.out).map_err(broken)?;
        self.flush().await?;
        loop {
            match self.message("starting the change stream").await? {
                (b'W', _) => return Ok(()),
                (b'Z', _) => return Err(Error::Protocol("the server did not start the stream".to_owned())),
                _ => {}
            }
        }
    }

    async fn until_ready(&mut self, during: &'static str) -> Result<(), Error> {
        loop {
            match self.message(during).await? {
                (b'Z', _) => return Ok(()),
                (b'K', body) => self.pid = body.first_chunk::<4>().map_or(0, |pid| i32::from_be_bytes(*pid)),
                _ => {}
            }
        }
    }

    /// The next message, owned; an error response is an error.
    async fn message(&mut self, during: &'static str) -> Result<(u8, Vec<u8>), Error> {
        loop {
            if let Some(frame) = self.frames.next()? {
                return match frame.tag {
                    b'E' => Err(server_error(during, frame.body)),
                    tag => Ok((tag, frame.body.to_vec())),
                };
            }
            self.frames.read().await?;
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.write.write_all(&self.out).await.map_err(broken)?;
        self.write.flush().await.map_err(broken)?;
        self.out.clear();
        Ok(())
    }
}

/// An error response: code and message, without `DETAIL`, which may hold data.
pub(crate) fn server_error(during: &'static str, body: &[u8]) -> Error {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'C', text)) => code = String::from_utf8_lossy(text).into_owned(),
            Some((b'M', text)) => message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    Error::server(during, &code, &message)
}

pub(crate) fn data_row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => row.push(None),
            Ok(length) => {
                let (text, tail) = rest.split_at_checked(length)?;
                row.push(Some(String::from_utf8_lossy(text).into_owned()));
                rest = tail;
            }
        }
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_cut_from_any_pieces() {
        let (mut ours, theirs) = tokio::io::duplex(7);
        let mut sent = Vec::new();
        for length in [0usize, 1, 5, 100] {
            sent.push(b'd');
            sent.extend(u32::try_from(length + 4).unwrap().to_be_bytes());
            sent.extend(vec![b'x'; length]);
        }
        let writer = tokio::spawn(async move { ours.write_all(&sent).await });
        let mut frames = Frames::new(theirs);
        let mut lengths = Vec::new();
        while lengths.len() < 4 {
            while let Some(frame) = frames.next().unwrap() {
                lengths.push(frame.body.len());
            }
            if lengths.len() < 4 && frames.read_now().unwrap() == 0 {
                frames.read().await.unwrap();
            }
        }
        assert_eq!(lengths, [0, 1, 5, 100]);
        writer.await.unwrap().unwrap();
    }

    #[test]
    fn an_error_response_keeps_code_and_message_only() {
        let error = server_error("reading", b"SERROR\0C42501\0Mpermission denied\0DKey (x)=(canary)\0\0");
        assert_eq!(error.code(), Some("42501"));
        assert!(!error.to_string().contains("canary"));
    }
}
