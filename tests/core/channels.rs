//! Channels: what the server knows of them is what is wanted, on every connection (S2-13).

use super::{
    bed::*,
    dice::{Dice, seeds},
    line::Line,
    test,
};
use everwire::{
    ErrorKind, Message, OutboxRule, SendOptions,
    proto::{Dialect, Input, Output, Settings},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

const DIALECT: &str = r#"{
    "name": "market",
    "hello": { "types": ["welcome"] },
    "channels": {
        "field": "channel",
        "subscribe": { "op": "sub", "channel": "${channel}", "depth": "${depth?}" },
        "unsubscribe": { "op": "unsub", "channel": "${channel}" }
    }
}"#;

const WELCOME: &str = r#"{"type":"welcome"}"#;

fn market() -> Settings {
    Settings::new(Dialect::from_json(DIALECT).expect("a dialect"), url())
}

fn sub(channel: &str) -> Input<Event> {
    Input::Subscribe { channel: Arc::from(channel) }
}

fn unsub(channel: &str) -> Input<Event> {
    Input::Unsubscribe { channel: Arc::from(channel) }
}

/// Everything that is written as long as the socket has room, in short: `sub a`, `unsub a`, or the text.
fn flush(bed: &mut Bed, generation: u64) -> Vec<String> {
    let mut frames = Vec::new();
    while bed.session.wants_room() {
        bed.give(Input::Room { generation });
        for did in bed.drain() {
            if let Did::Send(_, text) = did {
                frames.push(short(&text));
            }
        }
    }
    frames
}

fn short(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(frame)) if frame.contains_key("op") => {
            format!("{} {}", frame["op"].as_str().unwrap_or_default(), frame["channel"].as_str().unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

// The S2 bug "multiplexing that never resubscribes".
#[test]
fn every_connection_is_told_of_what_is_wanted_in_order_and_before_what_waits() {
    let mut bed = Bed::new(market());
    bed.give(sub("b"));
    bed.give(Input::Connect);
    bed.give(sub("a"));
    bed.give(sub("c"));
    bed.give(send("7"));
    bed.give(unsub("c"));
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    assert!(!bed.session.wants_room(), "nothing before the hello");
    bed.text(1, WELCOME);
    assert_eq!(flush(&mut bed, 1), ["sub b", "sub a", "7"]);
    bed.give(sub("a"));
    bed.give(sub("d"));
    bed.give(unsub("b"));
    // In the order in which the channels were asked for first.
    assert_eq!(flush(&mut bed, 1), ["unsub b", "sub d"]);
    // What comes and goes before there is room is not worth a frame.
    bed.give(sub("e"));
    bed.give(unsub("e"));
    bed.give(unsub("d"));
    bed.give(sub("d"));
    assert_eq!(flush(&mut bed, 1), Vec::<String>::new());
    bed.lost(1, None);
    bed.give(unsub("a"));
    bed.give(send("8"));
    bed.give(sub("b"));
    bed.next_timer();
    bed.give(Input::Opened { generation: 2 });
    bed.text(2, WELCOME);
    assert_eq!(flush(&mut bed, 2), ["sub d", "sub b", "8"]);
    // A client that is closed and connects anew is told again; nothing is said while it closes.
    bed.give(sub("f"));
    let closing = bed.close();
    assert!(!closing.iter().any(|did| matches!(did, Did::Send(..))), "{closing:?}");
    bed.lost(2, Some(1000));
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 3 });
    bed.text(3, WELCOME);
    assert_eq!(flush(&mut bed, 3), ["sub d", "sub b", "sub f"]);
}

// Without an outbox a message cannot wait behind a subscription, and it must not overtake it.
#[test]
fn without_an_outbox_no_message_overtakes_a_subscription_that_waits_for_room() {
    let mut bed = Bed::new(Settings { outbox: OutboxRule::OFF, ..market() });
    bed.give(sub("a"));
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, WELCOME);
    let error = bed.refuse(send("7"));
    assert_eq!((error.kind(), bed.session.stats().outbox_overflows), (ErrorKind::Overflow, 1));
    assert_eq!(bed.drain(), []);
    assert_eq!(flush(&mut bed, 1), ["sub a"]);
    bed.give(send("8"));
    assert_eq!(bed.drain(), [Did::Send(1, "8".into())]);
}

