//! The handle on a running driver: commands to it, answers from it, and what can be seen of it from outside.

use crate::{
    answer::{Answer, Asked},
    platform::Clock,
    proto::{
        Cause, Error, ErrorKind, Message, NetworkChange, PageChange, Reconnect, ResumePoint, SendOptions, State, Stats,
        check_close, in_use, queue::Queue,
    },
    sending::Sending,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::Duration,
};

/// What a driver is asked to do. Whoever asks gets one answer, always.
pub(crate) enum Command {
    Connect,
    Close {
        code: u16,
        reason: String,
        done: Asked,
    },
    Send(Outgoing),
    Request {
        id: u64,
        message: Message,
        timeout: Duration,
    },
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
    /// A message that the driver has taken is not wanted any more.
    Withdraw(u64),
    Ready(Asked),
    Closed(Asked),
    Surroundings(Surroundings),
}

/// What happened around a client.
pub(crate) enum Surroundings {
    Network(NetworkChange),
    Page(PageChange),
}

/// A message of the user's.
pub(crate) struct Outgoing {
    pub(crate) id: u64,
    pub(crate) message: Message,
    pub(crate) options: SendOptions,
    /// Who waits for a place in the outbox.
    pub(crate) accepted: Option<Asked>,
    /// Who waits for it to be written.
    pub(crate) written: Asked,
}

/// How many commands may wait for the driver.
const COMMANDS: usize = 1024;

/// What can be seen of a driver from outside.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) state: State,
    pub(crate) connection_id: Option<Arc<str>>,
    pub(crate) stats: Stats,
    /// Why connections were lost.
    pub(crate) log: Vec<Reconnect>,
    /// Where another program would go on.
    pub(crate) resume_point: ResumePoint,
    /// Why it ended last.
    pub(crate) cause: Option<Cause>,
}

/// What a driver and its handles share.
pub(crate) struct Shared {
    /// Tells the time since the session began.
    clock: Clock,
    waker: Mutex<Option<task::Waker>>,
    /// Whether the driver may find something new in the inbox. As long as it does not, its waker stays where it is.
    called: AtomicBool,
    snapshot: Mutex<Snapshot>,
    inbox: Mutex<Inbox>,
}

struct Inbox {
    commands: Queue<Command>,
    /// The number of the last message.
    last_message: u64,
    /// Messages that the driver has taken and nobody wants any more: fewer than it has.
    withdrawn: Vec<u64>,
    /// A `connect` that the driver has not taken yet.
    connecting: bool,
    /// Every handle is gone.
    orphaned: bool,
    /// The driver is gone: commands would wait for ever.
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        let snapshot = Snapshot {
            state: State::Idle,
            connection_id: None,
            stats: Stats::default(),
            log: Vec::new(),
            resume_point: ResumePoint::default(),
            cause: None,
        };
        let inbox = Inbox {
            commands: Queue::default(),
            last_message: 0,
            withdrawn: Vec::new(),
            connecting: false,
            orphaned: false,
            ended: false,
        };
        Arc::new(Self {
            clock,
            waker: Mutex::new(None),
            called: AtomicBool::new(true),
            snapshot: Mutex::new(snapshot),
            inbox: Mutex::new(inbox),
        })
    }

    pub(crate) fn snapshot(&self) -> MutexGuard<'_, Snapshot> {
        lock(&self.snapshot)
    }

    /// Has the driver look into the inbox.
    pub(crate) fn call(&self) {
        // First the waker: a driver that is called before its waker is taken leaves none for the next call.
        let waker = lock(&self.waker).take();
        self.called.store(true, Ordering::Release);
        // Outside the lock: on the web whoever is woken may run at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The driver has not seen all of it, and looks again by itself.
    pub(crate) fn leave(&self) {
        self.called.store(true, Ordering::Release);
    }

    /// Whether the driver is to look into the inbox; if not, this waker is woken when it is. It is the same each time, for a
    /// driver is a task of its own.
    pub(crate) fn is_called(&self, waker: &task::Waker) -> bool {
        let called = self.called.swap(false, Ordering::AcqRel);
        if called {
            lock(&self.waker).get_or_insert_with(|| waker.clone());
        }
        called
    }

    /// The next command; an error once every handle is gone.
    pub(crate) fn take_command(&self) -> Result<Option<Command>, Orphaned> {
        let mut inbox = lock(&self.inbox);
        if let Some(id) = inbox.withdrawn.pop() {
            return Ok(Some(Command::Withdraw(id)));
        }
        let command = inbox.commands.pop();
        if matches!(command, Some(Command::Connect)) {
            inbox.connecting = false;
        }
        if command.is_none() && inbox.orphaned { Err(Orphaned) } else { Ok(command) }
    }

    fn push(&self, mut inbox: MutexGuard<'_, Inbox>, command: Command) -> Result<(), Error> {
        if inbox.ended {
            return Err(gone());
        }
        if inbox.commands.len() >= COMMANDS {
            return Err(Error::new(ErrorKind::Overflow, "too many calls are waiting to be taken"));
        }
        inbox.commands.push(command);
        drop(inbox);
        self.call();
        Ok(())
    }

    /// Tells the driver what happened around it.
    pub(crate) fn tell(&self, change: Surroundings) {
        // A driver that is gone has no use for it, and one that is swamped learns of it by itself.
        let _ = self.push(lock(&self.inbox), Command::Surroundings(change));
    }

    /// Takes back a message that is not written yet.
    pub(crate) fn withdraw(&self, id: u64) {
        let mut inbox = lock(&self.inbox);
        if inbox.ended {
            return;
        }
        let is_it = |command: &Command| match command {
            Command::Send(outgoing) => outgoing.id == id,
            Command::Request { id: other, .. } => *other == id,
            _ => false,
        };
        let command = inbox.commands.take(is_it);
        if command.is_none() {
            inbox.withdrawn.push(id);
        }
        drop(inbox);
        if command.is_none() {
            self.call();
        }
    }
}

