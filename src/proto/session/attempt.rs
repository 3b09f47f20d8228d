//! Brings a connection up: token, dial, first frame, hello.

use super::super::{
    backoff::Pace,
    breaker::Breaker,
    dialect::Action,
    error::{Error, ErrorKind},
    json::Json,
    lifecycle::{BreakerState, Cause, Lifecycle, Side},
    message::{CloseInfo, DialRequest, Negotiated, Payload},
    secret::Secret,
    state::State,
    template,
    timers::Timer,
    url::{self, HIDDEN},
};
use super::{Link, Output, Session, TokenSource};
use std::{mem, sync::Arc};

impl<P: Payload> Session<P> {
    pub(super) fn connect(&mut self) -> Result<(), Error> {
        if !self.state.is_end() {
            return Err(in_use(self.state));
        }
        for step in mem::take(&mut self.clamped) {
            self.tell(step);
        }
        self.attempt = 0;
        self.refreshed = false;
        self.lost_at = None;
        self.backoff.reset();
        self.set_state(State::Connecting);
        // A breaker that is open stays open, whoever asks; and without a network there is nothing to try.
        match !self.outlook.offline && self.held_back().is_zero() {
            true => self.begin_attempt(),
            false if P::PARTS.resilience && !self.outlook.offline => {
                self.back_off(Error::new(ErrorKind::Connect, "the circuit breaker is open"), None)
            }
            false => self.back_off(Error::new(ErrorKind::Connect, "there is no network"), None),
        }
        Ok(())
    }

    /// The next try. The token comes before the dial: a server waits for the first frame for a short time only.
    pub(super) fn begin_attempt(&mut self) {
        self.attempt += 1;
        self.generation = self.new_generation();
        self.excused = !self.outlook.is_clear();
        if P::PARTS.resilience && self.breaker.as_mut().is_some_and(Breaker::begin) {
            self.tell(Lifecycle::Breaker { state: BreakerState::HalfOpen, wait: None });
        }
        let wants_token =
            matches!(self.settings.token, TokenSource::Provider) && self.settings.dialect.needs_token::<P>();
        // One that has ended meanwhile is not worth a dial.
        if wants_token && !self.tokens.is_usable(self.now) {
            self.link = Link::Token;
            self.fetch_token();
        } else {
            self.dial();
        }
    }

    /// Asks the provider, who is never asked twice at once.
    pub(super) fn fetch_token(&mut self) {
        self.fetching = true;
        self.stats.token_fetches += 1;
        self.arm(Timer::Token, self.settings.token_timeout);
        self.outputs.push(Output::FetchToken { generation: self.generation });
    }

    pub(super) fn token_came(&mut self, generation: u64, result: Result<Secret, Error>) {
        let links: &[Link] = if self.fetching { &[Link::Token, Link::Up] } else { &[] };
        if !self.is_current(generation, links) {
            return;
        }
        let token = match result {
            Ok(token) => token,
            Err(error) => return self.token_failed(error),
        };
        self.fetching = false;
        self.timers.stop(Timer::Token);
        // It is kept while dials fail, until it ends or a server says that it has.
        self.tokens.keep(token);
        if P::PARTS.renewal {
            let valid_for = self.tokens.read(self.now, &mut self.random);
            self.renewals.reset();
            self.tell(Lifecycle::TokenRenewed { valid_for });
        }
        if self.link == Link::Token {
            self.dial();
        } else if P::PARTS.renewal {
            self.show_token();
            self.arm_renewal();
        }
    }

    /// The provider failed: while connected that is worth a report and another try, else this try to connect has failed.
    pub(super) fn token_failed(&mut self, error: Error) {
        self.fetching = false;
        self.timers.stop(Timer::Token);
        if error.kind() == ErrorKind::SignedOut {
            self.tokens.discard(false);
            self.lose(error.clone(), 1000, "client disconnect");
            return self.end(Cause::SignedOut(error));
        }
        if self.link == Link::Token {
            // What is still under way must not answer any more.
            let action = if error.is_retryable() { Action::Retry } else { Action::Fatal };
            return self.fail(error, action);
        }
        if P::PARTS.renewal {
            let wait = error
                .is_retryable()
                .then(|| self.renewals.next(&self.settings.backoff, Pace::Normal, &mut self.random));
            self.tokens.not_renewed(self.now, wait);
            self.record.overdue = None;
            self.report(error);
            self.arm_renewal();
        }
    }

