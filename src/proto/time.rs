//! Time as the session knows it: a duration since the session began, so that a trace replays.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

/// A moment, counted from when the session was made. It never goes back. Inside it is a number of nanoseconds, which is
/// less to carry than a `Duration`, and lasts for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The end of time, for what is not to happen.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment that lies this long after the session was made.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    /// How long after the session was made this moment lies.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

/// A longer time than there is ends with it.
const fn nanos(time: Duration) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    if time.as_secs() < u64::MAX / SECOND { time.as_secs() * SECOND + time.subsec_nanos() as u64 } else { u64::MAX }
}

/// A part of a time, to the microsecond. The standard library's way knows a hundred ways to fail, and a page would have to
/// download them all.
pub(super) fn part(time: Duration, of: f64) -> Duration {
    let micros = time.as_secs().saturating_mul(1_000_000).saturating_add(time.subsec_micros().into());
    // A float becomes a whole number without going below zero or over the end.
    Duration::from_micros((micros as f64 * of) as u64)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// The time from `earlier` to `self`, zero where `earlier` is later.
    fn sub(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
