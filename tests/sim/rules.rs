//! What must always hold, whatever happens. Each rule has the number it has in `docs/PROOF.md`.

use super::{
    book::{Book, Verdict},
    seen::Seen,
    server::Kind,
};
use everwire::proto::{BackoffRule, BreakerRule, BreakerState, Cause, Error, ErrorKind, Lifecycle, OutboxRule, State};
use std::{collections::BTreeMap, time::Duration};

/// How long after a successor was wanted it is there, or another is.
const SUCCESSION: Duration = Duration::from_secs(40);

/// A connection that lasted this long and merely broke is no failed try.
const PROOF: Duration = Duration::from_secs(5);

/// Longer than any dialect may be silent, with the time of a hello.
const SILENCE: Duration = Duration::from_secs(60);

/// The book that is kept of one schedule.
pub(crate) struct Rules {
    seed: u64,
    pub(crate) now: Duration,
    pub(crate) kind: Kind,
    /// Whether there is a provider of tokens.
    pub(crate) refreshable: bool,
    backoff: BackoffRule,
    pub(crate) state: State,
    /// The wire that the session calls connected, and since when.
    pub(crate) up: Option<(u64, Duration)>,
    /// The number of the last event that was delivered, by wire.
    delivered: BTreeMap<u64, u64>,
    /// Waiters for `ready`, as a driver keeps them.
    waiting: u32,
    closed_told: bool,
    pub(crate) book: Book,
    /// The wire of a connection that the user closes.
    closing_on: Option<u64>,
    /// When a connection that is too old was last said to be replaced.
    renewing_at: Duration,
    /// Tries since the last connection that proved good.
    tries: u32,
    /// How long the last connection lasted; `None` if it was that of a successor before its hello.
    lasted: Option<Duration>,
    /// Whether the connection of now has ended, and its successor waits for the hello.
    succeeded: bool,
    /// Waits since the last stable connection, at most.
    failures: u32,
    /// The last wait.
    pub(crate) waited: Option<Duration>,
    /// Whether the session was told that there is no network.
    pub(crate) offline: bool,
    /// Whether there was no network at some time during the current try.
    excused: bool,
    /// The token request that is under way.
    pub(crate) fetching: Option<u64>,
    /// The token that counts; `None` where one must be fetched.
    pub(crate) token: Option<Token>,
    /// Whether the server has doubted the date of a token.
    pub(crate) doubted: bool,
    /// Whether there was no network at some time since the hello.
    was_offline: bool,
    pub(crate) fetched_at: Duration,
    pub(crate) breaker: Option<BreakerRule>,
    /// Until when the breaker lets nothing through.
    open_until: Duration,
    pub(crate) max_age: Option<Duration>,
    /// When something last came from a server.
    pub(crate) heard_at: Duration,
    /// A timer was late: what it would have ended has until then.
    forgiven_until: Duration,
    /// When a connection was last lost.
    pub(crate) lost_at: Option<Duration>,
}

/// A token that the session was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) number: u64,
    /// From when on it may be renewed, if it tells its dates.
    pub(crate) renew_after: Option<Duration>,
}

