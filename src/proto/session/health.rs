//! Whether the server is still there: health checks, pings of the protocol, probes, silence.

use super::super::{
    lifecycle::Lifecycle,
    message::{Message, Payload},
    record::Reason,
    time::Timestamp,
    timers::Timer,
};
use super::{Output, Session};
use std::{sync::Arc, time::Duration};

/// What is known of how the connection of now is doing.
#[derive(Default)]
pub(super) struct Health {
    /// When the last sign of life came: a message, but also a ping, a pong, or the open socket itself.
    pub(super) last_received: Timestamp,
    checks: Unanswered,
    ping_sent: Option<Timestamp>,
    pub(super) probed_at: Timestamp,
    /// The health check, filled in for this connection.
    pub(super) frame: String,
}

impl Health {
    /// Nothing that was asked on the connection before is answered on this one.
    pub(super) fn begin_anew(&mut self) {
        self.checks.forget();
        self.ping_sent = None;
    }
}

/// The checks whose replies are still to come, the oldest first: a server answers each, in order, so a round trip may be
/// longer than the time between two of them.
#[derive(Default)]
struct Unanswered {
    sent: [Timestamp; 8],
    count: usize,
}

impl Unanswered {
    fn add(&mut self, now: Timestamp) {
        // A server that owes so many replies gives none: then the next reply, if there is one, is that to the next check.
        self.count %= self.sent.len();
        self.sent[self.count] = now;
        self.count += 1;
    }

    /// When the one was sent that a reply belongs to.
    fn take(&mut self) -> Option<Timestamp> {
        self.count = self.count.checked_sub(1)?;
        let oldest = self.sent[0];
        self.sent.rotate_left(1);
        Some(oldest)
    }

    fn forget(&mut self) {
        self.count = 0;
    }
}

impl<P: Payload> Session<P> {
    pub(super) fn probe_is_due(&mut self) {
        if self.health.last_received < self.health.probed_at {
            self.timed_out(Reason::Probe);
        }
    }

    pub(super) fn silence_is_due(&mut self) {
        let due = self.health.last_received + self.settings.silence().unwrap_or(Duration::MAX);
        if due <= self.now {
            self.timed_out(Reason::Silence);
        } else {
            self.timers.set(Timer::Silence, due);
        }
    }

    pub(super) fn send_health_check(&mut self) {
        self.stats.health_checks += 1;
        self.health.checks.add(self.now);
        if P::PARTS.records {
            self.tell(Lifecycle::Ping { payload: Arc::from(self.health.frame.as_str()) });
        }
        self.write(Message::Text(self.health.frame.clone()), None);
        self.timers.set(Timer::HealthCheck, self.now + self.settings.health_interval());
    }

    /// The reply to a health check came.
    pub(super) fn health_reply(&mut self) {
        if let Some(sent) = self.health.checks.take() {
            self.round_trip(self.now - sent);
        }
    }

    pub(super) fn ping(&mut self) {
        self.outputs.push_back(Output::Ping { generation: self.generation });
        self.tell(Lifecycle::Ping { payload: Arc::from("") });
        if let Some(interval) = self.settings.ping_interval {
            self.timers.set(Timer::Ping, self.now + interval);
        }
        // One that is still unanswered keeps its deadline.
        if self.health.ping_sent.is_none() {
            self.health.ping_sent = Some(self.now);
            self.timers.set(Timer::Pong, self.now + self.settings.ping_timeout);
        }
    }

    pub(super) fn pong(&mut self) {
        self.health.last_received = self.now;
        self.timers.stop(Timer::Pong);
        if let Some(sent) = self.health.ping_sent.take() {
            self.round_trip(self.now - sent);
        }
    }

    /// Any sign of life will do: an answer may be behind a long message.
    pub(super) fn pong_is_due(&mut self) {
        if let Some(sent) = self.health.ping_sent.take()
            && self.health.last_received < sent
        {
            self.timed_out(Reason::Pong);
        }
    }

    /// The answer to a health check or a ping came.
    fn round_trip(&mut self, latency: Duration) {
        self.stats.latency = Some(latency);
        if P::PARTS.records {
            self.record.round_trip(latency, &mut self.stats);
            self.tell(Lifecycle::Pong { latency });
        }
    }
}
