//! The buffer of a connection for reading: there while something comes, large while much comes, and never kept alive by
//! small messages that a program keeps (pitfall 19).

use super::super::Bytes;
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The size while little comes, and while much comes.
pub(super) const CALM: usize = 4 * 1024;
pub(super) const FLOOD: usize = 64 * 1024;

/// So many reads in a row that left no room mean that much comes; so many that brought little mean that it is over.
const FULL: u8 = 2;
const FEW: u8 = 16;

/// A read that brought no more than this brought little. Less room than this says nothing.
const LITTLE: usize = 1024;

/// For how many reads messages are copied after it showed that some are kept.
const WARY: u8 = 64;

#[derive(Default)]
pub(super) struct Buffer {
    bytes: BytesMut,
    /// How large it was made.
    made: usize,
    /// How much is read at once: `None` if it was not chosen, and follows what comes.
    chosen: Option<usize>,
    is_large: bool,
    /// Reads in a row that left no room, and that brought little.
    full: u8,
    little: u8,
    /// Messages are copied for so many reads.
    wary: u8,
    /// Whether readers had a pause in which to use what came.
    has_paused: bool,
}

impl Buffer {
    pub(super) fn new(chosen: Option<usize>) -> Self {
        Self { chosen, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn size(&self) -> usize {
        self.chosen.unwrap_or(if self.is_large { FLOOD } else { CALM })
    }

    #[cfg(test)]
    pub(super) fn is_large(&self) -> bool {
        self.is_large
    }

    #[cfg(test)]
    pub(super) fn is_gone(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// Takes the mask off a payload: the mask is the end of the header before it.
    pub(super) fn unmask(&mut self, header: usize, payload: usize) {
        let (header, rest) = self.bytes.split_at_mut(header);
        let Some(mask) = header.last_chunk::<4>() else { return };
        let (whole, end) = rest[..payload].as_chunks_mut::<4>();
        for bytes in whole {
            *bytes = (u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes(*mask)).to_ne_bytes();
        }
        end.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }

    /// Takes a header off, and the payload after it. A payload is a slice of the buffer where that is made for many and
    /// soon used again, and else a copy: one message must not keep a buffer for many alive.
    pub(super) fn take(&mut self, header: usize, payload: usize) -> Bytes {
        self.bytes.advance(header);
        if payload >= self.size() / 2 || self.size() > CALM && self.wary == 0 {
            return self.bytes.split_to(payload).freeze();
        }
        let copy = Bytes::copy_from_slice(&self.bytes[..payload]);
        self.bytes.advance(payload);
        copy
    }

    /// Reads once. `missing` is how much has to come for the next message, as far as that is known. `None`: first readers are
    /// to use what they have, for then this buffer is free again.
    pub(super) fn poll_fill(
        &mut self,
        wire: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        missing: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        if !self.make_room(missing) {
            return Poll::Ready(Ok(None));
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let Poll::Ready(came) = pin!(wire.read_buf(&mut self.bytes)).poll(cx) else {
            // A connection on which nothing comes has no buffer.
            if self.bytes.is_empty() && (!self.is_large || self.little >= FEW) {
                (self.bytes, self.made, self.is_large) = (BytesMut::new(), 0, false);
            }
            return Poll::Pending;
        };
        let came = came?;
        self.note(came, room);
        Poll::Ready(Ok(Some(came)))
    }

    /// Makes room for a read, unless readers are to have a pause before. A message that is announced gets no more room than
    /// has come of it, at a time: it may never come.
    fn make_room(&mut self, missing: usize) -> bool {
        let wanted = self.size().max(missing.min(self.bytes.len()));
        let left = self.bytes.capacity() - self.bytes.len();
        if !self.bytes.try_reclaim(wanted) && (left < missing.min(wanted) || left < self.size() / 4) {
            // One that was made too small says nothing of readers.
            let may_be_kept = self.made >= wanted && self.size() > CALM && self.wary == 0;
            if may_be_kept && !std::mem::replace(&mut self.has_paused, true) {
                return false;
            }
            if may_be_kept {
                // Somebody has messages of before: this buffer is his now.
                self.wary = WARY;
            }
            let mut larger = BytesMut::with_capacity(self.bytes.len() + wanted);
            larger.extend_from_slice(&self.bytes);
            (self.bytes, self.made) = (larger, self.bytes.len() + wanted);
        }
        self.has_paused = false;
        self.wary = self.wary.saturating_sub(1);
        true
    }

    fn note(&mut self, came: usize, room: usize) {
        let was_filled = came == room;
        if !was_filled {
            self.full = 0;
        } else if room >= LITTLE {
            self.full = self.full.saturating_add(1);
        }
        self.little = if came <= LITTLE && !was_filled { self.little.saturating_add(1) } else { 0 };
        if self.chosen.is_none() && self.full >= FULL {
            self.is_large = true;
        }
    }
}

#[cfg(test)]
mod tests;
