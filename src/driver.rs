//! The one loop behind every client, on both targets: session ↔ socket ↔ timer ↔ commands ↔ listeners.
//!
//! It decides nothing. It feeds the session what happens and does what the session says, in that order, and reads all
//! frames that are ready before it looks at timers and commands.

mod acting;
mod waiting;

pub(crate) use waiting::as_error;

use crate::{
    handle::Handle,
    observe::Observer,
    platform::{self, Ask, BoxFuture, Clock, MaybeSend, Sleep, Watch},
    proto::{Error, ErrorKind, Input, Lifecycle, Payload, Secret, Sequence, Session, Settings, Timestamp},
    sending::Tickets,
    shared::{Command, DriverEnd, Orphaned, Outgoing, Shared, Surroundings},
    transport::{Connector, Incoming, Transport},
};
use std::task::{Context, Poll, Waker};
use waiting::Waiting;

/// Gives events and lifecycle steps to whoever listens. Called on the driver's own task.
pub(crate) trait Dispatch<P: Payload>: MaybeSend + 'static {
    /// Calls the listeners of an event. One that fails is isolated, and its failure pushed.
    fn event(&mut self, payload: P, failures: &mut Vec<Error>);

    /// Gives the answer to a request to whoever waits for it. What nobody waits for comes back.
    fn reply(&mut self, id: u64, reply: Result<P, Error>) -> Option<Result<P, Error>> {
        let _ = id;
        Some(reply)
    }

    /// Calls the listeners of a lifecycle step.
    fn lifecycle(&mut self, step: &Lifecycle);

    /// Whether events have been gathered for readers that run on tasks of their own.
    fn has_gathered(&self) -> bool {
        false
    }

    /// All that was ready has been read: hands over what was gathered, and pushes what failed elsewhere.
    fn end_of_round(&mut self, _failures: &mut Vec<Error>) {}
}

/// What runs in the background until it is done.
pub(crate) trait Drive: MaybeSend + 'static {
    /// Does all there is to do; ready when nothing is left.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// It is dropped before it is done, with the runtime that it ran on.
    #[allow(dead_code, reason = "a page drops nothing in the middle of its work")]
    fn leave(&mut self);
}

/// How many frames are read before timers and commands have their turn.
const FRAMES: usize = 128;
/// How many commands are taken before frames and timers have their turn.
const COMMANDS: usize = 64;
/// How many rounds the driver runs before other tasks have their turn.
const ROUNDS: usize = 4;

/// Starts a driver in the background. It is idle until [`Handle::connect`].
pub(crate) fn start<C: Connector, D: Dispatch<C::Payload>>(
    settings: Box<Settings>,
    sequence: Option<Sequence<C::Payload>>,
    provider: Option<Ask<Result<String, Error>>>,
    connector: C,
    dispatch: D,
) -> Result<Handle, Error>
where
    <C::Payload as Payload>::Names: MaybeSend,
{
    let observer = Observer::new(&settings);
    let mut session = Session::new(*settings)?;
    if let Some(sequence) = sequence {
        session.set_sequence(sequence);
    }
    let clock = Clock::start();
    let shared = Shared::new(clock);
    let told = shared.clone();
    let watch = platform::watch(move |change| told.tell(change));
    let driver = Driver {
        session,
        connector,
        dispatch,
        observer,
        provider,
        shared: DriverEnd(shared.clone()),
        clock,
        now: Timestamp::default(),
        socket: None,
        successor: None,
        dial: None,
        token: None,
        timer: None,
        _watch: watch,
        tickets: Tickets::default(),
        waiting: Waiting::default(),
        failures: Vec::new(),
        listener_failures: 0,
        orphaned: false,
    };
    platform::drive(driver)?;
    Ok(Handle::new(shared))
}

/// A question that was asked for a generation, and is not answered yet.
type UnderWay<T> = Option<(u64, BoxFuture<Result<T, Error>>)>;

struct Driver<C: Connector, D> {
    session: Session<C::Payload>,
    connector: C,
    dispatch: D,
    observer: Observer,
    provider: Option<Ask<Result<String, Error>>>,
    shared: DriverEnd,
    clock: Clock,
    now: Timestamp,
    socket: Option<(u64, C::Transport)>,
    /// A socket that takes the place of the other, as soon as the session has done with that.
    successor: Option<(u64, C::Transport)>,
    dial: UnderWay<C::Transport>,
    token: UnderWay<String>,
    timer: Option<(Timestamp, Sleep)>,
    _watch: Watch,
    /// Who waits for the messages that the session was given.
    tickets: Tickets,
    waiting: Waiting,
    failures: Vec<Error>,
    listener_failures: u64,
    orphaned: bool,
}

