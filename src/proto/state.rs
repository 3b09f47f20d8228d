//! The states of a connection, and the one table of the transitions between them (S2-1).

use std::fmt;

/// Where a client stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, not yet asked to connect.
    #[default]
    Idle,
    /// The first try: fetching a token, dialling, waiting for the hello.
    Connecting,
    /// The hello came: events flow, and messages may be sent.
    Connected,
    /// Closing because the user asked for it.
    Disconnecting,
    /// The connection was just lost.
    Disconnected,
    /// A later try: fetching a token, dialling, waiting for the hello.
    Reconnecting,
    /// Waiting for the next try, or for the network to come back.
    BackingOff,
    /// Ended by a failure that trying again would not mend, or after the last try.
    Failed,
    /// Ended by the user or by the server's own wish.
    Closed,
}

impl State {
    /// Every state.
    pub const ALL: [State; 9] = [
        State::Idle,
        State::Connecting,
        State::Connected,
        State::Disconnecting,
        State::Disconnected,
        State::Reconnecting,
        State::BackingOff,
        State::Failed,
        State::Closed,
    ];

    /// The states that may follow this one.
    pub const fn next(self) -> &'static [State] {
        use State::*;
        match self {
            Idle => &[Connecting, Closed],
            Connecting => &[Connected, BackingOff, Disconnecting, Failed, Closed],
            Connected => &[Disconnected, Disconnecting],
            Disconnecting => &[Closed],
            Disconnected => &[Reconnecting, BackingOff, Failed, Closed],
            Reconnecting => &[Connected, BackingOff, Disconnecting, Failed, Closed],
            BackingOff => &[Reconnecting, Failed, Closed],
            Failed | Closed => &[Connecting],
        }
    }

    /// Whether the client rests in this state until `connect` is called.
    pub const fn is_end(self) -> bool {
        matches!(self, State::Idle | State::Failed | State::Closed)
    }

    /// The name as it is shown: `backing-off`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Disconnecting => "disconnecting",
            State::Disconnected => "disconnected",
            State::Reconnecting => "reconnecting",
            State::BackingOff => "backing-off",
            State::Failed => "failed",
            State::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
