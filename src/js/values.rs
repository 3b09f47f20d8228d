//! Lifecycle steps, causes and counters on their way to JavaScript: values without names, which `edge.js` has.
//! `pkg/index.d.ts` has their types.

use super::{
    edge::{self, Edge},
    error::to_js,
    payload::JsPayload,
};
use crate::proto::{Cause, Error, Lifecycle, Parts, Payload, Reconnect, Stats, Timestamp};
use js_sys::Array;
use std::time::Duration;
use wasm_bindgen::JsValue;

const PARTS: Parts = JsPayload::PARTS;

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A time that may not be there.
fn time(time: Option<Duration>) -> f64 {
    time.map_or(f64::NAN, millis)
}

pub(super) fn number(number: Option<u64>) -> f64 {
    number.map_or(f64::NAN, |number| number as f64)
}

fn error(error: Option<&Error>) -> JsValue {
    error.map_or(JsValue::UNDEFINED, to_js)
}

/// Tells a step to those who listen.
pub(super) fn lifecycle(edge: &Edge, step: &Lifecycle) {
    let (mut text, mut word) = (None, None);
    let (mut first, mut second) = (f64::NAN, f64::NAN);
    let mut failure = None;
    let message;
    match step {
        Lifecycle::State { old, new } => (text, word) = (Some(old.as_str()), Some(new.as_str())),
        Lifecycle::Connecting { url, attempt } => (text, first) = (Some(&**url), f64::from(*attempt)),
        Lifecycle::Connected { connection_id, attempt, downtime, .. } => {
            text = connection_id.as_deref();
            (first, second) = (f64::from(*attempt), time(*downtime));
        }
        Lifecycle::Disconnected { error } | Lifecycle::Error(error) => failure = Some(error),
        Lifecycle::BackingOff { attempt, delay, error } => {
            (first, second, failure) = (f64::from(*attempt), millis(*delay), Some(error));
        }
        Lifecycle::Clamped { setting, asked, used } => {
            (text, first, second) = (Some(*setting), millis(*asked), millis(*used));
        }
        Lifecycle::Pong { latency: time } | Lifecycle::Renewing { age: time } => first = millis(*time),
        Lifecycle::Closing { code, reason, by } => {
            (text, word, first) = (Some(&**reason), Some(by.as_str()), f64::from(*code));
        }
        Lifecycle::Closed(cause) => {
            message = cause.text();
            (text, word, failure) = (Some(cause.as_str()), Some(&*message), cause.error());
        }
        Lifecycle::TokenRenewed { valid_for } => first = time(*valid_for),
        Lifecycle::Breaker { state, wait } => (text, first) = (Some(state.as_str()), time(*wait)),
        Lifecycle::Overflow { queue, capacity, dropped, policy } => {
            (text, word, first, second) = (Some(*queue), Some(*policy), *capacity as f64, *dropped as f64);
        }
        Lifecycle::ReplayStarted { mode, last, count } if PARTS.resume => {
            (text, first, second) = (Some(mode.as_str()), number(*last), number(*count));
        }
        Lifecycle::ReplayCompleted { mode, count, duration } if PARTS.resume => {
            (text, first, second) = (Some(mode.as_str()), *count as f64, millis(*duration));
        }
        Lifecycle::Gap { from, to } if PARTS.resume => (first, second) = (*from as f64, number(*to)),
        // Steps of parts that the edge does not have, and the others that say nothing more.
        _ => {}
    }
    edge.step(step.as_str(), text, word, first, second, &error(failure));
}

pub(super) fn cause(cause: &Cause) -> JsValue {
    edge::cause(cause.as_str(), &cause.text(), &error(cause.error()))
}

/// Why connections were lost; `now` is the time since the client was made.
pub(super) fn reconnect_log(log: &[Reconnect], now: Timestamp) -> Array {
    let lines = Array::new();
    for entry in log {
        edge::log(&lines, millis(now - entry.at), entry.attempt, entry.reason.as_str(), &to_js(&entry.error));
    }
    lines
}

/// What was counted, in the order in which `pkg/index.js` has the names.
pub(super) fn stats(stats: &Stats) -> JsValue {
    let mut numbers = Numbers(Vec::new());
    numbers.count(stats.messages_in);
    numbers.count(stats.bytes_in);
    numbers.count(stats.messages_out);
    numbers.count(stats.bytes_out);
    numbers.count(stats.events);
    numbers.count(stats.malformed);
    numbers.count(stats.binary);
    numbers.count(stats.stale_dropped);
    numbers.count(stats.dials);
    numbers.count(stats.connects);
    numbers.count(stats.reconnects);
    numbers.count(stats.health_checks);
    numbers.count(stats.token_fetches);
    numbers.count(stats.errors);
    numbers.count(stats.listener_failures);
    numbers.count(stats.overflows);
    numbers.count(stats.requests);
    numbers.count(stats.replies);
    numbers.count(stats.outbox_messages);
    numbers.count(stats.outbox_bytes);
    numbers.count(stats.outbox_overflows);
    numbers.count(stats.outbox_expired);
    numbers.count(stats.duplicates);
    numbers.count(stats.gaps);
    numbers.count(stats.resumes);
    numbers.time(Some(stats.uptime()));
    numbers.time(stats.connection_age());
    numbers.time(stats.since_last_message());
    numbers.time(stats.since_last_reconnect());
    numbers.time(stats.dial_time);
    numbers.time(stats.hello_time);
    numbers.time(stats.latency);
    numbers.time(stats.latency_mean);
    numbers.time(stats.latency_p50);
    numbers.time(stats.latency_p95);
    edge::counted(&numbers.0)
}

/// Put down one by one: an array of all of them at once would be three times the code.
struct Numbers(Vec<f64>);

impl Numbers {
    #[inline(never)]
    fn count(&mut self, count: u64) {
        self.0.push(count as f64);
    }

    #[inline(never)]
    fn time(&mut self, duration: Option<Duration>) {
        self.0.push(time(duration));
    }
}
