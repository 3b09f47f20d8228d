//! The session: everything hard about holding one connection, as a pure state machine.
//!
//! Feed it inputs with the time they happened, drain its outputs, and call it again at [`Session::next_timeout`]:
//!
//! ```text
//! loop { session.handle(now, input); while let Some(output) = session.poll() { act on it } }
//! ```
//!
//! `settings` holds what it needs to know, `attempt` brings a connection up, `incoming` reads its frames, `outcome`
//! decides what follows a failure, `sending` holds what the user sends until it can be written,
//! `subscribing` tells the server which channels are wanted.

mod attempt;
mod incoming;
mod outcome;
mod overlap;
mod resuming;
mod sending;
mod settings;
mod subscribing;

pub use settings::{Settings, TokenSource};

use super::{
    backoff::Backoff,
    breaker::Breaker,
    channels::Channels,
    decimal::decimal,
    error::{Error, ErrorKind},
    lifecycle::{Cause, Lifecycle, Side},
    message::{CloseInfo, DialRequest, Message, Negotiated, Payload},
    outbox::{Outbox, SendOptions},
    random::Random,
    record::{Reason, Reconnect, Record},
    requests::Requests,
    resume::{Resume, ResumePoint, Sequence},
    secret::Secret,
    state::State,
    stats::Stats,
    time::Timestamp,
    timers::{Timer, Timers},
    token::Tokens,
};
use incoming::Roles;
use overlap::Successor;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// What happens to a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<P> {
    /// The user wants a connection.
    Connect,
    /// The user wants none any more.
    Close {
        /// 1000 or 3000 to 4999.
        code: u16,
        /// At most 123 bytes.
        reason: String,
        /// Whether it is because every handle is gone.
        dropped: bool,
    },
    /// What a handshake agreed on. Comes before its `Opened`, if at all.
    Negotiated {
        /// Which dial.
        generation: u64,
        /// What it was.
        negotiated: Negotiated,
    },
    /// The user has a message for the server. It is answered with [`Output::Send`] or [`Output::Settled`], now or later,
    /// unless it is refused or withdrawn.
    Send {
        /// A number of the user's, to be given back. Each is used once.
        id: u64,
        /// The message.
        message: Message,
        /// How long it may wait, and for what.
        options: SendOptions,
    },
    /// The user has a message whose reply he awaits. It is answered with [`Output::Reply`] or [`Output::Settled`], unless it
    /// is refused or withdrawn.
    Request {
        /// A number of the user's, as of a message.
        id: u64,
        /// The message: a JSON object.
        message: Message,
        /// How long it may take until the reply is there.
        timeout: Duration,
    },
    /// The user no longer wants a message to be sent. Of one that is written nothing is left to withdraw.
    Withdraw {
        /// Which message.
        id: u64,
    },
    /// The user wants the events of a channel, on this connection and on every one that follows.
    Subscribe {
        /// Which one. What is subscribed already stays so.
        channel: Arc<str>,
    },
    /// The user wants them no more.
    Unsubscribe {
        /// Which one.
        channel: Arc<str>,
    },
    /// The socket has room for a message: where [`Session::wants_room`], the next one that waits is written.
    Room {
        /// Which socket.
        generation: u64,
    },
    /// A dial succeeded.
    Opened {
        /// Which dial.
        generation: u64,
    },
    /// A dial failed.
    DialFailed {
        /// Which dial.
        generation: u64,
        /// Why.
        error: Error,
    },
    /// A message came.
    Message {
        /// On which socket.
        generation: u64,
        /// The message.
        payload: P,
    },
    /// A sign of life that is no message: a ping or a pong.
    Alive {
        /// Of which socket.
        generation: u64,
    },
    /// The answer to an [`Output::Ping`].
    Pong {
        /// Of which socket.
        generation: u64,
    },
    /// A socket ended.
    Closed {
        /// Which socket.
        generation: u64,
        /// How.
        info: CloseInfo,
    },
    /// The token provider answered.
    Token {
        /// The generation of its [`Output::FetchToken`].
        generation: u64,
        /// Its answer.
        result: Result<Secret, Error>,
    },
    /// What the platform's calendar says: the time since 1970-01-01T00:00:00Z. For those who have one, when a session begins
    /// to connect, when a token came, and before a `Timeout`; it tells when a token ends.
    Clock {
        /// The calendar's time.
        unix: Duration,
    },
    /// The network changed.
    Network(NetworkChange),
    /// [`Session::next_timeout`] has passed. Early calls do no harm.
    Timeout,
}

/// What is known to have happened to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkChange {
    /// There is none: tries wait, and waiting costs no tries.
    Offline,
    /// There is one again: a waiting try begins, an open connection is probed.
    Online,
    /// It is another one, or time was lost: an open connection is probed.
    Changed,
}