/// Every handle is gone.
pub(crate) struct Orphaned;

/// Belongs to the driver: when that goes, whoever waits is told.
pub(crate) struct DriverEnd(pub(crate) Arc<Shared>);

impl Drop for DriverEnd {
    fn drop(&mut self) {
        let mut inbox = lock(&self.0.inbox);
        inbox.ended = true;
        let unanswered = std::mem::take(&mut inbox.commands);
        drop(inbox);
        // Dropped outside the lock: an answer may wake somebody who asks again.
        drop(unanswered);
    }
}

/// A handle on a running driver. When the last one is dropped, the driver closes the connection and ends.
#[derive(Clone)]
pub(crate) struct Handle(Arc<HandleEnd>);

struct HandleEnd(Arc<Shared>);

impl Drop for HandleEnd {
    fn drop(&mut self) {
        lock(&self.0.inbox).orphaned = true;
        self.0.call();
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(HandleEnd(shared)))
    }

    /// Wakes the driver, and does not keep it alive.
    pub(crate) fn waker(&self) -> Waker {
        Waker(self.0.0.clone())
    }

    /// The same handle, without keeping the driver alive.
    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.0))
    }

    /// Starts to connect.
    pub(crate) fn connect(&self) -> Result<(), Error> {
        let state = self.state();
        let mut inbox = lock(&self.0.0.inbox);
        if inbox.connecting || !state.is_end() {
            return Err(in_use(state));
        }
        if inbox.ended {
            return Err(gone());
        }
        inbox.connecting = true;
        inbox.commands.push(Command::Connect);
        drop(inbox);
        self.0.0.call();
        Ok(())
    }

    /// Waits for the hello, or for the end.
    pub(crate) fn ready(&self) -> Answer {
        self.ask(Command::Ready)
    }

    /// Waits until the message is handed to the socket of an authenticated connection.
    #[allow(dead_code, reason = "the edge to JavaScript calls it: a promise cannot be dropped")]
    pub(crate) fn send(&self, message: Message, options: SendOptions) -> (u64, Answer) {
        self.send_by(message, options, None)
    }

    /// Takes back a message that is not written yet, or waits for a reply no more.
    #[allow(dead_code, reason = "the edge to JavaScript calls it")]
    pub(crate) fn withdraw(&self, id: u64) {
        self.0.0.withdraw(id);
    }

    /// The same with a future that withdraws the message when it is dropped.
    pub(crate) fn send_with(&self, message: Message, options: SendOptions) -> Sending {
        let (accepted, place) = Answer::channel();
        let (id, written) = self.send_by(message, options, Some(accepted));
        Sending::new(id, self.0.0.clone(), place, written)
    }

    /// Wants the events of a channel.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn subscribe(&self, channel: Arc<str>) -> Result<(), Error> {
        self.push(Command::Subscribe(channel))
    }

    /// Wants them no more. It always finds room: there is one for each subscription.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn unsubscribe(&self, channel: Arc<str>) {
        let mut inbox = lock(&self.0.0.inbox);
        if !inbox.ended {
            inbox.commands.push(Command::Unsubscribe(channel));
            drop(inbox);
            self.0.0.call();
        }
    }

    /// Asks the server. Whoever waits for the reply is registered by the number of the request, before there can be one.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn request(
        &self,
        message: Message,
        timeout: Duration,
        register: impl FnOnce(u64),
    ) -> Result<Requesting, Error> {
        let mut inbox = lock(&self.0.0.inbox);
        inbox.last_message += 1;
        let id = inbox.last_message;
        register(id);
        self.0.0.push(inbox, Command::Request { id, message, timeout })?;
        Ok(Requesting { id, shared: Some(self.0.0.clone()) })
    }

    fn send_by(&self, message: Message, options: SendOptions, accepted: Option<Asked>) -> (u64, Answer) {
        let (written, answer) = Answer::channel();
        let mut inbox = lock(&self.0.0.inbox);
        inbox.last_message += 1;
        let id = inbox.last_message;
        let refused = match self.0.0.push(inbox, Command::Send(Outgoing { id, message, options, accepted, written })) {
            Ok(()) => return (id, answer),
            Err(error) => error,
        };
        (id, Answer::at_once(refused))
    }

    /// Closes and waits for the end.
    pub(crate) fn close(&self, code: u16, reason: &str) -> Answer {
        match check_close(code, reason) {
            Ok(()) => self.ask(|done| Command::Close { code, reason: reason.to_owned(), done }),
            Err(error) => Answer::at_once(error),
        }
    }

    /// Waits for the end; [`cause`](Self::cause) is there then.
    pub(crate) fn closed(&self) -> Answer {
        self.ask(Command::Closed)
    }

    /// Why the driver ended last; of one that is gone without a word, its handles must be.
    pub(crate) fn cause(&self) -> Cause {
        self.0.0.snapshot().cause.clone().unwrap_or(Cause::Dropped)
    }

    /// Tells the driver what happened around it.
    pub(crate) fn tell(&self, change: Surroundings) {
        self.0.0.tell(change);
    }

    pub(crate) fn state(&self) -> State {
        self.0.0.snapshot().state
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.0.0.snapshot().stats;
        stats.at = self.0.0.clock.now();
        stats
    }

    pub(crate) fn reconnect_log(&self) -> Vec<Reconnect> {
        self.0.0.snapshot().log.clone()
    }

    #[cfg_attr(feature = "npm", allow(dead_code))] // the edge has none
    pub(crate) fn resume_point(&self) -> Option<ResumePoint> {
        Some(self.0.0.snapshot().resume_point.clone()).filter(|point| !point.is_none())
    }

    pub(crate) fn connection_id(&self) -> Option<Arc<str>> {
        self.0.0.snapshot().connection_id.clone()
    }

    fn ask(&self, command: impl FnOnce(Asked) -> Command) -> Answer {
        let (asked, answer) = Answer::channel();
        match self.push(command(asked)) {
            Ok(()) => answer,
            Err(error) => Answer::at_once(error),
        }
    }

    fn push(&self, command: Command) -> Result<(), Error> {
        self.0.0.push(lock(&self.0.0.inbox), command)
    }
}

