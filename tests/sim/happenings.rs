//! What happens in the world, and what follows from it: the link carries, the server answers, the user wishes.

use super::{
    link::End,
    rules::Token,
    seen::Seen,
    server::{self, Kind, Reply},
    world::{Event, World},
};
use everwire::{
    Error, ErrorKind, State,
    proto::{CloseInfo, DialRequest, Input, NetworkChange, Secret},
};
use std::time::Duration;

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A dial reaches its end.
    Opened(u64),
    Refused(u64, ErrorKind),
    /// A frame comes out of the pipe at the client, or at the server.
    Down(u64, Frame),
    Up(u64, String),
    /// The client's end learns that the wire is gone, with a close code or without; so does the server's.
    Broken(u64, Option<u16>),
    ServerAlone(u64),
    /// The server has something to say on this connection.
    ServerSpeaks(u64),
    /// The token provider answers; `None`: it fails.
    Token(u64, Option<u64>),
    Network(NetworkChange),
    Whim,
    UserConnects,
    UserCloses {
        code: u16,
        dropped: bool,
    },
    UserWants,
    /// The socket has room again.
    Room,
    /// A session of the server gets events, whoever is connected.
    Published,
    /// The server answers a request.
    Answered(u64, String),
}

/// A frame of the server.
#[derive(Debug)]
pub(crate) enum Frame {
    Hello(String),
    Event(u64, String),
    Error(i64),
    Text(String),
    Binary,
    Ping,
    Pong,
}

impl World {
    pub(crate) fn happen(&mut self, happening: Happening, seen: &mut Seen) {
        match happening {
            Happening::Opened(wire) => self.opened(wire, seen),
            Happening::Refused(wire, kind) => {
                let stale = !self.take_if(wire, &[End::Dialing]);
                self.fact(
                    wire,
                    stale,
                    Input::DialFailed { generation: wire, error: Error::new(kind, "refused") },
                    seen,
                );
            }
            Happening::Down(wire, frame) => self.comes_down(wire, frame, seen),
            Happening::Up(wire, text) => self.comes_up(wire, &text),
            Happening::Broken(wire, code) => {
                let stale = !self.take_if(wire, &[End::Open]);
                let dialling = self.wires.get(&wire).is_some_and(|wire| wire.client == End::Dialing);
                // A socket that is not open yet cannot close: its dial fails.
                if !dialling {
                    let info = CloseInfo { code, ..Default::default() };
                    let was_up = self.rules.up_on(wire);
                    self.fact(wire, stale, Input::Closed { generation: wire, info }, seen);
                    if was_up && self.rules.up_on(wire) {
                        self.rules.is_succeeded();
                    }
                }
            }
            Happening::ServerAlone(wire) => {
                if let Some(wire) = self.wires.get_mut(&wire) {
                    wire.server = End::Gone;
                }
            }
            Happening::ServerSpeaks(wire) => self.server_speaks(wire),
            Happening::Token(generation, token) => self.token_comes(generation, token, seen),
            Happening::Network(change) => {
                self.rules.network(change != NetworkChange::Offline);
                self.give(Input::Network(change), seen);
            }
            Happening::Whim if self.troubled() => self.whim(seen),
            Happening::Whim => {}
            Happening::UserConnects => self.user_connects(seen),
            Happening::UserCloses { code, dropped } => {
                let effective = !self.rules.state.is_end() && self.rules.state != State::Disconnecting;
                if effective {
                    self.for_good = dropped || code == 1000;
                }
                self.give(Input::Close { code, reason: "client disconnect".into(), dropped }, seen);
            }
            Happening::UserWants if self.speaks() => self.user_wants(seen),
            Happening::UserWants => {}
            Happening::Room => {
                let generation = self.served().unwrap_or_default();
                if self.now >= self.full_until && generation > 0 {
                    self.give(Input::Room { generation }, seen);
                }
            }
            Happening::Published => self.published(),
            Happening::Answered(wire, reply) => self.answers(wire, &reply),
        }
    }

    fn take_if(&mut self, wire: u64, ends: &[End]) -> bool {
        let Some(wire) = self.wires.get_mut(&wire).filter(|wire| ends.contains(&wire.client)) else { return false };
        wire.client = End::Gone;
        true
    }

