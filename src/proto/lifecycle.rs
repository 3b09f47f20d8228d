//! What a session tells of itself, and how it can end.

use super::{error::Error, state::State};
use std::{fmt, sync::Arc, time::Duration};

/// A step in the life of a client. Every step is told once, in order.
///
/// Those who know the sixteen events of other clients find them here (S2-2):
///
/// | elsewhere | here |
/// |---|---|
/// | `connecting(uri, attempt)` | [`Connecting`](Self::Connecting) |
/// | `connected(uri, subprotocol, extensions)` | [`Connected`](Self::Connected) without a `downtime` |
/// | `disconnected(code, reason, was_clean)` | [`Disconnected`](Self::Disconnected): [`Error::close_code`], [`Error::close_reason`]; clean if there is a code |
/// | `reconnecting(attempt, delay, last_error)` | [`BackingOff`](Self::BackingOff) |
/// | `reconnected(uri, attempt, downtime)` | [`Connected`](Self::Connected) with a `downtime` |
/// | `message(data, raw)`, `raw_message(data, opcode)` | a listener of a type, a listener of `*` |
/// | `error(error, fatal)` | [`Error`](Self::Error); a fatal one is in the [`Cause`] of [`Closed`](Self::Closed) |
/// | `state_change(old, new)` | [`State`](Self::State) |
/// | `ping(payload)`, `pong(payload, latency)` | [`Ping`](Self::Ping), [`Pong`](Self::Pong) |
/// | `closing(code, reason, initiated_by)` | [`Closing`](Self::Closing) |
/// | `closed(code, reason, reconnecting)` | [`Disconnected`](Self::Disconnected), and then [`BackingOff`](Self::BackingOff) if it reconnects, [`Closed`](Self::Closed) if not |
/// | `replay_started`, `replay_completed` | [`ReplayStarted`](Self::ReplayStarted), [`ReplayCompleted`](Self::ReplayCompleted) |
/// | `buffer_overflow(capacity, dropped, policy)` | [`Overflow`](Self::Overflow) |
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lifecycle {
    /// The state changed.
    State {
        /// The state before.
        old: State,
        /// The state now.
        new: State,
    },
    /// A dial begins.
    Connecting {
        /// The URL, with every value that may be a secret replaced by `***`.
        url: Arc<str>,
        /// The number of the try: 1 for the first, and for the first after a connection that lasted (see
        /// [`BackoffRule::max_attempts`](super::BackoffRule::max_attempts)).
        attempt: u32,
    },
    /// The hello came.
    Connected {
        /// The URL, as in [`Connecting`](Self::Connecting).
        url: Arc<str>,
        /// The id the server gave this connection.
        connection_id: Option<Arc<str>>,
        /// The number of the try that succeeded.
        attempt: u32,
        /// How long the client was without a connection; `None` on the first.
        downtime: Option<Duration>,
        /// The subprotocol that the server chose. One that holds a placeholder of the dialect is shown as `***`.
        subprotocol: Option<Arc<str>>,
        /// The extensions that were agreed on, such as `permessage-deflate`.
        extensions: Option<Arc<str>>,
    },
    /// The connection was lost.
    Disconnected {
        /// Why.
        error: Error,
    },
    /// The next try will be after this time.
    BackingOff {
        /// The number of the next try.
        attempt: u32,
        /// The wait.
        delay: Duration,
        /// What failed last.
        error: Error,
    },
    /// A sign of life was asked for with the dialect's health check.
    Ping {
        /// The frame that was sent.
        payload: Arc<str>,
    },
    /// The answer to a health check came.
    Pong {
        /// The round trip.
        latency: Duration,
    },
    /// A closing handshake begins.
    Closing {
        /// The close code; 1005 for a server that gave none.
        code: u16,
        /// The reason.
        reason: Arc<str>,
        /// Who began.
        by: Side,
    },
    /// A fresh token came from the provider.
    TokenRenewed {
        /// How long it is good for, if it says so.
        valid_for: Option<Duration>,
    },
    /// The circuit breaker changed.
    Breaker {
        /// The state now.
        state: BreakerState,
        /// How long no try is made, while it is open.
        wait: Option<Duration>,
    },
    /// The connection has reached its maximum age and is replaced by a new one.
    Renewing {
        /// Its age.
        age: Duration,
    },
    /// What was missed while there was no connection is asked for or sent again.
    ReplayStarted {
        /// Which way.
        mode: ReplayMode,
        /// The sequence number that came last.
        last: Option<u64>,
        /// How many messages there are, where that is known.
        count: Option<u64>,
    },
    /// Everything that was missed is there.
    ReplayCompleted {
        /// Which way.
        mode: ReplayMode,
        /// How many messages there were.
        count: u64,
        /// How long it took.
        duration: Duration,
    },
    /// Events are lost: the server said so, a number was left out, or the session did not go on.
    Gap {
        /// The number of the first one.
        from: u64,
        /// The number of the last one; `None` where nobody knows: what follows is numbered anew.
        to: Option<u64>,
    },
    /// A bounded queue was full.
    Overflow {
        /// Which one, in a word; `outbox-bytes` where the messages in the outbox were not too many, but too large together.
        queue: &'static str,
        /// How many messages it holds; of `outbox-bytes`, how many bytes.
        capacity: usize,
        /// How many were dropped now.
        dropped: u64,
        /// The rule by which it was decided, such as `drop-oldest`.
        policy: &'static str,
    },
    /// Something went wrong that did not end the connection: a malformed message, a listener that panicked.
    Error(Error),
    /// A setting was out of its bounds and was clamped.
    Clamped {
        /// The setting.
        setting: &'static str,
        /// What was asked for.
        asked: Duration,
        /// What is used.
        used: Duration,
    },
    /// The end, with its cause. `connect` may start anew.
    Closed(Cause),
}

