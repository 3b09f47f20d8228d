//! The outbox: what waits, in which order it goes out, and that everything settles exactly once.

use super::{
    bed::*,
    dice::{Dice, seeds},
    line::Line,
    test,
};
use everwire::{
    ErrorKind, Lifecycle, Message, OutboxRule, SendOptions, State, WhenFull,
    proto::{Input, Output, Session, Settings},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

fn with_outbox(rule: OutboxRule) -> Settings {
    Settings { outbox: rule, ..with_static_token() }
}

fn small(messages: usize, bytes: usize, when_full: WhenFull) -> OutboxRule {
    OutboxRule { messages, bytes, when_full, ttl: None }
}

fn send_with(id: u64, text: &str, options: SendOptions) -> Input<Event> {
    Input::Send { id, message: Message::from(text), options }
}

/// A session that is connecting, its outputs drained.
fn connecting(rule: OutboxRule) -> Bed {
    let mut bed = Bed::new(with_outbox(rule));
    bed.give(Input::Connect);
    bed.drain();
    bed
}

impl Bed {
    /// What is sent as long as the socket has room.
    fn flush(&mut self, generation: u64) -> Vec<Did> {
        let mut did = Vec::new();
        while self.session.wants_room() {
            self.give(Input::Room { generation });
            did.extend(self.drain());
        }
        did
    }
}

// N-6: those who wait for room are bounded too.
#[test]
fn a_thousand_and_some_messages_wait_for_room_and_no_more() {
    let mut bed = connecting(small(1, 10, WhenFull::Wait));
    for number in 0..=1024 {
        bed.give(send(&number.to_string()));
    }
    bed.drain();
    assert_eq!(bed.refuse(send("1025")).kind(), ErrorKind::Overflow);
    assert_eq!(bed.drain(), [Did::Overflow(1)]);
    bed.give(Input::Withdraw { id: 7 });
    bed.give(send("1026"));
    assert_eq!(bed.refuse(send("1027")).kind(), ErrorKind::Overflow);
    // The rules by the names under which an overflow tells of them.
    let rules = [WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait];
    assert_eq!(rules.map(WhenFull::as_str), ["error", "drop-oldest", "drop-newest", "wait"]);
}

// N-6, pitfall 10
#[test]
fn what_is_sent_before_the_connect_waits_for_it_until_its_time_is_over_or_the_client_is_closed() {
    let mut bed = Bed::new(with_outbox(OutboxRule::default()));
    bed.give(send("1"));
    bed.give(send_with(2, "2", SendOptions::new().ttl(Duration::from_secs(1))));
    assert_eq!(bed.drain(), [Did::Accepted(1), Did::Accepted(2)]);
    assert_eq!(bed.next_timer(), [Did::Settled(2, ErrorKind::Timeout)]);
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(sent(&bed.drain()).len(), 1, "the first frame alone");
    bed.text(1, HELLO);
    assert_eq!(bed.flush(1), [Did::Send(1, "1".into())]);

    let mut bed = Bed::new(with_outbox(OutboxRule::default()));
    bed.give(send("1"));
    bed.give(Input::Close { code: 1000, reason: String::new(), dropped: false });
    assert!(bed.drain().contains(&Did::Settled(1, ErrorKind::Closed)));
    assert_eq!(bed.refuse(send("2")).kind(), ErrorKind::Closed);

    // Without an outbox nothing can wait.
    let mut bed = Bed::new(with_outbox(OutboxRule::OFF));
    assert_eq!(bed.refuse(send("1")).kind(), ErrorKind::Closed);
}

// N-6
#[test]
fn an_overflow_says_what_there_is_too_much_of() {
    let mut bed = connecting(small(2, 10, WhenFull::Error));
    let refused = |bed: &mut Bed, text: &str| {
        let error = bed.refuse(send(text)).to_string();
        let mut outputs = std::iter::from_fn(|| bed.session.poll());
        let told = outputs.find_map(|output| match output {
            Output::Lifecycle(Lifecycle::Overflow { queue, capacity, .. }) => Some((queue, capacity)),
            _ => None,
        });
        (error, told.expect("it is told"))
    };
    bed.give(send("12345678"));
    assert_eq!(refused(&mut bed, "123"), ("too many bytes wait to be sent".into(), ("outbox-bytes", 10)));
    bed.give(send("9"));
    assert_eq!(refused(&mut bed, "0"), ("too many messages wait to be sent".into(), ("outbox", 2)));
}

// N-6, pitfall 10
#[test]
fn what_is_sent_while_connecting_goes_out_in_order_after_the_hello_and_once() {
    let mut bed = connecting(OutboxRule::default());
    for number in 1..=3 {
        bed.give(send(&number.to_string()));
        assert_eq!(bed.drain(), [Did::Accepted(number)]);
    }
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(sent(&bed.drain()).len(), 1, "the first frame alone");
    assert!(!bed.session.wants_room());
    bed.text(1, HELLO);
    assert_eq!(bed.session.stats().outbox_messages, 3);
    let written = |generation, texts: [&str; 3]| texts.map(|text| Did::Send(generation, text.into()));
    assert_eq!(bed.flush(1), written(1, ["1", "2", "3"]));
    bed.lost(1, None);
    bed.give(send("4"));
    bed.drain();
    bed.next_timer();
    bed.give(Input::Opened { generation: 2 });
    bed.text(2, HELLO);
    assert_eq!(bed.flush(2), [Did::Send(2, "4".into())]);
    assert_eq!((bed.session.stats().outbox_messages, bed.session.stats().outbox_bytes), (0, 0));
}

// N-6
#[test]
fn each_rule_for_a_full_outbox_does_what_it_says() {
    let mut bed = connecting(small(2, 10, WhenFull::Error));
    bed.give(send("1"));
    bed.give(send("2"));
    bed.drain();
    let error = bed.refuse(send("3"));
    assert_eq!(bed.drain(), [Did::Overflow(1)]);
    assert!(error.kind() == ErrorKind::Overflow && error.is_retryable());
    let rule = |when_full| SendOptions::new().when_full(when_full);
    bed.give(send_with(4, "4", rule(WhenFull::DropNewest)));
    assert_eq!(bed.drain(), [Did::Settled(4, ErrorKind::Overflow), Did::Overflow(1)]);
    bed.give(send_with(5, "5", rule(WhenFull::DropOldest)));
    assert_eq!(bed.drain(), [Did::Settled(1, ErrorKind::Overflow), Did::Accepted(5), Did::Overflow(1)]);
    bed.give(send_with(6, "6", rule(WhenFull::Wait)));
    bed.give(send_with(7, "7", rule(WhenFull::Wait)));
    assert_eq!(bed.drain(), []);
    bed.give(Input::Withdraw { id: 6 });
    bed.give(Input::Withdraw { id: 2 });
    assert_eq!(bed.drain(), [Did::Accepted(7)]);
    // Bytes count too, and one message alone may be larger.
    bed.give(send_with(8, "01234567890", rule(WhenFull::DropOldest)));
    assert_eq!(bed.drain().len(), 4);
    assert_eq!((bed.session.stats().outbox_messages, bed.session.stats().outbox_bytes), (1, 11));
    assert_eq!(bed.session.stats().outbox_overflows, 5);
}

// N-6
#[test]
fn a_message_whose_time_runs_out_is_told_then_and_never_sent() {
    let mut bed = connecting(OutboxRule { ttl: Some(Duration::from_secs(3)), ..OutboxRule::default() });
    bed.give(send("1"));
    bed.give(send_with(2, "2", SendOptions::new().ttl(Duration::from_secs(1))));
    bed.give(send_with(3, "3", SendOptions::new().ttl(Duration::from_secs(60))));
    bed.drain();
    assert_eq!(bed.pass(Duration::from_millis(999)), []);
    assert_eq!(bed.pass(Duration::from_millis(1)), [Did::Settled(2, ErrorKind::Timeout)]);
    // A driver that comes late does not send what has expired either.
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, HELLO);
    bed.now = bed.now + Duration::from_secs(2);
    assert_eq!(bed.flush(1), [Did::Settled(1, ErrorKind::Timeout), Did::Send(1, "3".into())]);
    assert_eq!(bed.session.stats().outbox_expired, 2);
}

