//! The timers of a session: at most one of each kind, and the next one that is due.

use super::time::Timestamp;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The token provider takes too long.
    Token,
    /// Dialling takes too long.
    Open,
    /// The hello does not come.
    Hello,
    /// A health check is due.
    HealthCheck,
    /// Nothing came for too long.
    Silence,
    /// A probe after a network change got no answer.
    Probe,
    /// The connection has been stable.
    Stable,
    /// The next try is due.
    Backoff,
    /// The closing handshake takes too long.
    Close,
}

const ALL: [Timer; 9] = [
    Timer::Token,
    Timer::Open,
    Timer::Hello,
    Timer::HealthCheck,
    Timer::Silence,
    Timer::Probe,
    Timer::Stable,
    Timer::Backoff,
    Timer::Close,
];

#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Timestamp>; ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// When the next timer is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes the earliest timer that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        let due = ALL.into_iter().filter_map(|timer| Some((self.0[timer as usize]?, timer)));
        let (_, timer) = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at)?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use std::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn gives_the_due_timers_in_order_and_once() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Silence, at(35));
        timers.set(Timer::HealthCheck, at(25));
        timers.set(Timer::Stable, at(60));
        timers.set(Timer::Silence, at(30));
        assert_eq!(timers.next(), Some(at(25)));
        assert_eq!(timers.take_due(at(24)), None);
        assert_eq!(timers.take_due(at(40)), Some(Timer::HealthCheck));
        assert_eq!(timers.take_due(at(40)), Some(Timer::Silence));
        assert_eq!(timers.take_due(at(40)), None);
        timers.stop_all();
        assert_eq!(timers.next(), None);
    }
}