/// What a session wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output<P> {
    /// Dial, and answer with `Opened` or `DialFailed`. There is never more than one dial or socket, but while a
    /// connection takes the place of another that has grown old.
    Dial {
        /// To be given back with everything that concerns this dial and its socket.
        generation: u64,
        /// Where and how.
        request: DialRequest,
    },
    /// Ask the token provider, and answer with `Token`. A new request replaces one under way.
    FetchToken {
        /// To be given back with the answer.
        generation: u64,
    },
    /// Write a message.
    Send {
        /// To which socket.
        generation: u64,
        /// The message.
        message: Message,
        /// The number of the user's message, if it is one. Its sender is told how the writing went.
        id: Option<u64>,
    },
    /// The outbox has a place for a message of the user's.
    Accepted {
        /// Which message.
        id: u64,
    },
    /// The reply to a request.
    Reply {
        /// Which request.
        id: u64,
        /// The reply, or what the server says is wrong.
        reply: Result<P, Error>,
    },
    /// A message of the user's will not be written, or the reply to it will not come.
    Settled {
        /// Which message.
        id: u64,
        /// Why not.
        error: Error,
    },
    /// Write a ping of the protocol; the answer comes back as `Pong`.
    Ping {
        /// To which socket.
        generation: u64,
    },
    /// Start the closing handshake; its end comes back as `Closed`.
    Close {
        /// Of which socket.
        generation: u64,
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// Drop this dial, socket or token request now; nothing more is wanted of it.
    Abort {
        /// Which one.
        generation: u64,
        /// The code to tell the peer where that takes no waiting.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
    /// An event for the listeners.
    Event(P),
    /// A step in the life of the client.
    Lifecycle(Lifecycle),
}

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
    /// Tries since the last hello, the current one included.
    attempt: u32,
    tokens: Tokens,
    /// Whether the token provider is asked.
    fetching: bool,
    /// How renewals are spaced that fail.
    renewals: Backoff,
    /// Whether a `refresh-once` was spent since the last hello.
    refreshed: bool,
    online: bool,
    /// Whether there was no network at some time during the current try: its failure is not the server's.
    excused: bool,
    dialled_at: Timestamp,
    /// When the hello came.
    up_at: Timestamp,
    last_received: Timestamp,
    lost_at: Option<Timestamp>,
    health_check_sent: Option<Timestamp>,
    ping_sent: Option<Timestamp>,
    connection_id: Option<Arc<str>>,
    /// The URL of the current dial or connection, as it may be shown.
    shown_url: Arc<str>,
    negotiated: Negotiated,
    /// The health check, filled in for this connection.
    health_frame: String,
    closing: Cause,
    resume: Option<Box<Resume>>,
    sequence: Option<Sequence<P>>,
    outbox: Outbox,
    requests: Requests,
    channels: Channels,
    stats: Stats,
    record: Record,
    outputs: VecDeque<Output<P>>,
    now: Timestamp,
}

/// How soon after the network is back a try may begin: drawn at random below this, for others are back too.
const RETURN_SPREAD: Duration = Duration::from_millis(500);

/// The longest reason a close frame has room for.
pub(crate) const MAX_CLOSE_REASON: usize = 123;

impl<P: Payload> Session<P> {
    /// A session that is idle.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the path of the setting that is wrong.
    pub fn new(mut settings: Settings) -> Result<Self, Error> {
        let clamped = settings.check::<P>()?;
        let roles = Roles::new(&settings.dialect, P::PARTS);
        let resume = match P::PARTS.resume {
            true => Resume::new(settings.dialect.resume.as_ref(), settings.resume),
            false => None,
        };
        let tokens = match &settings.token {
            TokenSource::Static(token) => Tokens::given(Some(token.clone())),
            _ => Tokens::default(),
        };
        Ok(Self {
            names: P::names(&settings.dialect.type_field, roles.types(), settings.dialect.any_text),
            roles,
            random: Random::new(settings.seed),
            backoff: Backoff::new(settings.backoff),
            breaker: settings.breaker.map(Breaker::new),
            timers: Timers::default(),
            state: State::Idle,
            link: Link::None,
            generation: 0,
            last_generation: 0,
            successor: None,
            attempt: 0,
            tokens,
            fetching: false,
            renewals: Backoff::new(settings.backoff),
            refreshed: false,
            online: true,
            excused: false,
            dialled_at: Timestamp::default(),
            up_at: Timestamp::default(),
            last_received: Timestamp::default(),
            lost_at: None,
            health_check_sent: None,
            ping_sent: None,
            connection_id: None,
            shown_url: Arc::from(""),
            negotiated: Negotiated::default(),
            health_frame: String::new(),
            closing: Cause::ByUser,
            resume: resume.map(Box::new),
            sequence: None,
            outbox: Outbox::new(settings.outbox),
            requests: Requests::default(),
            channels: Channels::default(),
            stats: Stats::default(),
            record: Record::default(),
            outputs: clamped.into_iter().map(Output::Lifecycle).collect(),
            now: Timestamp::default(),
            settings,
        })
    }

