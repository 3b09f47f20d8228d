//! Reads ahead while much comes: fewer and larger reads in a flood, and no more memory than needed otherwise.
//!
//! The WebSocket layer reads in small pieces, because it fills its buffer with zeros before each read. This one is
//! filled once, and lives only until many reads in a row brought no more than a small one could: a client that is about as
//! fast as its server has large and small reads in turn, and a new buffer for each would cost more than it saves.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once in a flood.
const AHEAD: usize = 128 * 1024;

/// A read that fills a buffer of at least this size tells that more is waiting.
const MUCH: usize = 8 * 1024;

/// After so many small reads in a row the flood is over.
const FEW: u8 = 16;

pub(super) struct ReadAhead<S> {
    pub(super) inner: S,
    /// Empty unless much comes.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Small reads in a row.
    small: u8,
}

impl<S> ReadAhead<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, buffer: Box::default(), start: 0, end: 0, small: 0 }
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ahead = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut ahead))?;
        (self.start, self.end) = (0, ahead.filled().len());
        self.small = if self.end < MUCH { self.small + 1 } else { 0 };
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, into: &mut ReadBuf<'_>) {
        let len = into.remaining().min(self.end - self.start);
        into.put_slice(&self.buffer[self.start..self.start + len]);
        self.start += len;
        if self.start == self.end && self.small >= FEW {
            self.buffer = Box::default();
            (self.start, self.end, self.small) = (0, 0, 0);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.buffer.is_empty() {
            let room = buf.remaining();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            if room >= MUCH && buf.remaining() == 0 {
                this.buffer = vec![0; AHEAD].into();
            }
            return Poll::Ready(Ok(()));
        }
        if this.start == this.end {
            ready!(this.poll_fill(cx))?;
        }
        this.take(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
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

    #[tokio::test]
    async fn a_flood_arrives_whole_whatever_the_sizes_of_the_reads() {
        let sent: Vec<u8> = (0..1_000_000_u32).map(|index| ((index * 31) >> 3) as u8).collect();
        let (mut write, read) = duplex(300_000);
        let (mut read, bytes) = (ReadAhead::new(read), sent.clone());
        let write = async move { write.write_all(&bytes).await.expect("written") };
        let read = async move {
            let (mut got, mut most) = (Vec::<u8>::new(), 0);
            for size in [1, 14, 16 * 1024, 100, 16 * 1024, 200_000].into_iter().cycle() {
                let mut piece = vec![0; size];
                match read.read(&mut piece).await.expect("read") {
                    0 => break,
                    len => got.extend(&piece[..len]),
                }
                most = most.max(read.buffer.len());
            }
            (got, most)
        };
        let ((), (got, most)) = tokio::join!(write, read);
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
        assert_eq!(most, AHEAD, "it did read ahead");
    }

    #[tokio::test]
    async fn sparse_traffic_needs_no_buffer_and_a_flood_that_is_over_leaves_none() {
        let (mut write, read) = duplex(300_000);
        let mut read = ReadAhead::new(read);
        let mut piece = vec![0; 16 * 1024];
        write.write_all(b"one").await.expect("written");
        assert_eq!(read.read(&mut piece).await.expect("read"), 3);
        assert!(read.buffer.is_empty());
        write.write_all(&[1; 40_000]).await.expect("written");
        let mut left = 40_000;
        while left > 0 {
            left -= read.read(&mut piece).await.expect("read");
        }
        assert_eq!(read.buffer.len(), AHEAD);
        for number in 0..FEW {
            assert_eq!(read.buffer.len(), AHEAD, "kept after {number} small reads");
            write.write_all(b"two").await.expect("written");
            assert_eq!(read.read(&mut piece).await.expect("read"), 3);
            assert_eq!(&piece[..3], b"two");
        }
        assert!(read.buffer.is_empty());
        drop(write);
        assert_eq!(read.read(&mut piece).await.expect("the end"), 0);
    }
}
