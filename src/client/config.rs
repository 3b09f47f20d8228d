//! What a client was built with, as it may be shown.

use crate::proto::{BackoffRule, OutboxRule, Settings};
use std::time::Duration;

/// The settings of a client (S1-14): what was asked for, or the default. No token, parameter or header is in it. What the
/// dialect clamps is told as [`Lifecycle::Clamped`](crate::Lifecycle::Clamped).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The URL as the user gave it, without its query, which may hold a secret.
    pub url: String,
    /// The name of the dialect.
    pub dialect: String,
    /// The subprotocols to offer besides those of the dialect.
    pub protocols: Vec<String>,
    /// How tries are spaced.
    pub backoff: BackoffRule,
    /// The age at which a connection is replaced by a new one; `None`: it is not.
    pub max_connection_age: Option<Duration>,
    /// The time from dialling to the open socket.
    pub open_timeout: Duration,
    /// The time from dialling to the hello; `None`: what the dialect says.
    pub hello_timeout: Option<Duration>,
    /// The time the closing handshake may take.
    pub close_timeout: Duration,
    /// The time the token provider may take.
    pub token_timeout: Duration,
    /// The time a connection has to show a sign of life after a network change.
    pub probe_timeout: Duration,
    /// The time between pings of the protocol; `None`: none are sent.
    pub ping_interval: Option<Duration>,
    /// The time within which a ping must be followed by a sign of life.
    pub ping_timeout: Duration,
    /// Whether to try again after a failure.
    pub reconnect: bool,
    /// The time between health checks; `None`: what the dialect says.
    pub health_check_interval: Option<Duration>,
    /// The silence after which a connection is dead; `None`: what the dialect says.
    pub silence_timeout: Option<Duration>,
    /// How much may wait to be sent, and what happens beyond that.
    pub outbox: OutboxRule,
    /// The largest message to take, in bytes.
    pub max_message_size: usize,
    /// How many events may wait for a reader that is busy.
    pub event_capacity: usize,
}

impl Config {
    pub(super) fn new(settings: &Settings, max_message_size: usize, event_capacity: usize) -> Self {
        let url = &settings.url;
        Self {
            url: [&url.scheme, "://", &url.authority, &url.path].concat(),
            dialect: settings.dialect.name.clone(),
            protocols: settings.protocols.clone(),
            backoff: settings.backoff,
            max_connection_age: settings.max_age,
            open_timeout: settings.open_timeout,
            hello_timeout: settings.hello_timeout,
            close_timeout: settings.close_timeout,
            token_timeout: settings.token_timeout,
            probe_timeout: settings.probe_timeout,
            ping_interval: settings.ping_interval,
            ping_timeout: settings.ping_timeout,
            reconnect: settings.reconnect,
            health_check_interval: settings.health_interval,
            silence_timeout: settings.silence,
            outbox: settings.outbox,
            max_message_size,
            event_capacity,
        }
    }
}
