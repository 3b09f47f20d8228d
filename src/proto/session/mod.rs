//! The session: everything hard about holding one connection, as a pure state machine.
//!
//! Feed it inputs with the time they happened, drain its outputs, and call it again at [`Session::next_timeout`]:
//!
//! ```text
//! loop { session.handle(now, input); while let Some(output) = session.poll() { act on it } }
//! ```
//!
//! `vocabulary` has the inputs and outputs, `settings` holds what it needs to know, `attempt` brings a connection up,
//! `incoming` reads its frames, `health` sees whether the server is still there, `outlook` what the world is like, `outcome`
//! decides what follows a failure, `closing` ends it at the user's word, `sending` holds what the user sends until it can be
//! written, `subscribing` tells the server which channels are wanted, `resuming` lets a new connection go on where the old one
//! broke, `overlap` replaces one that grows old.

mod attempt;
mod closing;
mod health;
mod incoming;
mod outcome;
mod outlook;
mod overlap;
mod resuming;
mod sending;
mod settings;
mod subscribing;
mod vocabulary;

pub use incoming::control_types;
pub use settings::{Settings, TokenSource};
pub use vocabulary::{Input, NetworkChange, Output, PageChange};

pub(crate) use attempt::in_use;

use super::{
    backoff::Backoff,
    breaker::Breaker,
    channels::Channels,
    error::{Error, ErrorKind},
    json::Json,
    lifecycle::{Cause, Lifecycle},
    message::{Message, Negotiated, Payload},
    outbox::Outbox,
    queue::Queue,
    random::Random,
    record::{Reason, Reconnect, Record},
    requests::Requests,
    resume::{Resume, ResumePoint, Sequence},
    secret::Secret,
    state::State,
    stats::Stats,
    template::Params,
    time::Timestamp,
    timers::{Timer, Timers},
    token::Tokens,
};
use health::Health;
use incoming::Roles;
use outlook::Outlook;
use overlap::Successor;
use std::{sync::Arc, time::Duration};

/// How far the current connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// There is none.
    None,
    /// The token provider is asked.
    Token,
    /// The dial is under way.
    Dialing,
    /// The socket is open; the hello is awaited.
    Hello,
    /// The hello came.
    Up,
    /// The closing handshake is under way.
    Closing,
}

/// One connection to one server, held for as long as the user wants it.
pub struct Session<P: Payload> {
    settings: Settings,
    names: P::Names,
    roles: Roles,
    random: Random,
    backoff: Backoff,
    breaker: Option<Breaker>,
    timers: Timers,
    state: State,
    link: Link,
    generation: u64,
    /// The highest generation there was.
    last_generation: u64,
    /// The connection that is to take the place of this one.
    successor: Option<Successor>,
    /// Whether one has asked the server for the session of this connection: then it is ours that takes it over.
    taken_over: bool,
    /// Tries since the last connection that proved good, the current one included.
    attempt: u32,
    tokens: Tokens,
    /// Whether the token provider is asked.
    fetching: bool,
    /// How renewals are spaced that fail.
    renewals: Backoff,
    /// Whether a `refresh-once` was spent since the last hello.
    refreshed: bool,
    outlook: Outlook,
    /// Whether there was no network, or nobody saw the page, at some time during the current try: its failure is not the
    /// server's.
    excused: bool,
    dialled_at: Timestamp,
    /// When the hello came.
    up_at: Timestamp,
    lost_at: Option<Timestamp>,
    health: Health,
    connection_id: Option<Arc<str>>,
    /// The URL of the current dial or connection, as it may be shown.
    shown_url: Arc<str>,
    negotiated: Negotiated,
    closing: Cause,
    /// Whether the user closes for good, so that the server forgets the session.
    for_good: bool,
    resume: Option<Box<Resume>>,
    sequence: Option<Sequence<P>>,
    outbox: Outbox,
    requests: Requests,
    channels: Channels,
    stats: Stats,
    record: Record,
    outputs: Queue<Output<P>>,
    /// What was clamped, until it is told: with the first connect, when those who want to know listen.
    clamped: Vec<Lifecycle>,
    now: Timestamp,
}

/// How soon after the network is back a try may begin: drawn at random below this, for others are back too.
const RETURN_SPREAD: Duration = Duration::from_millis(500);

