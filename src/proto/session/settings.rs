//! What a session needs to know, checked before it begins.

use super::super::{
    backoff::BackoffRule,
    breaker::BreakerRule,
    dialect::{Dialect, Place},
    dialect_check,
    error::Error,
    fields::Mistake,
    json::Object,
    lifecycle::Lifecycle,
    message::Payload,
    outbox::OutboxRule,
    resume::{OnResume, ResumeMode, ResumePoint},
    secret::Secret,
    template::Params,
    url::{self, UrlParts},
};
use std::{fmt, sync::Arc, time::Duration};

/// Where tokens come from (S0-13).
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// There are none.
    None,
    /// A token the user passed: it cannot be refreshed.
    Static(Secret),
    /// Somebody who can be asked for another.
    Provider,
}

/// The settings of a session. `Debug` shows no parameter: one may be a secret.
#[derive(Clone)]
pub struct Settings {
    /// How to talk to the server.
    pub dialect: Arc<Dialect>,
    /// The URL the user gave, taken apart.
    pub url: UrlParts,
    /// Parameters for the dialect.
    pub params: Object,
    /// Request headers besides those of the dialect.
    pub headers: Vec<(String, String)>,
    /// Subprotocols besides those of the dialect.
    pub protocols: Vec<String>,
    /// The client id.
    pub client: String,
    /// Where tokens come from.
    pub token: TokenSource,
    /// How tries are spaced.
    pub backoff: BackoffRule,
    /// When tries are stopped for a while. Default: never.
    pub breaker: Option<BreakerRule>,
    /// The age at which a connection is replaced by a new one, before a server or a proxy cuts it. Default: none.
    pub max_age: Option<Duration>,
    /// The time the token provider may take.
    pub token_timeout: Duration,
    /// The time from dialling to the open socket.
    pub open_timeout: Duration,
    /// The time from dialling to the hello; `None`: what the dialect says.
    pub hello_timeout: Option<Duration>,
    /// The time the closing handshake may take.
    pub close_timeout: Duration,
    /// The time a probe may take after a network change.
    pub probe_timeout: Duration,
    /// The time between pings of the protocol, besides the dialect's health check; `None`: none are sent.
    pub ping_interval: Option<Duration>,
    /// The time within which a ping must be followed by a sign of life.
    pub ping_timeout: Duration,
    /// Whether to try again after a failure.
    pub reconnect: bool,
    /// The time between health checks; `None`: what the dialect says.
    pub health_interval: Option<Duration>,
    /// The silence after which a connection is dead; `None`: what the dialect says.
    pub silence: Option<Duration>,
    /// What a new connection does about what was under way on the old one.
    pub resume: ResumeMode,
    /// Where the first connection goes on, if another program has left a point for it.
    pub resume_from: Option<ResumePoint>,
    /// Makes the frame that asks for what was missed, on servers whose dialect has none.
    pub on_resume: Option<OnResume>,
    /// How messages wait to be sent.
    pub outbox: OutboxRule,
    /// How many requests may wait for their reply.
    pub max_requests: usize,
    /// The seed of all randomness.
    pub seed: u64,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("dialect", &self.dialect.name)
            .field("host", &self.url.authority)
            .field("token", &self.token)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings with the defaults for a dialect and a URL.
    pub fn new(dialect: impl Into<Arc<Dialect>>, url: UrlParts) -> Self {
        Self {
            dialect: dialect.into(),
            url,
            params: Object::new(),
            headers: Vec::new(),
            protocols: Vec::new(),
            client: String::new(),
            token: TokenSource::None,
            backoff: BackoffRule::default(),
            breaker: None,
            max_age: None,
            token_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(10),
            hello_timeout: None,
            close_timeout: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(5),
            ping_interval: None,
            ping_timeout: Duration::from_secs(10),
            reconnect: true,
            health_interval: None,
            silence: None,
            resume: ResumeMode::default(),
            resume_from: None,
            on_resume: None,
            outbox: OutboxRule::default(),
            max_requests: 256,
            seed: 0,
        }
    }

    /// Checks every setting, and clamps those the dialect bounds; gives what was clamped.
    pub(super) fn check<P: Payload>(&mut self) -> Result<Vec<Lifecycle>, Error> {
        let mistake = Mistake::default();
        dialect_check::check::<P>(&self.dialect, &mistake);
        url::check(&self.url, &mistake);
        self.check_backoff(&mistake);
        if P::PARTS.resilience {
            self.check_breaker(&mistake);
        }
        for (path, time) in [
            ("token_timeout", &self.token_timeout),
            ("open_timeout", &self.open_timeout),
            ("close_timeout", &self.close_timeout),
            ("probe_timeout", &self.probe_timeout),
            ("ping_timeout", &self.ping_timeout),
        ] {
            mistake.when_zero(time.is_zero(), path);
        }
        for (path, time) in [
            ("hello_timeout", &self.hello_timeout),
            ("ping_interval", &self.ping_interval),
            ("health_check_interval", &self.health_interval),
            ("silence_timeout", &self.silence),
            ("max_age", &self.max_age),
        ] {
            mistake.when_zero(*time == Some(Duration::ZERO), path);
        }
        mistake.when_zero(P::PARTS.outbox && self.outbox.ttl == Some(Duration::ZERO), "outbox.ttl");
        let unused = self.health_interval.is_some() && self.dialect.health_check.is_none();
        mistake.when(unused, "health_check_interval", "the dialect has no health check");
        if P::PARTS.resume && self.resume == ResumeMode::FullBuffer {
            let sends = self.dialect.resume.as_ref().and_then(|rule| rule.sends.as_ref());
            let message = "the dialect does not number messages, so that none could be sent again";
            mistake.when(sends.is_none(), "resume", message);
        }
        mistake.result()?;
        if let TokenSource::Static(token) = &self.token {
            self.check_token(Some(token))?;
        }
        self.check_params::<P>(Some("id"))?;
        Ok(self.clamp())
    }

