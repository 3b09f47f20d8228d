//! Lifecycle steps, causes and counters as JavaScript objects. `pkg/index.d.ts` has their types.

use super::error::to_js;
use crate::proto::{Cause, Lifecycle, Reconnect, Stats, Timestamp};
use js_sys::{Array, Object, Reflect};
use std::time::Duration;
use wasm_bindgen::JsValue;

/// An object in the making.
pub(super) struct Fields(Object);

impl Fields {
    pub(super) fn new() -> Self {
        Self(Object::new())
    }

    pub(super) fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a member of a plain object does not fail.
        let _ = Reflect::set(&self.0, &name.into(), &value.into());
        self
    }

    /// Leaves out what is not there.
    pub(super) fn maybe(self, name: &str, value: Option<impl Into<JsValue>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn into_object(self) -> Object {
        self.0
    }
}

impl From<Fields> for JsValue {
    fn from(fields: Fields) -> Self {
        fields.0.into()
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub(super) fn lifecycle(step: &Lifecycle) -> JsValue {
    let named = |name: &str| Fields::new().with("type", name);
    match step {
        Lifecycle::State { old, new } => named("state").with("old", old.as_str()).with("new", new.as_str()),
        Lifecycle::Connecting { url, attempt } => named("connecting").with("url", &**url).with("attempt", *attempt),
        Lifecycle::Connected { connection_id, attempt, downtime, .. } => named("connected")
            .maybe("connectionId", connection_id.as_deref())
            .with("attempt", *attempt)
            .maybe("downtime", downtime.map(millis)),
        Lifecycle::Disconnected { error } => named("disconnected").with("error", to_js(error)),
        Lifecycle::BackingOff { attempt, delay, error } => {
            named("backing-off").with("attempt", *attempt).with("delay", millis(*delay)).with("error", to_js(error))
        }
        Lifecycle::Error(error) => named("error").with("error", to_js(error)),
        Lifecycle::Clamped { setting, asked, used } => named("clamped")
            .with("setting", super::error::in_options(setting))
            .with("asked", millis(*asked))
            .with("used", millis(*used)),
        Lifecycle::Pong { latency } => named("pong").with("latency", millis(*latency)),
        Lifecycle::Closing { code, reason, by } => {
            named("closing").with("code", *code).with("reason", &**reason).with("by", by.as_str())
        }
        Lifecycle::Closed(end) => named("closed").with("cause", cause(end)),
        // Steps of parts that the edge does not have.
        other => named(other.as_str()),
    }
    .into()
}

pub(super) fn cause(cause: &Cause) -> JsValue {
    Fields::new()
        .with("type", cause.as_str())
        .with("message", cause.text())
        .maybe("error", cause.error().map(to_js))
        .into()
}

/// Why connections were lost; `now` is the time since the client was made.
pub(super) fn reconnect_log(log: &[Reconnect], now: Timestamp) -> Array {
    let today = js_sys::Date::now();
    let entry = |entry: &Reconnect| {
        JsValue::from(
            Fields::new()
                .with("at", today - millis(now - entry.at))
                .with("attempt", entry.attempt)
                .with("reason", entry.reason.as_str())
                .with("error", to_js(&entry.error)),
        )
    };
    log.iter().map(entry).collect()
}

pub(super) fn stats(stats: &Stats) -> JsValue {
    let counts = [
        ("messagesIn", stats.messages_in),
        ("bytesIn", stats.bytes_in),
        ("messagesOut", stats.messages_out),
        ("bytesOut", stats.bytes_out),
        ("events", stats.events),
        ("malformed", stats.malformed),
        ("binary", stats.binary),
        ("staleDropped", stats.stale_dropped),
        ("dials", stats.dials),
        ("connects", stats.connects),
        ("reconnects", stats.reconnects),
        ("healthChecks", stats.health_checks),
        ("tokenFetches", stats.token_fetches),
        ("errors", stats.errors),
        ("listenerFailures", stats.listener_failures),
        ("overflows", stats.overflows),
    ];
    counts
        .into_iter()
        .fold(Fields::new(), |fields, (name, count)| fields.with(name, count as f64))
        .maybe("latency", stats.latency.map(millis))
        .maybe("latencyMean", stats.latency_mean.map(millis))
        .maybe("latencyP50", stats.latency_p50.map(millis))
        .maybe("latencyP95", stats.latency_p95.map(millis))
        .into()
}