    /// Tells the session of something on a wire. What is stale changes nothing and is counted (rule 2).
    fn fact(&mut self, wire: u64, stale: bool, input: Input<Event>, seen: &mut Seen) {
        let counted = self.session.stats().stale_dropped;
        let state = self.rules.state;
        self.give(input, seen);
        if stale {
            let silent = self.feeding.outputs == self.feeding.aborts && self.rules.state == state;
            self.rules.check(silent, &format!("(2) wire {wire} is stale, and something came of it"));
            self.rules.check(self.session.stats().stale_dropped == counted + 1, "(2) what is stale is counted");
        }
    }

    fn opened(&mut self, wire: u64, seen: &mut Seen) {
        let stale = match self.wires.get_mut(&wire).filter(|wire| wire.client == End::Dialing) {
            Some(wire) => {
                wire.client = End::Open;
                false
            }
            None => true,
        };
        self.fact(wire, stale, Input::Opened { generation: wire }, seen);
        self.rules.check(!stale || self.feeding.aborts == 1, "(1) a late socket stays open");
    }

    /// A dial is on its way.
    pub(crate) fn dialled(&mut self, wire: u64, request: DialRequest) {
        let latency = self.latency * 2;
        let wait = latency + self.random.up_to(latency);
        let trouble = self.troubled();
        let luck = self.random.below(20);
        if self.now < self.down_until || self.rules.offline {
            if self.random.chance(50) {
                self.plan(wait, Happening::Refused(wire, ErrorKind::Connect));
            }
            return;
        }
        let wait = match luck {
            0 | 1 if trouble => {
                let unsupported = self.random.chance(4);
                let kind = if unsupported { ErrorKind::Unsupported } else { ErrorKind::Connect };
                return self.plan(wait, Happening::Refused(wire, kind));
            }
            // Too late, or just not yet.
            2 if trouble => Duration::from_secs(8) + self.random.seconds(10),
            // No answer.
            3 if trouble => return,
            _ => wait,
        };
        self.plan(wait, Happening::Opened(wire));
        if let Some(wire) = self.wires.get_mut(&wire) {
            wire.server = End::Open;
            wire.down.opens(self.now + wait);
        }
        if let Some(reply) = self.rules.kind.accept(&request, self.now) {
            self.server_replies(wire, reply, wait);
        }
    }

    pub(crate) fn asked_for_token(&mut self, generation: u64) {
        let wait = self.random.seconds(2);
        if self.troubled() && self.random.chance(4) {
            return;
        }
        let good = self.now >= self.tokenless_until && !(self.troubled() && self.random.chance(5));
        if good {
            self.tokens += 1;
        }
        self.plan(wait, Happening::Token(generation, good.then_some(self.tokens)));
    }

    fn token_comes(&mut self, generation: u64, token: Option<u64>, seen: &mut Seen) {
        if self.rules.fetching == Some(generation) && self.rules.fetched_at + Duration::from_secs(10) <= self.now {
            // Too late: the session has given up on it.
            self.rules.fetching = None;
        }
        let asked = self.rules.fetching.take_if(|fetching| *fetching == generation).is_some();
        let stale = !asked || self.rules.state == State::Disconnecting;
        let life = if self.troubled() { self.random.seconds(150) } else { Duration::from_secs(1_000) };
        let end = self.now + Duration::from_secs(10) + life;
        let result = match token {
            Some(number) if self.random.chance(50) => Ok(server::jwt(number, self.now, end)),
            Some(number) => Ok(server::token(number, end)),
            None if self.random.chance(25) => Err(Error::signed_out("no user")),
            None => Err(Error::new(ErrorKind::Token, "no")),
        };
        let signed_out = !stale && matches!(&result, Err(error) if error.kind() == ErrorKind::SignedOut);
        if signed_out {
            self.rules.token = None;
        }
        // A renewal that fails leaves the token that there is.
        if let (false, Some(number), Ok(text)) = (stale, token, &result) {
            let dated = text.starts_with("e30.");
            // Dates are whole seconds.
            let half = ((end - self.now) / 2).saturating_sub(Duration::from_secs(1));
            self.rules.token = Some(Token { number, renew_after: dated.then(|| self.now + half) });
        }
        self.tell_time(seen);
        self.fact(generation, stale, Input::Token { generation, result: result.map(Secret::from) }, seen);
        self.rules.check(!signed_out || self.rules.state.is_end(), "(7) a user who is signed out is not the end");
    }

