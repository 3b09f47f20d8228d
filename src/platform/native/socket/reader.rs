//! Reads messages off the wire, as a client or as a server (RFC 6455, 5), without a copy of what floods in.
//!
//! Writing is the WebSocket library's. Its reading keeps a buffer for as long as the connection lives, fills it with zeros
//! before each read, and copies what is in it whenever it is full: measured, that is more than all the rest.

use super::{
    super::{Bytes, Text, wake_later},
    buffer::Buffer,
    frames,
};
use bytes::BytesMut;
use std::{
    str,
    task::{Context, Poll, ready},
};
use tokio::io::AsyncRead;
use tokio_tungstenite::tungstenite::{
    Error,
    error::{CapacityError, ProtocolError},
    protocol::{
        CloseFrame,
        frame::coding::{CloseCode, Data},
    },
};

/// The longest header of a frame.
const HEADER: usize = 14;

/// The longest payload of a control frame.
const CONTROL: u64 = 125;

/// What came.
pub(crate) enum Received {
    Text(Text),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close(Option<CloseFrame>),
}

pub(crate) struct Reader {
    buffer: Buffer,
    /// A message of which more fragments have to come.
    fragments: Option<Box<Fragments>>,
    /// Whether the frames come from a client, and so are masked.
    masked: bool,
    /// The largest message that is taken, in bytes.
    limit: usize,
    /// Whether it only paused.
    has_paused: bool,
}

#[derive(Default)]
struct Fragments {
    is_text: bool,
    bytes: BytesMut,
    /// As far as it is known to be UTF-8.
    valid: usize,
}

impl Reader {
    /// Reads what a server sends. `chosen`: the size of the buffer, if it does not follow what comes.
    pub(super) fn new(chosen: Option<usize>, limit: usize) -> Self {
        Self { buffer: Buffer::new(chosen), fragments: None, masked: false, limit, has_paused: false }
    }

    /// Reads what a client sends.
    #[cfg(any(feature = "server", test))]
    pub(crate) fn of_client(limit: usize) -> Self {
        Self { masked: true, ..Self::new(None, limit) }
    }

    #[cfg(test)]
    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Whether there was nothing only because readers are to use first what they have. Whoever polls is woken then.
    pub(crate) fn has_paused(&self) -> bool {
        self.has_paused
    }

    /// The next thing that comes. Nothing can be read after an error.
    pub(crate) fn poll_next(
        &mut self,
        wire: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Received, Error>> {
        self.has_paused = false;
        loop {
            let missing = match self.frame()? {
                Some(received) => return Poll::Ready(Ok(received)),
                None => self.missing(),
            };
            match ready!(self.buffer.poll_fill(wire, cx, missing))? {
                Some(0) => return Poll::Ready(Err(ProtocolError::ResetWithoutClosingHandshake.into())),
                Some(_) => {}
                None => {
                    self.has_paused = true;
                    wake_later(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// How much has to come for the next frame, as far as that is known.
    fn missing(&self) -> usize {
        let bytes = self.buffer.bytes();
        let whole = match frames::header_len(bytes) {
            Some(header) if header <= bytes.len() => frames::payload_len(bytes).saturating_add(header as u64),
            _ => HEADER as u64,
        };
        // It was compared with the limit.
        (whole as usize).saturating_sub(bytes.len())
    }

    /// What is in the buffer: the next thing that is whole.
    fn frame(&mut self) -> Result<Option<Received>, Error> {
        loop {
            let bytes = self.buffer.bytes();
            let Some(header) = frames::header_len(bytes).filter(|header| *header <= bytes.len()) else {
                return Ok(None);
            };
            let (first, length) = (bytes[0], frames::payload_len(bytes));
            self.check(first, bytes[1], length)?;
            let length = length as usize;
            if bytes.len() - header < length {
                return Ok(None);
            }
            if self.masked {
                self.buffer.unmask(header, length);
            }
            let payload = self.buffer.take(header, length);
            if let Some(received) = self.received(first, payload)? {
                return Ok(Some(received));
            }
        }
    }

    /// Refuses what the peer may not send, before it is read.
    fn check(&self, first: u8, second: u8, length: u64) -> Result<(), Error> {
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let refused = match opcode {
            _ if first & 0x70 != 0 => ProtocolError::NonZeroReservedBits,
            _ if self.masked && second & 0x80 == 0 => ProtocolError::UnmaskedFrameFromClient,
            _ if !self.masked && second & 0x80 != 0 => ProtocolError::MaskedFrameFromServer,
            0 if self.fragments.is_none() => ProtocolError::UnexpectedContinueFrame,
            1 | 2 if self.fragments.is_some() => {
                ProtocolError::ExpectedFragment(if opcode == 1 { Data::Text } else { Data::Binary })
            }
            0..=2 => {
                let before = self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len());
                let size = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(before);
                if size > self.limit {
                    return Err(CapacityError::MessageTooLong { size, max_size: self.limit }.into());
                }
                return Ok(());
            }
            3..=7 => ProtocolError::UnknownDataFrameType(opcode),
            11.. => ProtocolError::UnknownControlFrameType(opcode),
            8..=10 if !is_last => ProtocolError::FragmentedControlFrame,
            8..=10 if length > CONTROL => ProtocolError::ControlFrameTooBig,
            8..=10 => return Ok(()),
        };
        Err(refused.into())
    }

    /// A whole frame, which was checked. `None`: more has to come.
    fn received(&mut self, first: u8, payload: Bytes) -> Result<Option<Received>, Error> {
        let is_last = first & 0x80 != 0;
        Ok(Some(match first & 0x0f {
            0 => return self.continued(is_last, payload),
            1 | 2 if !is_last => {
                let mut fragments = Box::new(Fragments { is_text: first & 0x0f == 1, ..Fragments::default() });
                fragments.add(&payload)?;
                self.fragments = Some(fragments);
                return Ok(None);
            }
            1 => Received::Text(Text::try_from(payload)?),
            2 => Received::Binary(payload),
            9 => Received::Ping(payload),
            10 => Received::Pong,
            _ => Received::Close(close(payload)?),
        }))
    }

    fn continued(&mut self, is_last: bool, payload: Bytes) -> Result<Option<Received>, Error> {
        let Some(mut fragments) = self.fragments.take() else { return Ok(None) };
        fragments.add(&payload)?;
        if !is_last {
            self.fragments = Some(fragments);
            return Ok(None);
        }
        let bytes = fragments.bytes.freeze();
        Ok(Some(match fragments.is_text {
            true => Received::Text(Text::try_from(bytes)?),
            false => Received::Binary(bytes),
        }))
    }
}

impl Fragments {
    /// Text that can no longer become UTF-8 is refused at once.
    fn add(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.bytes.extend_from_slice(payload);
        if self.is_text {
            match str::from_utf8(&self.bytes[self.valid..]) {
                Ok(text) => self.valid += text.len(),
                Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The payload of a close frame. Whether its code is one that may be sent is for those to ask who are told.
fn close(payload: Bytes) -> Result<Option<CloseFrame>, Error> {
    match payload[..] {
        [] => Ok(None),
        [_] => Err(ProtocolError::InvalidCloseSequence.into()),
        [high, low, ..] => {
            let code = CloseCode::from(u16::from_be_bytes([high, low]));
            Ok(Some(CloseFrame { code, reason: Text::try_from(payload.slice(2..))? }))
        }
    }
}

#[cfg(test)]
mod tests;