impl<C: Connector, D: Dispatch<C::Payload>> Driver<C, D> {
    /// Does all there is to do; ready when every handle is gone and the connection has ended.
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            self.now = self.clock.now();
            self.hold();
            self.act();
            // Each part is polled until it has no more to do, and has left its waker where it waits. Only what comes
            // after the socket can give the socket more to do: then there is another round.
            let mut busy = self.poll_socket(cx)
                | self.poll_successor(cx)
                | self.poll_commands(cx)
                | self.poll_dial(cx)
                | self.poll_token(cx)
                | self.poll_timer(cx);
            self.poll_outbox(cx);
            for (_, socket) in self.socket.iter_mut().chain(&mut self.successor) {
                let _ = socket.poll_flush(cx);
            }
            // What was written has made room.
            busy |= self.poll_outbox(cx);
            let gathered = self.dispatch.has_gathered();
            self.dispatch.end_of_round(&mut self.failures);
            self.tell_failures();
            let ended = self.orphaned && self.session.state().is_end();
            if ended || !busy {
                self.let_pass();
                self.publish();
                return if ended { Poll::Ready(()) } else { Poll::Pending };
            }
            if gathered {
                // Readers have their turn while what was read is still warm.
                break;
            }
        }
        self.publish();
        platform::wake_later(cx);
        Poll::Pending
    }

    /// Reads what is ready; true if there is more.
    fn poll_socket(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..FRAMES {
            if self.shared.0.is_closing() {
                // A listener closed the client: what comes after that is not delivered.
                return true;
            }
            let Some((generation, socket)) = &mut self.socket else { return false };
            let generation = *generation;
            match socket.poll_recv(cx) {
                Poll::Ready(Incoming::Message(payload)) => match self.session.receive(self.now, generation, payload) {
                    Some(event) => self.event(event),
                    None => self.act(),
                },
                Poll::Ready(Incoming::Alive) => self.feed(Input::Alive { generation }),
                Poll::Ready(Incoming::Pong) => self.feed(Input::Pong { generation }),
                Poll::Ready(Incoming::Closed(info)) => {
                    self.socket = self.successor.take();
                    self.feed(Input::Closed { generation, info });
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    /// As long as the driver has its turn nothing passes the session by, which learns what has.
    fn hold(&mut self) {
        let Some((generation, socket)) = &mut self.socket else { return };
        let generation = *generation;
        if let Some(passed) = socket.hold() {
            self.feed(Input::Passed { generation, passed });
            // Whoever looks in the middle of the turn finds no less than before it.
            self.publish();
        }
    }

    /// Where it concerns nobody but the listeners what comes next, it may go to them without the session, until something is due.
    fn let_pass(&mut self) {
        if let Some((_, socket)) = &mut self.socket
            && self.session.lets_pass()
        {
            socket.let_pass(&self.clock, self.session.next_timeout().unwrap_or(Timestamp::NEVER));
        }
    }

    /// Reads the first message of the socket that takes the place of the other.
    fn poll_successor(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((generation, socket)) = &mut self.successor else { return false };
        let generation = *generation;
        match socket.poll_recv(cx) {
            Poll::Ready(Incoming::Message(payload)) => self.feed(Input::Message { generation, payload }),
            Poll::Ready(Incoming::Closed(info)) => {
                self.successor = None;
                self.feed(Input::Closed { generation, info });
            }
            Poll::Ready(_) => self.feed(Input::Alive { generation }),
            Poll::Pending => return false,
        }
        true
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> bool {
        if self.orphaned || !self.shared.0.is_called(cx.waker()) {
            return false;
        }
        for taken in 0..COMMANDS {
            // Message by message, so that no burst fills the outbox while the socket has room.
            self.poll_outbox(cx);
            match self.shared.0.take_command() {
                Ok(Some(command)) => self.command(command),
                Ok(None) => return taken > 0,
                Err(Orphaned) => {
                    self.orphaned = true;
                    self.feed(Input::Close { code: 1000, reason: DISCONNECT.to_owned(), dropped: true });
                    return true;
                }
            }
        }
        self.shared.0.leave();
        true
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Connect => {
                self.tell_date();
                self.feed(Input::Connect);
            }
            Command::Close { code, reason, done } => {
                self.feed(Input::Close { code, reason, dropped: false });
                self.closed(done);
            }
            Command::Send(outgoing) => self.send(outgoing),
            Command::Request { id, message, timeout } => {
                let result = self.session.handle(self.now, Input::Request { id, message, timeout });
                self.act_and_settle(id, result);
            }
            Command::Subscribe(channel) => self.feed(Input::Subscribe { channel }),
            Command::Unsubscribe(channel) => self.feed(Input::Unsubscribe { channel }),
            Command::Withdraw(id) => {
                self.tickets.forget(id);
                self.feed(Input::Withdraw { id });
            }
            Command::Ready(asked) => self.ready(asked),
            Command::Closed(asked) => self.closed(asked),
            Command::Surroundings(Surroundings::Network(change)) => self.feed(Input::Network(change)),
            Command::Surroundings(Surroundings::Page(change)) => self.feed(Input::Page(change)),
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { id, message, options, accepted, written } = outgoing;
        self.tickets.add(id, accepted, written);
        let result = self.session.handle(self.now, Input::Send { id, message, options });
        self.act_and_settle(id, result);
    }

    /// Does what the session says of a message of the user's.
    fn act_and_settle(&mut self, id: u64, result: Result<(), Error>) {
        self.act();
        if let Err(error) = result {
            self.settle(id, Err(error));
        }
    }

    /// Gives the socket what waits for it, as far as it has room; true if anything was written.
    fn poll_outbox(&mut self, cx: &mut Context<'_>) -> bool {
        let mut written = false;
        while let Some(generation) = self.poll_room(cx) {
            let more = self.session.write_next(self.now, generation);
            self.act();
            if !more {
                break;
            }
            written = true;
        }
        written
    }

    /// The socket that has room for what waits.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Option<u64> {
        if !self.session.wants_room() {
            return None;
        }
        let (generation, socket) = self.socket.as_mut()?;
        socket.poll_room(cx).is_ready().then_some(*generation)
    }

    fn poll_dial(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((generation, dial)) = &mut self.dial else { return false };
        let generation = *generation;
        let Poll::Ready(result) = dial.as_mut().poll(cx) else { return false };
        self.dial = None;
        match result {
            Ok(mut socket) => {
                if C::Payload::PARTS.records {
                    self.feed(Input::Negotiated { generation, negotiated: socket.negotiated() });
                }
                let place = if self.socket.is_none() { &mut self.socket } else { &mut self.successor };
                *place = Some((generation, socket));
                self.feed(Input::Opened { generation });
            }
            Err(error) => self.feed(Input::DialFailed { generation, error }),
        }
        true
    }

    fn poll_token(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((generation, token)) = &mut self.token else { return false };
        let generation = *generation;
        let result = match platform::isolate(|| token.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(result)) => result.map(Secret::from),
            Err(_) => Err(Error::new(ErrorKind::Token, "the token provider panicked")),
        };
        self.token = None;
        self.tell_date();
        self.feed(Input::Token { generation, result });
        true
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.session.next_timeout() else {
            self.timer = None;
            return false;
        };
        let timer = match &mut self.timer {
            Some((at, timer)) if *at == due => timer,
            Some((at, timer)) => {
                *at = due;
                timer.reset(&self.clock, due);
                timer
            }
            none => &mut none.insert((due, Sleep::until(&self.clock, due))).1,
        };
        // What is due is done, though a browser may hold its timers back: whatever woke the driver will do (N-5).
        if timer.poll(cx).is_pending() && self.now < due {
            return false;
        }
        // The clock is trusted, not the timer: an early one is set anew.
        self.timer = None;
        self.now = self.clock.now();
        self.tell_date();
        self.feed(Input::Timeout);
        true
    }

    /// Tokens end by the calendar, and the reconnect log has dates.
    fn tell_date(&mut self) {
        if C::Payload::PARTS.renewal {
            self.feed(Input::Clock { unix: platform::unix_time() });
        }
    }

    /// Tells the session, and does what it says. A refusal that nobody waits for is a lifecycle error.
    // Inlined, as `Session::handle` is: each caller keeps the part for its own input.
    #[inline(always)]
    fn feed(&mut self, input: Input<C::Payload>) {
        let result = self.session.handle(self.now, input);
        self.act_and_report(result);
    }

    fn act_and_report(&mut self, result: Result<(), Error>) {
        self.act();
        if let Err(error) = result {
            self.report(error);
        }
    }
}

impl<C: Connector, D: Dispatch<C::Payload>> Drive for Driver<C, D>
where
    <C::Payload as Payload>::Names: MaybeSend,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.run(cx)
    }

    /// The connection is closed as far as that takes no waiting, waiters are told, and what can be seen of the client is its end.
    fn leave(&mut self) {
        self.now = self.clock.now();
        let cx = &mut Context::from_waker(Waker::noop());
        // What was asked for just before counts.
        self.poll_commands(cx);
        if self.session.state().is_end() {
            return;
        }
        self.feed(Input::Close { code: 1000, reason: DISCONNECT.to_owned(), dropped: true });
        for (_, socket) in self.socket.iter_mut().chain(&mut self.successor) {
            let _ = socket.poll_flush(cx);
        }
        // Nobody can wait for the answer.
        while let Some(due) = self.session.next_timeout() {
            self.now = self.now.max(due);
            self.feed(Input::Timeout);
        }
    }
}

/// The reason in the close frame of a client that wants to go (S0-21).
pub(crate) const DISCONNECT: &str = "client disconnect";
