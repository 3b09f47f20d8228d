//! Requests: each is answered exactly once, by its own reply or by what became of it.

use super::{
    bed::*,
    dice::{Dice, seeds},
    line::Line,
    test,
};
use everwire::{
    Error, ErrorKind, Message, OutboxRule, SendOptions, WhenFull,
    proto::{Dialect, Input, Output, Settings},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const DIALECT: &str = r#"{
    "name": "rpc",
    "type_field": "method",
    "hello": { "types": ["welcome"] },
    "requests": { "id": "id", "error": "error" }
}"#;

const WELCOME: &str = r#"{"method":"welcome"}"#;

fn rpc() -> Settings {
    Settings::new(Dialect::from_json(DIALECT).expect("a dialect"), url())
}

fn request(id: u64, seconds: u64) -> Input<Event> {
    let message = Message::from(json!({"method": "get"}));
    Input::Request { id, message, timeout: Duration::from_secs(seconds) }
}

fn up(bed: &mut Bed, generation: u64) {
    bed.give(Input::Opened { generation });
    bed.text(generation, WELCOME);
}

/// A session that is connected, with a request that was written; its id on the wire is 1.
fn asking() -> Bed {
    let mut bed = Bed::new(rpc());
    bed.give(Input::Connect);
    bed.drain();
    up(&mut bed, 1);
    bed.give(request(1, 10));
    bed.give(Input::Room { generation: 1 });
    assert_eq!(sent(&bed.drain()), [json!({"method": "get", "id": 1})]);
    bed
}

