//! The one loop behind every client, on both targets: session ↔ socket ↔ timer ↔ commands ↔ listeners.
//!
//! It decides nothing. It feeds the session what happens and does what the session says, in that order, and reads all
//! frames that are ready before it looks at timers and commands.

use crate::{
    platform::{self, Ask, BoxFuture, Clock, MaybeSend, Sleep},
    proto::{
        Cause, Error, ErrorKind, Input, Lifecycle, Message, NetworkChange, Output, Payload, Secret, Session, Settings,
        State, Stats, Timestamp,
    },
    transport::{Connector, Incoming, Transport},
};
use futures::{
    SinkExt, StreamExt,
    channel::{mpsc, oneshot},
};
use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// Gives events and lifecycle steps to whoever listens. Called on the driver's own task.
pub(crate) trait Dispatch<P: Payload>: MaybeSend + 'static {
    /// Calls the listeners of an event. One that fails is isolated, and its failure pushed.
    fn event(&mut self, payload: P, failures: &mut Vec<Error>);

    /// Calls the listeners of a lifecycle step.
    fn lifecycle(&mut self, step: &Lifecycle);

    /// Once, before the first event: the names of control messages, for a dispatch that shares them.
    fn names(&mut self, _names: &mut P::Names) {}
}

enum Command {
    Connect,
    Close { code: u16, reason: String, done: oneshot::Sender<()> },
    Send(Message, oneshot::Sender<Result<(), Error>>),
    Ready(oneshot::Sender<Result<(), Error>>),
    Closed(oneshot::Sender<Cause>),
    Network(NetworkChange),
}

/// How many commands may wait for the driver, besides one for each caller.
const COMMANDS: usize = 64;
/// How many frames are read before timers and commands have their turn.
const FRAMES: usize = 128;
/// How many rounds the driver runs before other tasks have their turn.
const ROUNDS: usize = 4;

/// What can be seen of a driver from outside.
#[derive(Clone)]
struct Snapshot {
    state: State,
    connection_id: Option<Arc<str>>,
    stats: Stats,
    /// A `connect` that the driver has not taken yet.
    connecting: bool,
}

/// A handle on a running driver. When the last one is dropped, the driver closes the connection and ends.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    snapshot: Arc<Mutex<Snapshot>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a driver in the background. It is idle until [`Handle::connect`].
pub(crate) fn start<C: Connector, D: Dispatch<C::Payload>>(
    settings: Settings,
    provider: Option<Ask<Result<String, Error>>>,
    connector: C,
    mut dispatch: D,
) -> Result<Handle, Error>
where
    <C::Payload as Payload>::Names: MaybeSend,
{
    let mut session = Session::new(settings)?;
    dispatch.names(session.names_mut());
    let (sender, commands) = mpsc::channel(COMMANDS);
    let snapshot = Snapshot { state: State::Idle, connection_id: None, stats: Stats::default(), connecting: false };
    let snapshot = Arc::new(Mutex::new(snapshot));
    let mut driver = Driver {
        session,
        connector,
        dispatch,
        provider,
        commands,
        snapshot: snapshot.clone(),
        clock: Clock::start(),
        now: Timestamp::default(),
        socket: None,
        dial: None,
        token: None,
        timer: None,
        sending: None,
        waiting: Waiting::default(),
        failures: Vec::new(),
        listener_failures: 0,
        orphaned: false,
    };
    platform::spawn(async move { poll_fn(|cx| driver.poll(cx)).await })?;
    Ok(Handle { commands: sender, snapshot })
}

impl Handle {
    /// Starts to connect.
    pub(crate) fn connect(&self) -> Result<(), Error> {
        let mut snapshot = lock(&self.snapshot);
        if snapshot.connecting || !snapshot.state.is_end() {
            let message = format!("the client is {} already; close it first", snapshot.state);
            return Err(Error::new(ErrorKind::InvalidState, message));
        }
        self.commands.clone().try_send(Command::Connect).map_err(|_| gone())?;
        snapshot.connecting = true;
        Ok(())
    }