impl Rules {
    pub(crate) fn new(seed: u64, kind: Kind, refreshable: bool, backoff: BackoffRule) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            kind,
            refreshable,
            backoff,
            state: State::Idle,
            up: None,
            delivered: BTreeMap::new(),
            waiting: 0,
            closed_told: false,
            book: Book::new(OutboxRule::default(), 0),
            closing_on: None,
            renewing_at: Duration::ZERO,
            tries: 0,
            lasted: None,
            succeeded: false,
            failures: 0,
            waited: None,
            offline: false,
            excused: false,
            fetching: None,
            token: None,
            doubted: false,
            was_offline: false,
            fetched_at: Duration::ZERO,
            breaker: None,
            open_until: Duration::ZERO,
            max_age: None,
            heard_at: Duration::ZERO,
            forgiven_until: Duration::ZERO,
            lost_at: None,
        }
    }

    /// What is known of the network.
    pub(crate) fn network(&mut self, online: bool) {
        self.offline = !online;
        self.excused |= self.offline;
        self.was_offline |= self.offline;
    }

    #[track_caller]
    pub(crate) fn check(&self, holds: bool, rule: &str) {
        assert!(holds, "seed {} at {:?}, {}: {rule}", self.seed, self.now, self.state);
    }

    #[track_caller]
    pub(crate) fn holds(&self, verdict: Verdict) {
        if let Err(rule) = verdict {
            self.check(false, rule);
        }
    }

    /// The connection of now has ended, and the one that was to take its place has.
    pub(crate) fn is_succeeded(&mut self) {
        self.tries = 1;
        self.succeeded = true;
    }

    pub(crate) fn up_on(&self, wire: u64) -> bool {
        self.up.is_some_and(|(up, _)| up == wire)
    }

    /// Rule 1: at most one dial or socket, but where the next one is up before the old one goes.
    pub(crate) fn live(&self, live: usize) {
        let most = 1 + usize::from(self.overlaps());
        self.check(live <= most, "(1) two dials or sockets at once");
    }

    fn overlaps(&self) -> bool {
        self.kind == Kind::Everwire && self.max_age.is_some() && self.state == State::Connected
    }

    /// Rule 2: what is delivered came on the connection of now, and nothing of it is lost, doubled or out of order.
    pub(crate) fn delivers(&mut self, wire: u64, number: u64) {
        self.check(self.up_on(wire), "(2) an event of another connection, or of none");
        let last = self.delivered.entry(wire).or_default();
        let in_order = number == *last + 1;
        *last = number;
        self.check(in_order, "(2) an event was lost, doubled or overtaken");
    }

    /// Rule 3: somebody waits for `ready`.
    pub(crate) fn waits_for_ready(&mut self) {
        self.waiting += u32::from(self.up.is_none() && !self.state.is_end());
    }

    /// Rule 4: a message of the user's is written.
    pub(crate) fn writes(&mut self, wire: u64, number: u64) {
        let closing = self.closing_on == Some(wire);
        self.check(self.up_on(wire) || closing, "(4) written to a socket that is not authenticated");
        let verdict = self.book.writes(number, wire, self.now, closing);
        self.holds(verdict);
    }

    /// Whether it has ended, and nobody has connected since.
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_end() && self.state != State::Idle
    }

    /// Whether a message would be taken now.
    pub(crate) fn hopeful(&self, served: bool) -> bool {
        let waits = !self.is_over() && self.state != State::Disconnecting;
        if self.book.outbox.messages > 0 { waits } else { served }
    }

    pub(crate) fn connects(&mut self) {
        self.tries = 0;
        self.failures = 0;
        self.closed_told = false;
    }

    /// Rule 6: a try begins. `by_time`: because a wait is over.
    pub(crate) fn tries(&self, by_time: bool) {
        self.check(!(self.offline && by_time), "(6) a try while offline");
        self.check(self.now >= self.open_until, "(6) a try that the breaker should hold back");
    }

    /// Rule 7: a token is asked for.
    pub(crate) fn fetches(&mut self, generation: u64, seen: &mut Seen) {
        seen.fetches += 1;
        self.check(self.refreshable, "(7) a static token is never refreshed");
        self.check(self.kind.has_token(), "(7) a token that nobody needs");
        // One that took too long is given up, and replaced by the next.
        let late = self.fetching.is_none_or(|_| self.fetched_at + Duration::from_secs(10) <= self.now);
        self.check(late, "(7) two token requests at once");
        self.fetched_at = self.now;
        let good = self.token.is_some_and(|token| token.renew_after.is_none_or(|after| self.now < after));
        self.check(!good, "(7) a token that is still good was thrown away");
        self.fetching = Some(generation);
    }

    /// Rule 7: the token that the session shows is the one that counts.
    pub(crate) fn shows(&self, token: Option<u64>) {
        // A token whose date was doubted twice is the end, and what the user tries again with.
        let doubted = self.doubted && self.token.is_none();
        self.check(doubted || token == self.token.map(|token| token.number), "(7) another token than the last one");
    }

    pub(crate) fn step(&mut self, step: &Lifecycle, wire: Option<u64>, seen: &mut Seen) {
        match step {
            Lifecycle::State { old, new } => {
                self.check(*old == self.state, "a state was skipped");
                self.check(old.next().contains(new), "an illegal transition");
                self.state = *new;
                if matches!(new, State::Connecting | State::Reconnecting) {
                    // What the breaker holds back is no try.
                    self.tries += u32::from(self.now >= self.open_until);
                    self.excused = self.offline;
                }
                self.closing_on = None;
                if *new != State::Connected
                    && let Some((wire, since)) = self.up.take()
                {
                    self.lasted = (!std::mem::take(&mut self.succeeded)).then(|| self.now - since);
                    self.lost_at = Some(self.now);
                    self.closing_on = (*new == State::Disconnecting).then_some(wire);
                }
            }
            Lifecycle::Connecting { attempt, .. } => {
                self.check(*attempt == self.try_of_now(), "(6) a try was not counted");
            }
            Lifecycle::Connected { attempt, .. } => {
                let tries = self.try_of_now();
                self.check(*attempt == tries, "(6) a try was not counted");
                *seen.connected.entry(self.kind.name()).or_default() += 1;
                self.tries = tries;
                self.succeeded = false;
                self.waiting = 0;
                self.was_offline = self.offline;
                self.up = wire.map(|wire| (wire, self.now));
            }
            Lifecycle::Disconnected { error } => {
                seen.timeouts += u64::from(error.is_timeout());
                let needed = if by_peer(error) { self.backoff.stable_after } else { PROOF };
                if self.lasted.is_some_and(|lasted| lasted >= needed) {
                    self.tries = 0;
                }
            }
            Lifecycle::BackingOff { attempt, delay, error } => self.waits(*attempt, *delay, error, seen),
            Lifecycle::Breaker { state, wait } => {
                seen.breaks += 1;
                self.check((*state == BreakerState::Open) == wait.is_some(), "(6) an open breaker has an end");
                let long_enough = |rule: BreakerRule| wait.is_none_or(|wait| wait >= rule.pause);
                self.check(self.breaker.is_some_and(long_enough), "(6) a breaker that hardly opens");
                self.open_until = wait.map_or(Duration::ZERO, |wait| self.now + wait);
            }
            Lifecycle::Renewing { age } => {
                seen.renewals += 1;
                self.tries = 0;
                self.renewing_at = self.now;
                self.check(
                    !self.offline && self.max_age.is_some_and(|most| *age >= most * 9 / 10),
                    "(1) replaced too early",
                );
            }
            // A successor has failed: a driver that is late hears of it late.
            Lifecycle::Error(error) if self.overlaps() && error.kind() != ErrorKind::Decode => {
                self.renewing_at = self.now;
            }
            Lifecycle::Closed(cause) => {
                self.check(!self.closed_told, "(3) an end was told twice");
                self.closed_told = true;
                self.waiting = 0;
                // A driver drops the request that the session has given up.
                self.fetching.take_if(|_| self.fetched_at + Duration::from_secs(10) <= self.now);
                *seen.ends.entry(cause.as_str()).or_default() += 1;
                self.check(cause.is_intended() == cause.error().is_none(), "a failure has an error, a wish has none");
                if let Cause::Exhausted(_) = cause {
                    self.check(self.tries == self.backoff.max_attempts, "(6) gave up too early or too late");
                }
            }
            _ => {}
        }
    }

    /// One that takes the place of another is the first try.
    fn try_of_now(&self) -> u32 {
        if self.up.is_some() { 1 } else { self.tries }
    }

    /// Rule 6: a wait is within its bounds, and the budget of tries is kept.
    fn waits(&mut self, attempt: u32, delay: Duration, error: &Error, seen: &mut Seen) {
        let held_back = self.open_until.saturating_sub(self.now);
        let answered = error.code().is_some() || error.status().is_some() || error.close_code().is_some();
        if self.excused && self.tries > 0 && !answered {
            // Time without a network spends no tries (pitfall 6).
            self.tries -= 1;
            self.check(attempt == self.tries + 1, "(6) a try without a network was counted");
            return self.check(
                delay <= Duration::from_millis(500).max(held_back),
                "(6) a try without a network makes the wait longer",
            );
        }
        let limit = self.backoff.max_attempts;
        self.check(limit == 0 || self.tries < limit, "(6) more tries than allowed");
        self.check(attempt == self.tries + 1, "(6) a try was not counted");
        let most = self.backoff.cap.max(held_back);
        self.check(delay >= Duration::from_millis(50) && delay <= most, "(6) a wait out of its bounds");
        self.check(delay >= held_back, "(6) a wait that the breaker should make longer");
        let doubled = self.backoff.base.saturating_mul(1 << self.failures.min(20));
        let ceiling = doubled.min(self.backoff.cap);
        self.failures += 1;
        self.waited = Some(delay);
        if delay <= ceiling && ceiling >= Duration::from_secs(1) && doubled < self.backoff.cap {
            seen.waits[(delay.as_secs_f64() / ceiling.as_secs_f64() * 9.999) as usize] += 1;
        }
        // A wait that a busy server asked for may be longer than it is our turn to wait.
        let slower = delay >= self.backoff.cap / 2;
        // A wait for a breaker that is open already is none of the back-off's.
        let for_breaker = self.tries == 0 && held_back > Duration::ZERO && delay <= Duration::from_millis(500);
        let allowed = delay <= ceiling || slower || delay == held_back || for_breaker;
        self.check(allowed, "(6) a wait over its ceiling");
    }

    /// A timer was served, this late: a connection that has been up for long enough is stable.
    pub(crate) fn timer_served(&mut self, late: Duration) {
        if late > Duration::from_secs(2) {
            // Lost time is forgiven (N-5); once, as the tests of the core see to.
            self.forgiven_until = self.now + Duration::from_secs(5);
        }
        // A successor may fail, and then another is tried.
        let tried = self.overlaps() && self.renewing_at + SUCCESSION >= self.now;
        let excused = tried || self.now < self.forgiven_until;
        // Every dialect with a health check calls 40 s of silence the end.
        let silent = self.up.is_some() && self.kind != Kind::Raw && self.heard_at + SILENCE <= self.now;
        self.check(!silent || excused, "a dead connection is not noticed");
        // One that comes of age without a network is kept for a while.
        let age = self.up.map_or(Duration::ZERO, |(_, since)| self.now - since);
        let most = self.max_age.filter(|_| !self.was_offline).unwrap_or(Duration::MAX);
        self.check(age <= most || excused, "(1) an old connection is not replaced");
        if self.up.is_some_and(|(_, since)| since + self.backoff.stable_after <= self.now) {
            self.failures = 0;
        }
    }

    /// Whether every try that is allowed has failed.
    pub(crate) fn is_spent(&self) -> bool {
        self.state.is_end() && self.backoff.max_attempts > 0 && self.tries == self.backoff.max_attempts
    }

    /// Rule 6: what a busy server asked for is at least half the cap.
    pub(crate) fn waits_slower(&self) {
        let slower = self.waited.is_some_and(|delay| delay >= self.backoff.cap / 2);
        self.check(slower, "(6) a busy server is not spared");
    }

    /// What holds whenever there is nothing left to do. `timer`: whether anything is waited for.
    pub(crate) fn rest(&self, live: usize, timer: bool) {
        self.live(live);
        match self.state {
            State::Idle | State::Failed | State::Closed => {
                // A message that waits for the first connect may have a time.
                let early = self.state == State::Idle && self.book.has_deadlines;
                self.check(!timer || early, "(9) a timer after the end");
                self.check(live == 0, "(9) a socket after the end");
                self.check(self.fetching.is_none(), "(9) a token request after the end");
                self.check(self.closed_told || self.state == State::Idle, "(3) an end without a cause");
                self.check(self.waiting == 0, "(3) somebody still waits for `ready`");
            }
            State::BackingOff => {
                self.check(live == 0, "(1) a socket while backing off");
                let ends = self.offline != timer || timer && self.book.has_deadlines;
                self.check(ends, "(6) a wait has an end, unless offline");
            }
            // A raw socket that is up has nothing to watch it by.
            State::Connected if self.kind == Kind::Raw => {}
            // Whatever is under way has a deadline: nothing hangs for ever.
            _ => self.check(timer, "no deadline"),
        }
    }
}

/// Whether the server ended a connection, and not the line, the silence, or the end of a token.
fn by_peer(error: &Error) -> bool {
    let broke = matches!(error.kind(), ErrorKind::Closed | ErrorKind::Timeout) && error.close_code().is_none();
    !broke && !matches!(error.code(), Some(40..=42))
}