    fn check_backoff(&self, mistake: &Mistake) {
        let BackoffRule { base, cap, jitter, .. } = self.backoff;
        mistake.when_zero(base.is_zero(), "backoff.base");
        mistake.when(cap < base, "backoff.cap", "must not be less than the base");
        mistake.when(!(jitter > 0.0 && jitter <= 1.0), "backoff.jitter", "must be above 0 and at most 1");
    }

    fn check_breaker(&self, mistake: &Mistake) {
        let Some(BreakerRule { failures, pause }) = self.breaker else { return };
        mistake.when_zero(failures == 0, "breaker.failures");
        mistake.when_zero(pause.is_zero(), "breaker.pause");
        let most = self.backoff.max_attempts;
        let never = most > 0 && failures >= most;
        mistake.when(never, "breaker.failures", "must be less than `max_attempts`, or the breaker never opens");
    }

    /// Fills in everything once, so that what is missing is found before the first dial. Without a connection id: whether it can be
    /// done without.
    pub(super) fn check_params<P: Payload>(&self, connection_id: Option<&str>) -> Result<(), Error> {
        let has_token = !matches!(self.token, TokenSource::None);
        let session = self.dialect.resume.as_ref().and_then(|rule| rule.session.as_deref());
        let known = ResumePoint::new(session, Some(0));
        let mut result = Ok(());
        self.dialect.templates::<P>(&mut |_, template, place| {
            let token = has_token || place == Place::Renewal;
            let params = Params {
                channel: (place == Place::Channel).then_some("name"),
                ..self.params(
                    token.then_some("token"),
                    connection_id.filter(|_| place != Place::Dial),
                    (place == Place::Resuming).then_some(&known),
                )
            };
            // A default is needed where something asks for it.
            if place != Place::Default && result.is_ok() {
                result = params.check(template);
            }
        });
        result
    }

    /// Keeps the health check within what the dialect allows (Stream: at most 25 s, at least 1 s before the silence).
    fn clamp(&mut self) -> Vec<Lifecycle> {
        let mut clamped = Vec::new();
        if let Some(rule) = &self.dialect.health_check {
            let mut clamp = |setting, place: &mut Option<Duration>, asked, used| {
                if used != asked {
                    clamped.push(Lifecycle::Clamped { setting, asked, used });
                    *place = Some(used);
                }
            };
            let asked = self.health_interval();
            let used = rule.max_interval_ms.map_or(asked, |longest| asked.min(Duration::from_millis(longest)));
            // A shorter interval alone keeps the dialect's silence; a longer one must not reach it.
            let shortest = used.saturating_add(Duration::from_millis(rule.min_grace_ms));
            let silence = self.silence().unwrap_or(shortest);
            clamp("health_check_interval", &mut self.health_interval, asked, used);
            clamp("silence_timeout", &mut self.silence, silence, silence.max(shortest));
        }
        clamped
    }

    pub(super) fn params<'a>(
        &'a self,
        token: Option<&'a str>,
        connection_id: Option<&'a str>,
        point: Option<&'a ResumePoint>,
    ) -> Params<'a> {
        let (given, defaults) = (&self.params, &self.dialect.defaults);
        Params { token, connection_id, point, client: &self.client, channel: None, given, defaults }
    }

    /// Refuses a token that this dialect must not show.
    pub(super) fn check_token(&self, token: Option<&Secret>) -> Result<(), Error> {
        let (Some(prefix), Some(token)) = (&self.dialect.token_prefix, token) else { return Ok(()) };
        if token.reveal().starts_with(prefix.as_str()) || self.params.get("any_token").is_some_and(|any| any.is(true)) {
            return Ok(());
        }
        let message = "must begin with the dialect's `token_prefix`; the parameter `any_token` allows others";
        Err(Error::wrong("token", message))
    }

    pub(super) fn health_interval(&self) -> Duration {
        let by_dialect = || self.dialect.health_check.as_ref().map_or(0, |rule| rule.interval_ms);
        self.health_interval.unwrap_or_else(|| Duration::from_millis(by_dialect()))
    }

    /// The silence after which a connection is dead; `None` if nobody says so.
    pub(super) fn silence(&self) -> Option<Duration> {
        let by_dialect = || self.dialect.health_check.as_ref().map(|rule| Duration::from_millis(rule.silence_ms));
        self.silence.or_else(by_dialect)
    }

    pub(super) fn hello_timeout(&self) -> Duration {
        self.hello_timeout.unwrap_or_else(|| self.dialect.hello_timeout())
    }
}
