//! The settings of a client, checked as a whole before anything is dialled.

use super::{
    Client, Config, Event,
    channels::Channels,
    dispatch::{ListenerDispatch, Listeners},
};
use crate::{
    driver,
    platform::{self, Ask, MaybeSend, MaybeSync, SocketConnector, Spawner},
    proto::{
        BreakerRule, Dialect, Error, ErrorKind, Message, OnResume, OutboxRule, ResumeMode, ResumePoint, Secret,
        Sequence, Settings, TokenSource, UrlParts,
    },
    transport::SocketConfig,
};
use serde::Serialize;
use std::{fmt, future::Future, sync::Arc, time::Duration};

/// Makes a [`Client`]. Every setting has a default; [`build`](Self::build) checks them all.
#[must_use = "a builder does nothing before `build` or `connect`"]
pub struct ClientBuilder {
    /// In a box: they are large, and go from hand to hand.
    pub(crate) settings: Box<Settings>,
    pub(crate) url: Option<String>,
    pub(crate) provider: Option<Ask<Result<String, Error>>>,
    pub(crate) socket: SocketConfig,
    pub(super) event_capacity: usize,
    sequence: Option<Sequence<Event>>,
    /// The first wrong setting: it is reported by `build`.
    pub(super) wrong: Option<Error>,
}

/// Shows no token, parameter or header.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How many events wait for a reader that is busy.
const EVENT_CAPACITY: usize = 1024;