impl Lifecycle {
    /// The step as a short word: `connecting`, `backing-off`, …
    pub const fn as_str(&self) -> &'static str {
        match self {
            Lifecycle::State { .. } => "state",
            Lifecycle::Connecting { .. } => "connecting",
            Lifecycle::Connected { .. } => "connected",
            Lifecycle::Disconnected { .. } => "disconnected",
            Lifecycle::BackingOff { .. } => "backing-off",
            Lifecycle::Ping { .. } => "ping",
            Lifecycle::Pong { .. } => "pong",
            Lifecycle::Closing { .. } => "closing",
            Lifecycle::TokenRenewed { .. } => "token-renewed",
            Lifecycle::Breaker { .. } => "breaker",
            Lifecycle::Renewing { .. } => "renewing",
            Lifecycle::ReplayStarted { .. } => "replay-started",
            Lifecycle::ReplayCompleted { .. } => "replay-completed",
            Lifecycle::Gap { .. } => "gap",
            Lifecycle::Overflow { .. } => "overflow",
            Lifecycle::Error(_) => "error",
            Lifecycle::Clamped { .. } => "clamped",
            Lifecycle::Closed(_) => "closed",
        }
    }
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This client.
    Client,
    /// The server.
    Server,
}

impl Side {
    /// `client` or `server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// Where a circuit breaker stands (S3-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Tries are made as usual.
    Closed,
    /// Too many tries failed: none is made for a while.
    Open,
    /// One try is made, which decides.
    HalfOpen,
}

impl BreakerState {
    /// The state as a word: `closed`, `open`, `half-open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// How what was missed is made up for (S2-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayMode {
    /// The server sends again what follows the last sequence number.
    Sequence,
    /// This client sends again what it had sent before the loss.
    FullBuffer,
}

impl ReplayMode {
    /// The mode as a word: `sequence`, `full-buffer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReplayMode::Sequence => "sequence",
            ReplayMode::FullBuffer => "full-buffer",
        }
    }
}

/// Why a client ended. Every path to an end gives exactly one (N-8).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The user called `close`.
    ByUser,
    /// Every handle was dropped; natively also: the runtime of the client was shut down.
    Dropped,
    /// The server closed with a code by which it wants no further connection.
    ByServer(Error),
    /// Authentication was rejected, or the server does not speak the dialect.
    Refused(Error),
    /// The token is not accepted, and there is no provider to get another.
    TokenExpired(Error),
    /// The token provider says that the user is signed out ([`Error::signed_out`]).
    SignedOut(Error),
    /// Every try that `max_attempts` allows has failed; this is the last failure.
    Exhausted(Error),
    /// Something that trying again would not mend, such as a parameter that the dialect lacks.
    Fatal(Error),
}

impl Cause {
    /// The cause as a short word: `by-user`, `refused`, …
    pub fn as_str(&self) -> &'static str {
        match self {
            Cause::ByUser => "by-user",
            Cause::Dropped => "dropped",
            Cause::ByServer(_) => "by-server",
            Cause::Refused(_) => "refused",
            Cause::TokenExpired(_) => "token-expired",
            Cause::SignedOut(_) => "signed-out",
            Cause::Exhausted(_) => "exhausted",
            Cause::Fatal(_) => "fatal",
        }
    }

    /// The error behind it, where there is one.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Cause::ByUser | Cause::Dropped => None,
            Cause::ByServer(error)
            | Cause::Refused(error)
            | Cause::TokenExpired(error)
            | Cause::SignedOut(error)
            | Cause::Exhausted(error)
            | Cause::Fatal(error) => Some(error),
        }
    }

    /// The cause in words, with the error behind it.
    pub(crate) fn text(&self) -> String {
        let what = match self {
            Cause::ByUser => "closed by the user",
            Cause::Dropped => "every handle was dropped",
            Cause::ByServer(_) => "closed by the server",
            Cause::Refused(_) => "refused by the server",
            Cause::TokenExpired(_) => "the token is not accepted and cannot be refreshed",
            Cause::SignedOut(_) => "signed out",
            Cause::Exhausted(_) => "every try failed",
            Cause::Fatal(_) => "cannot go on",
        };
        match self.error() {
            Some(error) => [what, ": ", &error.text()].concat(),
            None => what.to_owned(),
        }
    }

    /// Whether the program itself wanted the end.
    pub fn is_intended(&self) -> bool {
        matches!(self, Cause::ByUser | Cause::Dropped)
    }
}

/// The text of `Cause::text`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
