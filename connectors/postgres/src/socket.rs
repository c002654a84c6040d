//! The byte streams that a session goes over: TCP, a Unix socket, TLS over TCP.

use crate::pace::{NAP, SHORT_NAP};
use std::{
    io,
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

/// Any of the byte streams.
pub(crate) enum Bytestream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A socket that nothing stands before, in blocking mode and known to no event loop.
pub(crate) struct Plain {
    pub(crate) socket: OwnedFd,
    /// How long it may be left alone in a flood.
    pub(crate) nap: Duration,
}

impl Bytestream {
    /// The bare socket; the stream itself where TLS stands before it.
    pub(crate) fn into_plain(self) -> io::Result<Result<Plain, Box<TlsStream<TcpStream>>>> {
        match self {
            Bytestream::Tcp(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok(Ok(Plain { socket: stream.into(), nap: NAP }))
            }
            Bytestream::Unix(stream) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok(Ok(Plain { socket: stream.into(), nap: SHORT_NAP }))
            }
            Bytestream::Tls(stream) => Ok(Err(stream)),
        }
    }
}

impl AsyncRead for Bytestream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Bytestream::Unix(stream) => Pin::new(stream).poll_read(context, into),
            Bytestream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Bytestream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Bytestream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Bytestream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Bytestream::Unix(stream) => Pin::new(stream).poll_flush(context),
            Bytestream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Bytestream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Bytestream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Bytestream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
