//! Without the feature `deflate`: nothing is compressed, and whoever wants that is told.

use crate::proto::Error;
use std::{
    io,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::{
    http::{HeaderMap, HeaderValue},
    protocol::frame::{Frame, coding::Data},
};

/// Whether there is compression in this build.
pub(super) const IS_THERE: bool = false;

/// It is never offered.
pub(super) const OFFER: HeaderValue = HeaderValue::from_static("");

/// What was agreed upon: it never is.
#[derive(Clone, Copy)]
pub(super) enum Agreed {}

impl Agreed {
    pub(super) fn read(_: &HeaderMap) -> Result<Option<Self>, Error> {
        Ok(None)
    }
}

/// Deflates what goes out.
pub(super) enum Deflater {}

impl Deflater {
    pub(super) fn new(agreed: Agreed, _: usize) -> Option<Self> {
        match agreed {}
    }

    pub(super) fn frame(&mut self, _: &[u8], _: Data) -> Option<Frame> {
        match *self {}
    }
}

/// Inflates what comes in.
pub(super) enum Inflater {}

impl Inflater {
    pub(super) fn new(agreed: Agreed, _: usize) -> Self {
        match agreed {}
    }

    pub(super) fn poll_read(
        &mut self,
        _: &mut (impl AsyncRead + Unpin),
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}
