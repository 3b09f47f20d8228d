//! Tells the session what happened, does what it says, and sees that the rules hold.

use super::{
    book::Listener,
    happenings::Happening,
    link::{End, Wire},
    seen::Seen,
    server::{self, Kind},
    world::{Event, Feeding, Untold, World},
};
use everwire::{
    ErrorKind, Message, ResumeMode, State,
    proto::{Cause, Input, Lifecycle, Output, Passed, Timestamp},
};
use serde_json::Value;

impl World {
    /// Tells the session what happened, and does what it says.
    pub(crate) fn give(&mut self, input: Input<Event>, seen: &mut Seen) -> bool {
        if self.trace {
            eprintln!("{:>12.3?} {input:?}", self.now);
        }
        self.tell_passed();
        let ended = self.rules.is_over() && !matches!(input, Input::Connect | Input::Close { .. });
        let Feeding { event, numbered, .. } = self.feeding;
        self.feeding = Feeding { timeout: matches!(input, Input::Timeout), event, numbered, ..Feeding::default() };
        let result = self.session.handle(Timestamp::after_start(self.now), input);
        while let Some(output) = self.session.poll() {
            if self.trace {
                eprintln!("{:>12} → {output:?}", "");
            }
            self.feeding.outputs += 1;
            self.act(output, seen);
        }
        self.rules.check(!ended || self.feeding.outputs == self.feeding.aborts, "(9) something after the end");
        self.rules.check(self.feeding.outputs <= 16, "(8) too much at once");
        if self.session.wants_room()
            && self.now >= self.full_until
            && let Some(generation) = self.socket()
        {
            let feeding = std::mem::take(&mut self.feeding);
            self.give(Input::Room { generation }, seen);
            self.feeding = feeding;
        }
        self.rest();
        match result {
            Ok(()) => {
                self.counts();
                true
            }
            Err(error) => {
                self.refusal = error.kind();
                false
            }
        }
    }

    /// Whether a message is an ordinary event that goes to the listener without the session: many a driver gives it all of them.
    pub(crate) fn passes(&mut self, wire: u64, text: &str) -> bool {
        let due = self.session.next_timeout().is_some_and(|due| due <= Timestamp::after_start(self.now));
        if self.served() != Some(wire) || !self.session.lets_pass() || due || !self.random.chance(70) {
            return false;
        }
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        document["type"].as_str().is_some_and(|name| !self.control.iter().any(|control| control == name))
    }

    /// Gives an event to the listener, of which the session is told later.
    pub(crate) fn lets_pass(&mut self, wire: u64, text: &str, seen: &mut Seen) {
        self.rules.waited = None;
        self.rules.check(!self.rules.book.awaits(server::mine(text)), "(3) a reply passes whoever waits for it");
        if let Some((wire, number)) = server::event_number(text) {
            self.rules.delivers(wire, number);
        }
        if let Some((epoch, seq)) = server::numbered(text).filter(|_| self.rules.kind == Kind::Everwire) {
            self.rules.holds(self.listener.event(epoch, seq));
        }
        self.heard += 1;
        seen.events += 1;
        seen.passed += 1;
        let untold = self.untold.get_or_insert_default();
        self.rules.check(untold.messages == 0 || untold.wire == wire, "events passed on two connections at once");
        untold.wire = wire;
        untold.messages += 1;
        untold.bytes += text.len() as u64;
        untold.at = self.now;
    }

    /// Before anything else the session learns what has passed.
    fn tell_passed(&mut self) {
        let Some(Untold { wire, messages, bytes, at }) = self.untold.take() else { return };
        let passed = Passed { messages, bytes, since: self.now - at };
        let told = self.session.handle(Timestamp::after_start(self.now), Input::Passed { generation: wire, passed });
        self.rules.check(told.is_ok() && self.session.poll().is_none(), "what has passed asks for nothing");
    }

    /// The socket that a driver offers when it has room: the session must know whether it is the right one.
    fn socket(&self) -> Option<u64> {
        let open = || self.wires.iter().find(|(_, wire)| wire.client == End::Open).map(|(wire, _)| *wire);
        self.served().or_else(open)
    }

