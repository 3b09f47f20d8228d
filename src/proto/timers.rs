//! The timers of a session: at most one of each kind, and the next one that is due.

use super::time::Timestamp;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The token provider takes too long.
    Token,
    /// The token is to be renewed.
    Renew,
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
    /// A ping of the protocol is due.
    Ping,
    /// It got no answer.
    Pong,
    /// The connection has been stable.
    Stable,
    /// The connection has reached its maximum age.
    Age,
    /// The next try is due.
    Backoff,
    /// The closing handshake takes too long.
    Close,
    /// An acknowledgement is due.
    Ack,
}

const ALL: &[Timer] = &[
    Timer::Token,
    Timer::Renew,
    Timer::Open,
    Timer::Hello,
    Timer::HealthCheck,
    Timer::Silence,
    Timer::Probe,
    Timer::Ping,
    Timer::Pong,
    Timer::Stable,
    Timer::Age,
    Timer::Backoff,
    Timer::Close,
    Timer::Ack,
];

#[derive(Clone, Debug)]
pub(super) struct Timers {
    due: [Timestamp; ALL.len()],
    /// The earliest of them: a driver asks for it after each message, and timers change seldom.
    next: Timestamp,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { due: [Timestamp::NEVER; ALL.len()], next: Timestamp::NEVER }
    }

    pub(super) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.due[timer as usize] = at;
        self.next = Timestamp::NEVER;
        for due in self.due {
            self.next = self.next.min(due);
        }
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.set(timer, Timestamp::NEVER);
    }

    /// Lets those that would end something, and are due, wait until then.
    pub(super) fn put_off(&mut self, now: Timestamp, until: Timestamp) {
        for timer in [Timer::Open, Timer::Hello, Timer::Silence, Timer::Probe, Timer::Pong] {
            if self.due[timer as usize] <= now {
                self.set(timer, until);
            }
        }
    }

    /// Whether this timer is set.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.due[timer as usize] < Timestamp::NEVER
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::new();
    }

    /// When the next timer is due, if ever.
    pub(super) fn next(&self) -> Timestamp {
        self.next
    }

    /// Takes the earliest timer that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        let timer = *ALL.iter().find(|timer| self.due[**timer as usize] == self.next)?;
        if self.next > now {
            return None;
        }
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
        let mut timers = Timers::new();
        assert_eq!(timers.next(), Timestamp::NEVER);
        timers.set(Timer::Silence, at(35));
        timers.set(Timer::HealthCheck, at(25));
        timers.set(Timer::Stable, at(60));
        timers.set(Timer::Silence, at(30));
        assert_eq!(timers.next(), at(25));
        assert_eq!(timers.take_due(at(24)), None);
        assert_eq!(timers.take_due(at(40)), Some(Timer::HealthCheck));
        assert_eq!(timers.take_due(at(40)), Some(Timer::Silence));
        assert_eq!(timers.take_due(at(40)), None);
        timers.stop_all();
        assert_eq!(timers.next(), Timestamp::NEVER);
    }
}
