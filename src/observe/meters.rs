//! Counters, gauges and histograms of `metrics`, all of them labelled with the name of the dialect.
//!
//! The recorder must be there before the client is made: what it hands out then is used for the client's whole life.

use crate::proto::{Lifecycle, Settings, State, Stats};
use metrics::{Counter, Gauge, Histogram};

/// Finds a count in the statistics.
type Count = fn(&Stats) -> u64;

/// The counters, and where in the statistics they stand.
const COUNTERS: [(&str, Count); 15] = [
    ("everwire_messages_received_total", |stats| stats.messages_in),
    ("everwire_received_bytes_total", |stats| stats.bytes_in),
    ("everwire_messages_sent_total", |stats| stats.messages_out),
    ("everwire_sent_bytes_total", |stats| stats.bytes_out),
    ("everwire_events_total", |stats| stats.events),
    ("everwire_malformed_total", |stats| stats.malformed),
    ("everwire_stale_dropped_total", |stats| stats.stale_dropped),
    ("everwire_duplicates_total", |stats| stats.duplicates),
    ("everwire_gaps_total", |stats| stats.gaps),
    ("everwire_dials_total", |stats| stats.dials),
    ("everwire_connects_total", |stats| stats.connects),
    ("everwire_reconnects_total", |stats| stats.reconnects),
    ("everwire_token_fetches_total", |stats| stats.token_fetches),
    ("everwire_errors_total", |stats| stats.errors),
    ("everwire_listener_failures_total", |stats| stats.listener_failures),
];

pub(super) struct Meters {
    counters: [(Counter, u64); COUNTERS.len()],
    connected: Gauge,
    is_connected: bool,
    round_trip: Histogram,
    dial: Histogram,
    hello: Histogram,
    downtime: Histogram,
    backoff: Histogram,
    dropped: Counter,
    dialect: String,
}

impl Meters {
    pub(super) fn new(settings: &Settings) -> Self {
        let dialect = settings.dialect.name.clone();
        let counter = |name: &'static str| metrics::counter!(name, "dialect" => dialect.clone());
        let histogram = |name: &'static str| metrics::histogram!(name, "dialect" => dialect.clone());
        Self {
            counters: COUNTERS.map(|(name, _)| (counter(name), 0)),
            connected: metrics::gauge!("everwire_connected", "dialect" => dialect.clone()),
            is_connected: false,
            round_trip: histogram("everwire_round_trip_seconds"),
            dial: histogram("everwire_dial_seconds"),
            hello: histogram("everwire_hello_seconds"),
            downtime: histogram("everwire_downtime_seconds"),
            backoff: histogram("everwire_backoff_seconds"),
            dropped: counter("everwire_overflow_dropped_total"),
            dialect,
        }
    }

    pub(super) fn counts(&mut self, stats: &Stats) {
        for ((counter, last), (_, count)) in self.counters.iter_mut().zip(COUNTERS) {
            let now = count(stats);
            if now > *last {
                counter.increment(now - *last);
                *last = now;
            }
        }
    }

    pub(super) fn step(&mut self, step: &Lifecycle, stats: &Stats) {
        match step {
            Lifecycle::State { new, .. } => self.count_connected(*new == State::Connected),
            Lifecycle::Connected { downtime, .. } => {
                self.dial.record(stats.dial_time.unwrap_or_default());
                self.hello.record(stats.hello_time.unwrap_or_default());
                if let Some(downtime) = downtime {
                    self.downtime.record(*downtime);
                }
            }
            Lifecycle::Disconnected { error } => {
                let labels = [("dialect", self.dialect.clone()), ("kind", error.kind().as_str().to_owned())];
                metrics::counter!("everwire_disconnects_total", &labels).increment(1);
            }
            Lifecycle::BackingOff { delay, .. } => self.backoff.record(*delay),
            Lifecycle::Pong { latency } => self.round_trip.record(*latency),
            Lifecycle::Overflow { dropped, .. } => self.dropped.increment(*dropped),
            _ => {}
        }
    }

    fn count_connected(&mut self, is_connected: bool) {
        if std::mem::replace(&mut self.is_connected, is_connected) != is_connected {
            self.connected.increment(if is_connected { 1.0 } else { -1.0 });
        }
    }
}

/// A client whose runtime is shut down is not connected either.
impl Drop for Meters {
    fn drop(&mut self) {
        self.count_connected(false);
    }
}