// N-8: every end settles what is left; a close by the user lets go out what can.
#[test]
fn the_end_settles_what_is_left() {
    let mut bed = connecting(OutboxRule::default());
    bed.give(send("1"));
    bed.drain();
    assert!(bed.close().contains(&Did::Settled(1, ErrorKind::Closed)));
    assert_eq!(bed.refuse(send("2")).kind(), ErrorKind::Closed);

    let mut bed = Bed::connected(with_outbox(small(1, 10, WhenFull::Wait)));
    bed.drain();
    bed.give(send("1"));
    bed.give(send("2"));
    bed.drain();
    let closing = bed.close();
    let place = |wanted: Did| closing.iter().position(|did| *did == wanted);
    assert!(place(Did::Send(1, "1".into())) < place(Did::Send(1, "2".into())));
    assert!(place(Did::Send(1, "2".into())) < place(Did::Close(1, 1000, "client disconnect".into())));
    assert_eq!(bed.refuse(send("3")).kind(), ErrorKind::Closed);
}

// N-6: what the session itself has to say does not wait behind what the user says.
#[test]
fn health_checks_do_not_wait_behind_a_full_outbox() {
    let mut bed = Bed::connected(with_outbox(OutboxRule::default()));
    bed.drain();
    for _ in 0..1000 {
        bed.give(send("0"));
    }
    bed.drain();
    // The socket has no room at all for 25 s.
    let did = bed.pass(Duration::from_secs(25));
    assert_eq!(sent(&did)[0][0]["type"], "health.check");
    assert_eq!(bed.flush(1).len(), 1000);
}

