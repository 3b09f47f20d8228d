//! A circuit breaker (S3-3): after too many tries in a row that failed none is made for a while, and then exactly one.

use super::{lifecycle::BreakerState, time::Timestamp};
use std::time::Duration;

/// When tries are stopped for a while.
///
/// It is beside the back-off, which goes on as ever: for servers that need a rest more than clients need a fast return. An
/// open breaker is a wait like any other, and never the end: that is for `max_attempts` alone. What counts as a failed try is the
/// same for both; the breaker closes when a connection has lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRule {
    /// How many tries in a row must fail. Default 5.
    pub failures: u32,
    /// How long no try is made. Default 60 s.
    pub pause: Duration,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self { failures: 5, pause: Duration::from_secs(60) }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Breaker {
    rule: BreakerRule,
    /// Failures in a row while closed.
    failures: u32,
    state: BreakerState,
    /// When the one try is due that an open breaker lets through.
    until: Timestamp,
}

impl Breaker {
    pub(super) fn new(rule: BreakerRule) -> Self {
        Self { rule, failures: 0, state: BreakerState::Closed, until: Timestamp::default() }
    }

    /// A try failed; true if the breaker opens. `late` is added to the pause, so that a herd is spread.
    pub(super) fn failed(&mut self, now: Timestamp, late: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.state == BreakerState::Closed && self.failures < self.rule.failures {
            return false;
        }
        self.state = BreakerState::Open;
        self.until = now + self.rule.pause + late;
        true
    }

    /// How long no try may be made.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        match self.state {
            BreakerState::Open => self.until - now,
            _ => Duration::ZERO,
        }
    }

    /// A try begins; true if it is the one that an open breaker lets through.
    pub(super) fn begin(&mut self) -> bool {
        let first = self.state == BreakerState::Open;
        if first {
            self.state = BreakerState::HalfOpen;
        }
        first
    }

    /// A try succeeded; true if the breaker was not closed.
    pub(super) fn succeeded(&mut self) -> bool {
        let closes = self.state != BreakerState::Closed;
        self.state = BreakerState::Closed;
        self.failures = 0;
        closes
    }

    /// The try that was let through was given up for other reasons: the next one is let through.
    pub(super) fn undecided(&mut self) {
        if self.state == BreakerState::HalfOpen {
            self.state = BreakerState::Open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(seconds))
    }

    // S3-3; the original let every try through while half-open.
    #[test]
    fn opens_after_five_failures_and_lets_one_try_through() {
        let mut breaker = Breaker::new(BreakerRule::default());
        for second in 0..4 {
            assert!(!breaker.begin() && !breaker.failed(at(second), Duration::ZERO));
        }
        assert_eq!(breaker.wait(at(4)), Duration::ZERO);
        assert!(breaker.failed(at(4), Duration::ZERO));
        assert_eq!((breaker.wait(at(4)).as_secs(), breaker.wait(at(50)).as_secs()), (60, 14));
        assert_eq!(breaker.wait(at(64)), Duration::ZERO);
        // The one try: if it fails, one failure is enough.
        assert!(breaker.begin());
        assert!(breaker.failed(at(70), Duration::from_secs(3)));
        assert_eq!(breaker.wait(at(70)).as_secs(), 63);
        // If nobody wanted to know in the end, there is another.
        assert!(breaker.begin());
        breaker.undecided();
        assert!(breaker.begin());
        // If it succeeds, all is as before.
        assert!(breaker.succeeded() && !breaker.succeeded());
        assert!(!breaker.begin() && !breaker.failed(at(200), Duration::ZERO));
    }
}
