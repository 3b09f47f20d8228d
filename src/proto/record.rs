//! What a session remembers besides its counters: round trips, and why connections were lost (N-12, S2-11).

use super::{
    error::{Error, ErrorKind},
    stats::Stats,
    time::Timestamp,
};
use std::{fmt, time::Duration};

/// How many failures are remembered.
const LOG: usize = 16;
/// How many round trips are.
const TRIPS: usize = 64;

/// Why a connection, or a try for one, came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The token provider failed.
    Token,
    /// The token provider took too long.
    TokenTimeout,
    /// The server cannot be reached.
    Unreachable,
    /// Dialling took too long.
    OpenTimeout,
    /// The server refused the handshake with an HTTP status.
    Handshake,
    /// The hello did not come in time.
    HelloTimeout,
    /// Authentication was rejected, or the first frame was not the hello.
    Auth,
    /// Nothing came from the server for too long.
    Silence,
    /// No sign of life came after a change of the network.
    Probe,
    /// A ping got no answer.
    Pong,
    /// The server reported an error.
    Server,
    /// The server closed the connection.
    Closed,
    /// The connection broke without a close: a reset, the end of the stream, a cable.
    Broken,
    /// The peer broke the protocol, or sent more than is taken.
    Protocol,
    /// The connection had reached its maximum age.
    Age,
    /// The page was left that the connection was for.
    Page,
    /// There was no network to try with, or an open circuit breaker.
    Waiting,
    /// Something else; the error tells.
    Other,
}

impl Reason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Token => "the token provider failed",
            Reason::TokenTimeout => "the token provider took too long",
            Reason::Unreachable => "the server could not be reached",
            Reason::OpenTimeout => "the connection could not be opened in time",
            Reason::Handshake => "the server refused the handshake",
            Reason::HelloTimeout => "the hello did not come in time",
            Reason::Auth => "authentication was rejected",
            Reason::Silence => "nothing came from the server for too long",
            Reason::Probe => "no sign of life after a network change",
            Reason::Pong => "no answer to a ping in time",
            Reason::Server => "the server reported an error",
            Reason::Closed => "the server closed the connection",
            Reason::Broken => "the connection broke",
            Reason::Protocol => "the peer broke the protocol",
            Reason::Age => "the connection had reached its maximum age",
            Reason::Page => "the page was left",
            Reason::Waiting => "no network, or breaker open",
            Reason::Other => "something else failed",
        }
    }

    /// The reason behind an error, where the error alone tells it.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Token => Reason::Token,
            ErrorKind::Connect | ErrorKind::Proxy => Reason::Unreachable,
            ErrorKind::Handshake => Reason::Handshake,
            ErrorKind::Auth => Reason::Auth,
            ErrorKind::Server => Reason::Server,
            ErrorKind::Closed if error.close_code().is_some() => Reason::Closed,
            ErrorKind::Closed => Reason::Broken,
            ErrorKind::Protocol | ErrorKind::TooLarge => Reason::Protocol,
            _ => Reason::Other,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entry of the reconnect log: one connection, or one try for one, that came to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reconnect {
    /// When, counted from when the client was made.
    pub at: Timestamp,
    /// When, by the calendar: the time since 1970-01-01T00:00:00Z, if the platform has one.
    pub unix: Option<Duration>,
    /// The number of the try that failed; 0 for a connection that was lost.
    pub attempt: u32,
    /// Why.
    pub reason: Reason,
    /// The error with its facts: codes, statuses, what the server said.
    pub error: Error,
}

impl fmt::Display for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_str())?;
        if self.error.message() != self.reason.as_str() {
            write!(f, ": {}", self.error)?;
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Record {
    log: Vec<Reconnect>,
    /// In nanoseconds.
    trips: Vec<u64>,
    /// What a timer found out about the failure that follows.
    pub(super) overdue: Option<Reason>,
}

impl Record {
    pub(super) fn note(&mut self, entry: Reconnect) {
        if self.log.len() == LOG {
            self.log.remove(0);
        }
        self.log.push(entry);
    }

    pub(super) fn log(&self) -> &[Reconnect] {
        &self.log
    }

    /// A round trip ended: brings the figures up to date.
    pub(super) fn round_trip(&mut self, trip: Duration, stats: &mut Stats) {
        if self.trips.len() == TRIPS {
            self.trips.remove(0);
        }
        self.trips.push(trip.as_nanos() as u64);
        let trips = &self.trips;
        // They are few, and a page need not download the standard library's ways to sort: it is the longest of those that
        // have fewer below them.
        let rank = |percent: usize| {
            let below = |trip: u64| trips.iter().filter(|other| **other < trip).count();
            let longest = trips.iter().filter(|trip| below(**trip) * 100 < trips.len() * percent).max();
            longest.copied().map(Duration::from_nanos)
        };
        stats.latency_mean = Some(Duration::from_nanos(trips.iter().sum::<u64>() / trips.len() as u64));
        stats.latency_p50 = rank(50);
        stats.latency_p95 = rank(95);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    // S2-11
    #[test]
    fn round_trips_are_summed_up_over_the_last_ones() {
        let (mut record, mut stats) = (Record::default(), Stats::default());
        let millis = |count| Some(Duration::from_millis(count));
        record.round_trip(Duration::from_millis(7), &mut stats);
        assert_eq!((stats.latency_mean, stats.latency_p50, stats.latency_p95), (millis(7), millis(7), millis(7)));
        for trip in (1..=1_000).rev() {
            record.round_trip(Duration::from_millis(trip), &mut stats);
        }
        // The last 64 are 1 to 64.
        assert_eq!((stats.latency_p50, stats.latency_p95), (millis(32), millis(61)));
        assert_eq!(stats.latency_mean, Some(Duration::from_micros(32_500)));
    }
}
