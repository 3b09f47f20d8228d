//! The steps of a connection's life as they are told on stderr. Those that concern nobody are not.

use crate::problem;
use everwire::{BreakerState, Lifecycle};
use serde_json::{Value, json};

/// A step for people.
pub(crate) fn text(step: &Lifecycle) -> Option<String> {
    Some(match step {
        Lifecycle::Connecting { url, attempt } => format!("connecting to {url} (try {attempt})"),
        Lifecycle::Connected { connection_id: Some(id), .. } => format!("connected as {id}"),
        Lifecycle::Connected { .. } => "connected".to_owned(),
        Lifecycle::Disconnected { error } => format!("connection lost: {}", problem::text(error)),
        Lifecycle::BackingOff { attempt, delay, error } => {
            format!("try {attempt} in {:.1} s: {}", delay.as_secs_f64(), problem::text(error))
        }
        Lifecycle::Error(error) => format!("problem: {}", problem::text(error)),
        Lifecycle::Clamped { setting, asked, used } => {
            format!("{setting}: {asked:?} is out of bounds, {used:?} is used")
        }
        Lifecycle::Breaker { state: BreakerState::Open, wait } => {
            format!("too many failures in a row: no try for {:.1} s", wait.unwrap_or_default().as_secs_f64())
        }
        Lifecycle::Gap { from, to: Some(to) } => format!("events {from} to {to} are lost"),
        Lifecycle::Gap { from, to: None } => format!("events from {from} on are lost"),
        Lifecycle::Overflow { queue, capacity, dropped, policy } => {
            format!("{dropped} messages were dropped: {queue} holds {capacity} ({policy})")
        }
        // Another cause is told as the program's error.
        Lifecycle::Closed(cause) if cause.is_intended() => format!("closed: {cause}"),
        _ => return None,
    })
}

/// The same step for programs.
pub(crate) fn json(step: &Lifecycle) -> Option<Value> {
    let mut members = match step {
        Lifecycle::Connecting { url, attempt } => json!({"url": **url, "attempt": attempt}),
        Lifecycle::Connected { connection_id, .. } => json!({"connection_id": connection_id.as_deref()}),
        Lifecycle::Disconnected { .. } | Lifecycle::Error(_) => json!({}),
        Lifecycle::BackingOff { attempt, delay, .. } => json!({"attempt": attempt, "delay": delay.as_secs_f64()}),
        Lifecycle::Clamped { setting, asked, used } => {
            json!({"setting": setting, "asked": asked.as_secs_f64(), "used": used.as_secs_f64()})
        }
        Lifecycle::Breaker { state, wait } => {
            json!({"state": state.as_str(), "wait": wait.map(|wait| wait.as_secs_f64())})
        }
        Lifecycle::Gap { from, to } => json!({"from": from, "to": to}),
        Lifecycle::Overflow { queue, capacity, dropped, policy } => {
            json!({"queue": queue, "capacity": capacity, "dropped": dropped, "policy": policy})
        }
        Lifecycle::Closed(cause) => json!({"cause": cause.as_str()}),
        _ => return None,
    };
    let error = match step {
        Lifecycle::Disconnected { error } | Lifecycle::BackingOff { error, .. } | Lifecycle::Error(error) => {
            Some(error)
        }
        Lifecycle::Closed(cause) => cause.error(),
        _ => None,
    };
    let object = members.as_object_mut()?;
    object.insert("lifecycle".to_owned(), step.as_str().into());
    object.extend(error.map(problem::members).into_iter().flatten());
    Some(members)
}
