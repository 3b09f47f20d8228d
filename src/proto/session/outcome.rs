//! Decides what follows a failure: another try, or the end with its one cause.

use super::super::{
    backoff::Pace,
    dialect::Action,
    error::{Error, ErrorKind},
    lifecycle::{Cause, Lifecycle},
    message::Payload,
    state::State,
    timers::Timer,
};
use super::{Link, Output, Session, TokenSource};

impl<P: Payload> Session<P> {
    /// Drops what is under way, without waiting for anybody.
    pub(super) fn abort(&mut self, code: u16, reason: &'static str) {
        let fetching = std::mem::take(&mut self.fetching);
        if fetching || self.link != Link::None {
            self.outputs.push_back(Output::Abort { generation: self.generation, code, reason });
        }
        self.link = Link::None;
    }

    pub(super) fn timed_out(&mut self, what: &'static str) {
        self.fail(Error::new(ErrorKind::Timeout, what), Action::Retry);
    }

    /// A try or a connection failed, and the rule says what follows. Whatever the failure left open is closed (S0-16); where
    /// the socket or the dial ended by itself, the link is gone already.
    pub(super) fn fail(&mut self, error: Error, action: Action) {
        let error = self.redacted(error);
        self.abort(4000, "client gives up on this connection");
        self.timers.stop_all();
        self.connection_id = None;
        if self.state == State::Connected {
            self.lost_at = Some(self.now);
            self.set_state(State::Disconnected);
            self.tell(Lifecycle::Disconnected { error: error.clone() });
        }
        self.decide(error, action);
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
        let limit = self.settings.backoff.max_attempts;
        if !self.settings.reconnect || limit > 0 && self.attempt >= limit {
            return self.end(Cause::Exhausted(error));
        }
        self.back_off(error, pace);
    }

    fn back_off(&mut self, error: Error, pace: Pace) {
        let delay = self.backoff.next(pace, &mut self.random);
        self.set_state(State::BackingOff);
        if self.online {
            self.timers.set(Timer::Backoff, self.now + delay);
        }
        self.tell(Lifecycle::BackingOff { attempt: self.attempt + 1, delay, error });
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
        self.link = Link::None;
        self.connection_id = None;
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
