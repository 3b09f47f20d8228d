//! Whether the server is still there: health checks, pings of the protocol, probes, silence.

use super::super::{
    lifecycle::Lifecycle, message::Payload, record::Reason, template::Params, time::Timestamp, timers::Timer,
    url::HIDDEN,
};
use super::{Output, Session};
use std::{sync::Arc, time::Duration};

/// What is known of how the connection of now is doing.
#[derive(Default)]
pub(super) struct Health {
    /// When the last sign of life came: a message, but also a ping, a pong, or the open socket itself.
    pub(super) last_received: Timestamp,
    checks: Unanswered,
    pings: Unanswered,
    /// The ping whose deadline runs.
    ping_sent: Option<Timestamp>,
    pub(super) probed_at: Timestamp,
}

impl Health {
    /// Nothing that was asked on the connection before is answered on this one.
    pub(super) fn begin_anew(&mut self) {
        (self.checks, self.pings) = Default::default();
        self.ping_sent = None;
    }
}

/// What was asked and not answered yet: the oldest and the newest. Answers come in order, and a round trip may be longer than
/// the time between two questions, if not than twice that; but an answer may also never come.
#[derive(Default)]
struct Unanswered {
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl Unanswered {
    fn add(&mut self, now: Timestamp) {
        let place = if self.oldest.is_none() { &mut self.oldest } else { &mut self.newest };
        *place = Some(now);
    }

    /// The round trip that ends now: the one more like the last.
    fn take(&mut self, now: Timestamp, last: Duration) -> Option<Duration> {
        let trip = now - self.oldest?;
        self.oldest = self.newest.take();
        let other = self.oldest.map(|sent| now - sent);
        match other.filter(|other| trip.saturating_add(*other) > last.saturating_add(last)) {
            None => Some(trip),
            other => {
                // What was asked before is not answered any more.
                self.oldest = None;
                other
            }
        }
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
        self.arm(Timer::HealthCheck, self.settings.health_interval());
        let Some(rule) = &self.settings.dialect.health_check else { return };
        let point = self.resume_point();
        let params = self.params(point.as_ref());
        // The token of now, which may have been renewed. The step of the life cycle must not have it.
        let frame = params.frame(&rule.frame);
        let shown = Params { token: params.token.map(|_| HIDDEN), ..params }.frame(&rule.frame);
        if let (Ok(Some(_)), Ok(Some(shown))) = (&frame, shown) {
            self.stats.health_checks += 1;
            self.health.checks.add(self.now);
            if P::PARTS.records {
                self.tell(Lifecycle::Ping { payload: Arc::from(shown) });
            }
        }
        self.write_filled(frame);
    }

    /// The reply to a health check came.
    pub(super) fn health_reply(&mut self) {
        let trip = self.health.checks.take(self.now, self.usual_trip());
        self.round_trip(trip);
    }

    pub(super) fn ping(&mut self) {
        self.outputs.push(Output::Ping { generation: self.generation });
        self.tell(Lifecycle::Ping { payload: Arc::from("") });
        if let Some(interval) = self.settings.ping_interval {
            self.arm(Timer::Ping, interval);
        }
        self.health.pings.add(self.now);
        // One that is still unanswered keeps its deadline.
        if self.health.ping_sent.is_none() {
            self.health.ping_sent = Some(self.now);
            self.arm(Timer::Pong, self.settings.ping_timeout);
        }
    }

    pub(super) fn pong(&mut self) {
        self.health.last_received = self.now;
        self.timers.stop(Timer::Pong);
        self.health.ping_sent = None;
        let trip = self.health.pings.take(self.now, self.usual_trip());
        self.round_trip(trip);
    }

    /// Any sign of life will do: an answer may be behind a long message.
    pub(super) fn pong_is_due(&mut self) {
        if let Some(sent) = self.health.ping_sent.take()
            && self.health.last_received < sent
        {
            self.timed_out(Reason::Pong);
        }
    }

    /// How long a round trip took when it was last known: the hello took a little longer than one.
    fn usual_trip(&self) -> Duration {
        self.stats.latency.or(self.stats.hello_time).unwrap_or_default()
    }

    /// The answer to a health check or a ping came.
    fn round_trip(&mut self, trip: Option<Duration>) {
        let Some(latency) = trip else { return };
        self.stats.latency = Some(latency);
        if P::PARTS.records {
            self.record.round_trip(latency, &mut self.stats);
            self.tell(Lifecycle::Pong { latency });
        }
    }
}