#[test]
fn without_an_outbox_nothing_waits() {
    let mut bed = connecting(OutboxRule::OFF);
    assert_eq!(bed.refuse(send("1")).kind(), ErrorKind::Closed);
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, HELLO);
    bed.give(send("2"));
    assert_eq!(bed.drain(), [Did::Send(1, "2".into())]);
    let wrong = OutboxRule { ttl: Some(Duration::ZERO), ..OutboxRule::default() };
    assert_eq!(
        Session::<Event>::new(with_outbox(wrong)).err().and_then(|e| e.path().map(str::to_owned)),
        Some("outbox.ttl".into())
    );
}

// N-3, N-6: every send settles exactly once; an accepted message is written once to an authenticated socket, in order, or
// reported; memory within the bounds.
#[test]
fn invariants_hold_on_random_schedules() {
    let (mut written, mut dropped, mut expired, mut ended) = (0, 0, 0, 0);
    let seeds = seeds(2_000);
    let many = seeds.end - seeds.start >= 2_000;
    for seed in seeds {
        let mut world = World::new(seed);
        world.run();
        for fate in world.fates.values() {
            match fate {
                Fate::Written(_) => written += 1,
                Fate::Settled(ErrorKind::Overflow) => dropped += 1,
                Fate::Settled(ErrorKind::Timeout) => expired += 1,
                Fate::Settled(_) => ended += 1,
                Fate::Refused(_) | Fate::Withdrawn => {}
            }
        }
    }
    // Schedules that never get into trouble prove nothing.
    assert!(
        !many || (written > 10_000 && dropped > 10_000 && expired > 4_000 && ended > 2_000),
        "{written} {dropped} {expired} {ended}"
    );
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Written(u64),
    Settled(ErrorKind),
    Refused(ErrorKind),
    Withdrawn,
}

