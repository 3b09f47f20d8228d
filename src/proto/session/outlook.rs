//! What is known of the world around: the network, the page that a session lives in, and time that was lost.

use super::super::{
    error::{Error, ErrorKind},
    lifecycle::Cause,
    message::Payload,
    record::Reason,
    state::State,
    time::part,
    timers::Timer,
};
use super::{Link, NetworkChange, PageChange, RETURN_SPREAD, Session};
use std::time::Duration;

/// A timer that comes this much too late tells of lost time: a machine that slept, a page that was frozen or throttled.
const LATE: Duration = Duration::from_secs(2);

/// How soon a try begins that somebody waits for in front of the page: drawn at random below this.
const GLANCE: Duration = Duration::from_millis(100);

/// Why there may be no connection to be had, or none wanted.
#[derive(Default)]
pub(super) struct Outlook {
    /// There is no network.
    pub(super) offline: bool,
    /// Nobody sees the page.
    hidden: bool,
    /// The page has been left, and may come back.
    left: bool,
    /// Time was lost, and what was due has been put off for it.
    forgiven: bool,
}

impl Outlook {
    /// Whether tries may begin.
    pub(super) fn is_clear(&self) -> bool {
        !(self.offline || self.hidden || self.left)
    }
}

impl<P: Payload> Session<P> {
    pub(super) fn network(&mut self, change: NetworkChange) {
        self.outlook.offline = change == NetworkChange::Offline;
        if change != NetworkChange::Offline {
            self.probe();
        }
        self.look_again((change == NetworkChange::Online).then_some(RETURN_SPREAD));
    }

    /// The page changed (N-4): a session follows only where a connection is wanted.
    pub(super) fn page(&mut self, change: PageChange) {
        match change {
            PageChange::Hidden => self.outlook.hidden = true,
            PageChange::Shown => {
                self.outlook.hidden = false;
                self.probe();
            }
            PageChange::Left => {
                self.outlook.left = true;
                self.leave_page();
            }
            PageChange::Back => self.outlook.left = false,
        }
        let better = matches!(change, PageChange::Shown | PageChange::Back);
        self.look_again(better.then_some(GLANCE));
    }

    /// A waiting try waits on, or begins soon.
    fn look_again(&mut self, soon: Option<Duration>) {
        let clear = self.outlook.is_clear();
        self.excused |= !clear;
        if self.state != State::BackingOff {
            return;
        }
        if !clear {
            self.timers.stop(Timer::Backoff);
        } else if soon.is_some() || !self.timers.is_set(Timer::Backoff) {
            let wait = part(soon.unwrap_or(RETURN_SPREAD), self.random.fraction()).max(self.held_back());
            self.arm(Timer::Backoff, wait);
        }
    }

    /// A page with an open socket cannot be kept by the browser. What is closed here is made again when the page is back, and
    /// costs no try.
    fn leave_page(&mut self) {
        if !matches!(self.state, State::Connecting | State::Reconnecting | State::Connected) {
            return;
        }
        let error = Error::new(ErrorKind::Closed, Reason::Page.as_str());
        self.remember(Reason::Page, &error);
        if self.attempt > 0 {
            self.forget_attempt();
        }
        self.lose(error.clone(), self.leaving_code(), Reason::Page.as_str());
        match self.settings.reconnect {
            true => self.back_off(error, None),
            false => self.end(Cause::Exhausted(error)),
        }
    }

    /// Timers that come much too late say nothing of the server: what it sent may wait behind them. What they would end
    /// gets another while, once, and an open connection is probed (N-5).
    pub(super) fn forgive_lost_time(&mut self) {
        let late = self.now > self.timers.next() + LATE;
        let forgiven = std::mem::replace(&mut self.outlook.forgiven, late);
        if late && !forgiven {
            self.timers.put_off(self.now, self.now + self.settings.probe_timeout);
            self.probe();
        }
    }

    /// Asks the server for a sign of life. Without a health check there is no question to ask.
    fn probe(&mut self) {
        if self.state == State::Connected && self.link == Link::Up && self.settings.dialect.health_check.is_some() {
            self.send_health_check();
            self.health.probed_at = self.now;
            self.arm(Timer::Probe, self.settings.probe_timeout);
        }
    }
}
