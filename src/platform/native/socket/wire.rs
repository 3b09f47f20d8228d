//! What the WebSocket layer reads from and writes to: TCP or TLS, and a look at how much comes.
//!
//! The WebSocket layer keeps a buffer for as long as it lives and fills it with zeros before each read. A large one makes a
//! flood cheap, a small one makes an idle connection small. So a connection begins with a small one, and gets another
//! layer with a large one while much comes. That is possible only between two messages, when the layer holds nothing:
//! this follows the frames that pass, and stops at the end of one when it is asked to.

use super::{deflate::Inflater, frames::Frames};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// So many reads in a row that left no room mean that much comes; so many that brought little mean that it is over.
const FULL: u8 = 2;
const FEW: u8 = 16;

/// A read that brought no more than this brought little. Less room than this says nothing.
const LITTLE: usize = 1024;

pub(super) enum Stream {
    Plain(TcpStream),
    /// In a box: it is more than a kilobyte, which a plain connection need not take.
    Tls(Box<TlsStream<TcpStream>>),
    /// It has been taken.
    Gone,
}

pub(super) struct Wire {
    stream: Stream,
    /// Where messages may be compressed.
    inflater: Option<Box<Inflater>>,
    frames: Frames,
    /// Reads in a row that left no room, and that brought little.
    full: u8,
    little: u8,
    /// Whether to stop at the end of a message once much comes.
    asks: bool,
}

impl Wire {
    /// A wire that may stop at the end of a message when much comes, to get a layer with a larger buffer.
    pub(super) fn new(stream: Stream, inflater: Option<Box<Inflater>>, asks: bool) -> Self {
        Self { stream, inflater, frames: Frames::default(), full: 0, little: 0, asks }
    }

    /// The wire for another layer. This one is of no use any more.
    pub(super) fn take(&mut self, asks: bool) -> Self {
        Self::new(std::mem::replace(&mut self.stream, Stream::Gone), self.inflater.take(), asks)
    }

    #[cfg(test)]
    pub(super) fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
            Stream::Gone => unreachable!("it was taken"),
        }
    }

    /// Whether it has stopped, and reads on only with another layer or when it is [told](Self::go_on).
    pub(super) fn has_stopped(&self) -> bool {
        self.is_stopping() && self.frames.is_between_messages()
    }

    /// There will be no other layer yet.
    pub(super) fn go_on(&mut self) {
        self.full = 0;
    }

    /// Whether little has come for a while, and of that only whole messages.
    pub(super) fn is_calm(&self) -> bool {
        self.little >= FEW && self.frames.is_between_messages()
    }

    fn is_stopping(&self) -> bool {
        self.asks && self.full >= FULL
    }

    fn note(&mut self, came: usize, room: usize) {
        if came == room && room >= LITTLE {
            self.full = self.full.saturating_add(1);
        } else if came < room {
            self.full = 0;
        }
        self.little = if came <= LITTLE && came < room { self.little.saturating_add(1) } else { 0 };
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buf.remaining();
        if this.is_stopping() {
            if this.has_stopped() {
                // Nobody is woken: whoever reads looks whether it has.
                return Poll::Pending;
            }
            let mut piece = ReadBuf::new(buf.initialize_unfilled_to(room.min(this.frames.missing())));
            ready!(poll_plain(&mut this.stream, &mut this.inflater, cx, &mut piece))?;
            this.frames.pass(piece.filled());
            let came = piece.filled().len();
            buf.advance(came);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(poll_plain(&mut this.stream, &mut this.inflater, cx, buf))?;
        let came = &buf.filled()[before..];
        this.frames.pass(came);
        this.note(came.len(), room);
        Poll::Ready(Ok(()))
    }
}

/// Reads frames that are not compressed, or no longer.
fn poll_plain(
    stream: &mut Stream,
    inflater: &mut Option<Box<Inflater>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    match inflater {
        Some(inflater) => inflater.poll_read(stream, cx, buf),
        None => Pin::new(stream).poll_read(cx, buf),
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Stream::Gone => Poll::Ready(Err(gone())),
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