struct World {
    line: Line,
    rule: OutboxRule,
    /// Whether the first frame was sent over the socket.
    introduced: bool,
    /// When the messages were sent, and how long they may wait.
    messages: BTreeMap<u64, (Duration, Option<Duration>, usize)>,
    /// Those that have a place, in order.
    accepted: Vec<u64>,
    fates: BTreeMap<u64, Fate>,
    withdrawable: BTreeSet<u64>,
    /// How many overflows were told.
    told: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let when_full = dice.pick(&[WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait]);
        let ttl = dice.chance(30).then(|| Duration::from_millis(1 + dice.below(5_000)));
        let rule = OutboxRule { messages: 1 + dice.below(6) as usize, bytes: dice.below(60) as usize, when_full, ttl };
        Self {
            line: Line::new(dice, Settings { seed, ..with_outbox(rule) }),
            rule,
            introduced: false,
            messages: BTreeMap::new(),
            accepted: Vec::new(),
            fates: BTreeMap::new(),
            withdrawable: BTreeSet::new(),
            told: 0,
        }
    }

    fn run(&mut self) {
        self.give(Input::Connect);
        for _ in 0..120 {
            self.step();
            self.check_bounds();
        }
        self.give(Input::Close { code: 1000, reason: String::new(), dropped: false });
        self.line.cut(100).into_iter().for_each(|input| self.give(input));
        self.line.check(self.line.session.state().is_end(), "not ended");
        self.line.check(self.line.session.next_timeout().is_none(), "a timer after the end");
        self.line.check(self.messages.len() == self.fates.len(), "a message did not settle");
        self.line.check(self.line.session.stats().outbox_messages == 0, "something is left");
        let no_room = [Fate::Settled(ErrorKind::Overflow), Fate::Refused(ErrorKind::Overflow)];
        let lost = self.fates.values().filter(|fate| no_room.contains(fate)).count() as u64;
        let stats = self.line.session.stats();
        self.line.check(self.told == lost && stats.outbox_overflows == lost, "a loss was not told and counted");
        let expired = self.fates.values().filter(|fate| matches!(fate, Fate::Settled(ErrorKind::Timeout))).count();
        self.line.check(stats.outbox_expired == expired as u64, "the expired are not counted");
    }

    fn step(&mut self) {
        match self.line.dice.below(20) {
            0..6 => self.send(),
            6 if !self.withdrawable.is_empty() => {
                let ids: Vec<u64> = self.withdrawable.iter().copied().collect();
                let id = self.line.dice.pick(&ids);
                self.settle(id, Fate::Withdrawn);
                self.accepted.retain(|other| *other != id);
                self.give(Input::Withdraw { id });
            }
            7..12 => {
                // Room, sometimes for a socket of long ago.
                let generation = if self.line.dice.chance(90) { self.line.current() } else { self.line.dice.below(5) };
                self.give(Input::Room { generation });
            }
            12..15 => {
                let input = self.line.forward(HELLO, 20);
                if matches!(input, Some(Input::Opened { .. })) {
                    self.introduced = false;
                }
                input.into_iter().for_each(|input| self.give(input));
            }
            15 => self.line.cut(60).into_iter().for_each(|input| self.give(input)),
            16 if self.line.dice.chance(10) => {
                self.give(Input::Close { code: 1000, reason: String::new(), dropped: false });
            }
            16 if self.line.session.state().is_end() => self.give(Input::Connect),
            _ => self.pass(),
        }
    }

    fn pass(&mut self) {
        let until = self.line.soon(1_500);
        while self.line.pass(until) {
            self.give(Input::Timeout);
        }
    }

    fn send(&mut self) {
        let id = self.messages.len() as u64 + 1;
        let mut options = SendOptions::new();
        if self.line.dice.chance(20) {
            options = options.ttl(Duration::from_millis(self.line.dice.below(3_000)));
        }
        if self.line.dice.chance(30) {
            options = options.when_full(self.line.dice.pick(&[
                WhenFull::Error,
                WhenFull::DropOldest,
                WhenFull::DropNewest,
                WhenFull::Wait,
            ]));
        }
        let mut text = id.to_string();
        text.push_str(&" ".repeat(self.line.dice.below(25) as usize));
        self.messages.insert(id, (self.line.now.since_start(), options.ttl.or(self.rule.ttl), text.len()));
        self.withdrawable.insert(id);
        let before = self.line.session.state();
        match self.line.session.handle(self.line.now, send_with(id, &text, options)) {
            Ok(()) => {}
            Err(error) => {
                let hopeless = matches!(before, State::Disconnecting | State::Closed | State::Failed);
                let expected = if hopeless { ErrorKind::Closed } else { ErrorKind::Overflow };
                self.line.check(error.kind() == expected, "refused for no good reason");
                self.settle(id, Fate::Refused(expected));
            }
        }
        self.drain();
    }

    fn give(&mut self, input: Input<Event>) {
        // A second `connect` is refused, and rightly so.
        let _ = self.line.session.handle(self.line.now, input);
        self.drain();
    }

    fn settle(&mut self, id: u64, fate: Fate) {
        self.withdrawable.remove(&id);
        self.line.check(self.messages.contains_key(&id), "nobody sent that");
        let before = self.fates.insert(id, fate);
        self.line.check(before.is_none(), "settled twice");
    }

    fn drain(&mut self) {
        while let Some(output) = self.line.poll() {
            match output {
                Output::Accepted { id } => {
                    self.line.check(self.withdrawable.contains(&id), "accepted after it was settled");
                    self.line.check(!self.accepted.contains(&id), "accepted twice");
                    self.accepted.push(id);
                }
                Output::Settled { id, error } => {
                    let (at, ttl, _) = self.messages[&id];
                    let over = ttl.is_some_and(|ttl| at + ttl <= self.line.now.since_start());
                    self.line.check(!error.is_timeout() || over, "expired too early");
                    self.accepted.retain(|other| *other != id);
                    self.settle(id, Fate::Settled(error.kind()));
                }
                Output::Send { generation, id: None, .. } => {
                    self.line
                        .check(self.line.socket.is_some_and(|(open, _)| open == generation), "written to no socket");
                    self.introduced = true;
                }
                Output::Send { generation, id: Some(id), message } => {
                    self.line.check(
                        self.line.socket == Some((generation, true)),
                        "written before the hello, or to an old socket",
                    );
                    self.line.check(self.introduced, "written before the first frame");
                    self.line.check(self.accepted.first() == Some(&id), "out of order, or not accepted");
                    self.accepted.remove(0);
                    let (at, ttl, size) = self.messages[&id];
                    self.line.check(message.len() == size, "another message");
                    let late = ttl.is_some_and(|ttl| at + ttl <= self.line.now.since_start());
                    self.line.check(!late, "written after its time");
                    self.settle(id, Fate::Written(generation));
                }
                Output::Lifecycle(Lifecycle::Overflow { dropped, .. }) => self.told += dropped,
                _ => {}
            }
        }
    }

    fn check_bounds(&self) {
        let bytes: usize = self.accepted.iter().map(|id| self.messages[id].2).sum();
        self.line.check(self.accepted.len() <= self.rule.messages, "too many messages");
        self.line.check(bytes <= self.rule.bytes || self.accepted.len() == 1, "too many bytes");
        let stats = self.line.session.stats();
        self.line.check(stats.outbox_messages == self.accepted.len() as u64, "the gauge is wrong");
        self.line.check(stats.outbox_bytes == bytes as u64, "the gauge of bytes is wrong");
    }
}
