//! What a session is told, and what it wants done.

use super::super::{
    error::Error,
    lifecycle::Lifecycle,
    message::{CloseInfo, DialRequest, Message, Negotiated, Passed},
    outbox::SendOptions,
    secret::Secret,
};
use std::{sync::Arc, time::Duration};

/// What happens to a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<P> {
    /// The user wants a connection.
    Connect,
    /// The user wants none any more.
    Close {
        /// 1000 or 3000 to 4999.
        code: u16,
        /// At most 123 bytes.
        reason: String,
        /// Whether it is because every handle is gone.
        dropped: bool,
    },
    /// What a handshake agreed on. Comes before its `Opened`, if at all.
    Negotiated {
        /// Which dial.
        generation: u64,
        /// What it was.
        negotiated: Negotiated,
    },
    /// The user has a message for the server. It is answered with [`Output::Send`] or [`Output::Settled`], now or later,
    /// unless it is refused or withdrawn.
    Send {
        /// A number of the user's, to be given back. Each is used once.
        id: u64,
        /// The message.
        message: Message,
        /// How long it may wait, and for what.
        options: SendOptions,
    },
    /// The user has a message whose reply he awaits. It is answered with [`Output::Reply`] or [`Output::Settled`], unless it
    /// is refused or withdrawn.
    Request {
        /// A number of the user's, as of a message.
        id: u64,
        /// The message: a JSON object.
        message: Message,
        /// How long it may take until the reply is there.
        timeout: Duration,
    },
    /// The user no longer wants a message to be sent. Of one that is written nothing is left to withdraw.
    Withdraw {
        /// Which message.
        id: u64,
    },
    /// The user wants the events of a channel, on this connection and on every one that follows.
    Subscribe {
        /// Which one. What is subscribed already stays so.
        channel: Arc<str>,
    },
    /// The user wants them no more.
    Unsubscribe {
        /// Which one.
        channel: Arc<str>,
    },
    /// The socket has room for a message: where [`Session::wants_room`](super::Session::wants_room), the next one that waits is written.
    Room {
        /// Which socket.
        generation: u64,
    },
    /// A dial succeeded.
    Opened {
        /// Which dial.
        generation: u64,
    },
    /// A dial failed.
    DialFailed {
        /// Which dial.
        generation: u64,
        /// Why.
        error: Error,
    },
    /// A message came.
    Message {
        /// On which socket.
        generation: u64,
        /// The message.
        payload: P,
    },
    /// Ordinary events went to their listeners without the session, which had [let](super::Session::lets_pass) them.
    Passed {
        /// On which socket.
        generation: u64,
        /// What there was of them.
        passed: Passed,
    },
    /// A sign of life that is no message: a ping, or headway of a message that is still incomplete. A transport tells of the
    /// latter only where more than a few bytes move (natively 256): a peer that drips is not alive.
    Alive {
        /// Of which socket.
        generation: u64,
    },
    /// The answer to an [`Output::Ping`].
    Pong {
        /// Of which socket.
        generation: u64,
    },
    /// A socket ended.
    Closed {
        /// Which socket.
        generation: u64,
        /// How.
        info: CloseInfo,
    },
    /// The token provider answered.
    Token {
        /// The generation of its [`Output::FetchToken`].
        generation: u64,
        /// Its answer.
        result: Result<Secret, Error>,
    },
    /// What the platform's calendar says: the time since 1970-01-01T00:00:00Z. For those who have one, when a session begins
    /// to connect, when a token came, and before a `Timeout`; it tells when a token ends.
    Clock {
        /// The calendar's time.
        unix: Duration,
    },
    /// The network changed.
    Network(NetworkChange),
    /// The page changed that the session lives in.
    Page(PageChange),
    /// [`Session::next_timeout`](super::Session::next_timeout) has passed. Early calls do no harm.
    Timeout,
}

/// What is known to have happened to the page that a session lives in (N-4). None of it begins a connection that nobody asked
/// for, and none of it spends tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageChange {
    /// Nobody sees it: tries wait. An open connection stays.
    Hidden,
    /// It is seen again: a waiting try begins, an open connection is probed.
    Shown,
    /// It was left, and the browser may keep it: the connection is closed, and made again if the page comes back.
    Left,
    /// It came back.
    Back,
}

/// What is known to have happened to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkChange {
    /// There is none: tries wait, and waiting costs no tries.
    Offline,
    /// There is one again: a waiting try begins, an open connection is probed.
    Online,
    /// It is another one, or time was lost: an open connection is probed.
    Changed,
}

/// What a session wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<P> {
    /// Dial, and answer with `Opened` or `DialFailed`. There is never more than one dial or socket, but while a
    /// connection takes the place of another that has grown old.
    Dial {
        /// To be given back with everything that concerns this dial and its socket.
        generation: u64,
        /// Where and how.
        request: DialRequest,
    },
    /// Ask the token provider, and answer with `Token`. A new request replaces one under way.
    FetchToken {
        /// To be given back with the answer.
        generation: u64,
    },
    /// Write a message.
    Send {
        /// To which socket.
        generation: u64,
        /// The message.
        message: Message,
        /// The number of the user's message, if it is one. Its sender is told how the writing went.
        id: Option<u64>,
    },
    /// The outbox has a place for a message of the user's.
    Accepted {
        /// Which message.
        id: u64,
    },
    /// The reply to a request.
    Reply {
        /// Which request.
        id: u64,
        /// The reply, or what the server says is wrong.
        reply: Result<P, Error>,
    },
    /// A message of the user's will not be written, or the reply to it will not come.
    Settled {
        /// Which message.
        id: u64,
        /// Why not.
        error: Error,
    },
    /// Write a ping of the protocol; the answer comes back as `Pong`.
    Ping {
        /// To which socket.
        generation: u64,
    },
    /// Start the closing handshake; its end comes back as `Closed`.
    Close {
        /// Of which socket.
        generation: u64,
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// Drop this dial, socket or token request now; nothing more is wanted of it.
    Abort {
        /// Which one.
        generation: u64,
        /// The code to tell the peer where that takes no waiting.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
    /// An event for the listeners.
    Event(P),
    /// A step in the life of the client.
    Lifecycle(Lifecycle),
}