/// See [`Handle::waker`].
pub(crate) struct Waker(Arc<Shared>);

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.call();
    }
}

/// See [`Handle::downgrade`].
pub(crate) struct WeakHandle(Weak<HandleEnd>);

impl WeakHandle {
    /// The handle, unless the last one is gone.
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
    }
}

/// A request under way. Dropping it withdraws it, or lets its reply be an event as any other.
pub(crate) struct Requesting {
    id: u64,
    shared: Option<Arc<Shared>>,
}

impl Requesting {
    /// It is answered: there is nothing left to withdraw.
    pub(crate) fn done(mut self) {
        self.shared = None;
    }
}

impl Drop for Requesting {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.withdraw(self.id);
        }
    }
}

pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the client has ended, or its runtime was shut down")
}

#[cfg(all(test, native))]
#[allow(clippy::disallowed_methods)] // threads race by the real clock
mod tests {
    use super::*;
    use std::{
        hint,
        sync::atomic::AtomicUsize,
        thread::{self, Thread},
        time::Instant,
    };

    struct Unpark(Thread);

    impl task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    // S1-13: a driver that has its turn for another reason, just while it is called, still hears the next call.
    #[test]
    fn no_call_is_missed_by_a_driver_that_has_its_turn_for_another_reason() {
        const CALLS: usize = 40_000;
        let shared = Shared::new(Clock::start());
        let (asked, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let driver = {
            let (shared, asked, heard) = (shared.clone(), asked.clone(), heard.clone());
            thread::spawn(move || {
                let waker = task::Waker::from(Arc::new(Unpark(thread::current())));
                let mut turns = 0;
                while heard.load(Ordering::Acquire) < CALLS {
                    if shared.is_called(&waker) {
                        heard.store(asked.load(Ordering::Acquire), Ordering::Release);
                        // Many turns follow that nobody asked for, then it sleeps.
                        turns = 200;
                    } else if turns > 0 {
                        turns -= 1;
                    } else {
                        thread::park();
                    }
                }
            })
        };
        for call in 1..=CALLS {
            // Every other call finds it asleep, the others in one of those turns.
            let begin = Instant::now() + Duration::from_micros(if call % 2 == 0 { 20 } else { 0 });
            while Instant::now() < begin {
                hint::spin_loop();
            }
            asked.store(call, Ordering::Release);
            shared.call();
            let end = Instant::now() + Duration::from_secs(5);
            while heard.load(Ordering::Acquire) < call {
                assert!(Instant::now() < end, "call {call} was missed");
                hint::spin_loop();
            }
        }
        driver.join().unwrap();
    }
}
