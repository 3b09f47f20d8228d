//! What the driver asks of a socket: a connector that dials, and a transport that reads and writes without blocking.

use crate::{
    platform::{Clock, MaybeSend, SocketOptions},
    proto::{CloseInfo, DialRequest, Error, Message, Negotiated, Passed, Payload, Timestamp},
};
use std::task::{Context, Poll};

/// Makes connections.
pub(crate) trait Connector: MaybeSend + 'static {
    /// A message as it comes off this kind of socket.
    type Payload: Payload + MaybeSend + 'static;
    /// An open socket.
    type Transport: Transport<Payload = Self::Payload>;

    /// Dials, up to and including the WebSocket handshake. Dropping the future gives up and closes the socket.
    ///
    /// The future has no time limit of its own: the session has one.
    fn dial(&self, request: DialRequest) -> impl Future<Output = Result<Self::Transport, Error>> + MaybeSend + 'static;
}

/// What comes off a socket.
pub(crate) enum Incoming<P> {
    /// A text or binary message.
    Message(P),
    /// A sign of life that is no message: a ping, which the transport itself answers, or headway of a message that is under
    /// way.
    #[allow(dead_code, reason = "a browser shows neither")]
    Alive,
    /// The answer to a [`ping`](Transport::ping).
    #[allow(dead_code, reason = "a browser shows no pongs")]
    Pong,
    /// The end. Nothing comes after it, and the transport may be dropped.
    Closed(CloseInfo),
}

/// An open socket. Dropping it closes it at once, and detaches whatever could still call back.
pub(crate) trait Transport: MaybeSend + Unpin + 'static {
    /// A message as it comes off this kind of socket.
    type Payload;

    /// What the handshake agreed on.
    fn negotiated(&mut self) -> Negotiated;

    /// The next thing that comes off the socket. It never fails: a failure is an [`Incoming::Closed`] with its error.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Self::Payload>>;

    /// Takes a message to be written, in order. Refuses one with [`ErrorKind::Overflow`](crate::ErrorKind::Overflow)
    /// when too much is waiting already, and with `TooLarge` or `Closed` where that is so.
    fn send(&mut self, message: Message) -> Result<(), Error>;

    /// Ready while the socket has room for a message of the user's, which is long before [`send`](Self::send) refuses one:
    /// so there is always some left for what the session itself has to say. Room comes as the socket is flushed.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Writes what [`send`](Self::send) and [`close`](Self::close) took, as far as the socket takes it.
    /// Ready when all is written; a failure shows in [`poll_recv`](Self::poll_recv).
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Sends a ping of the protocol, with the next flush, ahead of the messages that wait. A browser cannot.
    fn ping(&mut self) {}

    /// Until this time, or until it is [held](Self::hold), ordinary events may go to their listeners without the session. A
    /// socket that cannot do this gives all messages as they come.
    fn let_pass(&mut self, _clock: &Clock, _until: Timestamp) {}

    /// Lets nothing pass any more, and tells what has.
    fn hold(&mut self) -> Option<Passed> {
        None
    }

    /// Starts the closing handshake with this code and reason; its end shows as an [`Incoming::Closed`].
    fn close(&mut self, code: u16, reason: &str);

    /// Ends the socket now: tells the peer with this code if that takes no waiting, and drops it.
    fn abort(self, code: u16, reason: &str);
}

/// What a connector of either target is told once.
#[derive(Clone)]
pub(crate) struct SocketConfig {
    /// The largest message that is taken, in bytes.
    pub(crate) max_message_size: usize,
    /// What only native sockets can do.
    pub(crate) options: SocketOptions,
}

impl SocketConfig {
    /// The defaults, and this largest message.
    pub(crate) fn new(max_message_size: usize) -> Self {
        Self { max_message_size, options: SocketOptions::default() }
    }
}
