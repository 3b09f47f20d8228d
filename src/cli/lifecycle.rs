//! The steps of a connection's life as they are told on stderr. Those that concern nobody are not.

use crate::{options, problem, summary::printable};
use everwire::{BreakerState, Lifecycle};
use serde_json::{Value, json};
use std::mem;

/// The longest line, in characters.
const LONGEST: usize = 3000;

/// What people were told last.
#[derive(Default)]
pub(crate) struct Said {
    /// Why the connection was lost.
    loss: String,
}

impl Said {
    /// A step for people.
    pub(crate) fn text(&mut self, step: &Lifecycle) -> Option<String> {
        let last = mem::take(&mut self.loss);
        let text = match step {
            Lifecycle::Connecting { url, attempt } => format!("connecting to {url} (try {attempt})"),
            Lifecycle::Connected { connection_id: Some(id), .. } => format!("connected as {id}"),
            Lifecycle::Connected { .. } => "connected".to_owned(),
            Lifecycle::Disconnected { error } => {
                self.loss = problem::text(error);
                format!("connection lost: {}", self.loss)
            }
            Lifecycle::BackingOff { attempt, delay, error } => {
                let (wait, why) = (delay.as_secs_f64(), problem::text(error));
                match why == last {
                    // The loss was told a moment ago.
                    true => format!("try {attempt} in {wait:.1} s"),
                    false => format!("try {attempt} in {wait:.1} s: {why}"),
                }
            }
            Lifecycle::Error(error) => format!("problem: {}", problem::text(error)),
            Lifecycle::Clamped { setting, asked, used } => {
                format!("{}: {asked:?} is out of bounds, {used:?} is used", options::of(setting))
            }
            Lifecycle::Breaker { state: BreakerState::Open, wait } => {
                format!("too many failures in a row: no try for {:.1} s", wait.unwrap_or_default().as_secs_f64())
            }
            Lifecycle::Gap { from, to: Some(to) } => format!("events {from} to {to} are lost"),
            Lifecycle::Gap { from, to: None } => format!("events from {from} on are lost"),
            Lifecycle::Overflow { queue, capacity, dropped, policy } => {
                format!("{dropped} messages were dropped: the {queue} holds {capacity} ({policy})")
            }
            // Any other cause is told as the error of the program.
            Lifecycle::Closed(cause) if cause.is_intended() => format!("closed: {cause}"),
            _ => {
                self.loss = last;
                return None;
            }
        };
        Some(printable(&text, LONGEST))
    }
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
