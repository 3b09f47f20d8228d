//! The settings of a server, checked before it is made.

use super::{
    Server, Shared,
    activity::{Activity, Counters},
    files,
    outage::Outage,
    registry::Registry,
    sessions::{Retention, Sessions},
    token::Tokens,
};
use crate::proto::Error;
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

pub(super) type Observer = Box<dyn Fn(&Activity<'_>) + Send + Sync>;

/// Makes a [`Server`]. It needs [`api_secret`](Self::api_secret), or else [`development`](Self::development).
#[must_use = "a builder does nothing until it is built"]
pub struct ServerBuilder {
    api_key: Option<String>,
    api_secret: Option<String>,
    development: bool,
    leeway: Duration,
    limits: Limits,
    www: Option<PathBuf>,
    pkg: Option<PathBuf>,
    observer: Option<Observer>,
}

/// What is bounded, and by how much.
pub(super) struct Limits {
    pub(super) auth_deadline: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) close_timeout: Duration,
    pub(super) max_message_size: usize,
    pub(super) max_connections: usize,
    pub(super) queue_messages: usize,
    pub(super) queue_bytes: usize,
    pub(super) retention: Retention,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            auth_deadline: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            max_message_size: 1 << 20,
            max_connections: 10_000,
            queue_messages: 1024,
            queue_bytes: 4 << 20,
            retention: Retention::default(),
        }
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            api_key: None,
            api_secret: None,
            development: false,
            leeway: Duration::ZERO,
            limits: Limits::default(),
            www: None,
            pkg: None,
            observer: None,
        }
    }
}

