//! What a session counted.

use super::{message::Passed, state::State, time::Timestamp};
use std::time::Duration;

/// A snapshot of what a client counted and measured (S2-11). Counters count over all its connections and never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that came from the current connections of their time.
    pub messages_in: u64,
    /// Their bytes (in a browser: UTF-16 units of text).
    pub bytes_in: u64,
    /// Messages handed to a socket, health checks and first frames included.
    pub messages_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Messages given to the listeners.
    pub events: u64,
    /// Messages that were not JSON where JSON is expected (S0-18). They reach no listener, but are reported.
    pub malformed: u64,
    /// Binary messages.
    pub binary: u64,
    /// Frames, closes and answers of an old connection, dropped (S0-14, N-3).
    pub stale_dropped: u64,
    /// Events that came twice by their number or id, or after the gap in their place was told: they were dropped (S2-6).
    pub duplicates: u64,
    /// Times that events were missing for good.
    pub gaps: u64,
    /// Times that a lost connection went on where it broke.
    pub resumes: u64,
    /// Dials started.
    pub dials: u64,
    /// Hellos received.
    pub connects: u64,
    /// Hellos received after a connection was lost.
    pub reconnects: u64,
    /// Health checks sent.
    pub health_checks: u64,
    /// Tokens asked of the provider.
    pub token_fetches: u64,
    /// Errors reported that did not end the connection.
    pub errors: u64,
    /// Listeners that panicked or threw (S0-17).
    pub listener_failures: u64,
    /// Events that did not decode into the type that a listener wants (S0-18).
    pub decode_failures: u64,
    /// Events dropped because a reader of the event stream was too slow.
    pub overflows: u64,
    /// Events of channels that somebody has subscribed to (S2-13).
    pub routed: u64,
    /// Events of channels that nobody has subscribed to.
    pub unroutable: u64,
    /// Requests that were sent, or are to be.
    pub requests: u64,
    /// Replies to them that came in time.
    pub replies: u64,
    /// Messages that wait in the outbox now (N-6).
    pub outbox_messages: u64,
    /// Their bytes.
    pub outbox_bytes: u64,
    /// Messages for which there was no room in the outbox, and those that made room for others.
    pub outbox_overflows: u64,
    /// Messages that waited longer in the outbox than they may.
    pub outbox_expired: u64,
    /// The last round trip, of a health check or a ping.
    pub latency: Option<Duration>,
    /// The mean of the last 64 round trips.
    pub latency_mean: Option<Duration>,
    /// Half of them were not longer than this.
    pub latency_p50: Option<Duration>,
    /// Nineteen of twenty were not.
    pub latency_p95: Option<Duration>,
    /// How long the last dial took that succeeded, up to the open socket.
    pub dial_time: Option<Duration>,
    /// How long it took from the last dial to its hello.
    pub hello_time: Option<Duration>,
    /// The state.
    pub state: State,
    /// When this was taken, counted from when the client was made.
    pub at: Timestamp,
    /// When the hello of the current connection came; `None` while there is none.
    pub connected_at: Option<Timestamp>,
    /// When the last reconnect came about.
    pub last_reconnect_at: Option<Timestamp>,
    /// When the last message came. Pings and pongs of the protocol are no messages, though they too show that the server is there.
    pub last_message_at: Option<Timestamp>,
    /// How long the connections before the current one lasted, all together.
    pub connected_before: Duration,
}

impl Stats {
    /// Counts what passed the session by, as of this time.
    pub(crate) fn pass(&mut self, passed: Passed, now: Timestamp) {
        self.messages_in += passed.messages;
        self.bytes_in += passed.bytes;
        self.events += passed.messages;
        self.last_message_at = self.last_message_at.max(Some(now - passed.since));
    }

    /// The age of the current connection; `None` while there is none.
    pub fn connection_age(&self) -> Option<Duration> {
        self.connected_at.map(|connected| self.at - connected)
    }

    /// How long there was a connection, all together.
    pub fn uptime(&self) -> Duration {
        self.connected_before + self.connection_age().unwrap_or_default()
    }

    /// How long ago the last message came.
    pub fn since_last_message(&self) -> Option<Duration> {
        self.last_message_at.map(|last| self.at - last)
    }

    /// How long ago the last reconnect came about.
    pub fn since_last_reconnect(&self) -> Option<Duration> {
        self.last_reconnect_at.map(|last| self.at - last)
    }
}