impl<P: Payload> Session<P> {
    /// A session that is idle.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the setting that is wrong.
    pub fn new(mut settings: Settings) -> Result<Self, Error> {
        let clamped = settings.check::<P>()?;
        let roles = Roles::new(&settings.dialect, P::PARTS);
        let tokens = match &settings.token {
            TokenSource::Static(token) => Tokens::given(Some(token.clone())),
            _ => Tokens::default(),
        };
        let mut session = Self {
            names: P::names(&settings.dialect.type_field, roles.types(), settings.dialect.any_text),
            roles,
            random: Random::new(settings.seed),
            backoff: Backoff::default(),
            breaker: settings.breaker.map(Breaker::new),
            timers: Timers::new(),
            state: State::Idle,
            link: Link::None,
            generation: 0,
            last_generation: 0,
            successor: None,
            taken_over: false,
            attempt: 0,
            tokens,
            fetching: false,
            renewals: Backoff::default(),
            refreshed: false,
            outlook: Outlook::default(),
            excused: false,
            dialled_at: Timestamp::default(),
            up_at: Timestamp::default(),
            lost_at: None,
            health: Health::default(),
            connection_id: None,
            shown_url: Arc::from(""),
            negotiated: Negotiated::default(),
            closing: Cause::ByUser,
            for_good: true,
            resume: None,
            sequence: None,
            outbox: Outbox::new(settings.outbox),
            requests: Requests::default(),
            channels: Channels::default(),
            stats: Stats::default(),
            record: Record::default(),
            outputs: Queue::default(),
            clamped,
            now: Timestamp::default(),
            settings,
        };
        if P::PARTS.resume && session.settings.dialect.resume.is_some() {
            session.follow_numbers();
        }
        Ok(session)
    }

    /// Tells the session what happened, and when. Time that goes back is taken as standing still.
    ///
    /// # Errors
    /// Only what the user asked for can be refused: `Connect` and `Close` with [`ErrorKind::InvalidState`] or
    /// [`ErrorKind::InvalidInput`], `Send` with [`ErrorKind::Closed`] where no connection is on its way, and with
    /// [`ErrorKind::Overflow`]. Everything else is accepted, and counted where it is stale.
    // Whoever calls it knows which input it is: inlined, nothing is left of the others.
    #[inline(always)]
    pub fn handle(&mut self, now: Timestamp, input: Input<P>) -> Result<(), Error> {
        self.go_on_to(now);
        match input {
            Input::Message { generation, payload } => {
                if let Some(event) = self.message(generation, payload) {
                    self.outputs.push(Output::Event(event));
                }
            }
            Input::Passed { generation, passed } => self.passed(generation, passed),
            Input::Alive { generation } if self.is_successor(generation) => {}
            Input::Alive { generation } => {
                if self.is_current(generation, &[Link::Hello, Link::Up, Link::Closing]) {
                    self.health.last_received = self.now;
                }
            }
            Input::Pong { generation } => {
                if P::PARTS.ping && self.is_current(generation, &[Link::Hello, Link::Up, Link::Closing]) {
                    self.pong();
                }
            }
            Input::Connect => return self.connect(),
            Input::Close { code, reason, dropped } => return self.close(code, reason, dropped),
            Input::Negotiated { generation, negotiated } => {
                if self.is_successor(generation) || self.is_current(generation, &[Link::Dialing]) {
                    self.negotiated = negotiated;
                }
            }
            Input::Send { id, message, options } => return self.send_by_user(id, message, options),
            Input::Request { id, message, timeout } => return self.request(id, message, timeout),
            Input::Withdraw { id } => self.withdraw(id),
            Input::Subscribe { channel } => return self.subscribe(channel),
            Input::Unsubscribe { channel } => self.unsubscribe(channel),
            Input::Room { generation } => drop(self.room(generation)),
            Input::Opened { generation } if self.is_successor(generation) => self.successor_opened(),
            Input::Opened { generation } => self.opened(generation),
            Input::DialFailed { generation, error } if self.is_successor(generation) => self.successor_closed(error),
            Input::DialFailed { generation, error } => self.dial_failed(generation, error),
            Input::Closed { generation, info } => self.closed(generation, info),
            Input::Token { generation, result } => self.token_came(generation, result),
            Input::Clock { unix } => {
                if P::PARTS.renewal {
                    self.tokens.clock(self.now, unix);
                    self.arm_renewal();
                }
            }
            Input::Network(change) => self.network(change),
            Input::Page(change) => self.page(change),
            Input::Timeout => {
                self.forgive_lost_time();
                while let Some(timer) = self.timers.take_due(self.now) {
                    self.fire(timer);
                }
                self.expire();
            }
        }
        Ok(())
    }

    /// Time does not go back.
    #[inline(never)]
    fn go_on_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// The same as [`handle`](Self::handle) with [`Input::Message`], for a driver in a hurry: an ordinary event comes
    /// back at once, where otherwise it would be the only output.
    pub(crate) fn receive(&mut self, now: Timestamp, generation: u64, payload: P) -> Option<P> {
        debug_assert!(self.outputs.is_empty(), "what was to be done before is done");
        self.now = self.now.max(now);
        self.message(generation, payload)
    }

