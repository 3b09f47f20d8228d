//! What servers do with messages, and the one of the dialect `everwire` with its session, which is published to, lost and taken
//! over.

use super::{
    happenings::{Frame, Happening},
    link::End,
    server::{self, Kind, Reply},
    world::World,
};
use everwire::ResumeMode;
use std::time::Duration;

impl World {
    /// There is something for the session, whoever is connected; now and then more than it keeps.
    pub(crate) fn published(&mut self) {
        let most = if self.random.chance(10) { 60 } else { 3 };
        for _ in 0..1 + self.random.below(most) {
            let (pad, shape) = ("x".repeat(self.random.below(20) as usize), self.random.below(3));
            self.keeper.publish(&format!(r#""type":"tick","pad":"{pad}""#), shape);
        }
        self.pump();
        let next = Duration::from_secs(1) + self.random.seconds(20);
        if self.speaks() {
            self.plan(next, Happening::Published);
        }
    }

    /// Writes what there is to the socket of the session.
    pub(crate) fn pump(&mut self) {
        let gone = |wire: &u64| !self.wires.get(wire).is_some_and(|wire| wire.server == End::Open);
        if self.keeper.socket().as_ref().is_some_and(gone) {
            self.keeper.hang_up();
        }
        while let Some((wire, frame)) = self.keeper.next() {
            if self.random.chance(2) {
                // What the protocol allows, and the client drops.
                self.sends_down(wire, Frame::Text(frame.clone()), Duration::ZERO);
            }
            self.sends_down(wire, Frame::Text(frame), Duration::ZERO);
        }
    }

    /// The server has lost the session.
    pub(crate) fn session_lost(&mut self) {
        if self.keeper.epoch > 0 {
            self.begin_session();
        }
    }

    fn begin_session(&mut self) {
        self.keeper.begin();
        self.last_taken = 0;
    }

    pub(crate) fn session_receives(&mut self, wire: u64, text: &str) {
        let inside = self.sent.contains_key(&wire);
        match Kind::Everwire.receive(text, inside, self.now) {
            Reply::Welcome => self.session_welcomes(wire, text),
            // Nothing is taken from a socket that another one has followed.
            _ if inside && !self.keeper.is_on(wire) => {}
            Reply::Expired => self.sends_down(wire, Frame::Error(40), Duration::ZERO),
            Reply::Alive(text) => self.sends_down(wire, Frame::Text(text), Duration::ZERO),
            Reply::Message(number) => drop(self.session_takes(wire, number, text)),
            Reply::Request(number, id) => {
                if self.session_takes(wire, number, text) {
                    self.is_asked(wire, number, id);
                }
            }
            Reply::Acknowledged(seq) => {
                let written = self.keeper.acknowledged(seq);
                self.rules.check(written, "(5) an acknowledgement of what was not written");
            }
            Reply::Pong | Reply::Channel => {}
            Reply::Nonsense => self.rules.check(false, "(4) the server does not understand the client"),
        }
    }

    fn session_welcomes(&mut self, wire: u64, text: &str) {
        // One that has given up meanwhile takes nothing over.
        if self.wires.get(&wire).is_none_or(|wire| wire.client == End::Gone) {
            return;
        }
        self.sent.insert(wire, 0);
        let last = server::number_in(text, r#""last":"#).unwrap_or_default();
        let before = self.keeper.epoch;
        let (hello, old) = self.keeper.welcome(wire, server::session_in(text), last);
        if self.keeper.epoch != before {
            self.last_taken = 0;
        }
        self.sends_down(wire, Frame::Hello(hello), Duration::ZERO);
        if let Some(old) = old.filter(|old| *old != wire) {
            self.server_closes(old, 4409);
        }
        self.pump();
    }

    /// A message of the user's reaches the session; whether it is new.
    fn session_takes(&mut self, wire: u64, number: u64, text: &str) -> bool {
        let Some(place) = self.rules.book.place(number) else {
            self.rules.check(false, "(4) a message arrived that was not written");
            return false;
        };
        let new = server::number_in(text, r#""seq":"#).and_then(|seq| self.keeper.takes(seq));
        self.rules.check(new.is_some(), "(4) a message was left out");
        let new = new.unwrap_or_default();
        if new {
            self.rules.check(place > self.last_taken, "(4) a message was taken out of order");
            self.last_taken = place;
            // What the old session took, a new one may take again if the user says so.
            let first = self.taken.insert(place);
            self.rules.check(first || self.mode == ResumeMode::FullBuffer, "(4) a message was taken twice");
        }
        let received = self.keeper.received();
        self.sends_down(wire, Frame::Text(received), Duration::ZERO);
        new
    }

    /// A message of the user's reaches a server that keeps no session.
    pub(crate) fn arrives(&mut self, wire: u64, number: u64) {
        let Some(place) = self.rules.book.place(number) else {
            return self.rules.check(false, "(4) a message arrived that was not written");
        };
        let last = self.arrived.iter().rfind(|(_, on)| **on == wire).map_or(0, |(last, _)| *last);
        self.rules.check(place > last, "(4) a message arrived out of order");
        self.rules.check(self.arrived.insert(place, wire).is_none(), "(4) a message arrived twice");
    }

    /// The server answers a request: soon or late, once or twice, with a failure, or not at all.
    pub(crate) fn is_asked(&mut self, wire: u64, number: u64, id: u64) {
        let outcome = if self.random.chance(15) { r#""failed":{"code":7,"message":"no"}"# } else { r#""result":[1]"# };
        let reply = format!(r#""type":"reply","rid":{id},"mine":{number},{outcome}"#);
        let times = self.random.pick(&[1, 1, 1, 1, 1, 1, 2, 0]);
        for _ in 0..times {
            let most = if self.random.chance(20) { 15 } else { 1 };
            let wait = self.random.seconds(most);
            self.plan(wait, Happening::Answered(wire, reply.clone()));
        }
    }

    pub(crate) fn answers(&mut self, wire: u64, reply: &str) {
        if self.rules.kind == Kind::Everwire {
            if self.speaks() {
                let shape = self.random.below(3);
                self.keeper.publish(reply, shape);
                self.pump();
            }
        } else if self.wires.get(&wire).is_some_and(|wire| wire.server == End::Open) {
            self.sends_down(wire, Frame::Text(format!("{{{reply}}}")), Duration::ZERO);
        }
    }
}
