//! The outbox (N-6): messages wait in it for an authenticated connection, and for room in its socket. Bounded, in order.

use super::{
    error::{Error, ErrorKind},
    message::Message,
    queue::Queue,
    time::Timestamp,
};
use std::{mem::take, time::Duration};

/// How much may wait to be sent, and what happens beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxRule {
    /// How many messages may wait; 0 turns the outbox off. Default 1000.
    pub messages: usize,
    /// How many bytes may wait. One message alone may be larger. Default 1 MiB.
    pub bytes: usize,
    /// What happens to a message for which there is no room, if it does not say itself. Default: its sender is told.
    pub when_full: WhenFull,
    /// How long a message may wait, if it does not say itself. Default: as long as the client lives.
    pub ttl: Option<Duration>,
}

impl Default for OutboxRule {
    fn default() -> Self {
        Self { messages: 1000, bytes: 1 << 20, when_full: WhenFull::Error, ttl: None }
    }
}

impl OutboxRule {
    /// No outbox: without a connection, or without room in its socket, sending fails.
    pub const OFF: Self = Self { messages: 0, bytes: 0, when_full: WhenFull::Error, ttl: None };
}

/// What happens when there is no room for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused, and its sender told.
    #[default]
    Error,
    /// The messages that wait longest make room; their senders are told.
    DropOldest,
    /// It is taken and dropped at once; its sender is told as with any other loss.
    DropNewest,
    /// Its sender waits until there is room.
    Wait,
}

impl WhenFull {
    /// The rule as a short word: `error`, `drop-oldest`, `drop-newest`, `wait`.
    pub const fn as_str(self) -> &'static str {
        match self {
            WhenFull::Error => "error",
            WhenFull::DropOldest => "drop-oldest",
            WhenFull::DropNewest => "drop-newest",
            WhenFull::Wait => "wait",
        }
    }
}

/// How one message is to be sent. What is not said is as the [`OutboxRule`] has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// How long it may wait to be written; then it is dropped, and its sender told.
    pub ttl: Option<Duration>,
    /// What happens when there is no room for it.
    pub when_full: Option<WhenFull>,
}

impl SendOptions {
    /// As the outbox has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the message may wait to be written.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// What happens when there is no room for the message.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full: Some(when_full), ..self }
    }
}

/// How many senders may wait for room.
const MAX_WAITING: usize = 1024;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) message: Message,
    expires: Timestamp,
}

/// What became of a message while it was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has a place now.
    Accepted,
    /// Its time ran out.
    Expired,
    /// It made room for another, or found none.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Outbox {
    rule: OutboxRule,
    accepted: Queue<Entry>,
    /// The bytes of the accepted ones.
    bytes: usize,
    /// Those that wait for room, in order.
    waiting: Queue<Entry>,
    /// When the next one expires, or earlier.
    deadline: Timestamp,
    /// What is still to be told, in the order in which it happened.
    pub(super) fates: Vec<(u64, Fate)>,
}

impl Outbox {
    pub(super) fn new(rule: OutboxRule) -> Self {
        Self {
            rule,
            accepted: Queue::default(),
            bytes: 0,
            waiting: Queue::default(),
            deadline: Timestamp::NEVER,
            fates: Vec::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.rule.messages > 0
    }

    /// How many messages it holds, those that wait for room not counted.
    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message in, lets it wait for room, or refuses it.
    pub(super) fn push(
        &mut self,
        now: Timestamp,
        id: u64,
        message: Message,
        when_full: WhenFull,
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        let expires = ttl.or(self.rule.ttl).map_or(Timestamp::NEVER, |ttl| now + ttl);
        let entry = Entry { id, message, expires };
        // Nobody overtakes those who wait.
        if self.waiting.is_empty() && self.fits(&entry) {
            self.accept(entry);
            return Ok(());
        }
        match when_full {
            WhenFull::Wait if self.waiting.len() < MAX_WAITING => {
                self.deadline = self.deadline.min(expires);
                self.waiting.push(entry);
            }
            WhenFull::DropOldest => {
                while !self.fits(&entry) {
                    self.drop_oldest();
                }
                self.accept(entry);
            }
            WhenFull::DropNewest => self.fates.push((id, Fate::Dropped)),
            WhenFull::Wait | WhenFull::Error => {
                let what = match self.is_short_of_bytes() {
                    true => "too many bytes wait to be sent",
                    false => "too many messages wait to be sent",
                };
                return Err(Error::new(ErrorKind::Overflow, what));
            }
        }
        Ok(())
    }

    fn fits(&self, entry: &Entry) -> bool {
        let bytes = self.bytes.saturating_add(entry.message.len());
        self.accepted.is_empty() || (self.accepted.len() < self.rule.messages && bytes <= self.rule.bytes)
    }

    /// Whether it is the bytes that leave no room for a message, and not how many there are.
    pub(super) fn is_short_of_bytes(&self) -> bool {
        self.accepted.len() < self.rule.messages
    }

    fn accept(&mut self, entry: Entry) {
        self.fates.push((entry.id, Fate::Accepted));
        self.deadline = self.deadline.min(entry.expires);
        self.bytes += entry.message.len();
        self.accepted.push(entry);
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.accepted.pop() {
            self.bytes -= oldest.message.len();
            self.fates.push((oldest.id, Fate::Dropped));
        }
    }

    /// How large the next message is.
    pub(super) fn next_size(&self) -> Option<usize> {
        self.accepted.front().map(|entry| entry.message.len())
    }

    /// The next message to write. What has expired is to be dropped before.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.accepted.pop()?;
        self.bytes -= entry.message.len();
        self.fill_up();
        Some(entry)
    }

    /// Those who wait come in, as far as there is room.
    fn fill_up(&mut self) {
        while self.waiting.front().is_some_and(|entry| self.fits(entry))
            && let Some(entry) = self.waiting.pop()
        {
            self.accept(entry);
        }
    }

    /// When to call [`expire`](Self::expire); nothing need have expired by then.
    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Drops what has waited too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.deadline = Timestamp::NEVER;
        for accepted in [true, false] {
            let stay = if accepted { &mut self.accepted } else { &mut self.waiting };
            let mut entries = take(stay);
            while let Some(entry) = entries.pop() {
                if entry.expires > now {
                    self.deadline = self.deadline.min(entry.expires);
                    stay.push(entry);
                } else {
                    self.fates.push((entry.id, Fate::Expired));
                    self.bytes -= if accepted { entry.message.len() } else { 0 };
                }
            }
        }
        self.fill_up();
    }

    /// Takes a message out that its sender no longer wants.
    pub(super) fn withdraw(&mut self, id: u64) {
        let is_it = |entry: &Entry| entry.id == id;
        if let Some(entry) = self.accepted.take(is_it) {
            self.bytes -= entry.message.len();
        } else {
            self.waiting.take(is_it);
        }
        // The one in front may have been the one that did not fit.
        self.fill_up();
    }

    /// Takes the next one out that is left, accepted or not: nothing more will be written.
    pub(super) fn take_any(&mut self) -> Option<Entry> {
        self.bytes = 0;
        self.deadline = Timestamp::NEVER;
        self.accepted.pop().or_else(|| self.waiting.pop())
    }
}