    /// Sets the time of the next renewal, where the token tells when it ends.
    pub(super) fn arm_renewal(&mut self) {
        if self.link == Link::Up
            && !self.fetching
            && let Some(at) = self.tokens.renew_at(self.now)
        {
            self.timers.set(Timer::Renew, at);
        }
    }

    /// Gives the server a token that was renewed while connected, where the dialect knows how. Elsewhere it is for the next
    /// connection.
    fn show_token(&mut self) {
        if let Some(rule) = &self.settings.dialect.token_refresh {
            self.write_filled(self.filled(&rule.frame));
        }
    }

    fn dial(&mut self) {
        let request = match self.dial_request() {
            Ok(request) => request,
            Err(error) => return self.fail(error, Action::Fatal),
        };
        self.link = Link::Dialing;
        self.begin_dial(self.generation, self.attempt, request);
    }

    pub(super) fn begin_dial(&mut self, generation: u64, attempt: u32, request: DialRequest) {
        self.dialled_at = self.now;
        self.stats.dials += 1;
        self.arm(Timer::Open, self.settings.open_timeout);
        self.shown_url = Arc::from(request.shown_url.as_str());
        self.negotiated = Negotiated::default();
        self.tell(Lifecycle::Connecting { url: self.shown_url.clone(), attempt });
        self.outputs.push(Output::Dial { generation, request });
    }

    /// The hello is awaited.
    pub(super) fn arm_hello(&mut self) {
        self.timers.set(Timer::Hello, self.dialled_at + self.settings.hello_timeout());
    }

    pub(super) fn dial_request(&self) -> Result<DialRequest, Error> {
        let settings = &self.settings;
        settings.check_token(self.tokens.get())?;
        let point = self.resume_point();
        let params = self.params(point.as_ref());
        let url = url::dial_url(&settings.url, &settings.dialect, &params)?;
        let mut protocols = Vec::new();
        for protocol in &settings.dialect.protocols {
            let protocol = params.text(protocol)?;
            // One that stands for an optional parameter alone may be missing.
            if !protocol.is_empty() {
                protocols.push(protocol);
            }
        }
        protocols.extend_from_slice(&settings.protocols);
        let mut headers = Vec::new();
        if P::PARTS.handshake {
            headers.clone_from(&settings.headers);
            for (name, value) in settings.dialect.headers.iter() {
                if let Some(value) = params.fill(value)? {
                    headers.push((name.to_owned(), template::plain(&value).into_owned()));
                }
            }
        }
        Ok(DialRequest { url: url.full, shown_url: url.shown, protocols, headers, within: settings.open_timeout })
    }

    pub(super) fn opened(&mut self, generation: u64) {
        if !self.is_current(generation, &[Link::Dialing]) {
            // Nobody waits for this socket any more: it must not stay open, unless it is the current one, told of twice.
            if generation != self.generation || self.link == Link::None {
                self.push_abort(generation, 1000, "client disconnect");
            }
            return;
        }
        self.timers.stop(Timer::Open);
        self.stats.dial_time = Some(self.now - self.dialled_at);
        self.health.last_received = self.now;
        match self.first_frame() {
            Err(error) => return self.fail(error, Action::Fatal),
            frame => self.write_filled(frame),
        }
        if self.settings.dialect.hello.is_some() {
            self.link = Link::Hello;
            self.arm_hello();
        } else {
            self.up(None, None);
        }
    }

    pub(super) fn first_frame(&self) -> Result<Option<String>, Error> {
        self.settings.dialect.first_frame.as_ref().map_or(Ok(None), |frame| self.filled(frame))
    }

    pub(super) fn dial_failed(&mut self, generation: u64, error: Error) {
        if !self.is_current(generation, &[Link::Dialing]) {
            return;
        }
        let action = match error.status() {
            Some(status) if P::PARTS.handshake && error.kind() == ErrorKind::Handshake => {
                self.settings.dialect.status_action(status)
            }
            _ if error.is_retryable() => Action::Retry,
            _ => Action::Fatal,
        };
        self.link = Link::None;
        self.fail(error, action);
    }

