//! What a session counted.

use std::time::Duration;

/// A snapshot of the counters of a client. They count over all its connections and never go back.
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
    /// Events that came twice, by their number or id, and were dropped (S2-6).
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
    /// The last round trip from a health check to its answer.
    pub latency: Option<Duration>,
}