    /// The connection that takes messages now.
    pub(crate) fn served(&self) -> Option<u64> {
        let (wire, _) = self.rules.up?;
        self.wires.get(&wire).filter(|wire| wire.client == End::Open).map(|_| wire)
    }

    fn rest(&self) {
        let live = self.wires.values().filter(|wire| wire.client != End::Gone).count();
        self.rules.rest(live, self.session.next_timeout().is_some());
        self.rules.check(self.rules.state == self.session.state(), "a state was not told");
        if let Some(wire) = self.served().filter(|_| self.now >= self.full_until) {
            self.rules.holds(self.rules.book.served(wire));
        }
        let named = self.session.connection_id().is_some();
        let up = self.rules.state == State::Connected && self.rules.kind.has_hello();
        self.rules.check(up == named, "the connection id belongs to a connection");
    }

    /// What the session counts is what there is.
    pub(crate) fn counts(&self) {
        let stats = self.session.stats();
        self.rules.holds(self.rules.book.counts(stats.outbox_messages, stats.outbox_bytes, stats.outbox_overflows));
        self.rules.check(stats.events == self.heard, "an event is not counted, or counted twice");
        let settled = !self.rules.is_over() || self.rules.book.is_empty();
        self.rules.check(settled, "(3) a message or a request has not settled");
    }

