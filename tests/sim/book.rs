//! What the user wants, and what has become of it: messages, requests and channels (rules 3, 4 and 8 in `docs/PROOF.md`).

use super::seen::Seen;
use everwire::{ErrorKind, OutboxRule};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The session was given it.
    Given,
    /// It has a place in the outbox.
    Accepted,
    /// It is a request that went over this wire.
    Written(u64),
}

#[derive(Debug)]
struct Message {
    stage: Stage,
    /// Until when it may wait to be written.
    expires: Option<Duration>,
    /// Until when its reply may come.
    deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) outbox: OutboxRule,
    pub(crate) max_requests: usize,
    /// What has not settled yet.
    open: BTreeMap<u64, Message>,
    /// What has a place, in order.
    accepted: VecDeque<u64>,
    /// In which order messages were first written.
    order: BTreeMap<u64, u64>,
    last: u64,
    overflows: u64,
    /// Whether there were any: the session may look after one that has been written meanwhile.
    pub(crate) has_deadlines: bool,
    pub(crate) wanted: BTreeSet<&'static str>,
    /// What the server was told on the current wire.
    told: BTreeSet<String>,
    told_on: u64,
}

/// What is wrong, if anything is.
pub(crate) type Verdict = Result<(), &'static str>;

fn must(holds: bool, rule: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(rule) }
}

impl Book {
    pub(crate) fn new(outbox: OutboxRule, max_requests: usize) -> Self {
        Self {
            outbox,
            max_requests,
            open: BTreeMap::new(),
            accepted: VecDeque::new(),
            order: BTreeMap::new(),
            last: 0,
            overflows: 0,
            has_deadlines: false,
            wanted: BTreeSet::new(),
            told: BTreeSet::new(),
            told_on: 0,
        }
    }

    /// The user has a message: its number.
    pub(crate) fn gives(&mut self, expires: Option<Duration>, deadline: Option<Duration>) -> u64 {
        self.last += 1;
        self.has_deadlines |= expires.is_some() || deadline.is_some();
        self.open.insert(self.last, Message { stage: Stage::Given, expires, deadline });
        self.last
    }

    /// It was refused.
    pub(crate) fn refused(&mut self, id: u64, kind: ErrorKind, hopeful: bool, tight: bool) -> Verdict {
        let message = self.open.remove(&id).ok_or("(3) settled twice")?;
        must(message.stage == Stage::Given, "(4) refused after it was accepted")?;
        match kind {
            ErrorKind::Closed => must(!hopeful, "(4) a message is refused though there is hope"),
            ErrorKind::Overflow if message.deadline.is_some() && self.requests() >= self.max_requests => Ok(()),
            ErrorKind::Overflow => {
                self.overflows += 1;
                must(hopeful && tight, "(4) refused though there is room")
            }
            _ => Err("(4) refused for no good reason"),
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.open.values().filter(|message| message.deadline.is_some()).count()
    }

    /// Whether somebody else waits for room.
    pub(crate) fn anybody_else_waits(&self, id: u64) -> bool {
        self.open.iter().any(|(other, message)| *other != id && message.stage == Stage::Given)
    }

    pub(crate) fn accepts(&mut self, id: u64) -> Verdict {
        let message = self.open.get_mut(&id).ok_or("(4) accepted after it was settled")?;
        must(message.stage == Stage::Given, "(4) accepted twice")?;
        message.stage = Stage::Accepted;
        self.accepted.push_back(id);
        Ok(())
    }

    pub(crate) fn writes(&mut self, id: u64, wire: u64, now: Duration, closing: bool) -> Verdict {
        let message = self.open.get_mut(&id).ok_or("(4) written after it was settled")?;
        if self.outbox.messages > 0 {
            must(message.stage == Stage::Accepted, "(4) written twice, or before it was accepted")?;
            must(self.accepted.pop_front() == Some(id), "(4) written out of order")?;
        } else {
            must(message.stage == Stage::Given, "(4) written twice")?;
        }
        must(closing || message.expires.is_none_or(|at| now < at), "(4) written after its time")?;
        message.stage = Stage::Written(wire);
        if message.deadline.is_none() {
            self.open.remove(&id);
        }
        let written = self.order.len() as u64 + 1;
        self.order.insert(id, written);
        must(closing || self.told_is_wanted(wire), "a message overtook a subscription")
    }

    /// How many messages were written.
    pub(crate) fn written(&self) -> usize {
        self.order.len()
    }

    /// The place of a message among those that were written.
    pub(crate) fn place(&self, id: u64) -> Option<u64> {
        self.order.get(&id).copied()
    }

    pub(crate) fn withdraws(&mut self, id: u64) {
        self.open.remove(&id);
        self.accepted.retain(|other| *other != id);
    }

    /// One of those that have not settled.
    pub(crate) fn any_open(&self, draw: u64) -> Option<u64> {
        self.open.keys().nth(draw as usize % self.open.len().max(1)).copied()
    }

    /// It will not be written, or its reply will not come.
    pub(crate) fn settles(&mut self, id: u64, kind: ErrorKind, now: Duration, up: bool, seen: &mut Seen) -> Verdict {
        let message = self.open.remove(&id).ok_or("(3) settled twice")?;
        let front = self.accepted.front() == Some(&id);
        self.accepted.retain(|other| *other != id);
        let written = matches!(message.stage, Stage::Written(_));
        *seen.settled.entry(kind.as_str()).or_default() += 1;
        match kind {
            ErrorKind::Timeout => {
                let expired = !written && message.expires.is_some_and(|at| at <= now);
                let overdue = message.deadline.is_some_and(|at| at <= now);
                must(expired || overdue, "(4) given up before its time")
            }
            ErrorKind::Overflow => {
                self.overflows += 1;
                must(front || message.stage == Stage::Given, "(4) another one than the oldest was dropped")
            }
            ErrorKind::Closed => must(written || !up, "(4) given up while connected"),
            _ => Err("(3) settled for no good reason"),
        }
    }

    pub(crate) fn replies(&mut self, id: u64) -> Verdict {
        let message = self.open.remove(&id).ok_or("(3) answered after it was settled")?;
        must(message.deadline.is_some() && matches!(message.stage, Stage::Written(_)), "(3) an answer nobody asked for")
    }

    /// Whether somebody waits for the answer to this request.
    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.open
            .get(&id)
            .is_some_and(|message| message.deadline.is_some() && matches!(message.stage, Stage::Written(_)))
    }

