//! What nobody asked for: the moods of the network, the server, the token provider and the user.

use super::{
    happenings::{Frame, Happening},
    link::End,
    seen::Seen,
    server,
    world::World,
};
use everwire::proto::NetworkChange;
use std::time::Duration;

impl World {
    pub(crate) fn whim(&mut self, seen: &mut Seen) {
        let open = self.wires.iter().rev().find(|(_, wire)| wire.client == End::Open).map(|(wire, _)| *wire);
        let wire = open.unwrap_or_default();
        match self.random.below(24) {
            0 | 1 => self.cut(wire),
            2 => self.half_open(wire),
            3 => self.slow_down(wire),
            4 => {
                let code = self.random.pick(&[1001, 1006, 1008, 1011, 1012, 4000, 4401]);
                self.server_closes(wire, code);
            }
            5 if self.random.chance(30) => self.server_closes(wire, 1000),
            6 => self.sends_down(wire, Frame::Error(40), Duration::ZERO),
            7 => {
                let code = self.random.pick(&[-1, 9, 41, 42, 4, 17, 1234]);
                self.sends_down(wire, Frame::Error(code), Duration::ZERO);
            }
            8 if self.random.chance(30) => self.sends_down(wire, Frame::Error(43), Duration::ZERO),
            9 => self.sends_garbage(wire),
            10 => self.server_goes_down(),
            11 => self.happen(Happening::Network(NetworkChange::Online), seen),
            12 => self.happen(Happening::Network(NetworkChange::Changed), seen),
            13 => self.goes_offline(seen),
            14 if self.random.chance(40) => {
                let again = self.random.seconds(20);
                self.plan(again, Happening::UserConnects);
                let dropped = self.random.chance(20);
                let code = if dropped || self.random.chance(60) { 1000 } else { 4000 };
                self.happen(Happening::UserCloses { code, dropped }, seen);
            }
            15 => self.happen(Happening::UserConnects, seen),
            16 | 18 => self.happen(Happening::UserWants, seen),
            17 => self.tokenless_until = self.now + self.random.seconds(30),
            19 | 20 => self.fills_up(),
            21 if self.rules.kind == server::Kind::Everwire && self.random.chance(40) => {
                self.session_lost();
                self.cut(wire);
            }
            _ => self.stale(seen),
        }
    }

    /// The socket takes nothing for a while.
    fn fills_up(&mut self) {
        let time = self.random.seconds(20);
        self.full_until = self.full_until.max(self.now + time);
        self.plan_at(self.full_until, Happening::Room);
    }

    /// The wire breaks, perhaps in the middle of a frame: what is in it is lost.
    fn cut(&mut self, wire: u64) {
        let Some(link) = self.wires.get_mut(&wire) else { return };
        link.stall();
        link.server = End::Gone;
        let told = self.random.seconds(2);
        self.plan(told, Happening::Broken(wire, None));
    }

    /// One direction or both go silent, and nobody is told.
    fn half_open(&mut self, wire: u64) {
        let direction = self.random.below(3);
        let Some(link) = self.wires.get_mut(&wire) else { return };
        match direction {
            0 => link.up.stall(),
            1 => link.down.stall(),
            _ => link.stall(),
        }
    }

    fn slow_down(&mut self, wire: u64) {
        let by = self.random.seconds(40);
        if let Some(link) = self.wires.get_mut(&wire) {
            link.up.slow_down(by);
            link.down.slow_down(by);
        }
    }

    pub(crate) fn server_closes(&mut self, wire: u64, code: u16) {
        let Some(link) = self.wires.get_mut(&wire).filter(|wire| !wire.down.is_dead()) else { return };
        link.server = End::Gone;
        let at = link.down.arrival(self.now, &mut self.random);
        self.plan_at(at, Happening::Broken(wire, Some(code)));
    }

    fn sends_garbage(&mut self, wire: u64) {
        let frame = match self.random.below(5) {
            0 => Frame::Text("{broken".to_owned()),
            1 => Frame::Text(String::new()),
            2 => Frame::Binary,
            // Once more; never one that the server did not mean.
            3 if self.sent.contains_key(&wire) && self.rules.kind != server::Kind::Everwire => {
                Frame::Hello(self.rules.kind.hello(wire))
            }
            _ => Frame::Text(r#"{"type":{"type":"connection.ok"},"x":[1,2,{"a":null}]}"#.to_owned()),
        };
        // Before the hello it is the wrong server, and that is the end: not too often.
        if self.sent.contains_key(&wire) || self.random.chance(10) {
            self.sends_down(wire, frame, Duration::ZERO);
        }
    }

    fn server_goes_down(&mut self) {
        self.down_until = self.now + self.random.seconds(40);
        let wires: Vec<u64> = self.wires.iter().filter(|(_, wire)| wire.client != End::Gone).map(|(n, _)| *n).collect();
        for wire in wires {
            if self.random.chance(70) {
                self.cut(wire);
            } else if let Some(link) = self.wires.get_mut(&wire) {
                link.stall();
                link.server = End::Gone;
            }
        }
    }

    fn goes_offline(&mut self, seen: &mut Seen) {
        for wire in self.wires.values_mut() {
            if self.random.chance(50) {
                wire.stall();
            }
        }
        let back = Duration::from_secs(1) + self.random.seconds(60);
        self.plan(back, Happening::Network(NetworkChange::Online));
        self.happen(Happening::Network(NetworkChange::Offline), seen);
    }
}

impl server::Kind {
    /// Whether the codes of Stream mean something to it.
    pub(crate) fn tells_expiry(self) -> bool {
        matches!(self, server::Kind::Stream | server::Kind::StreamV1 | server::Kind::Everwire)
    }
}
