//! What a session needs to know, checked before it begins.

use super::super::{
    backoff::BackoffRule,
    breaker::BreakerRule,
    dialect::Dialect,
    error::{Error, ErrorKind},
    json::{Json, Object},
    lifecycle::Lifecycle,
    message::Payload,
    outbox::OutboxRule,
    resume::{OnResume, ResumeMode, ResumePoint},
    secret::Secret,
    template::Params,
    url::{self, DialUrl, UrlParts},
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
        self.dialect.check_for::<P>()?;
        url::check(&self.url)?;
        self.check_backoff()?;
        if P::PARTS.resilience {
            self.check_breaker()?;
        }
        let times = [
            ("token_timeout", Some(self.token_timeout)),
            ("open_timeout", Some(self.open_timeout)),
            ("hello_timeout", self.hello_timeout),
            ("close_timeout", Some(self.close_timeout)),
            ("probe_timeout", Some(self.probe_timeout)),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", Some(self.ping_timeout)),
            ("health_check_interval", self.health_interval),
            ("silence_timeout", self.silence),
            ("max_age", self.max_age),
        ];
        for (name, time) in times {
            if time.is_some_and(|time| time.is_zero()) {
                return wrong(name, "must be more than 0");
            }
        }
        if P::PARTS.outbox && self.outbox.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return wrong("outbox.ttl", "must be more than 0");
        }
        if self.health_interval.is_some() && self.dialect.health_check.is_none() {
            return wrong("health_check_interval", "the dialect has no health check");
        }
        if self.dialect.needs_token() && matches!(self.token, TokenSource::None) {
            return wrong("token", "the dialect needs a token or a token provider");
        }
        if let TokenSource::Static(token) = &self.token {
            self.check_token(Some(token))?;
        }
        self.check_params::<P>()?;
        if P::PARTS.resume {
            self.check_resume()?;
        }
        Ok(self.clamp())
    }

    fn check_backoff(&self) -> Result<(), Error> {
        let BackoffRule { base, cap, jitter, .. } = self.backoff;
        if base.is_zero() {
            return wrong("backoff.base", "must be more than 0");
        }
        if cap < base {
            return wrong("backoff.cap", "must not be less than the base");
        }
        if !(jitter > 0.0 && jitter <= 1.0) {
            return wrong("backoff.jitter", "must be above 0 and at most 1");
        }
        Ok(())
    }

    fn check_breaker(&self) -> Result<(), Error> {
        let Some(BreakerRule { failures, pause }) = self.breaker else { return Ok(()) };
        if failures == 0 {
            return wrong("breaker.failures", "must be more than 0");
        }
        if pause.is_zero() {
            return wrong("breaker.pause", "must be more than 0");
        }
        let most = self.backoff.max_attempts;
        if most > 0 && failures >= most {
            return wrong("breaker.failures", "must be less than `max_attempts`, or the breaker never opens");
        }
        Ok(())
    }

    fn check_resume(&self) -> Result<(), Error> {
        let sends = self.dialect.resume.as_ref().and_then(|rule| rule.sends.as_ref());
        if self.resume == ResumeMode::FullBuffer && sends.is_none() {
            return wrong("resume", "the dialect does not number messages, so that none could be sent again");
        }
        Ok(())
    }

    /// Fills in everything once, so that a missing parameter is found before the first dial.
    fn check_params<P: Payload>(&self) -> Result<(), Error> {
        let token = Secret::from("token".to_owned());
        self.dial_url(Some(&token), None)?;
        self.first_frame(Some(&token), None)?;
        if P::PARTS.renewal {
            self.token_refresh(Some(&token))?;
        }
        let params = self.params(Some(&token), Some("id"), None);
        self.dialect.protocols.iter().try_for_each(|text| params.text(text).map(drop))?;
        self.dialect.headers.values().try_for_each(|text| params.fill(text).map(drop))?;
        self.dialect.answers.iter().try_for_each(|rule| params.fill(&rule.frame).map(drop))?;
        if P::PARTS.channels
            && let Some(rule) = &self.dialect.channels
        {
            let params = Params { channel: Some("name"), ..params };
            params.fill(&rule.subscribe)?;
            rule.unsubscribe.iter().try_for_each(|frame| params.fill(frame).map(drop))?;
        }
        self.health_frame(Some("id")).map(drop)
    }

    /// Keeps the health check within what the dialect allows (Stream: at most 25 s, at least 1 s before the silence).
    fn clamp(&mut self) -> Vec<Lifecycle> {
        let Some(rule) = &self.dialect.health_check else { return Vec::new() };
        let mut clamped = Vec::new();
        let longest = rule.max_interval_ms.map_or(Duration::MAX, Duration::from_millis);
        let grace = Duration::from_millis(rule.min_grace_ms);
        let asked = self.health_interval();
        let used = asked.min(longest);
        if used != asked {
            clamped.push(Lifecycle::Clamped { setting: "health_check_interval", asked, used });
            self.health_interval = Some(used);
        }
        // A shorter interval alone keeps the dialect's silence; a longer one must not reach it.
        let shortest = used.saturating_add(grace);
        let asked = self.silence().unwrap_or(shortest);
        let used = asked.max(shortest);
        if used != asked {
            clamped.push(Lifecycle::Clamped { setting: "silence_timeout", asked, used });
            self.silence = Some(used);
        }
        clamped
    }

    pub(super) fn params<'a>(
        &'a self,
        token: Option<&'a Secret>,
        connection_id: Option<&'a str>,
        point: Option<&'a ResumePoint>,
    ) -> Params<'a> {
        let (given, defaults) = (&self.params, &self.dialect.defaults);
        Params { token, connection_id, point, channel: None, client: &self.client, given, defaults }
    }

    /// Refuses a token that this dialect must not show.
    pub(super) fn check_token(&self, token: Option<&Secret>) -> Result<(), Error> {
        let (Some(prefix), Some(token)) = (&self.dialect.token_prefix, token) else { return Ok(()) };
        if token.reveal().starts_with(prefix.as_str()) || self.params.get("any_token") == Some(&Json::Bool(true)) {
            return Ok(());
        }
        wrong("token", "the dialect shows its token, and this is no token to be shown; `any_token` allows it")
    }

    pub(super) fn dial_url(&self, token: Option<&Secret>, point: Option<&ResumePoint>) -> Result<DialUrl, Error> {
        url::dial_url(&self.url, &self.dialect, &self.params(token, None, point))
    }

    pub(super) fn first_frame(
        &self,
        token: Option<&Secret>,
        point: Option<&ResumePoint>,
    ) -> Result<Option<String>, Error> {
        let Some(template) = &self.dialect.first_frame else { return Ok(None) };
        Ok(self.params(token, None, point).fill(template)?.map(|frame| frame.text()))
    }

    /// What gives the server a renewed token, where the dialect knows how.
    pub(super) fn token_refresh(&self, token: Option<&Secret>) -> Result<Option<String>, Error> {
        let Some(rule) = &self.dialect.token_refresh else { return Ok(None) };
        Ok(self.params(token, None, None).fill(&rule.frame)?.map(|frame| frame.text()))
    }

    pub(super) fn health_frame(&self, connection_id: Option<&str>) -> Result<String, Error> {
        let Some(rule) = &self.dialect.health_check else { return Ok(String::new()) };
        Ok(self.params(None, connection_id, None).fill(&rule.frame)?.map(|frame| frame.text()).unwrap_or_default())
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

fn wrong<T>(path: &str, message: &'static str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Config, message).with_path(path))
}
