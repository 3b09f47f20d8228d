//! permessage-deflate (RFC 7692), below the WebSocket layer: it sees plain frames, so that limits, pings, closing and
//! violations are what they are without compression.
//!
//! Compressed messages that come are inflated and handed on as one plain frame each; everything else passes as it is.
//! Messages that go out are deflated before they are framed.

mod agreed;

pub(super) use agreed::{Agreed, OFFER};

use super::frames::{header_len, payload_len};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::{
    Bytes,
    protocol::frame::{
        Frame, FrameHeader,
        coding::{Data, OpCode},
    },
};

/// Whether there is compression in this build.
pub(super) const IS_THERE: bool = true;

/// What every compressed message ends with, and is sent without.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How much is read at once, and by how much the place for an inflated message grows at least.
const PIECE: usize = 4 * 1024;

/// The frame bits and codes that matter here.
const LAST: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;

/// A frame with a bit that only a compressed one may have.
const NOT_ALLOWED: [u8; 2] = [LAST | COMPRESSED | 1, 0];

/// Deflates what goes out.
pub(super) struct Deflater {
    compress: Compress,
    keeps: bool,
    /// Shorter messages are sent as they are.
    threshold: usize,
}

impl Deflater {
    /// `None` where the server wants a window that is too small for zlib: then messages are sent as they are, which is
    /// always allowed.
    pub(super) fn new(agreed: Agreed, threshold: usize) -> Option<Self> {
        let bits = agreed.client_bits;
        let compress = || Compress::new_with_window_bits(Compression::fast(), false, bits);
        (bits > 8).then(|| Self { compress: compress(), keeps: agreed.client_keeps, threshold })
    }

    /// A frame that holds the message, if it is worth it.
    pub(super) fn frame(&mut self, payload: &[u8], kind: Data) -> Option<Frame> {
        if payload.len() < self.threshold {
            return None;
        }
        let mut out = Vec::with_capacity(payload.len() / 2 + 64);
        let before = self.compress.total_in();
        loop {
            let done = (self.compress.total_in() - before) as usize;
            // It fails on wrong calls alone; such a message goes out as it is.
            self.compress.compress_vec(&payload[done..], &mut out, FlushCompress::Sync).ok()?;
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(payload.len() / 2 + 64);
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if !self.keeps {
            self.compress.reset();
        }
        let header = FrameHeader { rsv1: true, opcode: OpCode::Data(kind), ..FrameHeader::default() };
        Some(Frame::from_payload(header, Bytes::from(out)))
    }
}

/// Inflates what comes in.
pub(super) struct Inflater {
    decompress: Decompress,
    keeps: bool,
    /// How long a message may be.
    limit: usize,
    /// What was read and is not looked at yet.
    raw: Box<[u8]>,
    start: usize,
    end: usize,
    /// The header that is coming, and how much of the payload that follows it has to come.
    header: Vec<u8>,
    left: u64,
    /// What the payload under way is part of.
    part: Part,
    /// The first byte of the compressed message that has begun, and what is inflated of it.
    message: Option<u8>,
    inflated: Vec<u8>,
    /// What is to be handed on.
    ready: Vec<u8>,
    handed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Of something that passes as it is.
    Plain,
    /// Of a compressed message, which may end with it.
    Compressed { last: bool },
}

impl Inflater {
    pub(super) fn new(agreed: Agreed, limit: usize) -> Self {
        Self {
            decompress: Decompress::new(false),
            keeps: agreed.server_keeps,
            limit,
            raw: Box::new([0; PIECE]),
            start: 0,
            end: 0,
            header: Vec::with_capacity(14),
            left: 0,
            part: Part::Plain,
            message: None,
            inflated: Vec::new(),
            ready: Vec::new(),
            handed: 0,
        }
    }

    /// Reads plain frames.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.handed == self.ready.len() {
            self.ready.clear();
            self.handed = 0;
            if self.start == self.end {
                let mut raw = ReadBuf::new(&mut self.raw);
                ready!(Pin::new(&mut *stream).poll_read(cx, &mut raw))?;
                (self.start, self.end) = (0, raw.filled().len());
                if self.end == 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            self.look();
        }
        let len = buf.remaining().min(self.ready.len() - self.handed);
        buf.put_slice(&self.ready[self.handed..self.handed + len]);
        self.handed += len;
        Poll::Ready(Ok(()))
    }

