//! Reads the head of an HTTP answer and not one byte of what follows it: the WebSocket layer then begins with a buffer of
//! the wanted size, whatever the handshake needed, and all frames come from the same place. The same for a tunnel.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream during the handshake.
pub(super) struct Head<S> {
    pub(super) inner: S,
    /// How the status begins that lets the frames follow.
    accepted: &'static str,
    seen: Vec<u8>,
    complete: bool,
}

impl<S> Head<S> {
    pub(super) fn new(inner: S, accepted: &'static str) -> Self {
        Self { inner, accepted, seen: Vec::new(), complete: false }
    }

    #[cfg_attr(not(feature = "proxy"), allow(dead_code))]
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the status is the one that was hoped for.
    pub(super) fn is_accepted(&self) -> bool {
        status(&self.seen).is_some_and(|status| status.starts_with(self.accepted.as_bytes()))
    }

    /// How many bytes may be read now: never more than the least that is missing. What follows an answer that switches
    /// no protocol is the server's explanation, which belongs to it.
    fn allowed(&self) -> usize {
        match self.complete {
            true if self.is_accepted() => 0,
            true => usize::MAX,
            false if self.seen.ends_with(b"\n") || self.seen.ends_with(b"\n\r") => 1,
            false => 2,
        }
    }
}

/// What follows the version in the first line of an answer.
pub(super) fn status(answer: &[u8]) -> Option<&[u8]> {
    let rest = answer.strip_prefix(b"HTTP/1.")?.get(1..)?;
    rest.strip_prefix(b" ")
}

impl<S: AsyncRead + Unpin> AsyncRead for Head<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut scratch = [0; 512];
        let mut came = 0;
        loop {
            let most = buf.remaining().min(this.allowed()).min(scratch.len());
            if most == 0 {
                break;
            }
            let mut piece = ReadBuf::new(&mut scratch[..most]);
            match Pin::new(&mut this.inner).poll_read(cx, &mut piece) {
                // What has come already is dealt with first.
                Poll::Pending if came > 0 => break,
                read => ready!(read)?,
            }
            if piece.filled().is_empty() {
                break;
            }
            came += piece.filled().len();
            buf.put_slice(piece.filled());
            if !this.complete {
                this.seen.extend(piece.filled());
                // Lines may end without a carriage return.
                this.complete = this.seen.ends_with(b"\n\r\n") || this.seen.ends_with(b"\n\n");
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Head<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// What is read of an answer that comes in pieces of this size, and what is left.
    async fn read(answer: &str, size: usize) -> (String, String) {
        let (mut write, inner) = duplex(1 << 16);
        let mut head = Head::new(inner, "101");
        let mut got = vec![0; 4096];
        let mut len = 0;
        for piece in answer.as_bytes().chunks(size) {
            write.write_all(piece).await.expect("written");
            if head.allowed() > 0 {
                len += head.read(&mut got[len..]).await.expect("read");
            }
        }
        drop(write);
        let mut rest = String::new();
        head.inner.read_to_string(&mut rest).await.expect("the rest");
        got.truncate(len);
        (String::from_utf8(got).expect("text"), rest)
    }

    #[tokio::test]
    async fn what_follows_a_switch_is_left_and_what_follows_a_refusal_is_read() {
        for end in ["\r\n", "\n"] {
            let switched = format!("HTTP/1.1 101 Switching{end}Upgrade: websocket{end}{end}");
            let refused = format!("HTTP/1.1 503 Busy{end}A: b{end}{end}");
            for size in [1, 2, 3, 7, 1000] {
                let both = read(&format!("{switched}\n\nframes"), size).await;
                assert_eq!(both, (switched.clone(), "\n\nframes".into()), "{size}");
                let both = read(&format!("{refused}why"), size).await;
                assert_eq!(both, (format!("{refused}why"), String::new()), "{size}");
            }
        }
    }
}