#[test]
fn a_reply_is_given_to_its_request_and_to_nobody_else() {
    let mut bed = asking();
    bed.give(request(2, 10));
    bed.give(Input::Room { generation: 1 });
    bed.drain();
    assert_eq!(bed.text(1, r#"{"method":"tick","id":5}"#), [Did::Event("tick".into())]);
    assert_eq!(bed.text(1, r#"{"id":2,"result":[]}"#), [Did::Reply(2, None)]);
    assert_eq!(bed.text(1, r#"{"id":"1","error":{"code":7}}"#), [Did::Reply(1, Some(ErrorKind::Server))]);
    // What comes again is an event as any other.
    assert_eq!(bed.text(1, r#"{"id":2,"result":[]}"#), [Did::Event("unknown".into())]);
    assert_eq!((bed.session.stats().requests, bed.session.stats().replies), (2, 2));
}

#[test]
fn a_request_that_takes_too_long_fails_and_a_late_reply_is_an_event() {
    let mut bed = asking();
    assert_eq!(bed.pass(Duration::from_millis(9_999)), []);
    assert_eq!(bed.pass(Duration::from_millis(1)), [Did::Settled(1, ErrorKind::Timeout)]);
    assert_eq!(bed.text(1, r#"{"id":1}"#), [Did::Event("unknown".into())]);
    assert_eq!(bed.session.next_timeout(), Some(bed.now + Duration::from_secs(50)), "only `stable` is left");
}

// A written request dies with its connection; one that waits survives, and the old reply is not its reply.
#[test]
fn a_loss_fails_what_was_written_and_spares_what_waits() {
    let mut bed = asking();
    let did = bed.lost(1, None);
    assert!(did.contains(&Did::Settled(1, ErrorKind::Closed)), "{did:?}");
    bed.give(request(2, 60));
    bed.drain();
    bed.next_timer();
    up(&mut bed, 2);
    assert_eq!(bed.text(2, r#"{"id":2}"#), [Did::Event("unknown".into())], "it was not sent yet");
    bed.give(Input::Room { generation: 2 });
    assert_eq!(sent(&bed.drain()).len(), 1);
    assert_eq!(bed.text(2, r#"{"id":2}"#), [Did::Reply(2, None)]);
    // Nor does one that waited too long go out.
    bed.lost(2, None);
    bed.give(request(3, 1));
    bed.drain();
    let did = bed.pass(Duration::from_secs(1));
    assert!(did.contains(&Did::Settled(3, ErrorKind::Timeout)), "{did:?}");
    assert_eq!(bed.session.stats().outbox_messages, 0);
    bed.give(request(4, 1));
    assert!(bed.close().contains(&Did::Settled(4, ErrorKind::Closed)));
}

#[test]
fn what_is_no_request_is_refused() {
    let mut bed = Bed::new(Settings { max_requests: 2, ..rpc() });
    bed.close();
    assert_eq!(bed.refuse(request(1, 1)).kind(), ErrorKind::Closed);
    bed.give(Input::Connect);
    bed.drain();
    for wrong in ["text", "[1]"] {
        let input = Input::Request { id: 2, message: wrong.into(), timeout: Duration::from_secs(1) };
        assert_eq!(bed.refuse(input).kind(), ErrorKind::InvalidInput);
    }
    let own = |id| Input::Request { id, message: json!({"id": "own"}).into(), timeout: Duration::from_secs(1) };
    bed.give(own(3));
    assert_eq!(bed.refuse(own(4)).kind(), ErrorKind::InvalidInput, "the id is in use");
    bed.give(request(5, 1));
    assert_eq!(bed.refuse(request(6, 1)).kind(), ErrorKind::Overflow);
    bed.give(Input::Withdraw { id: 3 });
    bed.give(own(7));
    let mut bed = Bed::new(raw());
    bed.give(Input::Connect);
    let error = bed.refuse(request(1, 1));
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, Some("requests")));
}

// The types of replies spare the rest of the events a look.
#[test]
fn replies_may_be_known_by_their_type_and_their_id_may_lie_deeper() {
    let dialect = r#"{"name": "typed", "requests":
        {"id": "meta.id", "reply_id": "re", "prefix": "r", "reply_types": ["done"]}}"#;
    let mut bed = Bed::new(Settings::new(Dialect::from_json(dialect).unwrap(), url()));
    bed.give(Input::Connect);
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    bed.give(request(1, 1));
    bed.give(Input::Room { generation: 1 });
    assert_eq!(sent(&bed.drain()), [json!({"method": "get", "meta": {"id": "r1"}})]);
    assert_eq!(bed.text(1, r#"{"type":"tick","re":"r1"}"#), [Did::Event("tick".into())]);
    assert_eq!(bed.text(1, r#"{"type":"done","re":"r9"}"#), [Did::Event("done".into())]);
    assert_eq!(bed.text(1, r#"{"type":"done","re":"r1"}"#), [Did::Reply(1, None)]);
}

// N-8: every request settles exactly once, with its own reply or for a reason.
#[test]
fn every_request_settles_exactly_once_on_random_schedules() {
    let seeds = seeds(2_000);
    let many = seeds.end - seeds.start >= 2_000;
    let mut seen = BTreeMap::new();
    for seed in seeds {
        World::run(seed, &mut seen);
    }
    let count = |what: &str| seen.get(what).copied().unwrap_or(0);
    let wanted = ["reply", "timeout", "closed", "overflow", "withdrawn", "refused"];
    assert!(!many || wanted.iter().all(|what| count(what) > 500), "{seen:?}");
}

struct World {
    line: Line,
    /// The requests that wait: until when.
    waiting: BTreeMap<u64, Duration>,
    /// What went over the current connection: the ids on the wire, with the number of the request.
    written: Vec<(Value, u64)>,
    last: u64,
}

impl World {
    fn run(seed: u64, seen: &mut BTreeMap<&'static str, u64>) {
        let mut dice = Dice::new(seed);
        let when_full = dice.pick(&[WhenFull::Error, WhenFull::DropOldest, WhenFull::Wait]);
        let outbox = if dice.chance(20) {
            OutboxRule::OFF
        } else {
            OutboxRule { messages: 1 + dice.below(4) as usize, when_full, ..OutboxRule::default() }
        };
        let mut world = Self {
            line: Line::new(dice, Settings { seed, outbox, max_requests: 5, ..rpc() }),
            waiting: BTreeMap::new(),
            written: Vec::new(),
            last: 0,
        };
        world.give(Input::Connect, seen);
        for _ in 0..120 {
            world.step(seen);
        }
        world.give(Input::Close { code: 1000, reason: String::new(), dropped: false }, seen);
        world.line.cut(100).into_iter().for_each(|input| world.give(input, seen));
        world.line.check(world.waiting.is_empty(), "a request did not settle");
        world.line.check(world.line.session.next_timeout().is_none(), "a timer after the end");
    }

    fn step(&mut self, seen: &mut BTreeMap<&'static str, u64>) {
        let current = self.line.current();
        match self.line.dice.below(16) {
            0..4 => {
                self.last += 1;
                let id = self.last;
                let seconds = 1 + self.line.dice.below(4);
                self.waiting.insert(id, self.line.now.since_start() + Duration::from_secs(seconds));
                if self.line.session.handle(self.line.now, request(id, seconds)).is_err() {
                    self.settle(id, "refused", seen);
                }
                self.drain(seen);
            }
            4 if !self.waiting.is_empty() => {
                let ids: Vec<u64> = self.waiting.keys().copied().collect();
                let id = self.line.dice.pick(&ids);
                self.settle(id, "withdrawn", seen);
                self.give(Input::Withdraw { id }, seen);
            }
            5..9 => self.give(Input::Room { generation: current }, seen),
            9..11 => {
                // The server answers something that it has got, or has answered, or nobody asked.
                let asked = self.written.iter().map(|(key, _)| key.clone()).chain([json!(999)]);
                let keys: Vec<Value> = asked.collect();
                let key = &keys[self.line.dice.below(keys.len() as u64) as usize];
                let payload = Event::from_text(json!({"id": key, "result": 1}).to_string());
                if self.line.is_up() {
                    self.give(Input::Message { generation: current, payload }, seen);
                }
            }
            11..13 => self.line.forward(WELCOME, 0).into_iter().for_each(|input| self.give(input, seen)),
            13 => {
                if let Some(input) = self.line.cut(40) {
                    self.give(input, seen);
                    let left = self.written.iter().any(|(_, id)| self.waiting.contains_key(id));
                    self.line.check(!left, "a request outlived its connection");
                    self.written.clear();
                }
            }
            14 if self.line.dice.chance(40) => {
                let id = 100_000 + self.last;
                let _ = self
                    .line
                    .session
                    .handle(self.line.now, Input::Send { id, message: "x".into(), options: SendOptions::new() });
                self.drain(seen);
            }
            _ => {
                let until = self.line.soon(1_500);
                while self.line.pass(until) {
                    self.give(Input::Timeout, seen);
                }
                let overdue = self.waiting.values().any(|until| *until <= self.line.now.since_start());
                self.line.check(!overdue, "a request waits too long");
            }
        }
        self.line.check(self.waiting.len() <= 5, "too many wait");
    }

    fn settle(&mut self, id: u64, how: &'static str, seen: &mut BTreeMap<&'static str, u64>) {
        let waited = self.waiting.remove(&id);
        self.line.check(waited.is_some(), "settled twice");
        *seen.entry(how).or_default() += 1;
    }

    fn give(&mut self, input: Input<Event>, seen: &mut BTreeMap<&'static str, u64>) {
        let _ = self.line.session.handle(self.line.now, input);
        self.drain(seen);
    }

    fn drain(&mut self, seen: &mut BTreeMap<&'static str, u64>) {
        while let Some(output) = self.line.poll() {
            match output {
                Output::Send { generation, id: Some(id), message: Message::Text(text) } if id < 100_000 => {
                    self.line.check(self.line.socket == Some((generation, true)), "written to the wrong socket");
                    self.line.check(self.waiting.contains_key(&id), "written though nobody waits");
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    self.written.push((frame["id"].clone(), id));
                }
                Output::Reply { id, reply } => {
                    let document: Value = reply.expect("no error").json().expect("JSON");
                    let own = self.written.iter().any(|(key, other)| *key == document["id"] && *other == id);
                    self.line.check(own, "the reply to another request");
                    self.settle(id, "reply", seen);
                }
                Output::Settled { id, error } if id < 100_000 => self.settle(id, error.kind().as_str(), seen),
                Output::Event(event) if event.event_type() == "unknown" => {
                    let document: Value = event.json().expect("JSON");
                    let awaited =
                        self.written.iter().any(|(key, id)| *key == document["id"] && self.waiting.contains_key(id));
                    self.line.check(!awaited, "a reply went astray");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn an_error_of_a_request_is_the_servers() {
    let mut bed = asking();
    let payload = Event::from_text(r#"{"id":1,"error":{"code":-32601,"message":"no such method"}}"#.to_owned());
    bed.give(Input::Message { generation: 1, payload });
    let Some(Output::Reply { reply, .. }) = bed.session.poll() else { panic!("a reply was expected") };
    let error: Error = reply.unwrap_err();
    assert_eq!((error.code(), error.message()), (Some(-32601), "no such method"));
}