    /// The same as [`handle`](Self::handle) with [`Input::Room`], for a driver that goes on as long as something is written.
    pub(crate) fn write_next(&mut self, now: Timestamp, generation: u64) -> bool {
        self.go_on_to(now);
        self.room(generation)
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output<P>> {
        self.outputs.pop()
    }

    /// When to call with [`Input::Timeout`]. `None`: nothing is waited for.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let mut next = self.timers.next();
        if P::PARTS.outbox {
            next = next.min(self.outbox.deadline());
        }
        if P::PARTS.requests {
            next = next.min(self.requests.deadline());
        }
        (next < Timestamp::NEVER).then_some(next)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The id the server gave the current connection; `None` while there is none (S0-7).
    pub fn connection_id(&self) -> Option<&Arc<str>> {
        self.connection_id.as_ref()
    }

    /// The counters, as of the last input. The driver adds what only it sees.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Why connections were lost and tries failed: the last 16 times, the oldest first (N-12).
    pub fn reconnect_log(&self) -> impl ExactSizeIterator<Item = &Reconnect> {
        self.record.log().iter()
    }

    fn set_state(&mut self, new: State) {
        let old = self.state;
        debug_assert!(old.next().contains(&new), "illegal transition from {old} to {new}");
        self.state = new;
        self.stats.state = new;
        self.tell(Lifecycle::State { old, new });
    }

    /// What placeholders stand for on the connection of now, or for the next one.
    fn params<'a>(&'a self, point: Option<&'a ResumePoint>) -> Params<'a> {
        let id = self.connection_id.as_deref().filter(|_| self.link == Link::Up);
        self.settings.params(self.tokens.get().map(Secret::reveal), id, point)
    }

    /// Fills in a frame of the dialect.
    fn filled(&self, frame: &Json) -> Result<Option<String>, Error> {
        self.params(self.resume_point().as_ref()).frame(frame)
    }

    /// Writes a frame that was filled in, if anything is left of it.
    fn write_filled(&mut self, frame: Result<Option<String>, Error>) {
        self.write_filled_to(self.generation, frame);
    }

    fn write_filled_to(&mut self, generation: u64, frame: Result<Option<String>, Error>) {
        match frame {
            Ok(Some(frame)) => self.write_to(generation, Message::Text(frame), None),
            Ok(None) => {}
            Err(error) => self.report(error),
        }
    }

    fn tell(&mut self, step: Lifecycle) {
        self.outputs.push(Output::Lifecycle(step));
    }

    /// The error without the token, which a server may have sent back in its answer.
    fn redacted(&self, error: Error) -> Error {
        error.without(self.tokens.get().map_or("", Secret::reveal))
    }

    fn report(&mut self, error: Error) {
        let error = self.redacted(error);
        self.stats.errors += 1;
        self.tell(Lifecycle::Error(error));
    }

    /// A generation that there has not been.
    fn new_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// Whether what happened belongs to the connection of now; if not, it is counted (S0-14).
    fn is_current(&mut self, generation: u64, links: &[Link]) -> bool {
        let current = generation == self.generation && links.contains(&self.link);
        if !current {
            self.stats.stale_dropped += 1;
        }
        current
    }

    /// The connection has ended: its time is added to that of those before.
    fn count_connected(&mut self) {
        if let Some(since) = self.stats.connected_at.take() {
            self.stats.connected_before += self.now - since;
        }
    }

    fn write(&mut self, message: Message, id: Option<u64>) {
        self.write_to(self.generation, message, id);
    }

    fn write_to(&mut self, generation: u64, message: Message, id: Option<u64>) {
        self.stats.messages_out += 1;
        self.stats.bytes_out += message.len() as u64;
        self.outputs.push(Output::Send { generation, message, id });
    }

    /// Sets a timer.
    fn arm(&mut self, timer: Timer, wait: Duration) {
        self.timers.set(timer, self.now + wait);
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Ping | Timer::Pong if !P::PARTS.ping => {}
            Timer::Ping => self.ping(),
            Timer::Pong => self.pong_is_due(),
            Timer::Token => {
                self.record.overdue = Some(Reason::TokenTimeout);
                self.token_failed(Error::new(ErrorKind::Timeout, Reason::TokenTimeout.as_str()));
            }
            Timer::Renew => self.fetch_token(),
            Timer::Open | Timer::Hello if P::PARTS.resume && self.successor.is_some() => {
                let late = if timer == Timer::Open { Reason::OpenTimeout } else { Reason::HelloTimeout };
                self.successor_failed(Error::new(ErrorKind::Timeout, late.as_str()));
            }
            Timer::Open => self.timed_out(Reason::OpenTimeout),
            Timer::Hello => self.timed_out(Reason::HelloTimeout),
            Timer::HealthCheck => self.send_health_check(),
            Timer::Silence => self.silence_is_due(),
            Timer::Probe => self.probe_is_due(),
            Timer::Stable => {
                self.backoff.reset();
                self.proved();
            }
            Timer::Age => self.replace(),
            Timer::Backoff => {
                self.set_state(State::Reconnecting);
                self.begin_attempt();
            }
            Timer::Ack => {
                if P::PARTS.resume {
                    self.acknowledge();
                }
            }
            Timer::Close => {
                self.abort(1000, "client disconnect");
                self.end(self.closing.clone());
            }
        }
    }
}