    /// Waits for the hello, or for the end.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.ask(Command::Ready).await?
    }

    /// Waits until the message is handed to the socket of an authenticated connection.
    pub(crate) async fn send(&self, message: Message) -> Result<(), Error> {
        self.ask(|answer| Command::Send(message, answer)).await?
    }

    /// Closes and waits for the end.
    pub(crate) async fn close(&self, code: u16, reason: &str) -> Result<(), Error> {
        crate::proto::check_close(code, reason)?;
        let reason = reason.to_owned();
        // A driver that is gone has closed.
        let _ = self.ask(|done| Command::Close { code, reason, done }).await;
        Ok(())
    }

    /// Waits for the end, and tells its cause.
    pub(crate) async fn closed(&self) -> Cause {
        self.ask(Command::Closed).await.unwrap_or(Cause::Dropped)
    }

    /// Tells the driver what happened to the network.
    pub(crate) async fn network(&self, change: NetworkChange) {
        // A driver that is gone has no use for it.
        let _ = self.commands.clone().send(Command::Network(change)).await;
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.snapshot).state
    }

    pub(crate) fn stats(&self) -> Stats {
        lock(&self.snapshot).stats
    }

    pub(crate) fn connection_id(&self) -> Option<Arc<str>> {
        lock(&self.snapshot).connection_id.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        self.commands.clone().send(command(sender)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the client has ended, or its runtime was shut down")
}

/// Those who wait for a change.
#[derive(Default)]
struct Waiting {
    ready: Vec<oneshot::Sender<Result<(), Error>>>,
    closed: Vec<oneshot::Sender<Cause>>,
    closing: Vec<oneshot::Sender<()>>,
    last: Option<Cause>,
}

impl Waiting {
    fn settle_ready(&mut self, result: &Result<(), Error>) {
        for waiter in self.ready.drain(..) {
            // Whoever has stopped waiting needs no answer.
            let _ = waiter.send(result.clone());
        }
    }

    fn settle_closed(&mut self, cause: &Cause) {
        self.settle_ready(&Err(as_error(cause)));
        for waiter in self.closed.drain(..) {
            let _ = waiter.send(cause.clone());
        }
        for waiter in self.closing.drain(..) {
            let _ = waiter.send(());
        }
        self.last = Some(cause.clone());
    }
}

fn as_error(cause: &Cause) -> Error {
    cause.error().cloned().unwrap_or_else(|| Error::new(ErrorKind::Closed, cause.to_string()))
}

/// Adds a waiter, and forgets those who have gone: a list of them does not grow without end.
fn wait<T>(waiters: &mut Vec<oneshot::Sender<T>>, waiter: oneshot::Sender<T>) {
    waiters.retain(|waiter| !waiter.is_canceled());
    waiters.push(waiter);
}

/// A question that was asked for a generation, and is not answered yet.
type UnderWay<T> = Option<(u64, BoxFuture<Result<T, Error>>)>;

struct Driver<C: Connector, D> {
    session: Session<C::Payload>,
    connector: C,
    dispatch: D,
    provider: Option<Ask<Result<String, Error>>>,
    commands: mpsc::Receiver<Command>,
    snapshot: Arc<Mutex<Snapshot>>,
    clock: Clock,
    now: Timestamp,
    socket: Option<(u64, C::Transport)>,
    dial: UnderWay<C::Transport>,
    token: UnderWay<String>,
    timer: Option<(Timestamp, Sleep)>,
    /// Who waits for the message that the session is being given.
    sending: Option<oneshot::Sender<Result<(), Error>>>,
    waiting: Waiting,
    failures: Vec<Error>,
    listener_failures: u64,
    orphaned: bool,
}

impl<C: Connector, D: Dispatch<C::Payload>> Driver<C, D> {
    /// Does all there is to do; ready when every handle is gone and the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            self.now = self.clock.now();
            self.act();
            // Every part is polled until none has more to do, so that each has left its waker where it waits.
            let busy = self.poll_socket(cx)
                | self.poll_commands(cx)
                | self.poll_dial(cx)
                | self.poll_token(cx)
                | self.poll_timer(cx);
            if let Some((_, socket)) = &mut self.socket {
                let _ = socket.poll_flush(cx);
            }
            self.publish();
            if self.orphaned && self.session.state().is_end() {
                return Poll::Ready(());
            }
            if !busy {
                return Poll::Pending;
            }
        }
        platform::wake_later(cx);
        Poll::Pending
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..FRAMES {
            let Some((generation, socket)) = &mut self.socket else { return false };
            let generation = *generation;
            match socket.poll_recv(cx) {
                Poll::Ready(Incoming::Message(payload)) => match self.session.receive(self.now, generation, payload) {
                    Some(event) => self.event(event),
                    None => self.act(),
                },
                Poll::Ready(Incoming::Alive) => self.feed(Input::Alive { generation }),
                Poll::Ready(Incoming::Closed(info)) => {
                    self.socket = None;
                    self.feed(Input::Closed { generation, info });
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> bool {
        if self.orphaned {
            return false;
        }
        match self.commands.poll_next_unpin(cx) {
            Poll::Ready(Some(command)) => self.command(command),
            Poll::Ready(None) => {
                self.orphaned = true;
                self.feed(Input::Close { code: 1000, reason: DISCONNECT.to_owned(), dropped: true });
            }
            Poll::Pending => return false,
        }
        true
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Connect => {
                lock(&self.snapshot).connecting = false;
                self.feed(Input::Connect);
            }
            Command::Close { code, reason, done } => {
                self.waiting.closing.push(done);
                self.feed(Input::Close { code, reason, dropped: false });
                if matches!(self.session.state(), State::Closed | State::Failed) {
                    self.waiting.closing.clear();
                }
            }
            Command::Send(message, answer) => {
                self.sending = Some(answer);
                let result = self.session.handle(self.now, Input::Send(message));
                self.act();
                if let Some(answer) = self.sending.take() {
                    let _ = answer.send(result);
                }
            }
            Command::Ready(waiter) => self.ready(waiter),
            Command::Closed(waiter) => match (&self.waiting.last, self.session.state()) {
                (Some(cause), State::Closed | State::Failed) => drop(waiter.send(cause.clone())),
                _ => wait(&mut self.waiting.closed, waiter),
            },
            Command::Network(change) => self.feed(Input::Network(change)),
        }
    }

    fn ready(&mut self, waiter: oneshot::Sender<Result<(), Error>>) {
        let answer = match self.session.state() {
            State::Connected => Ok(()),
            State::Idle => Err(Error::new(ErrorKind::InvalidState, "`connect` was not called")),
            State::Closed | State::Failed => Err(self.waiting.last.as_ref().map_or_else(gone, as_error)),
            _ => return wait(&mut self.waiting.ready, waiter),
        };
        let _ = waiter.send(answer);
    }

    fn poll_dial(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((generation, dial)) = &mut self.dial else { return false };
        let generation = *generation;
        let Poll::Ready(result) = dial.as_mut().poll(cx) else { return false };
        self.dial = None;
        match result {
            Ok(socket) => {
                self.socket = Some((generation, socket));
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
        if timer.poll(cx).is_pending() {
            return false;
        }
        // The clock is trusted, not the timer: an early one is set anew.
        self.timer = None;
        self.now = self.clock.now();
        self.feed(Input::Timeout);
        true
    }

    /// Tells the session, and does what it says. A refusal that nobody waits for is a lifecycle error.
    fn feed(&mut self, input: Input<C::Payload>) {
        let result = self.session.handle(self.now, input);
        self.act();
        if let Err(error) = result {
            self.dispatch.lifecycle(&Lifecycle::Error(error));
        }
    }

    fn act(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Event(payload) => self.event(payload),
                Output::Send { generation, message, by_user } => self.write(generation, message, by_user),
                Output::Dial { generation, request } => {
                    self.socket = None;
                    self.dial = Some((generation, Box::pin(self.connector.dial(request))));
                }
                Output::FetchToken { generation } => self.fetch_token(generation),
                Output::Close { generation, code, reason } => {
                    if let Some((_, socket)) = self.socket.as_mut().filter(|(open, _)| *open == generation) {
                        socket.close(code, &reason);
                    }
                }
                Output::Abort { generation, code, reason } => self.abort(generation, code, reason),
                Output::Lifecycle(step) => self.lifecycle(&step),
            }
        }
    }

    fn event(&mut self, payload: C::Payload) {
        self.dispatch.event(payload, &mut self.failures);
        if self.failures.is_empty() {
            return;
        }
        for error in self.failures.drain(..) {
            self.listener_failures += 1;
            self.dispatch.lifecycle(&Lifecycle::Error(error));
        }
    }

    fn write(&mut self, generation: u64, message: Message, by_user: bool) {
        let result = match &mut self.socket {
            Some((open, socket)) if *open == generation => socket.send(message),
            _ => Err(Error::new(ErrorKind::Closed, "the connection has ended")),
        };
        let waiter = if by_user { self.sending.take() } else { None };
        match (waiter, result) {
            (Some(waiter), result) => drop(waiter.send(result)),
            (None, Err(error)) => self.dispatch.lifecycle(&Lifecycle::Error(error)),
            (None, Ok(())) => {}
        }
    }

    fn fetch_token(&mut self, generation: u64) {
        self.token = self.provider.as_ref().map(|provider| (generation, provider()));
    }

    fn abort(&mut self, generation: u64, code: u16, reason: &str) {
        self.dial.take_if(|(under_way, _)| *under_way == generation);
        self.token.take_if(|(under_way, _)| *under_way == generation);
        if let Some((_, socket)) = self.socket.take_if(|(open, _)| *open == generation) {
            socket.abort(code, reason);
        }
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        // Whoever is told, or was waiting, finds the new state when he looks.
        self.publish();
        self.dispatch.lifecycle(step);
        match step {
            Lifecycle::Connected { .. } => self.waiting.settle_ready(&Ok(())),
            Lifecycle::Closed(cause) => {
                self.socket = None;
                self.waiting.settle_closed(cause);
            }
            _ => {}
        }
    }

    fn publish(&mut self) {
        let mut snapshot = lock(&self.snapshot);
        snapshot.state = self.session.state();
        if snapshot.connection_id.as_ref() != self.session.connection_id() {
            snapshot.connection_id = self.session.connection_id().cloned();
        }
        snapshot.stats = *self.session.stats();
        snapshot.stats.listener_failures = self.listener_failures;
    }
}

/// The reason in the close frame of a client that wants to go (S0-21).
pub(crate) const DISCONNECT: &str = "client disconnect";
