//! A wire for the tests of the reader and its buffer: the test says what each read brings.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, ReadBuf};

/// Brings one piece a read, as far as there is room for it. Then nothing more comes, or it ends.
#[derive(Default)]
pub(crate) struct Script {
    pieces: VecDeque<Vec<u8>>,
    pub(crate) ends: bool,
}

impl Script {
    pub(crate) fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect();
        Self { pieces, ends: false }
    }

    pub(crate) fn add(&mut self, piece: Vec<u8>) {
        self.pieces.push_back(piece);
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.pieces.pop_front() {
            Some(mut piece) => {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    this.pieces.push_front(rest);
                }
                Poll::Ready(Ok(()))
            }
            None if this.ends => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

/// A frame of a server's, with its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = match length {
        0..=125 => vec![first, length as u8],
        126..=0xffff => [&[first, 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(length as u64).to_be_bytes()].concat(),
    };
    frame.extend_from_slice(payload);
    frame
}