    /// The client writes a frame.
    pub(crate) fn sends_up(&mut self, wire: u64, text: String) {
        if self.rules.kind.has_first_frame() && !self.sent.contains_key(&wire) && text.contains("tok-") {
            self.rules.shows(server::token_in(&text).map(|(number, _)| number));
        }
        let Some(link) = self.wires.get_mut(&wire).filter(|wire| !wire.up.is_dead()) else { return };
        let at = link.up.arrival(self.now, &mut self.random);
        self.plan_at(at, Happening::Up(wire, text));
    }

    /// The client writes a ping of the protocol, which the other end answers by itself.
    pub(crate) fn pings(&mut self, wire: u64) {
        let Some(link) = self.wires.get_mut(&wire).filter(|wire| !wire.up.is_dead()) else { return };
        let there = link.up.arrival(self.now, &mut self.random);
        let think = there - self.now;
        self.sends_down(wire, Frame::Pong, think);
    }

    fn comes_up(&mut self, wire: u64, text: &str) {
        let open = self.wires.get(&wire).is_some_and(|wire| wire.server == End::Open && !wire.up.is_dead());
        if open && self.rules.kind == Kind::Everwire {
            self.session_receives(wire, text);
        } else if open {
            let reply = self.rules.kind.receive(text, self.sent.contains_key(&wire), self.now);
            let think = self.random.up_to(Duration::from_millis(20));
            self.server_replies(wire, reply, think);
        }
    }

    fn server_replies(&mut self, wire: u64, reply: Reply, think: Duration) {
        let kind = self.rules.kind;
        match reply {
            Reply::Welcome => {
                self.sent.insert(wire, 0);
                if kind.has_hello() {
                    self.sends_down(wire, Frame::Hello(kind.hello(wire)), think);
                }
                self.plan(think, Happening::ServerSpeaks(wire));
            }
            Reply::Expired => self.sends_down(wire, Frame::Error(40), think),
            Reply::Alive(text) => self.sends_down(wire, Frame::Text(text), think),
            Reply::Message(number) => self.arrives(wire, number),
            Reply::Request(number, id) => {
                self.arrives(wire, number);
                self.is_asked(wire, number, id);
            }
            Reply::Pong | Reply::Channel => {}
            Reply::Acknowledged(_) => self.rules.check(false, "an acknowledgement that nobody wants"),
            Reply::Nonsense => self.rules.check(false, "(4) the server does not understand the client"),
        }
    }

