//! What a session tells of itself, and how it can end.

use super::{error::Error, state::State};
use std::{fmt, sync::Arc, time::Duration};

/// A step in the life of a client. Every step is told once, in order.
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
        /// The number of the try: 1 for the first since the last hello.
        attempt: u32,
    },
    /// The hello came.
    Connected {
        /// The id the server gave this connection.
        connection_id: Option<Arc<str>>,
        /// The number of the try that succeeded.
        attempt: u32,
        /// How long the client was without a connection; `None` on the first.
        downtime: Option<Duration>,
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

/// Why a client ended. Every path to an end gives exactly one (N-8).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The user called `close`.
    ByUser,
    /// Every handle was dropped.
    Dropped,
    /// The server closed with a code by which it wants no further connection.
    ByServer(Error),
    /// The server refused who we are, or did not speak the dialect.
    Refused(Error),
    /// The token is not accepted, and there is no provider to get another.
    TokenExpired(Error),
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
            | Cause::Exhausted(error)
            | Cause::Fatal(error) => Some(error),
        }
    }

    /// Whether the program itself wanted the end.
    pub fn is_intended(&self) -> bool {
        matches!(self, Cause::ByUser | Cause::Dropped)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Cause::ByUser => "closed by the user",
            Cause::Dropped => "every handle was dropped",
            Cause::ByServer(_) => "closed by the server",
            Cause::Refused(_) => "refused by the server",
            Cause::TokenExpired(_) => "the token is not accepted and cannot be refreshed",
            Cause::Exhausted(_) => "every try failed",
            Cause::Fatal(_) => "cannot go on",
        };
        f.write_str(what)?;
        match self.error() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}
