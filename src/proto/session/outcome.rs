//! Decides what follows a failure: another try, or the end with its one cause.

use super::super::{
    backoff::{FLOOR, Pace},
    breaker::Breaker,
    dialect::Action,
    error::{Error, ErrorKind},
    lifecycle::{BreakerState, Cause, Lifecycle, Side},
    message::Payload,
    record::{Reason, Reconnect},
    state::State,
    time::part,
    timers::Timer,
};
use super::{Link, Output, RETURN_SPREAD, Session, TokenSource};
use std::time::Duration;

/// A server that asks for more patience than this is asked earlier all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A connection that lasted this long and then merely broke is no failed try: lines break. One that ends sooner is, however it
/// ends, or a server that says hello and hangs up would be dialled for ever.
const PROOF: Duration = Duration::from_secs(5);

/// How long a connection may be over its age while no other can or may be made.
const OFFLINE_AGE: Duration = Duration::from_secs(60);

impl<P: Payload> Session<P> {
    /// Drops what is under way, without waiting for anybody.
    pub(super) fn abort(&mut self, code: u16, reason: &'static str) {
        let fetching = std::mem::take(&mut self.fetching);
        if matches!(self.link, Link::Hello | Link::Up) {
            self.tell_closing(code, reason, Side::Client);
        }
        if fetching || self.link != Link::None {
            self.push_abort(self.generation, code, reason);
        }
        self.link = Link::None;
    }

    pub(super) fn push_abort(&mut self, generation: u64, code: u16, reason: &'static str) {
        self.outputs.push(Output::Abort { generation, code, reason });
    }

    pub(super) fn timed_out(&mut self, reason: Reason) {
        self.record.overdue = Some(reason);
        self.fail(Error::new(ErrorKind::Timeout, reason.as_str()), Action::Retry);
    }

    /// A try or a connection failed, and the rule says what follows. Whatever the failure left open is closed (S0-16); where
    /// the socket or the dial ended by itself, the link is gone already.
    pub(super) fn fail(&mut self, error: Error, action: Action) {
        let error = self.redacted(error);
        let lasted = self.now - self.up_at;
        let needed = if by_peer(&error, action) { self.settings.backoff.stable_after } else { PROOF };
        if self.timers.is_set(Timer::Stable) && lasted >= needed {
            self.proved();
        }
        let reason = self.record.overdue.take().unwrap_or_else(|| Reason::of(&error));
        self.remember(reason, &error);
        self.lose(error.clone(), 4000, "client gives up on this connection");
        self.decide(error, action);
    }

    /// Writes into the reconnect log.
    pub(super) fn remember(&mut self, reason: Reason, error: &Error) {
        if P::PARTS.records {
            let unix = if P::PARTS.renewal { self.tokens.today(self.now) } else { None };
            let attempt = if self.state == State::Connected { 0 } else { self.attempt };
            self.record.note(Reconnect { at: self.now, unix, attempt, reason, error: error.clone() });
        }
    }

    /// There is no connection any more.
    pub(super) fn lose(&mut self, error: Error, code: u16, reason: &'static str) {
        self.drop_successor();
        self.abort(code, reason);
        self.timers.stop_all();
        self.connection_id = None;
        self.count_connected();
        self.lose_replies();
        if P::PARTS.channels {
            self.channels.disconnected();
        }
        if self.state == State::Connected {
            self.lost_at = Some(self.now);
            self.set_state(State::Disconnected);
            self.tell(Lifecycle::Disconnected { error });
        }
    }

    fn decide(&mut self, error: Error, action: Action) {
        let refreshable = matches!(self.settings.token, TokenSource::Provider);
        let pace = match action {
            Action::Stop => return self.end(Cause::ByServer(error)),
            Action::Fatal | Action::Event if error.close_code().is_some() => return self.end(Cause::ByServer(error)),
            Action::Fatal | Action::Event if error.is_auth() => return self.end(Cause::Refused(error)),
            Action::Fatal | Action::Event => return self.end(Cause::Fatal(error)),
            Action::Refresh | Action::RefreshOnce if !refreshable => return self.end(Cause::TokenExpired(error)),
            Action::RefreshOnce if self.refreshed => return self.end(Cause::Refused(error)),
            Action::Refresh | Action::RefreshOnce => {
                self.tokens.discard(action == Action::RefreshOnce);
                self.refreshed |= action == Action::RefreshOnce;
                Pace::Normal
            }
            Action::Retry => Pace::Normal,
            Action::RetrySlower => Pace::Slower,
        };
        let has_status = P::PARTS.handshake && error.status().is_some();
        let answered = has_status || error.code().is_some() || error.close_code().is_some();
        if self.excused && self.attempt > 0 && !answered {
            // Without a network every try fails: that says nothing of the server, and costs nothing (pitfall 6).
            self.forget_attempt();
            return self.back_off(error, None);
        }
        let limit = self.settings.backoff.max_attempts;
        if !self.settings.reconnect || limit > 0 && self.attempt >= limit {
            return self.end(Cause::Exhausted(error));
        }
        self.trip();
        self.back_off(error, Some(pace));
    }