    fn server_speaks(&mut self, wire: u64) {
        if !self.wires.get(&wire).is_some_and(|wire| wire.server == End::Open) {
            return;
        }
        let events = 1 + self.random.below(3);
        for _ in 0..events {
            let Some(sent) = self.sent.get_mut(&wire) else { return };
            *sent += 1;
            let number = *sent;
            let text = server::event(wire, number, &mut self.random);
            self.sends_down(wire, Frame::Event(number, text), Duration::ZERO);
        }
        if self.random.chance(20) {
            let ping = Frame::Text(r#"{"type":"ping"}"#.to_owned());
            let control = if self.rules.kind == server::Kind::Envelope { ping } else { Frame::Ping };
            self.sends_down(wire, control, Duration::ZERO);
        }
        let next = Duration::from_secs(1) + self.random.seconds(30);
        self.plan(next, Happening::ServerSpeaks(wire));
    }

    pub(crate) fn sends_down(&mut self, wire: u64, frame: Frame, think: Duration) {
        let Some(link) = self.wires.get_mut(&wire).filter(|wire| !wire.down.is_dead()) else { return };
        let at = link.down.arrival(self.now + think, &mut self.random);
        self.plan_at(at, Happening::Down(wire, frame));
    }

    fn comes_down(&mut self, wire: u64, frame: Frame, seen: &mut Seen) {
        let stale = match self.wires.get(&wire) {
            // What was in the pipe when it went dead is lost.
            Some(wire) if wire.down.is_dead() => return,
            Some(wire) => wire.client == End::Gone,
            None => true,
        };
        // Most drivers drop what an old socket says. The session must not need them to.
        if stale && self.wires.contains_key(&wire) && self.random.chance(50) {
            return;
        }
        if !stale {
            self.rules.heard_at = self.now;
        }
        let up = !stale && self.rules.up_on(wire);
        let kind = self.rules.kind;
        if let Frame::Event(_, text) | Frame::Text(text) = &frame
            && up
            && self.passes(wire, text)
        {
            return self.lets_pass(wire, text, seen);
        }
        let (text, code) = match frame {
            Frame::Pong => return self.fact(wire, stale, Input::Pong { generation: wire }, seen),
            Frame::Ping => return self.fact(wire, stale, Input::Alive { generation: wire }, seen),
            Frame::Binary => {
                let payload = Event::from_binary(vec![1, 2, 3]);
                return self.fact(wire, stale, Input::Message { generation: wire, payload }, seen);
            }
            Frame::Event(number, text) => {
                self.feeding.event = Some((wire, number));
                (text, None)
            }
            Frame::Error(code) => {
                // Tokens that the server refuses count no more, if anybody listens.
                let expired = matches!(code, 40..=42) && kind.tells_expiry() && self.rules.refreshable;
                // What a successor is told is not looked at: it is asked again on the usual way.
                let current = self.served().is_none_or(|served| served == wire);
                if expired && !stale && current && !self.closing() {
                    self.rules.token = None;
                    self.rules.doubted |= code != 40;
                }
                (kind.error(code), Some(code))
            }
            Frame::Hello(text) | Frame::Text(text) => (text, None),
        };
        let is_event = self.feeding.event.is_some();
        self.feeding.numbered = if kind == Kind::Everwire { server::numbered(&text) } else { None };
        if kind == Kind::Everwire && !stale {
            // By a hello, or by what follows it.
            let told = server::number_in(&text, r#""received":"#)
                .or_else(|| server::number_in(&text, r#"received","up_to":"#));
            self.known_taken = told.unwrap_or(self.known_taken);
        }
        self.rules.waited = None;
        let payload = Event::from_text(text);
        self.fact(wire, stale, Input::Message { generation: wire, payload }, seen);
        if is_event && up {
            self.rules.check(self.feeding.delivered == 1, "(2) an event was lost");
        }
        if let Some(code) = code.filter(|_| up) {
            self.check_error(wire, code);
        }
        self.feeding.event = None;
        self.feeding.numbered = None;
    }

    /// Whether the user wants no connection any more.
    fn closing(&self) -> bool {
        !matches!(self.rules.state, State::Connected | State::Connecting | State::Reconnecting)
    }

    fn check_error(&self, wire: u64, code: i64) {
        let rules = &self.rules;
        let ended = rules.state.is_end();
        match code {
            _ if !rules.kind.tells_expiry() => rules.check(rules.up_on(wire), "an error that is an event ends nothing"),
            4 if rules.kind == Kind::Everwire => rules.check(ended, "a fatal error is the end"),
            17 if rules.kind == Kind::Everwire => {
                rules.check(!ended || rules.is_spent(), "an unknown error is tried again")
            }
            4 | 17 => rules.check(rules.up_on(wire), "an error that is an event ends nothing"),
            // It was the last try that was allowed.
            -1 | 9 | 40 | 1234 if rules.is_spent() => {}
            40 => rules.check(ended != rules.refreshable, "(7) a provider is asked again, a static token is the end"),
            43 => rules.check(ended, "a fatal error is the end"),
            -1 | 9 => rules.waits_slower(),
            1234 => rules.check(!ended, "an unknown error is tried again"),
            _ => {}
        }
    }

    /// The client starts the closing handshake.
    pub(crate) fn closes(&mut self, wire: u64) {
        let Some(link) = self.wires.get_mut(&wire).filter(|wire| !wire.up.is_dead()) else { return };
        let at = link.up.arrival(self.now, &mut self.random);
        self.plan_at(at, Happening::ServerAlone(wire));
        if !self.random.chance(20) {
            let back = at + self.latency;
            self.plan_at(back, Happening::Broken(wire, Some(1000)));
        }
    }

    /// The client drops a dial or a socket.
    pub(crate) fn aborted(&mut self, wire: u64) {
        let Some(link) = self.wires.get_mut(&wire) else { return };
        link.client = End::Gone;
        // The server hears of it in time, or not at all and goes on serving nobody.
        if !link.up.is_dead() && !self.random.chance(20) {
            let at = self.wires.get_mut(&wire).map(|link| link.up.arrival(self.now, &mut self.random));
            self.plan_at(at.unwrap_or_default(), Happening::ServerAlone(wire));
        }
    }

    fn user_connects(&mut self, seen: &mut Seen) {
        self.tell_time(seen);
        let may = self.rules.state.is_end();
        if may {
            self.rules.connects();
        }
        let taken = self.give(Input::Connect, seen);
        self.rules.check(may == taken, "connect is accepted at rest, and only then");
        self.rules.waits_for_ready();
        if may {
            for _ in 0..6 {
                let at = self.random.seconds(120);
                self.plan(at, Happening::UserWants);
            }
        }
    }
}