#[test]
fn a_dialect_without_channels_says_so() {
    let mut bed = Bed::new(raw());
    let error = bed.refuse(sub("a"));
    assert_eq!((error.kind().as_str(), error.path()), ("unsupported", Some("channels")));
    let mut settings = market();
    settings.params.insert("depth", json!(5).into());
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, WELCOME);
    bed.give(sub("a"));
    bed.give(Input::Room { generation: 1 });
    assert_eq!(sent(&bed.drain()), [json!({"op": "sub", "channel": "a", "depth": 5})]);
}

// Whatever happens: nobody is subscribed twice on a connection, nor unsubscribed for nothing, and once the socket has had
// room the server knows exactly what is wanted.
#[test]
fn the_server_knows_what_is_wanted_on_random_schedules() {
    let (mut frames, mut connections) = (0, 0);
    let seeds = seeds(2_000);
    let many = seeds.end - seeds.start >= 2_000;
    for seed in seeds {
        let (some, more) = World::new(seed).run();
        frames += some;
        connections += more;
    }
    assert!(!many || (frames > 20_000 && connections > 3_000), "{frames} {connections}");
}

struct World {
    line: Line,
    wanted: BTreeSet<&'static str>,
    /// What the server knows of on this connection.
    known: BTreeSet<String>,
    frames: u64,
    connections: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            line: Line::new(Dice::new(seed), Settings { seed, ..market() }),
            wanted: BTreeSet::new(),
            known: BTreeSet::new(),
            frames: 0,
            connections: 0,
        }
    }

    fn run(mut self) -> (u64, u64) {
        self.give(Input::Connect);
        for number in 0..100 {
            self.step(number);
        }
        (self.frames, self.connections)
    }

    fn step(&mut self, number: u64) {
        let name = self.line.dice.pick(&["a", "b", "c", "d", "e"]);
        match self.line.dice.below(14) {
            0..3 => {
                self.wanted.insert(name);
                self.give(sub(name));
            }
            3..5 => {
                self.wanted.remove(name);
                self.give(unsub(name));
            }
            5 => self.give(Input::Send { id: number, message: "mine".into(), options: SendOptions::new() }),
            6..8 => {
                let generation = self.line.current();
                self.give(Input::Room { generation });
            }
            8 => {
                while self.line.session.wants_room() {
                    let generation = self.line.current();
                    self.give(Input::Room { generation });
                }
                let up = self.line.is_up();
                let same = self.known.iter().map(String::as_str).eq(self.wanted.iter().copied());
                self.line.check(!up || same, "the server does not know what is wanted");
            }
            9..11 => {
                let input = self.line.forward(WELCOME, 0);
                match &input {
                    Some(Input::Opened { .. }) => self.known.clear(),
                    Some(_) => self.connections += 1,
                    None => {}
                }
                input.into_iter().for_each(|input| self.give(input));
            }
            11 => self.line.cut(50).into_iter().for_each(|input| self.give(input)),
            _ => {
                let until = self.line.soon(2_000);
                while self.line.pass(until) {
                    self.give(Input::Timeout);
                }
            }
        }
    }

    fn give(&mut self, input: Input<Event>) {
        // A message is refused before the first connect, and that is right.
        let _ = self.line.session.handle(self.line.now, input);
        while let Some(output) = self.line.poll() {
            if let Output::Send { generation, message: Message::Text(text), .. } = output {
                self.line.check(self.line.socket == Some((generation, true)), "written to the wrong socket");
                self.takes(&short(&text));
            }
        }
    }

    fn takes(&mut self, frame: &str) {
        self.frames += 1;
        match frame.split_once(' ') {
            Some(("sub", name)) => {
                let new = self.known.insert(name.to_owned());
                self.line.check(new, "subscribed twice");
            }
            Some(("unsub", name)) => {
                let known = self.known.remove(name);
                self.line.check(known, "unsubscribed for nothing");
            }
            _ => {
                let told = self.wanted.iter().all(|name| self.known.contains(*name));
                self.line.check(told, "a message overtook a subscription");
            }
        }
    }
}