    /// Finds the number of an event by a function instead of by the dialect's path. Without a rule in the dialect, numbers
    /// follow one another without a hole.
    pub fn set_sequence(&mut self, sequence: Sequence<P>) {
        if P::PARTS.resume {
            self.sequence = Some(sequence);
            let rule = self.settings.dialect.resume.clone().unwrap_or_default();
            self.resume = Resume::new(Some(&rule), self.settings.resume).map(Box::new);
        }
    }

    /// Where a connection that begins now would go on; nothing in it where there is nothing to go on with.
    pub fn resume_point(&self) -> Option<ResumePoint> {
        if !P::PARTS.resume {
            return None;
        }
        self.resume.as_ref().map(|resume| resume.point())
    }

    /// Tells the session what happened, and when. Time that goes back is taken as standing still.
    ///
    /// # Errors
    /// Only what the user asked for can be refused: `Connect` and `Close` with [`ErrorKind::InvalidState`] or
    /// [`ErrorKind::InvalidInput`], `Send` with [`ErrorKind::Closed`] where no connection is on its way, and with
    /// [`ErrorKind::Overflow`]. Everything else is accepted, and counted where it is stale.
    pub fn handle(&mut self, now: Timestamp, input: Input<P>) -> Result<(), Error> {
        self.now = self.now.max(now);
        match input {
            Input::Message { generation, payload } => {
                if let Some(event) = self.message(generation, payload) {
                    self.outputs.push_back(Output::Event(event));
                }
            }
            Input::Alive { generation } if self.is_successor(generation) => {}
            Input::Alive { generation } => {
                if self.is_current(generation, &[Link::Hello, Link::Up, Link::Closing]) {
                    self.last_received = self.now;
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
            Input::Room { generation } => self.room(generation),
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
            Input::Timeout => {
                while let Some(timer) = self.timers.take_due(self.now) {
                    self.fire(timer);
                }
                self.expire();
            }
        }
        Ok(())
    }

    /// The same as [`handle`](Self::handle) with [`Input::Message`], for a driver in a hurry: an ordinary event comes
    /// back at once, where otherwise it would be the only output.
    pub(crate) fn receive(&mut self, now: Timestamp, generation: u64, payload: P) -> Option<P> {
        debug_assert!(self.outputs.is_empty(), "what was to be done before is done");
        self.now = self.now.max(now);
        self.message(generation, payload)
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// When to call with [`Input::Timeout`]. `None`: nothing is waited for.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let expiry = if P::PARTS.outbox { self.outbox.deadline() } else { None };
        let reply = if P::PARTS.requests { self.requests.deadline() } else { None };
        self.timers.next().into_iter().chain(expiry).chain(reply).min()
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

    fn tell(&mut self, step: Lifecycle) {
        self.outputs.push_back(Output::Lifecycle(step));
    }

    /// The error without the token, which a server may have sent back in its answer.
    fn redacted(&self, error: Error) -> Error {
        match self.tokens.get() {
            Some(token) => error.without(token.reveal()),
            None => error,
        }
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

    fn connect(&mut self) -> Result<(), Error> {
        if !self.state.is_end() {
            return Err(in_use(self.state));
        }
        self.attempt = 0;
        self.refreshed = false;
        self.lost_at = None;
        self.backoff.reset();
        self.set_state(State::Connecting);
        // A breaker that is open stays open, whoever asks; and without a network there is nothing to try.
        match self.online && self.held_back().is_zero() {
            true => self.begin_attempt(),
            false if self.online => self.back_off(Error::new(ErrorKind::Connect, "the circuit breaker is open"), None),
            false => self.back_off(Error::new(ErrorKind::Connect, "there is no network"), None),
        }
        Ok(())
    }

    /// Ends for good, whatever is under way (S0-21).
    fn close(&mut self, code: u16, reason: String, dropped: bool) -> Result<(), Error> {
        check_close(code, &reason)?;
        self.closing = if dropped { Cause::Dropped } else { Cause::ByUser };
        match self.state {
            State::Closed | State::Failed | State::Disconnecting => return Ok(()),
            State::Idle | State::BackingOff => {
                self.end(self.closing.clone());
                return Ok(());
            }
            _ => self.set_state(State::Disconnecting),
        }
        self.drop_successor();
        self.timers.stop_all();
        match self.link {
            Link::Hello | Link::Up => {
                if P::PARTS.channels {
                    self.channels.disconnected();
                }
                self.write_all();
                self.link = Link::Closing;
                self.connection_id = None;
                self.count_connected();
                self.timers.set(Timer::Close, self.now + self.settings.close_timeout);
                self.tell_closing(code, &reason, Side::Client);
                self.outputs.push_back(Output::Close { generation: self.generation, code, reason });
            }
            _ => {
                self.abort(1000, "client disconnect");
                self.end(self.closing.clone());
            }
        }
        Ok(())
    }

    fn tell_closing(&mut self, code: u16, reason: &str, by: Side) {
        if P::PARTS.records {
            self.tell(Lifecycle::Closing { code, reason: Arc::from(reason), by });
        }
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
        self.outputs.push_back(Output::Send { generation, message, id });
    }

    fn network(&mut self, change: NetworkChange) {
        self.online = change != NetworkChange::Offline;
        self.excused |= !self.online;
        match self.state {
            State::Connected if self.online && self.link == Link::Up => self.probe(),
            State::BackingOff if !self.online => self.timers.stop(Timer::Backoff),
            State::BackingOff if !self.timers.is_set(Timer::Backoff) || change == NetworkChange::Online => {
                let wait = RETURN_SPREAD.mul_f64(self.random.fraction()).max(self.held_back());
                self.timers.set(Timer::Backoff, self.now + wait);
            }
            _ => {}
        }
    }

    /// Asks the server for a sign of life. Without a health check there is no question to ask.
    fn probe(&mut self) {
        if self.settings.dialect.health_check.is_some() {
            self.send_health_check();
            self.timers.set(Timer::Probe, self.now + self.settings.probe_timeout);
        }
    }

    fn send_health_check(&mut self) {
        self.stats.health_checks += 1;
        self.health_check_sent = Some(self.now);
        if P::PARTS.records {
            self.tell(Lifecycle::Ping { payload: Arc::from(self.health_frame.as_str()) });
        }
        self.write(Message::Text(self.health_frame.clone()), None);
        self.timers.set(Timer::HealthCheck, self.now + self.settings.health_interval());
    }

    fn ping(&mut self) {
        self.outputs.push_back(Output::Ping { generation: self.generation });
        self.tell(Lifecycle::Ping { payload: Arc::from("") });
        if let Some(interval) = self.settings.ping_interval {
            self.timers.set(Timer::Ping, self.now + interval);
        }
        // One that is still unanswered keeps its deadline.
        if self.ping_sent.is_none() {
            self.ping_sent = Some(self.now);
            self.timers.set(Timer::Pong, self.now + self.settings.ping_timeout);
        }
    }

    fn pong(&mut self) {
        self.last_received = self.now;
        self.timers.stop(Timer::Pong);
        if let Some(sent) = self.ping_sent.take() {
            self.round_trip(self.now - sent);
        }
    }

    /// The answer to a health check or a ping came.
    fn round_trip(&mut self, latency: Duration) {
        self.stats.latency = Some(latency);
        if P::PARTS.records {
            self.record.round_trip(latency, &mut self.stats);
            self.tell(Lifecycle::Pong { latency });
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Ping | Timer::Pong if !P::PARTS.ping => {}
            Timer::Ping => self.ping(),
            // Any sign of life will do: an answer may be behind a long message.
            Timer::Pong => match self.ping_sent.take() {
                Some(sent) if self.last_received < sent => self.timed_out(Reason::Pong),
                _ => {}
            },
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
            Timer::Silence => {
                let due = self.last_received + self.settings.silence().unwrap_or(Duration::MAX);
                if due <= self.now {
                    self.timed_out(Reason::Silence);
                } else {
                    self.timers.set(Timer::Silence, due);
                }
            }
            Timer::Probe => {
                if self.health_check_sent.is_some_and(|sent| self.last_received < sent) {
                    self.timed_out(Reason::Probe);
                }
            }
            Timer::Stable => self.backoff.reset(),
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

/// The answer to a `connect` that comes too early (S0-20).
pub(crate) fn in_use(state: State) -> Error {
    let message = ["the client is ", state.as_str(), " already; close it first"].concat();
    Error::new(ErrorKind::InvalidState, message)
}

/// What may be sent in a close frame: a browser allows no other codes (see the WebSocket API's `close`).
pub(crate) fn check_close(code: u16, reason: &str) -> Result<(), Error> {
    if code != 1000 && !(3000..=4999).contains(&code) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            ["close code ", &decimal(code.into()), " is not 1000 or 3000 to 4999"].concat(),
        ));
    }
    if reason.len() > MAX_CLOSE_REASON {
        return Err(Error::new(ErrorKind::InvalidInput, "a close reason has at most 123 bytes"));
    }
    Ok(())
}