    /// The connection is lost: what was to be answered over it fails, unless it is sent again.
    pub(crate) fn lost(&self) -> Verdict {
        let left = self.open.values().any(|message| matches!(message.stage, Stage::Written(_)));
        must(!left, "(3) a request outlives its connection")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The time has come, and the session was told: nothing waits longer than it may.
    pub(crate) fn timer_served(&self, now: Duration) -> Verdict {
        let due = |message: &Message| {
            let waits = !matches!(message.stage, Stage::Written(_));
            message.deadline.is_some_and(|at| at <= now) || waits && message.expires.is_some_and(|at| at <= now)
        };
        must(!self.open.values().any(due), "(3) something waits longer than it may")
    }

    /// What the session counts is what there is.
    pub(crate) fn counts(&self, messages: u64, bytes: u64, overflows: u64) -> Verdict {
        must(messages == self.accepted.len() as u64, "(8) the gauge of messages is wrong")?;
        must(self.accepted.len() <= self.outbox.messages, "(8) more messages wait than may")?;
        must(self.requests() <= self.max_requests, "(8) more requests wait than may")?;
        must(bytes <= self.outbox.bytes as u64 || messages <= 1, "(8) more bytes wait than may")?;
        must(overflows == self.overflows, "(8) an overflow was not counted")
    }

    /// With a connection and room in its socket nothing is left to write.
    pub(crate) fn served(&self, wire: u64) -> Verdict {
        must(self.accepted.is_empty(), "(4) a message was taken, and neither written nor reported")?;
        must(self.told_is_wanted(wire), "the server does not know which channels are wanted")
    }

    /// Whether the server was told, over this connection, of exactly the channels that are wanted.
    pub(crate) fn told_is_wanted(&self, wire: u64) -> bool {
        match self.told_on == wire {
            true => self.told.iter().map(String::as_str).eq(self.wanted.iter().copied()),
            false => self.wanted.is_empty(),
        }
    }

    /// A frame about a channel is written: once for each, and never for nothing.
    pub(crate) fn tells(&mut self, wire: u64, subscribe: bool, name: &str) -> Verdict {
        if self.told_on != wire {
            self.told.clear();
            self.told_on = wire;
        }
        match subscribe {
            true => must(self.told.insert(name.to_owned()), "a channel was subscribed to twice"),
            false => must(self.told.remove(name), "a channel was unsubscribed from for nothing"),
        }
    }
}

/// What the listener of the dialect `everwire` has got (rule 5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) epoch: u64,
    pub(crate) next: u64,
    /// The session was left, or a gap without an end was told: another one begins. So it does at first.
    pub(crate) anew: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self { epoch: 0, next: 1, anew: true }
    }
}

impl Listener {
    pub(crate) fn hello(&mut self, epoch: u64) -> Verdict {
        let other = epoch != self.epoch;
        let expected = other == self.anew;
        if other {
            (self.epoch, self.next, self.anew) = (epoch, 1, false);
        }
        must(expected, "(5) a gap without an end is another session, and only that")
    }

    pub(crate) fn event(&mut self, epoch: u64, seq: u64) -> Verdict {
        must(epoch == self.epoch && !self.anew, "(5) an event of another session")?;
        let in_order = seq == self.next;
        self.next = seq + 1;
        must(in_order, "(5) an event was lost, doubled or overtaken")
    }

    /// A gap, over numbers that the server has not kept.
    pub(crate) fn gap(&mut self, from: u64, to: Option<u64>, dropped: impl Fn(u64, u64) -> bool) -> Verdict {
        must(from == self.next, "(5) a gap that begins elsewhere")?;
        match to {
            Some(to) => {
                must(to >= from, "(5) a gap over what has come")?;
                self.next = to + 1;
                must((from..=to).all(|seq| dropped(self.epoch, seq)), "(5) a gap over what the server has kept")
            }
            None => {
                self.anew = true;
                Ok(())
            }
        }
    }
}
