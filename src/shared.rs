//! What a driver and its handles share: the commands on their way to it, and what can be seen of it from outside.

use crate::{
    answer::Asked,
    platform::Clock,
    proto::{
        Cause, Error, ErrorKind, Message, NetworkChange, PageChange, Reconnect, ResumePoint, SendOptions, State, Stats,
        Timestamp, in_use, queue::Queue,
    },
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    /// Whether the user wants no connection any more and the driver has not taken that yet: nothing is delivered meanwhile.
    closing: AtomicBool,
    snapshot: Mutex<Snapshot>,
    inbox: Mutex<Inbox>,
}

/// What the driver has not taken yet.
pub(crate) struct Inbox {
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

impl Inbox {
    /// A number for a message.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_message += 1;
        self.last_message
    }
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
            closing: AtomicBool::new(false),
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
        match command {
            Some(Command::Connect) => inbox.connecting = false,
            Some(Command::Close { .. }) => self.closing.store(false, Ordering::Relaxed),
            None if inbox.orphaned => {
                self.closing.store(false, Ordering::Relaxed);
                return Err(Orphaned);
            }
            _ => {}
        }
        Ok(command)
    }

    /// Every handle is gone.
    pub(crate) fn orphan(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.orphaned = true;
        self.closing.store(true, Ordering::Relaxed);
        drop(inbox);
        self.call();
    }

    /// Whether a close waits for the driver.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The time since the session began.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks the driver to connect, unless in this state it does or did so already.
    pub(crate) fn connect(&self, state: State) -> Result<(), Error> {
        let mut inbox = lock(&self.inbox);
        if inbox.connecting || !state.is_end() {
            return Err(in_use(if inbox.connecting { State::Connecting } else { state }));
        }
        if inbox.ended {
            return Err(gone());
        }
        inbox.connecting = true;
        inbox.commands.push(Command::Connect);
        drop(inbox);
        self.call();
        Ok(())
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    /// Puts a command into the inbox, and calls the driver.
    pub(crate) fn push(&self, mut inbox: MutexGuard<'_, Inbox>, command: Command) -> Result<(), Error> {
        if inbox.ended {
            return Err(gone());
        }
        if inbox.commands.len() >= COMMANDS {
            return Err(Error::new(ErrorKind::Overflow, "too many calls are waiting to be taken"));
        }
        if matches!(command, Command::Close { .. }) {
            self.closing.store(true, Ordering::Relaxed);
        }
        inbox.commands.push(command);
        drop(inbox);
        self.call();
        Ok(())
    }

    /// The same for a command that always finds room, and that a driver which is gone does not need.
    pub(crate) fn push_anyway(&self, command: Command) {
        let mut inbox = lock(&self.inbox);
        if !inbox.ended {
            inbox.commands.push(command);
            drop(inbox);
            self.call();
        }
    }

    /// Tells the driver what happened around it.
    pub(crate) fn tell(&self, change: Surroundings) {
        // A driver that is gone has no use for it, and one that is swamped learns of it by itself.
        let _ = self.push(self.inbox(), Command::Surroundings(change));
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