    /// Looks at all that was read.
    fn look(&mut self) {
        while self.start < self.end {
            if self.left > 0 {
                let len = self.left.min((self.end - self.start) as u64) as usize;
                let (from, to) = (self.start, self.start + len);
                self.start = to;
                self.left -= len as u64;
                match self.part {
                    Part::Plain => self.ready.extend_from_slice(&self.raw[from..to]),
                    Part::Compressed { .. } => {
                        let piece = std::mem::take(&mut self.raw);
                        self.inflate(&piece[from..to]);
                        self.raw = piece;
                    }
                }
            } else {
                self.header.push(self.raw[self.start]);
                self.start += 1;
                if header_len(&self.header) != Some(self.header.len()) {
                    continue;
                }
                self.begin();
            }
            if self.left == 0 && self.part == (Part::Compressed { last: true }) {
                self.finish();
            }
        }
    }

    /// A header is complete.
    fn begin(&mut self) {
        let first = self.header[0];
        self.left = payload_len(&self.header);
        let is_masked = self.header[1] & 0x80 != 0;
        let begins = first & COMPRESSED != 0 && matches!(first & OPCODE, 1 | 2) && self.message.is_none();
        let continues = self.message.is_some() && first & (OPCODE | COMPRESSED) == 0;
        // What is not allowed passes too: the WebSocket layer says what is wrong with it.
        if (begins || continues) && first & RESERVED == 0 && !is_masked {
            self.message.get_or_insert(first);
            self.part = Part::Compressed { last: first & LAST != 0 };
        } else {
            if self.message.is_some() && first & CONTROL == 0 {
                self.refuse(&NOT_ALLOWED);
            }
            self.part = Part::Plain;
            self.ready.extend_from_slice(&self.header);
        }
        self.header.clear();
    }

    fn inflate(&mut self, mut input: &[u8]) {
        loop {
            if self.inflated.len() > self.limit {
                return self.refuse(&[&[LAST | 2, 127][..], &u64::MAX.to_be_bytes()].concat());
            }
            if self.inflated.len() == self.inflated.capacity() {
                self.inflated.reserve(self.inflated.len().max(PIECE));
            }
            let before = (self.decompress.total_in(), self.inflated.len());
            let status = self.decompress.decompress_vec(input, &mut self.inflated, FlushDecompress::Sync);
            let taken = (self.decompress.total_in() - before.0) as usize;
            input = &input[taken..];
            match status {
                Err(_) => return self.refuse(&NOT_ALLOWED),
                // The last block of a stream; another may follow.
                Ok(Status::StreamEnd) => {
                    self.decompress.reset(false);
                    if input.is_empty() {
                        return;
                    }
                }
                // What is left in it would have been written, had there been any.
                Ok(_) if input.is_empty() && self.inflated.len() < self.inflated.capacity() => return,
                Ok(_) if taken == 0 && self.inflated.len() == before.1 => return self.refuse(&NOT_ALLOWED),
                Ok(_) => {}
            }
        }
    }