/// Shows no secret.
impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("development", &self.development).finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// The `api_key` that clients must name. Only in development it may be left out; then any is taken.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The secret that tokens are signed with (HS256).
    pub fn api_secret(mut self, secret: impl Into<String>) -> Self {
        self.api_secret = Some(secret.into());
        self
    }

    /// **For development only**: takes any token that is not empty, signed or not. A token that can be read must still
    /// name the user and must not have expired.
    pub fn development(mut self) -> Self {
        self.development = true;
        self
    }

    /// How far the clock of whoever makes the tokens may differ from this one's. Default: 0.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long a client may take to authenticate. Default: 10 s.
    pub fn auth_deadline(mut self, deadline: Duration) -> Self {
        self.limits.auth_deadline = deadline;
        self
    }

    /// How long a client may send nothing, health checks included, before its connection is closed. A large message that is under
    /// way, in either direction, is no silence while at least 256 bytes of it move within this time. Default: 60 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// How long the server waits for a client to take its last messages and answer a close. Default: 5 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.limits.close_timeout = timeout;
        self
    }

    /// The largest message a client may send, in bytes; a larger one closes its connection with 1009. Default: 1 MiB.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.limits.max_message_size = bytes;
        self
    }

    /// How many connections there may be at a time; one more is refused with code 71. Default: 10,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// How much may wait to be written to one client; a client that is further behind is closed with 1013.
    /// Default: 1024 messages, 4 MiB.
    pub fn queue(mut self, messages: usize, bytes: usize) -> Self {
        self.limits.queue_messages = messages;
        self.limits.queue_bytes = bytes;
        self
    }

    /// How many events, and bytes of them, a session of the everwire protocol keeps until its client has acknowledged them;
    /// the oldest make room, and the client is told of a gap. Default: 1,000 events, 1 MiB. An event is kept once, however
    /// many sessions keep it.
    pub fn retention(mut self, messages: usize, bytes: usize) -> Self {
        self.limits.retention.messages = messages;
        self.limits.retention.bytes = bytes;
        self
    }

    /// How long a session of the everwire protocol is kept without a connection. Default: 120 s.
    pub fn retention_time(mut self, time: Duration) -> Self {
        self.limits.retention.time = time;
        self
    }

    /// How many sessions of the everwire protocol there may be, connected or not. For one more, the one that has been without
    /// a connection for longest is forgotten; if there is none, the client is refused with code 71. Default: 10,000.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.limits.retention.max_sessions = sessions;
        self
    }

    /// The folder to serve at `/`. [`Server::bind`] serves it; [`Server::router`] does not.
    pub fn www(mut self, folder: impl Into<PathBuf>) -> Self {
        self.www = Some(folder.into());
        self
    }

    /// The folder to serve at `/pkg`. [`Server::bind`] serves it; [`Server::router`] does not.
    pub fn pkg(mut self, folder: impl Into<PathBuf>) -> Self {
        self.pkg = Some(folder.into());
        self
    }

    /// Calls this for everything that happens on a connection, on the task of that connection: it must not block.
    pub fn on_activity(mut self, observer: impl Fn(&Activity<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Checks the settings and makes the server.
    pub fn build(self) -> Result<Server, Error> {
        self.check_limits()?;
        let tokens = self.tokens()?;
        if self.api_key.as_deref().is_none_or(str::is_empty) && !self.development {
            return Err(Error::wrong("api_key", "needed unless in development"));
        }
        Ok(Server {
            shared: Arc::new(Shared {
                api_key: self.api_key,
                tokens,
                limits: self.limits,
                registry: Registry::new(),
                sessions: Sessions::new(),
                counters: Counters::default(),
                outage: Outage::new(),
                observer: self.observer,
                www: self.www.as_deref().map(files::folder),
                pkg: self.pkg,
            }),
        })
    }

    fn tokens(&self) -> Result<Tokens, Error> {
        match (&self.api_secret, self.development) {
            (Some(_), true) => {
                Err(Error::wrong("development", "takes any token, so it cannot be combined with api_secret"))
            }
            (None, true) => Ok(Tokens::Development),
            (Some(secret), false) if !secret.is_empty() => Ok(Tokens::signed(secret, self.leeway)),
            _ => Err(Error::wrong("api_secret", "needed unless in development")),
        }
    }

    fn check_limits(&self) -> Result<(), Error> {
        let limits = &self.limits;
        for (name, value) in [
            ("auth_deadline", limits.auth_deadline),
            ("idle_timeout", limits.idle_timeout),
            ("close_timeout", limits.close_timeout),
            ("retention_time", limits.retention.time),
        ] {
            if value.is_zero() {
                return Err(Error::wrong(name, "must be more than 0"));
            }
        }
        for (name, value) in [
            ("max_message_size", limits.max_message_size),
            ("max_connections", limits.max_connections),
            ("queue.messages", limits.queue_messages),
            ("queue.bytes", limits.queue_bytes),
            ("retention.messages", limits.retention.messages),
            ("retention.bytes", limits.retention.bytes),
            ("max_sessions", limits.retention.max_sessions),
        ] {
            if value == 0 {
                return Err(Error::wrong(name, "must be more than 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_setting(builder: ServerBuilder) -> Option<String> {
        builder.build().err().and_then(|error| error.path().map(str::to_owned))
    }

    #[test]
    fn a_server_is_never_open_by_accident() {
        let builder = Server::builder;
        assert_eq!(wrong_setting(builder().api_key("k")).as_deref(), Some("api_secret"));
        assert_eq!(wrong_setting(builder().api_key("k").api_secret("")).as_deref(), Some("api_secret"));
        assert_eq!(wrong_setting(builder().api_secret("s")).as_deref(), Some("api_key"));
        assert_eq!(wrong_setting(builder().api_key("k").api_secret("s").development()).as_deref(), Some("development"));
        assert_eq!(wrong_setting(builder().api_key("k").api_secret("s")), None);
        assert_eq!(wrong_setting(builder().development()), None);
    }

    #[test]
    fn limits_of_zero_are_refused_by_name() {
        let zero = Duration::ZERO;
        let builder = || Server::builder().development();
        for (builder, want) in [
            (builder().auth_deadline(zero), "auth_deadline"),
            (builder().idle_timeout(zero), "idle_timeout"),
            (builder().close_timeout(zero), "close_timeout"),
            (builder().max_message_size(0), "max_message_size"),
            (builder().max_connections(0), "max_connections"),
            (builder().queue(0, 1), "queue.messages"),
            (builder().queue(1, 0), "queue.bytes"),
            (builder().retention(0, 1), "retention.messages"),
            (builder().retention(1, 0), "retention.bytes"),
            (builder().retention_time(zero), "retention_time"),
            (builder().max_sessions(0), "max_sessions"),
        ] {
            assert_eq!(wrong_setting(builder).as_deref(), Some(want));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Server::builder().api_key("the-key").api_secret("hush"));
        assert!(!shown.contains("hush") && !shown.contains("the-key"), "{shown}");
    }
}
