//! Counts the bytes that make headway on a connection, so that a large message on a slow line is a sign of life while it is
//! under way.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fewer bytes than this between two looks are no sign of life: a peer that drips must not hold a connection for ever.
const HEADWAY: u64 = 256;

/// A connection whose bytes are counted: those that come, and those that go after they had to wait, which shows that the peer
/// takes what was sent before. What merely fills the system's buffer shows nothing.
pub(crate) struct Counted<S> {
    pub(crate) inner: S,
    bytes: Arc<AtomicU64>,
    waited: bool,
}

/// Tells whether a [`Counted`] connection makes headway.
pub(crate) struct Progress {
    bytes: Arc<AtomicU64>,
    seen: u64,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, bytes: Arc::default(), waited: false }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { bytes: self.bytes.clone(), seen: 0 }
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Progress {
    /// A message came: what came with it is no headway of the next one.
    pub(crate) fn note(&mut self) {
        self.seen = self.bytes.load(Ordering::Relaxed);
    }

    /// Whether enough has moved since this was last true, or the last message, to be a sign of life.
    pub(crate) fn made(&mut self) -> bool {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let made = bytes - self.seen >= HEADWAY;
        if made {
            self.seen = bytes;
        }
        made
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        this.add(buf.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, bytes);
        match &written {
            Poll::Ready(Ok(written)) if this.waited => this.add(*written),
            _ => {}
        }
        this.waited = written.is_pending();
        written
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

    #[tokio::test]
    async fn enough_bytes_that_come_are_headway() {
        let (mut far, near) = duplex(1 << 16);
        let mut near = Counted::new(near);
        let mut progress = near.progress();
        let mut scratch = [0; 1024];
        assert!(!progress.made());
        for (bytes, made) in [(255, false), (1, true), (1, false), (255, true), (1024, true)] {
            far.write_all(&vec![0; bytes]).await.expect("written");
            near.read_exact(&mut scratch[..bytes]).await.expect("read");
            assert_eq!(progress.made(), made, "{bytes}");
        }
        far.write_all(&[0; 300]).await.expect("written");
        near.read_exact(&mut scratch[..300]).await.expect("read");
        progress.note();
        assert!(!progress.made());
    }

    #[tokio::test]
    async fn bytes_that_go_are_headway_once_the_peer_took_some() {
        let (mut far, near) = duplex(1_000);
        let mut near = Counted::new(near);
        let mut progress = near.progress();
        near.write_all(&[0; 1_000]).await.expect("written");
        assert!(!progress.made(), "it fits into the buffer");
        let mut scratch = [0; 600];
        let (written, read) = tokio::join!(near.write_all(&[0; 500]), far.read_exact(&mut scratch));
        assert!(written.is_ok() && read.is_ok() && progress.made());
    }
}