impl ClientBuilder {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let nowhere = UrlParts {
            scheme: String::new(),
            has_credentials: false,
            authority: String::new(),
            path: String::new(),
            query: None,
        };
        let largest = dialect.max_message_size.map_or(1 << 20, |size| size as usize);
        let mut settings = Box::new(Settings::new(platform::share(dialect), nowhere));
        settings.client = crate::CLIENT_ID.to_owned();
        settings.ping_interval = settings.dialect.ping_interval_ms.map(Duration::from_millis);
        let socket = SocketConfig::new(largest);
        Self {
            settings,
            url: None,
            provider: None,
            socket,
            event_capacity: EVENT_CAPACITY,
            sequence: None,
            wrong: None,
        }
    }

    /// The server: `ws://`, `wss://`, `http://` or `https://`. The dialect may set the path and drop the query. Default:
    /// what the dialect names, if anything.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// A parameter that the dialect asks for, such as `api_key` or `user_id` (`params.<name>` in errors).
    pub fn param(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => self.settings.params.insert(name, value.into()),
            Err(error) => {
                let error = Error::new(ErrorKind::Config, "is not representable as JSON").with_source(error);
                self.wrong.get_or_insert(error.with_path(format!("params.{name}")));
            }
        }
        self
    }

    /// A token that cannot be refreshed: once it has expired, the client ends (S0-13).
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.token = TokenSource::Static(Secret::from(token.into()));
        self.provider = None;
        self
    }

    /// Somebody to ask for a token: before the first dial, whenever the server says that it has expired (S0-12), and ahead of
    /// the end of a JWT that tells its own (`exp`): a minute before it, or when a fifth of its life is left. Clocks may
    /// differ: a fresh token counts as made now when the calendar here says that this cannot be.
    ///
    /// The provider is never asked twice at once. One that fails or takes longer than [`token_timeout`](Self::token_timeout)
    /// is asked again after the same back-off as a failed dial, and counts as a failed try; ahead of the end it is asked
    /// again while time is left. An error that is not retryable (such as [`ErrorKind::Auth`]) ends the client before it
    /// is connected, and the renewals once it is; [`Error::signed_out`] ends it at once in either case. A token is kept across failed dials, and not dialled with when it has ended.
    pub fn token_provider<F, Fut>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + MaybeSend + MaybeSync + 'static,
        Fut: Future<Output = Result<String, Error>> + MaybeSend + 'static,
    {
        self.settings.token = TokenSource::Provider;
        self.provider = Some(Box::new(move || Box::pin(provider())));
        self
    }

    /// The ceiling of the first wait before a reconnect, and the cap that it doubles up to. Default 0.25 s and 5 s.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.settings.backoff.base = base;
        self.settings.backoff.cap = cap;
        self
    }

    /// The share of a wait that is random, above 0 and up to 1. Default 1.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.settings.backoff.jitter = jitter;
        self
    }

    /// How many tries in a row may fail before the client ends; 0 for no end. Default 5.
    ///
    /// A connection that the server ends before it was up for [`stable_after`](Self::stable_after) (a close, an error, a message over
    /// the limit) is a failed try too, though the hello came; so is one that ends in whatever way within 5 seconds.
    /// One that breaks later, falls silent, or whose token runs out is not.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.backoff.max_attempts = attempts;
        self
    }

    /// Stops trying for a while after too many failures in a row (S3-3); needs [`max_attempts`](Self::max_attempts) above its
    /// failures, or 0. Default: no breaker.
    pub fn breaker(mut self, rule: BreakerRule) -> Self {
        self.settings.breaker = Some(rule);
        self
    }

    /// The age at which a connection is replaced by a new one, before a server or a proxy cuts it (S2-8); up to a tenth earlier,
    /// so that connections that began together do not end together. It costs no try. Where the dialect resumes, the new one is up
    /// before the old one goes, and no event is lost. Default: none.
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// How long a connection must last for the waits to start from the base again, and the count of failed tries from zero. Default 60 s.
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.settings.backoff.stable_after = time;
        self
    }

    /// The time from dialling to the open socket. Default 10 s.
    pub fn open_timeout(mut self, time: Duration) -> Self {
        self.settings.open_timeout = time;
        self
    }

    /// The time from dialling to the hello. Default: the dialect's, 15 s.
    pub fn hello_timeout(mut self, time: Duration) -> Self {
        self.settings.hello_timeout = Some(time);
        self
    }

    /// The time the closing handshake may take. Default 5 s.
    pub fn close_timeout(mut self, time: Duration) -> Self {
        self.settings.close_timeout = time;
        self
    }

    /// The time the token provider may take. Default 10 s.
    pub fn token_timeout(mut self, time: Duration) -> Self {
        self.settings.token_timeout = time;
        self
    }

    /// The time a connection has to show a sign of life after a network change. Default 5 s.
    pub fn probe_timeout(mut self, time: Duration) -> Self {
        self.settings.probe_timeout = time;
        self
    }

    /// The time between health checks. Default: the dialect's (Stream: 25 s, which is its maximum too). What is out of
    /// bounds is clamped and reported as [`Lifecycle::Clamped`](crate::Lifecycle::Clamped).
    pub fn health_check_interval(mut self, time: Duration) -> Self {
        self.settings.health_interval = Some(time);
        self
    }

    /// A connection on which nothing came for this long, protocol pings included, is dead. Default: the dialect's (Stream:
    /// 35 s; `raw`: none).
    ///
    /// Natively a large message that is under way, in either direction, is a sign of life while at least 256 bytes of it move within
    /// this time. A browser shows whole messages alone: where they may take longer than this, give more time.
    pub fn silence_timeout(mut self, time: Duration) -> Self {
        self.settings.silence = Some(time);
        self
    }

    /// The time between pings of the WebSocket protocol, besides the dialect's health check, and the time within which
    /// each must be followed by a sign of life, else the connection is dead; `None` sends none. Default: none; 10 s. Native
    /// only: a browser cannot send any, and `build` says so.
    ///
    /// The answers are the [`latency`](Client::latency). Servers that know no health check of the dialect's kind answer
    /// pings all the same.
    pub fn ping(mut self, interval: impl Into<Option<Duration>>, timeout: Duration) -> Self {
        self.settings.ping_interval = interval.into();
        self.settings.ping_timeout = timeout;
        self
    }

    /// Whether to try again after a failure, of the first connect too. Default true.
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.settings.reconnect = reconnect;
        self
    }

    /// How messages wait before there is a connection, while it is lost, and while the socket has no room. Default: 1000 messages and 1 MiB,
    /// what is beyond is refused, and no time to live. [`OutboxRule::OFF`]: they do not wait, they fail.
    pub fn outbox(mut self, rule: OutboxRule) -> Self {
        self.settings.outbox = rule;
        self
    }

    /// How many [requests](Client::request) may wait for their reply at a time. Default 256.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.settings.max_requests = requests;
        self
    }

    /// The largest message to take, in bytes; a larger one closes the connection (1009). Default 1 MiB.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.socket.max_message_size = bytes;
        self
    }

    /// How many events may wait for a reader of a stream or for an async listener that is busy, unless its
    /// [`StreamOptions`](crate::StreamOptions) say otherwise. Default 1024.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// A header for the handshake. Native only: a browser cannot send any, and `build` says so.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push((name.into(), value.into()));
        self
    }

    /// A subprotocol to offer.
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.settings.protocols.push(name.into());
        self
    }

    /// What a new connection does about what was under way on the old one, where the dialect can resume. Default:
    /// [`ResumeMode::SequenceId`].
    pub fn resume(mut self, mode: ResumeMode) -> Self {
        self.settings.resume = mode;
        self
    }

    /// Where the first connection goes on: a [`Client::resume_point`] of another program, or of this one before it was started
    /// anew. Events after it are delivered as if nothing had happened, within the server's retention; beyond, they are told
    /// as a gap. It needs events with numbers, and has no effect with [`ResumeMode::None`].
    pub fn resume_from(mut self, point: ResumePoint) -> Self {
        self.settings.resume_from = Some(point);
        self
    }

    /// Finds the number of an event by a function, on servers whose dialect names no member for it (S2-7). By their numbers
    /// duplicates are dropped, and gaps are told as [`Lifecycle::Gap`](crate::Lifecycle::Gap); where the dialect says
    /// nothing else, each number is taken to be one more than the one before.
    pub fn sequence(mut self, number: impl Fn(&Event) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.sequence = Some(Sequence::new(number));
        self
    }

    /// Asks for the events that were missed, on servers whose dialect has no frame for it: called after the hello of a
    /// connection that follows a lost one, with the number of the last event. What it gives is sent before anything else.
    /// It needs numbers: of the dialect, or by [`sequence`](Self::sequence).
    pub fn on_resume(mut self, ask: impl Fn(&ResumePoint) -> Option<Message> + Send + Sync + 'static) -> Self {
        self.settings.on_resume = Some(OnResume::new(ask));
        self
    }

    /// The seed of all randomness, to replay a run. Default: a random one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Checks everything and makes a client, which is idle until [`Client::connect`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the wrong setting, [`ErrorKind::Unsupported`] for what this target cannot do,
    /// [`ErrorKind::InvalidState`] outside a tokio runtime.
    pub fn build(mut self) -> Result<Client, Error> {
        let spawner = Spawner::new()?;
        let event_capacity = self.event_capacity;
        if event_capacity == 0 {
            return Err(Error::wrong("event_capacity", "must be more than 0"));
        }
        let max_message_size = self.socket.max_message_size;
        let sequence = self.sequence.take();
        let parts = self.into_parts(sequence.is_some(), SocketConnector::new)?;
        let config = Arc::new(Config::new(&parts.settings, max_message_size, event_capacity));
        let field = parts.settings.dialect.channels.as_ref().map(|rule| rule.field.clone());
        let channels = field.map(|field| Arc::new(Channels::new(field)));
        let listeners = Listeners { channels, ..Listeners::default() };
        let dispatch = ListenerDispatch::new(listeners.clone());
        let handle = driver::start(parts.settings, sequence, parts.provider, parts.connector, dispatch)?;
        Ok(Client { handle, listeners, spawner, config })
    }

    /// Builds, connects, and waits for the hello.
    ///
    /// # Errors
    /// Those of [`build`](Self::build), and the cause for which the connection did not come about.
    pub async fn connect(self) -> Result<Client, Error> {
        let client = self.build()?;
        client.connect()?;
        client.ready().await?;
        Ok(client)
    }

    /// What a driver needs, with the kind of connector that the caller wants. `sequence` says whether a function finds the
    /// numbers of events.
    pub(crate) fn into_parts<C>(
        mut self,
        sequence: bool,
        connector: impl FnOnce(SocketConfig) -> Result<C, Error>,
    ) -> Result<Parts<C>, Error> {
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        if self.socket.max_message_size == 0 {
            return Err(Error::wrong("max_message_size", "must be more than 0"));
        }
        let url = self.url.as_deref().or(self.settings.dialect.url.default.as_deref());
        let url = url.ok_or_else(|| Error::wrong("url", "is needed: the dialect has no default"))?;
        self.settings.url = platform::parse_url(url)?;
        if self.settings.seed == 0 {
            self.settings.seed = platform::seed()?;
        }
        if self.provider.is_none() && matches!(self.settings.token, TokenSource::Provider) {
            return Err(Error::wrong("token", "a provider is needed"));
        }
        let numbered = sequence || self.settings.dialect.resume.as_ref().is_some_and(|rule| rule.sequence.is_some());
        for (path, wanted) in
            [("on_resume", self.settings.on_resume.is_some()), ("resume_from", self.settings.resume_from.is_some())]
        {
            if wanted && !numbered {
                return Err(Error::wrong(path, "the dialect does not number its events; `sequence` can"));
            }
        }
        platform::check(&self.settings)?;
        let connector = connector(self.socket)?;
        Ok(Parts { settings: self.settings, provider: self.provider, connector })
    }
}

/// What a driver is started with.
pub(crate) struct Parts<C> {
    pub(crate) settings: Box<Settings>,
    pub(crate) provider: Option<Ask<Result<String, Error>>>,
    pub(crate) connector: C,
}