    /// The hello came: the connection id is there before anybody hears of the connection (S0-7).
    pub(super) fn up(&mut self, connection_id: Option<Arc<str>>, hello: Option<&Json>) {
        let downtime = self.lost_at.take().map(|lost| self.now - lost);
        self.stats.connects += 1;
        self.stats.reconnects += u64::from(downtime.is_some());
        self.refreshed = false;
        self.connection_id = connection_id.clone();
        self.health.begin_anew();
        self.taken_over = false;
        self.link = Link::Up;
        if P::PARTS.channels {
            self.channels.connected();
        }
        self.up_at = self.now;
        self.stats.connected_at = Some(self.now);
        self.stats.hello_time = Some(self.now - self.dialled_at);
        if downtime.is_some() {
            self.stats.last_reconnect_at = Some(self.now);
        }
        self.timers.stop_all();
        self.arm(Timer::Stable, self.settings.backoff.stable_after);
        if self.settings.dialect.health_check.is_some() {
            self.arm(Timer::HealthCheck, self.settings.health_interval());
        }
        if P::PARTS.ping
            && let Some(interval) = self.settings.ping_interval
        {
            self.arm(Timer::Ping, interval);
        }
        if let Some(silence) = self.settings.silence() {
            self.arm(Timer::Silence, silence);
        }
        if P::PARTS.renewal {
            self.arm_renewal();
        }
        if P::PARTS.resilience {
            self.prepare_replacement();
        }
        // It is already where a connection took the place of another.
        if self.state != State::Connected {
            self.set_state(State::Connected);
        }
        let Negotiated { subprotocol, extensions } = std::mem::take(&mut self.negotiated);
        self.tell(Lifecycle::Connected {
            url: self.shown_url.clone(),
            connection_id,
            attempt: self.attempt,
            downtime,
            subprotocol: subprotocol.map(|chosen| self.shown(&chosen)),
            extensions: extensions.map(Arc::from),
        });
        if P::PARTS.resume {
            self.resume_after_hello(hello);
        }
    }

    /// The subprotocol that the server chose, as it may be shown: one of the dialect's may hold the token.
    fn shown(&self, subprotocol: &str) -> Arc<str> {
        let is_in = |protocols: &[String]| protocols.iter().any(|known| known == subprotocol);
        let is_known = is_in(&self.settings.dialect.protocols) || is_in(&self.settings.protocols);
        Arc::from(if is_known { subprotocol } else { HIDDEN })
    }

    /// A socket ended by itself.
    pub(super) fn closed(&mut self, generation: u64, info: CloseInfo) {
        if self.is_successor(generation) {
            return self
                .successor_closed(info.error.unwrap_or_else(|| Error::new(ErrorKind::Closed, "the server closed")));
        }
        if !self.is_current(generation, &[Link::Hello, Link::Up, Link::Closing]) {
            return;
        }
        if P::PARTS.resume && self.link == Link::Up && self.outlived_by_successor() {
            return;
        }
        if self.link == Link::Closing {
            return self.end(self.closing.clone());
        }
        let before_hello = self.link == Link::Hello;
        let action = match self.settings.dialect.close_action(info.code) {
            // The server says that another socket has the session: a successor of this one, which has died since.
            Action::Stop if P::PARTS.resume && self.taken_over && info.code != Some(1000) => Action::Retry,
            action => action,
        };
        let error = match (info.error, info.code) {
            (Some(error), _) => error,
            (None, Some(code)) => {
                let what = if before_hello { "the server closed before the hello" } else { "the server closed" };
                Error::new(ErrorKind::Closed, what).with_close(code, info.reason)
            }
            (None, None) => Error::new(ErrorKind::Closed, "the connection broke"),
        };
        let error = self.redacted(error);
        if let Some(code) = info.code {
            self.tell_closing(code, error.close_reason().unwrap_or_default(), Side::Server);
        }
        self.link = Link::None;
        self.fail(error, action);
    }
}

/// The answer to a `connect` that comes too early (S0-20).
pub(crate) fn in_use(state: State) -> Error {
    let what = match state {
        State::Disconnecting => "; wait until it has closed",
        _ => " already; close it first",
    };
    let message = ["the client is ", state.as_str(), what].concat();
    Error::new(ErrorKind::InvalidState, message)
}
