//! Trouble made on purpose, for a time, to test how clients recover: a server that hangs, one that cannot be reached.

use crate::{platform::Clock, proto::Timestamp};
use std::{future::Future, pin::pin, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Until when the server hangs, and until when it cannot be reached.
pub(super) struct Outage {
    clock: Clock,
    frozen: watch::Sender<Timestamp>,
    offline: watch::Sender<Timestamp>,
}

impl Outage {
    pub(super) fn new() -> Self {
        Self { clock: Clock::start(), frozen: watch::Sender::default(), offline: watch::Sender::default() }
    }

    pub(super) fn freeze(&self, time: Duration) {
        self.frozen.send_replace(self.clock.now() + time);
    }

    pub(super) fn go_offline(&self, time: Duration) {
        self.offline.send_replace(self.clock.now() + time);
    }

    pub(super) fn is_offline(&self) -> bool {
        self.clock.now() < *self.offline.borrow()
    }

    /// Waits until the server does not hang.
    pub(super) async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        loop {
            let until = *frozen.borrow_and_update();
            let now = self.clock.now();
            if now >= until {
                return;
            }
            // Either the time is up, or there is another time.
            let _ = timeout(until - now, frozen.changed()).await;
        }
    }

    /// Does this, but stands still as long as the server hangs.
    pub(super) async fn unless_frozen<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            self.thawed().await;
            let mut frozen = self.frozen.subscribe();
            tokio::select! {
                biased;
                _ = frozen.wait_for(|until| self.clock.now() < *until) => {}
                done = &mut work => return done,
            }
        }
    }
}