    /// The connection is a good one: the tries that led to it are forgotten, and the breaker closes.
    pub(super) fn proved(&mut self) {
        self.attempt = 0;
        if P::PARTS.resilience && self.breaker.as_mut().is_some_and(Breaker::succeeded) {
            self.tell(Lifecycle::Breaker { state: BreakerState::Closed, wait: None });
        }
    }

    /// This try did not count.
    pub(super) fn forget_attempt(&mut self) {
        self.attempt -= 1;
        if P::PARTS.resilience
            && let Some(breaker) = &mut self.breaker
        {
            breaker.undecided();
        }
    }

    /// Counts a try that failed, and opens the breaker if that was too many.
    fn trip(&mut self) {
        if !P::PARTS.resilience || self.attempt == 0 {
            return;
        }
        let Some(breaker) = &mut self.breaker else { return };
        let late = part(self.settings.backoff.base, self.random.fraction());
        if breaker.failed(self.now, late) {
            let wait = breaker.wait(self.now);
            self.tell(Lifecycle::Breaker { state: BreakerState::Open, wait: Some(wait) });
        }
    }

    /// How long the breaker lets no try through.
    pub(super) fn held_back(&self) -> Duration {
        match &self.breaker {
            Some(breaker) if P::PARTS.resilience => breaker.wait(self.now),
            _ => Duration::ZERO,
        }
    }

    /// Waits for the next try, at least as long as the server asks for and the breaker demands; without a pace the back-off
    /// itself has no part in it.
    pub(super) fn back_off(&mut self, error: Error, pace: Option<Pace>) {
        let delay = match pace {
            Some(pace) => self.backoff.next(&self.settings.backoff, pace, &mut self.random),
            None => part(RETURN_SPREAD, self.random.fraction()).max(FLOOR),
        };
        // Others were told the same to the second: the random wait comes on top.
        let delay = match error.retry_after() {
            Some(asked) if P::PARTS.handshake => delay.saturating_add(asked.min(LONGEST_RETRY_AFTER)),
            _ => delay,
        };
        let delay = delay.max(self.held_back());
        self.set_state(State::BackingOff);
        if self.outlook.is_clear() {
            self.arm(Timer::Backoff, delay);
        }
        self.tell(Lifecycle::BackingOff { attempt: self.attempt + 1, delay, error });
    }

    /// Sets the time at which this connection is replaced. Connections that began together do not end together.
    pub(super) fn prepare_replacement(&mut self) {
        if let Some(age) = self.settings.max_age {
            let earlier = part(age / 10, self.random.fraction());
            self.arm(Timer::Age, age - earlier);
        }
    }

    /// The connection is too old (S2-8): another takes its place at once, which is no failure and costs no try.
    pub(super) fn replace(&mut self) {
        if !self.outlook.is_clear() {
            // Worse than an old connection is none.
            self.arm(Timer::Age, OFFLINE_AGE);
            return;
        }
        self.proved();
        self.tell(Lifecycle::Renewing { age: self.now - self.up_at });
        let error = Error::new(ErrorKind::Closed, Reason::Age.as_str());
        self.remember(Reason::Age, &error);
        if !(P::PARTS.resume && self.begin_overlap()) {
            self.replace_at_once();
        }
    }

    /// The close code of a connection that another follows: a close for good would end the session that it is to go on with.
    pub(super) fn leaving_code(&self) -> u16 {
        if P::PARTS.resume && self.resumes() { 4000 } else { 1000 }
    }

    /// The old connection goes first.
    pub(super) fn replace_at_once(&mut self) {
        let error = Error::new(ErrorKind::Closed, Reason::Age.as_str());
        self.lose(error, self.leaving_code(), "client renews the connection");
        self.set_state(State::Reconnecting);
        self.begin_attempt();
    }

    /// The end: no timer is left, and the cause is told once (N-8).
    pub(super) fn end(&mut self, cause: Cause) {
        self.timers.stop_all();
        if self.fetching {
            // A renewal, of a connection that has ended.
            self.abort(1000, "client disconnect");
        }
        if P::PARTS.resume {
            self.leave_session(&cause);
        }
        self.give_up_sending(&cause);
        self.link = Link::None;
        self.connection_id = None;
        self.count_connected();
        self.lost_at = None;
        let state = match cause {
            Cause::ByUser | Cause::Dropped => State::Closed,
            // A server that wants no connection, told by an intentional close, is no failure once there was one.
            Cause::ByServer(_) if self.state == State::Disconnected => State::Closed,
            _ => State::Failed,
        };
        self.set_state(state);
        self.tell(Lifecycle::Closed(cause));
    }
}

/// Whether the peer ended the connection, by what it sent or said. A line that breaks, silence, and a token that ran out are
/// nobody's fault.
fn by_peer(error: &Error, action: Action) -> bool {
    let broke = matches!(error.kind(), ErrorKind::Closed | ErrorKind::Connect | ErrorKind::Timeout);
    (!broke || error.close_code().is_some()) && !matches!(action, Action::Refresh | Action::RefreshOnce)
}
