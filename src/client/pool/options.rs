//! The bounds of a pool, and what it counts.

use crate::proto::Error;
use std::time::Duration;

/// The bounds of a [`Pool`](super::Pool).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolOptions {
    pub(super) max: usize,
    pub(super) warm: usize,
    pub(super) idle_timeout: Duration,
    pub(super) health_check: Duration,
    pub(super) acquire_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { max: 10, warm: 0, idle_timeout: 300 * second, health_check: 30 * second, acquire_timeout: 10 * second }
    }
}

impl PoolOptions {
    /// At most 10 connections, none kept warm.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there may be, in use or idle. Default 10.
    pub fn max(mut self, connections: usize) -> Self {
        self.max = connections;
        self
    }

    /// How many connections are made ahead of their use, and kept however long they idle. Default 0.
    pub fn warm(mut self, connections: usize) -> Self {
        self.warm = connections;
        self
    }

    /// How long a connection may idle before it is closed. Default 300 s.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// The time between two looks at the idle connections: those that are dead or idle for too long go, the warm ones are
    /// replaced, the rest is asked for a sign of life. Default 30 s.
    pub fn health_check(mut self, time: Duration) -> Self {
        self.health_check = time;
        self
    }

    /// How long [`Pool::acquire`](super::Pool::acquire) waits for a connection. Default 10 s.
    pub fn acquire_timeout(mut self, time: Duration) -> Self {
        self.acquire_timeout = time;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |path: &str, message: &'static str| Err(Error::wrong(path, message));
        if self.max == 0 {
            return wrong("pool.max", "must be more than 0");
        }
        if self.warm > self.max {
            return wrong("pool.warm", "must not be more than the maximum");
        }
        let times = [
            ("pool.idle_timeout", self.idle_timeout),
            ("pool.health_check", self.health_check),
            ("pool.acquire_timeout", self.acquire_timeout),
        ];
        match times.into_iter().find(|(_, time)| time.is_zero()) {
            Some((path, _)) => wrong(path, "must be more than 0"),
            None => Ok(()),
        }
    }
}

/// What a pool counts. The first four are of now, the rest since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that somebody holds.
    pub in_use: usize,
    /// Connections that wait to be used.
    pub idle: usize,
    /// Connections that are being made.
    pub connecting: usize,
    /// Those who wait for a connection.
    pub waiting: usize,
    /// Connections made.
    pub created: u64,
    /// Uses of a connection that was there.
    pub reused: u64,
    /// Idle connections found dead and put away.
    pub dead: u64,
    /// Connections closed because they idled for too long.
    pub expired: u64,
}