    fn act(&mut self, output: Output<Event>, seen: &mut Seen) {
        match output {
            Output::Dial { generation, request } => {
                self.rules.tries(self.feeding.timeout);
                seen.overlaps += u64::from(self.rules.state == State::Connected);
                if self.rules.kind == Kind::StreamV1 {
                    self.rules.shows(server::token_in(&request.url).map(|(number, _)| number));
                }
                self.wires.insert(generation, Wire::new(self.latency));
                let live = self.wires.values().filter(|wire| wire.client != End::Gone).count();
                self.rules.live(live);
                self.dialled(generation, request);
            }
            Output::FetchToken { generation } => {
                self.rules.fetches(generation, seen);
                self.asked_for_token(generation);
            }
            Output::Send { generation, message, id } => {
                let open = self.wires.get(&generation).is_some_and(|wire| wire.client == End::Open);
                self.rules.check(open, "(4) written to a socket that is not open");
                let Message::Text(text) = message else { return self.rules.check(false, "text alone is sent here") };
                if text.starts_with(r#"{"type":"wire.connect""#) {
                    self.asks_to_go_on(&text);
                }
                if let Some(number) = id {
                    // However many waited, a close writes them all.
                    self.feeding.outputs -= 1;
                    self.rules.check(number == server::mine(&text), "(4) another message");
                    self.rules.writes(generation, number);
                    seen.written += 1;
                } else if server::mine(&text) > 0 {
                    self.feeding.outputs -= 1;
                    self.rules.check(self.rules.kind == Kind::Everwire, "(4) written again");
                    self.rules.check(self.rules.up_on(generation), "(4) written again to another socket");
                    let known = server::number_in(&text, r#""seq":"#) <= Some(self.known_taken);
                    self.rules.check(!known, "(4) written again though the server has it");
                    seen.again += 1;
                } else if let Some((subscribe, name)) = server::channel_in(&text) {
                    self.rules.check(self.rules.up_on(generation), "a channel is told of on another socket");
                    let verdict = self.rules.book.tells(generation, subscribe, name);
                    self.rules.holds(verdict);
                    seen.told += 1;
                }
                self.sends_up(generation, text);
            }
            Output::Ping { generation } => {
                let open = self.wires.get(&generation).is_some_and(|wire| wire.client == End::Open);
                self.rules.check(open, "a ping to a socket that is not open");
                self.pings(generation);
            }
            Output::Accepted { id } => {
                self.feeding.outputs -= 1;
                let verdict = self.rules.book.accepts(id);
                self.rules.holds(verdict);
            }
            Output::Settled { id, error } => {
                // However many wait, all are told.
                self.feeding.outputs -= 1;
                let up = self.rules.up.is_some();
                let verdict = self.rules.book.settles(id, error.kind(), self.now, up, seen);
                self.rules.holds(verdict);
            }
            Output::Reply { id, reply } => {
                seen.replies += 1;
                self.numbered();
                let verdict = self.rules.book.replies(id);
                self.rules.holds(verdict);
                match reply {
                    Ok(reply) => {
                        let text = reply.text().unwrap_or_default();
                        self.rules.check(server::mine(text) == id, "(3) the reply to another request");
                        self.rules.check(!server::fails(text), "(3) a failure that is told as a success");
                    }
                    Err(error) => {
                        self.rules.check(error.kind() == ErrorKind::Server, "(3) an error that is not the server's");
                    }
                }
            }
            Output::Close { generation, .. } => {
                let open = self.wires.get(&generation).is_some_and(|wire| wire.client == End::Open);
                self.rules.check(open, "closing what is not open");
                self.closes(generation);
            }
            Output::Abort { generation, .. } => {
                self.feeding.aborts += 1;
                self.rules.fetching.take_if(|fetching| *fetching == generation);
                self.aborted(generation);
            }
            Output::Event(event) => {
                seen.events += 1;
                self.heard += 1;
                self.feeding.delivered += 1;
                self.numbered();
                let text = event.text().unwrap_or_default();
                if let Some((wire, number)) = server::event_number(text) {
                    self.rules.check(self.feeding.event == Some((wire, number)), "(2) an event out of nowhere");
                    self.rules.delivers(wire, number);
                }
                if self.rules.kind == Kind::Everwire && event.event_type() == "wire.hello" {
                    self.rules.holds(self.listener.hello(server::session_in(text).unwrap_or_default()));
                }
                self.rules.check(self.rules.up.is_some(), "(2) an event outside a connection");
            }
            Output::Lifecycle(step) => {
                let open = self.wires.iter().find(|(_, wire)| wire.client == End::Open).map(|(wire, _)| *wire);
                self.rules.step(&step, open, seen);
                self.listens(&step, seen);
                if let Lifecycle::Closed(cause) = &step {
                    // Many a program tries again all the same.
                    if !cause.is_intended() && self.troubled() && self.random.chance(60) {
                        let again = self.random.seconds(20);
                        self.plan(again, Happening::UserConnects);
                    }
                    // A driver drops the socket with the end.
                    for wire in self.wires.values_mut() {
                        wire.client = End::Gone;
                    }
                }
            }
            _ => self.rules.check(false, "an output nobody knows"),
        }
    }

    /// Rule 5: whoever has a session asks for what comes after the last event.
    fn asks_to_go_on(&self, first_frame: &str) {
        let Listener { epoch, next, anew } = self.listener;
        let has_session = !anew && self.mode != ResumeMode::None;
        let asked = (server::session_in(first_frame), server::number_in(first_frame, r#""last":"#));
        let wanted = if has_session { (Some(epoch), Some(next - 1)) } else { (None, None) };
        self.rules.check(asked == wanted, "(5) a session does not go on where it broke");
    }

    /// An event of a session is given to the listener.
    fn numbered(&mut self) {
        if let Some((epoch, seq)) = self.feeding.numbered.take() {
            self.rules.holds(self.listener.event(epoch, seq));
        }
    }

    /// What the steps mean for whoever listens to a session that goes on.
    fn listens(&mut self, step: &Lifecycle, seen: &mut Seen) {
        match step {
            Lifecycle::Gap { from, to } => {
                let keeper = &self.keeper;
                let verdict = self.listener.gap(*from, *to, |epoch, seq| keeper.has_dropped(epoch, seq));
                self.rules.holds(verdict);
            }
            Lifecycle::Error(error) if error.message().contains("session is gone") => self.reported = true,
            Lifecycle::Disconnected { .. } if self.rules.kind != Kind::Everwire => {
                self.rules.holds(self.rules.book.lost());
            }
            // The session is left, and the next one begins anew.
            Lifecycle::Closed(Cause::ByUser) => self.listener.anew |= self.for_good,
            Lifecycle::Closed(Cause::Dropped | Cause::ByServer(_) | Cause::SignedOut(_)) => self.listener.anew = true,
            Lifecycle::Overflow { dropped, .. } => seen.overflows += dropped,
            _ => {}
        }
    }
}