    /// A compressed message is complete.
    fn finish(&mut self) {
        self.inflate(&TAIL);
        self.part = Part::Plain;
        let Some(first) = self.message.take() else { return };
        self.ready.push(LAST | first & OPCODE);
        let len = self.inflated.len();
        match len {
            0..126 => self.ready.push(len as u8),
            126..65536 => {
                self.ready.push(126);
                self.ready.extend_from_slice(&(len as u16).to_be_bytes());
            }
            _ => {
                self.ready.push(127);
                self.ready.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        self.ready.append(&mut self.inflated);
        if self.inflated.capacity() > 16 * PIECE {
            self.inflated = Vec::new();
        }
        if !self.keeps {
            self.decompress.reset(false);
        }
    }

    /// There is no such message: a frame that the WebSocket layer cannot take makes it say why, and ends it.
    fn refuse(&mut self, frame: &[u8]) {
        self.message = None;
        self.part = Part::Plain;
        self.inflated = Vec::new();
        self.ready.extend_from_slice(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    pub(super) const AGREED: Agreed = Agreed { server_keeps: true, client_keeps: true, client_bits: 15 };

    /// An inflater as a stream.
    struct Inflated<S>(Inflater, S);

    impl<S: AsyncRead + Unpin> AsyncRead for Inflated<S> {
        fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.0.poll_read(&mut this.1, cx, buf)
        }
    }

    /// What is handed on of these bytes.
    async fn inflated(agreed: Agreed, limit: usize, bytes: &[u8]) -> Vec<u8> {
        let (mut write, read) = duplex(bytes.len().max(1));
        write.write_all(bytes).await.expect("written");
        drop(write);
        let mut got = Vec::new();
        Inflated(Inflater::new(agreed, limit), read).read_to_end(&mut got).await.expect("read");
        got
    }

    /// A frame as a server writes it.
    fn bytes(frame: Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.format(&mut bytes).expect("written");
        bytes
    }

    fn plain(payload: &[u8]) -> Vec<u8> {
        bytes(Frame::message(payload.to_vec(), OpCode::Data(Data::Text), true))
    }

    #[tokio::test]
    async fn what_is_deflated_is_inflated_whatever_was_agreed() {
        let texts: Vec<Vec<u8>> = (0..60).map(|n| format!("{{\"n\":{n}}}").repeat(n * n).into_bytes()).collect();
        for (keeps, bits) in [(true, 15), (false, 15), (true, 9), (false, 12)] {
            let agreed = Agreed { server_keeps: keeps, client_keeps: keeps, client_bits: bits };
            let mut deflater = Deflater::new(agreed, 0).expect("a deflater");
            let (mut wire, mut expected) = (Vec::new(), Vec::new());
            for text in &texts {
                wire.extend(bytes(deflater.frame(text, Data::Text).expect("a frame")));
                expected.extend(plain(text));
            }
            assert!(wire.len() < expected.len() / 2);
            assert!(inflated(agreed, 1 << 20, &wire).await == expected, "{agreed:?}");
        }
    }

    #[tokio::test]
    async fn a_message_in_fragments_becomes_one_and_what_is_between_them_passes() {
        let mut deflater = Deflater::new(AGREED, 0).expect("a deflater");
        let payload = deflater.frame(&[b'x'; 5000], Data::Text).expect("a frame").into_payload();
        let fragment = |first: u8, piece: &[u8]| [&[first, piece.len() as u8], piece].concat();
        let (one, two) = payload.split_at(payload.len() / 2);
        let ping = [0x89, 1, b'p'];
        let wire = [fragment(0x41, one), ping.to_vec(), fragment(0x00, two), fragment(0x80, b""), plain(b"as it is")];
        let expected = [ping.to_vec(), plain(&[b'x'; 5000]), plain(b"as it is")].concat();
        assert!(inflated(AGREED, 1 << 20, &wire.concat()).await == expected);
    }

    /// A few bytes may inflate to gigabytes: no more than the limit is ever made of them.
    #[tokio::test]
    async fn a_message_that_grows_beyond_the_limit_is_stopped_at_once() {
        let mut deflater = Deflater::new(AGREED, 0).expect("a deflater");
        let bomb = bytes(deflater.frame(&vec![0; 50 << 20], Data::Binary).expect("a frame"));
        let got = inflated(AGREED, 100_000, &bomb).await;
        assert_eq!(got[..10], [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert!(got.len() < bomb.len() + 100, "{}", got.len());
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_left_to_the_layer_above() {
        // Not deflated; a reserved bit; a fragment that is compressed by itself; a message within another.
        let wrong: [&[u8]; 4] =
            [&[0xc1, 3, 0xff, 0xff, 0xff], &[0xe1, 0], &[0x41, 1, 0, 0xc0, 1, 0], &[0x41, 1, 0, 0x81, 1, b'x']];
        for frame in wrong {
            let got = inflated(AGREED, 1 << 20, frame).await;
            assert!(got[0] & (COMPRESSED | RESERVED) != 0, "{frame:?} → {got:?}");
        }
    }
}
