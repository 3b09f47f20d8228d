//! How long to wait before the next try (S0-10): exponential, jittered below the cap, reset after a stable time.

use super::{random::Random, time::part};
use std::time::Duration;

/// The shortest wait: even a lucky draw does not hammer a server.
pub(super) const FLOOR: Duration = Duration::from_millis(50);

/// The rule by which tries are spaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffRule {
    /// The ceiling of the first wait. Default 0.25 s.
    pub base: Duration,
    /// The ceiling doubles with each failure up to this. Default 5 s.
    pub cap: Duration,
    /// The share of a wait that is random, above 0 and up to 1. Default 1: anywhere between nothing and the ceiling, which
    /// spreads a herd best. Waits at the cap are at least half of it.
    pub jitter: f64,
    /// The number of tries in a row that may fail before the client gives up; 0 for no end. Default 5. A connection that the
    /// server ends before it was stable counts as one, and so does any that ends within 5 s of its hello.
    pub max_attempts: u32,
    /// A connection that lasts this long is stable: the next wait starts from `base` again, and the count of tries from zero.
    /// Default 60 s.
    pub stable_after: Duration,
}

impl Default for BackoffRule {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(250),
            cap: Duration::from_secs(5),
            jitter: 1.0,
            max_attempts: 5,
            stable_after: Duration::from_secs(60),
        }
    }
}

/// How soon to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Normal,
    /// The server is busy: wait at least half the cap.
    Slower,
}

#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Failures since the last stable connection.
    failures: u32,
}

impl Backoff {
    /// Draws the next wait.
    pub(super) fn next(&mut self, rule: &BackoffRule, pace: Pace, random: &mut Random) -> Duration {
        let mut doubled = rule.base;
        for _ in 0..self.failures {
            if doubled < rule.cap {
                doubled = doubled.saturating_add(doubled);
            }
        }
        self.failures = self.failures.saturating_add(1);
        // A server that has been away for so long has many who want it back: by now the herd is spread, and what counts is
        // how often it asks (docs/HERD.md).
        let patient = pace == Pace::Slower || doubled >= rule.cap;
        let (ceiling, jitter) = match patient {
            true => (rule.cap, rule.jitter.min(0.5)),
            false => (doubled, rule.jitter),
        };
        part(ceiling, 1.0 - jitter * random.fraction()).max(FLOOR.min(ceiling))
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    // S0-10: ×2 up to the cap, jitter always there and never above the cap (the original went up to twice the cap).
    #[test]
    fn waits_stay_under_a_ceiling_that_doubles_up_to_the_cap() {
        let rule = BackoffRule { base: Duration::from_secs(1), cap: Duration::from_secs(10), ..Default::default() };
        let mut sum = Duration::ZERO;
        for seed in 0..1_000 {
            let mut random = Random::new(seed);
            let mut backoff = Backoff::default();
            for ceiling in [1, 2, 4, 8, 10, 10, 10] {
                let wait = backoff.next(&rule, Pace::Normal, &mut random);
                assert!(
                    wait >= FLOOR && wait <= Duration::from_secs(ceiling),
                    "seed {seed}: {wait:?} over {ceiling} s"
                );
                sum += wait;
            }
            let slower = backoff.next(&rule, Pace::Slower, &mut random);
            assert!((5.0..=10.0).contains(&slower.as_secs_f64()), "seed {seed}: {slower:?}");
            for _ in 0..100 {
                assert!(backoff.next(&rule, Pace::Normal, &mut random) <= rule.cap);
            }
            backoff.reset();
            assert!(backoff.next(&rule, Pace::Normal, &mut random) <= rule.base);
        }
        // The mean of a uniform draw is half the ceilings (15 s in all), at the cap three quarters of it (30 s in all).
        assert!((29.0..31.0).contains(&(sum.as_secs_f64() / 1_000.0)), "{sum:?}");
    }
}
