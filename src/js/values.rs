//! Lifecycle steps, causes and counters as JavaScript objects. `pkg/index.d.ts` has their types.

use super::{error::to_js, payload::JsPayload};
use crate::proto::{Cause, Lifecycle, Parts, Payload, Reconnect, ResumePoint, Stats, Timestamp};
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

const PARTS: Parts = JsPayload::PARTS;

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
        Lifecycle::TokenRenewed { valid_for } => named("token-renewed").maybe("validFor", valid_for.map(millis)),
        Lifecycle::Breaker { state, wait } => {
            named("breaker").with("state", state.as_str()).maybe("wait", wait.map(millis))
        }
        Lifecycle::Renewing { age } => named("renewing").with("age", millis(*age)),
        Lifecycle::Overflow { queue, capacity, dropped, policy } => named("overflow")
            .with("queue", *queue)
            .with("capacity", *capacity)
            .with("dropped", *dropped as f64)
            .with("policy", *policy),
        Lifecycle::ReplayStarted { mode, last, count } if PARTS.resume => named("replay-started")
            .with("mode", mode.as_str())
            .maybe("last", last.map(|last| last as f64))
            .maybe("count", count.map(|count| count as f64)),
        Lifecycle::ReplayCompleted { mode, count, duration } if PARTS.resume => named("replay-completed")
            .with("mode", mode.as_str())
            .with("count", *count as f64)
            .with("duration", millis(*duration)),
        Lifecycle::Gap { from, to } if PARTS.resume => {
            named("gap").with("from", *from as f64).maybe("to", to.map(|to| to as f64))
        }
        // Steps of parts that the edge does not have, and the others that say nothing more.
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

/// Where another client would go on.
pub(super) fn resume_point(point: &ResumePoint) -> JsValue {
    Fields::new()
        .maybe("session", point.session.as_deref())
        .maybe("lastSequence", point.last_sequence.map(|last| last as f64))
        .into()
}

/// What was counted, in the order in which `pkg/index.js` has the names.
pub(super) fn stats(stats: &Stats) -> Array {
    let counts = [
        stats.messages_in,
        stats.bytes_in,
        stats.messages_out,
        stats.bytes_out,
        stats.events,
        stats.malformed,
        stats.binary,
        stats.stale_dropped,
        stats.dials,
        stats.connects,
        stats.reconnects,
        stats.health_checks,
        stats.token_fetches,
        stats.errors,
        stats.listener_failures,
        stats.overflows,
        stats.requests,
        stats.replies,
        stats.outbox_messages,
        stats.outbox_bytes,
        stats.outbox_overflows,
        stats.outbox_expired,
        stats.duplicates,
        stats.gaps,
        stats.resumes,
    ];
    let times = [
        Some(stats.uptime()),
        stats.connection_age(),
        stats.since_last_message(),
        stats.since_last_reconnect(),
        stats.dial_time,
        stats.hello_time,
        stats.latency,
        stats.latency_mean,
        stats.latency_p50,
        stats.latency_p95,
    ];
    let counts = counts.iter().map(|count| JsValue::from(*count as f64));
    let times = times.iter().map(|time| time.map_or(JsValue::UNDEFINED, |time| millis(time).into()));
    counts.chain(times).collect()
}
