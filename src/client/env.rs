//! Settings from the environment: the variables `WS_*` (S1-1 to S1-11, N-6).

use super::ClientBuilder;
use crate::proto::{Dialect, Error, WhenFull};
use std::{env, time::Duration};

impl ClientBuilder {
    /// Settings from the environment alone: every variable has its own default here, which is not always that of
    /// [`Client::builder`](crate::Client::builder).
    ///
    /// | variable | default | sets |
    /// |---|---|---|
    /// | `WS_OPEN_TIMEOUT` | 10 s | [`open_timeout`](Self::open_timeout) |
    /// | `WS_CLOSE_TIMEOUT` | 10 s | [`close_timeout`](Self::close_timeout) |
    /// | `WS_PING_INTERVAL` | 20 s, `none` for no pings | [`ping`](Self::ping) |
    /// | `WS_PING_TIMEOUT` | 20 s | [`ping`](Self::ping) |
    /// | `WS_MAX_MESSAGE_SIZE` | 1048576 bytes | [`max_message_size`](Self::max_message_size) |
    /// | `WS_MAX_QUEUE_SIZE` | 16 events | [`event_capacity`](Self::event_capacity) |
    /// | `WS_RECONNECT_ENABLED` | `true` | [`reconnect`](Self::reconnect) |
    /// | `WS_RECONNECT_MAX_ATTEMPTS` | 5, 0 for no end | [`max_attempts`](Self::max_attempts) |
    /// | `WS_RECONNECT_BACKOFF_BASE` | 1 s | [`backoff`](Self::backoff) |
    /// | `WS_RECONNECT_BACKOFF_MAX` | 60 s | [`backoff`](Self::backoff) |
    /// | `WS_RECONNECT_JITTER` | 0.1 | [`jitter`](Self::jitter) |
    /// | `WS_OUTBOX_MESSAGES` | 1000, 0 for no outbox | [`outbox`](Self::outbox) |
    /// | `WS_OUTBOX_BYTES` | 1048576 bytes | [`outbox`](Self::outbox) |
    /// | `WS_OUTBOX_TTL` | `none`: as long as the client lives | [`outbox`](Self::outbox) |
    /// | `WS_OUTBOX_POLICY` | `error`; `drop-oldest`, `drop-newest` or `wait` | [`outbox`](Self::outbox) |
    ///
    /// Times are in seconds and may have a fraction. What is wrong is an error of `build`, with the name of the variable as
    /// its path. In a browser there is no environment, and there are no pings.
    pub fn from_env(dialect: Dialect) -> Self {
        let second = Duration::from_secs(1);
        let builder = Self::new(dialect)
            .open_timeout(10 * second)
            .close_timeout(10 * second)
            .event_capacity(16)
            .max_attempts(5)
            .backoff(second, 60 * second)
            .jitter(0.1);
        let pings = cfg!(native).then_some(20 * second);
        builder.ping(pings, 20 * second).env()
    }

    /// Takes the variables of [`from_env`](Self::from_env) that are set, and leaves the rest as it is.
    pub fn env(self) -> Self {
        self.vars(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Like [`env`](Self::env), from another source of variables.
    pub fn vars(mut self, mut get: impl FnMut(&str) -> Option<String>) -> Self {
        let mut vars = Vars { get: &mut get, wrong: None };
        if let Some(time) = vars.time("WS_OPEN_TIMEOUT") {
            self.settings.open_timeout = time;
        }
        if let Some(time) = vars.time("WS_CLOSE_TIMEOUT") {
            self.settings.close_timeout = time;
        }
        match vars.text("WS_PING_INTERVAL") {
            Some(text) if text.eq_ignore_ascii_case("none") => self.settings.ping_interval = None,
            Some(_) => self.settings.ping_interval = vars.time("WS_PING_INTERVAL"),
            None => {}
        }
        if let Some(time) = vars.time("WS_PING_TIMEOUT") {
            self.settings.ping_timeout = time;
        }
        if let Some(bytes) = vars.number("WS_MAX_MESSAGE_SIZE", 1) {
            self.socket.max_message_size = bytes;
        }
        if let Some(events) = vars.number("WS_MAX_QUEUE_SIZE", 1) {
            self.event_capacity = events;
        }
        if let Some(reconnect) = vars.flag("WS_RECONNECT_ENABLED") {
            self.settings.reconnect = reconnect;
        }
        if let Some(attempts) = vars.number("WS_RECONNECT_MAX_ATTEMPTS", 0) {
            self.settings.backoff.max_attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
        }
        if let Some(time) = vars.time("WS_RECONNECT_BACKOFF_BASE") {
            self.settings.backoff.base = time;
        }
        if let Some(time) = vars.time("WS_RECONNECT_BACKOFF_MAX") {
            self.settings.backoff.cap = time;
        }
        if let Some(jitter) = vars.share("WS_RECONNECT_JITTER") {
            self.settings.backoff.jitter = jitter;
        }
        let outbox = &mut self.settings.outbox;
        if let Some(messages) = vars.number("WS_OUTBOX_MESSAGES", 0) {
            outbox.messages = messages;
        }
        if let Some(bytes) = vars.number("WS_OUTBOX_BYTES", 0) {
            outbox.bytes = bytes;
        }
        match vars.text("WS_OUTBOX_TTL") {
            Some(text) if text.eq_ignore_ascii_case("none") => outbox.ttl = None,
            Some(_) => outbox.ttl = vars.time("WS_OUTBOX_TTL"),
            None => {}
        }
        if let Some(policy) = vars.policy("WS_OUTBOX_POLICY") {
            outbox.when_full = policy;
        }
        let wrong = vars.wrong;
        self.wrong = self.wrong.or(wrong);
        self
    }
}

/// Variables, and the first that is wrong.
struct Vars<'a> {
    get: &'a mut dyn FnMut(&str) -> Option<String>,
    wrong: Option<Error>,
}

impl Vars<'_> {
    /// The text of a variable. An empty one counts as not set.
    fn text(&mut self, name: &str) -> Option<String> {
        (self.get)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn read<T>(&mut self, name: &str, what: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let value = read(&text);
        if value.is_none() {
            self.wrong.get_or_insert_with(|| Error::wrong(name, what));
        }
        value
    }

    fn time(&mut self, name: &str) -> Option<Duration> {
        self.read(name, "must be a number of seconds above 0", |text| {
            let seconds = text.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero())
        })
    }

    fn number(&mut self, name: &str, least: usize) -> Option<usize> {
        let what = if least == 0 { "must be a whole number" } else { "must be a whole number above 0" };
        self.read(name, what, |text| text.parse().ok().filter(|number| *number >= least))
    }

    fn share(&mut self, name: &str) -> Option<f64> {
        self.read(name, "must be above 0 and at most 1", |text| {
            text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0)
        })
    }

    fn policy(&mut self, name: &str) -> Option<WhenFull> {
        self.read(name, "must be error, drop-oldest, drop-newest or wait", |text| {
            let policies = [WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait];
            policies.into_iter().find(|policy| policy.as_str() == text.to_ascii_lowercase().replace('_', "-"))
        })
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "must be true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
    }
}
