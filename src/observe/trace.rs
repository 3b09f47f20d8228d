//! Lifecycle steps as events of `tracing`, within one span for each client. No event shows a token or a message.

use crate::proto::{Lifecycle, Settings};
use tracing::{Span, debug, error, info, info_span, trace, warn};

pub(super) struct Trace(Span);

impl Trace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(info_span!("everwire", dialect = settings.dialect.name, host = settings.url.authority))
    }

    pub(super) fn step(&self, step: &Lifecycle) {
        let span = &self.0;
        match step {
            Lifecycle::State { old, new } => trace!(parent: span, old = old.as_str(), new = new.as_str(), "state"),
            Lifecycle::Connecting { url, attempt } => debug!(parent: span, %url, attempt, "connecting"),
            Lifecycle::Connected { connection_id, attempt, downtime, subprotocol, extensions, .. } => info!(
                parent: span,
                connection_id = connection_id.as_deref(),
                attempt,
                downtime = downtime.map(|time| time.as_secs_f64()),
                subprotocol = subprotocol.as_deref(),
                extensions = extensions.as_deref(),
                "connected"
            ),
            Lifecycle::Disconnected { error } => warn!(parent: span, %error, "disconnected"),
            Lifecycle::BackingOff { attempt, delay, error } => {
                info!(parent: span, attempt, delay = delay.as_secs_f64(), %error, "backing-off");
            }
            Lifecycle::Ping { .. } => trace!(parent: span, "ping"),
            Lifecycle::Pong { latency } => trace!(parent: span, latency = latency.as_secs_f64(), "pong"),
            Lifecycle::Error(error) => warn!(parent: span, %error, "error"),
            Lifecycle::Closed(cause) if cause.is_intended() => info!(parent: span, %cause, "closed"),
            Lifecycle::Closed(cause) => error!(parent: span, %cause, "closed"),
            step @ (Lifecycle::Breaker { .. } | Lifecycle::Gap { .. } | Lifecycle::Overflow { .. }) => {
                warn!(parent: span, ?step, "{}", step.as_str());
            }
            step => debug!(parent: span, ?step, "{}", step.as_str()),
        }
    }
}
