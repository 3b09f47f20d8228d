//! Random schedules of the dialect `everwire` against a model of its server: a link that delays, cuts and half-opens, a
//! retention that overflows, sessions that are lost. Every event within retention reaches the listener exactly once and in
//! order, anything beyond is a gap, and messages are taken once (N-9).
//!
//! `EVERWIRE_RESUME_SEED=<seed> cargo test --test core resume_simulation` replays one schedule.

use super::{bed::Event, resume::everwire, test};
use everwire::{
    Error, ErrorKind, Message, OutboxRule, ResumeMode, SendOptions, State,
    proto::{CloseInfo, Input, Lifecycle, NetworkChange, Output, Session, Settings, Timestamp},
};
use serde_json::{Value, json};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

const SCHEDULES: u64 = 2_000;
/// How long a schedule lasts, and when the trouble in it ends.
const LENGTH: Duration = Duration::from_secs(170);
const TROUBLE: Duration = Duration::from_secs(90);
/// How many events the server keeps.
const RETENTION: u64 = 25;

#[test]
fn every_event_comes_once_and_in_order_or_is_a_gap() {
    let mut seen = Seen::default();
    let seeds = seeds();
    let all = seeds.end - seeds.start == SCHEDULES;
    for seed in seeds {
        World::new(seed).run(&mut seen);
    }
    // A simulation that never gets into trouble proves nothing.
    let Seen { events, resumes, duplicates, gaps, lost, again, renewed } = seen;
    assert!(!all || events > 100_000 && resumes > 2_000 && duplicates > 500 && gaps > 500, "{seen:?}");
    assert!(!all || lost > 300 && again > 1_000 && renewed > 2_000, "{seen:?}");
}

fn seeds() -> std::ops::Range<u64> {
    #[cfg(native)]
    if let Ok(seed) = std::env::var("EVERWIRE_RESUME_SEED") {
        let seed = seed.parse().expect("a number");
        return seed..seed + 1;
    }
    0..SCHEDULES
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    events: u64,
    resumes: u64,
    duplicates: u64,
    gaps: u64,
    /// Sessions that the server lost.
    lost: u64,
    /// Messages that were sent again.
    again: u64,
    /// Connections that grew too old.
    renewed: u64,
}

enum Happening {
    Publish,
    UserSends,
    Opened(u64),
    DialFailed(u64),
    ToClient(u64, String),
    ToServer(u64, String),
    /// The client notices the end of a socket.
    Closed(u64),
    /// The link is cut.
    Cut,
    /// The server reads on, but writes nothing for a while.
    Stall(Duration),
    Unstall,
    SessionLost,
    NetworkChanged,
    /// The server closes a socket whose session another one has.
    TakenOver(u64),
}

/// The server as `docs/PROTOCOL.md` has it.
#[derive(Default)]
struct Server {
    /// Which session this is.
    epoch: u64,
    /// The first event that is kept, and the newest one.
    first: u64,
    last: u64,
    received: u64,
    /// The socket of the session, and the last event written to it.
    socket: Option<(u64, u64)>,
    stalled: bool,
    /// Events that the retention had no room for.
    dropped: BTreeSet<(u64, u64)>,
    taken: Vec<u64>,
}

/// A connection: when the last frame each way arrives, and whether it is cut.
#[derive(Default)]
struct Wire {
    to_client: Duration,
    to_server: Duration,
    cut: bool,
}

struct World {
    seed: u64,
    random: Random,
    now: Timestamp,
    session: Session<Event>,
    agenda: BinaryHeap<Reverse<(Duration, u64)>>,
    planned: BTreeMap<u64, Happening>,
    plans: u64,
    wires: BTreeMap<u64, Wire>,
    server: Server,
    mode: ResumeMode,
    /// What the listener has: the session, and the number that comes next.
    epoch: u64,
    next: u64,
    /// A gap without an end was told: another session begins. So it does at first.
    anew: bool,
    accepted: Vec<u64>,
    reported: bool,
    sends: u64,
    dialled: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0xfeed);
        let mode = if random.chance(50) { ResumeMode::SequenceId } else { ResumeMode::FullBuffer };
        // S2-8: the new socket is up before the old one goes, which the invariants must not notice.
        let max_age = random.chance(50).then_some(Duration::from_secs(20));
        let outbox = if random.chance(50) { OutboxRule::OFF } else { OutboxRule::default() };
        let settings = Settings { seed, resume: mode, max_age, outbox, ..everwire() };
        let session = Session::new(settings).expect("the settings are right");
        let mut world = Self {
            seed,
            random,
            now: Timestamp::default(),
            session,
            agenda: BinaryHeap::new(),
            planned: BTreeMap::new(),
            plans: 0,
            wires: BTreeMap::new(),
            server: Server::default(),
            mode,
            epoch: 0,
            next: 1,
            anew: true,
            accepted: Vec::new(),
            reported: false,
            sends: 0,
            dialled: 0,
        };
        for _ in 0..world.random.below(6) {
            world.whim(|world| match world.random.below(12) {
                0 => Happening::SessionLost,
                1..3 => Happening::Stall(world.random.up_to(Duration::from_secs(9))),
                3 => Happening::NetworkChanged,
                _ => Happening::Cut,
            });
        }
        for _ in 0..10 {
            world.whim(|_| Happening::UserSends);
        }
        for _ in 0..world.random.below(6) {
            // Bursts, of which some are more than the retention.
            let at = world.random.up_to(TROUBLE);
            for _ in 0..world.random.below(60) {
                let later = world.random.up_to(Duration::from_secs(2));
                world.plan(at + later, Happening::Publish);
            }
        }
        world
    }

    fn whim(&mut self, what: impl FnOnce(&mut Self) -> Happening) {
        let (at, what) = (self.random.up_to(TROUBLE), what(self));
        self.plan(at, what);
    }

    #[track_caller]
    fn check(&self, holds: bool, what: &str) {
        let (seed, at) = (self.seed, self.now.since_start());
        assert!(holds, "seed {seed}: at {at:?}: {what} (replay with EVERWIRE_RESUME_SEED={seed})");
    }

    fn plan(&mut self, wait: Duration, happening: Happening) {
        self.plans += 1;
        self.agenda.push(Reverse((self.now.since_start() + wait, self.plans)));
        self.planned.insert(self.plans, happening);
    }

    fn run(mut self, seen: &mut Seen) {
        self.session.handle(self.now, Input::Connect).expect("idle");
        self.drain(seen);
        loop {
            let next = self.agenda.peek().map(|Reverse((at, _))| *at);
            let timer = self.session.next_timeout().map(Timestamp::since_start);
            let Some(at) = [next, timer].into_iter().flatten().min().filter(|at| *at < LENGTH) else { break };
            self.now = self.now.max(Timestamp::after_start(at));
            if next == Some(at) {
                let Reverse((_, plan)) = self.agenda.pop().expect("peeked");
                let happening = self.planned.remove(&plan).expect("planned");
                self.happen(happening, seen);
            } else {
                self.give(Input::Timeout);
            }
            self.drain(seen);
        }
        self.check(self.session.state() == State::Connected, "not connected after a quiet time");
        let all = (self.epoch, self.next) == (self.server.epoch, self.server.last + 1);
        self.check(all, "an event is still missing after a quiet time");
        self.check(self.server.first == self.server.last + 1, "what has arrived is not acknowledged");
        self.check_messages();
        let stats = self.session.stats();
        seen.resumes += stats.resumes;
        seen.duplicates += stats.duplicates;
        seen.gaps += stats.gaps;
    }

    /// Each message was taken once and in order; what was not is reported.
    fn check_messages(&self) {
        let mut once = self.server.taken.clone();
        if self.mode == ResumeMode::FullBuffer {
            // A new session may take again what the old one took.
            let mut seen = BTreeSet::new();
            once.retain(|number| seen.insert(*number));
        }
        self.check(once.is_sorted_by(|one, other| one < other), "a message was taken twice, or out of order");
        let missing = self.accepted.iter().any(|number| !once.contains(number));
        self.check(!missing || self.reported, "a message is lost without a report");
        self.check(!missing || self.mode == ResumeMode::SequenceId, "a message is lost");
    }

    fn give(&mut self, input: Input<Event>) {
        self.session.handle(self.now, input).expect("accepted");
    }

    fn happen(&mut self, happening: Happening, seen: &mut Seen) {
        match happening {
            Happening::Publish => {
                if self.server.epoch > 0 {
                    self.server.last += 1;
                    if self.server.last - self.server.first >= RETENTION {
                        self.server.dropped.insert((self.server.epoch, self.server.first));
                        self.server.first += 1;
                    }
                    self.pump();
                }
            }
            Happening::UserSends => {
                self.sends += 1;
                let message = Message::from(json!({"type": "order", "n": self.sends}));
                let send = Input::Send { id: self.sends, message, options: SendOptions::new() };
                match self.session.handle(self.now, send) {
                    Ok(()) => self.accepted.push(self.sends),
                    Err(error) => self.check(error.kind() == ErrorKind::Closed, "refused for no good reason"),
                }
            }
            Happening::Opened(generation) => {
                self.wires.insert(generation, Wire::default());
                self.give(Input::Opened { generation });
            }
            Happening::DialFailed(generation) => {
                self.give(Input::DialFailed { generation, error: Error::new(ErrorKind::Connect, "refused") });
            }
            Happening::ToClient(generation, text) => {
                if self.wires.get(&generation).is_some_and(|wire| !wire.cut) {
                    self.give(Input::Message { generation, payload: Event::from_text(text) });
                }
            }
            Happening::ToServer(generation, text) => {
                if self.wires.get(&generation).is_some_and(|wire| !wire.cut) {
                    self.serve(generation, &serde_json::from_str(&text).expect("JSON"));
                }
            }
            Happening::Closed(generation) => {
                self.give(Input::Closed { generation, info: CloseInfo::default() });
            }
            Happening::Cut => self.cut(),
            Happening::Stall(time) => {
                self.server.stalled = true;
                self.plan(time, Happening::Unstall);
            }
            Happening::Unstall => {
                self.server.stalled = false;
                self.pump();
            }
            Happening::SessionLost => {
                seen.lost += u64::from(self.server.epoch > 0);
                self.begin_session();
                self.cut();
            }
            Happening::TakenOver(generation) => {
                if self.wires.get(&generation).is_some_and(|wire| !wire.cut) {
                    self.wires.entry(generation).or_default().cut = true;
                    let info = CloseInfo { code: Some(4409), ..CloseInfo::default() };
                    self.give(Input::Closed { generation, info });
                }
            }
            Happening::NetworkChanged => self.give(Input::Network(NetworkChange::Changed)),
        }
    }

    /// Cuts the newest connection. What is on its way is lost, and the client notices now, later, or by the silence.
    fn cut(&mut self) {
        let Some((&generation, wire)) = self.wires.last_key_value() else { return };
        if wire.cut {
            return;
        }
        self.wires.entry(generation).or_default().cut = true;
        if self.random.chance(50) {
            self.server.socket.take_if(|(socket, _)| *socket == generation);
        }
        if self.random.chance(80) {
            let wait = self.random.up_to(Duration::from_secs(4));
            self.plan(wait, Happening::Closed(generation));
        }
    }

    fn begin_session(&mut self) {
        let Server { epoch, taken, dropped, .. } = std::mem::take(&mut self.server);
        self.server = Server { epoch: epoch + 1, first: 1, taken, dropped, ..Server::default() };
    }

    fn serve(&mut self, generation: u64, frame: &Value) {
        let is_current = self.server.socket.is_some_and(|(socket, _)| socket == generation);
        let seq = frame["seq"].as_u64().unwrap_or_default();
        match frame["type"].as_str() {
            Some("wire.connect") => self.welcome(generation, frame),
            Some("wire.ping") => self.send_client(generation, json!({"type": "wire.pong"}).to_string()),
            Some("wire.ack") if is_current => {
                let seq = frame["up_to"].as_u64().unwrap_or_default();
                let written = self.server.socket.map_or(0, |(_, written)| written);
                self.check(seq <= written, "an acknowledgement of what was not written");
                self.server.first = self.server.first.max(seq + 1);
            }
            Some("order") if is_current => {
                if seq > self.server.received {
                    self.check(seq == self.server.received + 1, "a message was left out");
                    self.server.received = seq;
                    self.server.taken.push(frame["n"].as_u64().expect("a number"));
                }
                let received = self.server.received;
                self.send_client(generation, json!({"type": "wire.received", "up_to": received}).to_string());
            }
            _ => {}
        }
    }

    fn welcome(&mut self, generation: u64, frame: &Value) {
        let session = format!("s{}", self.server.epoch);
        let last = frame["last"].as_u64().unwrap_or_default();
        let resumed = frame["session"] == session.as_str() && last <= self.server.last;
        if !resumed {
            self.begin_session();
        }
        let last = if resumed { last } else { 0 };
        self.server.first = self.server.first.max(last + 1);
        if let Some((old, _)) = self.server.socket.replace((generation, last)) {
            let wait = self.random.up_to(Duration::from_millis(200));
            self.plan(wait, Happening::TakenOver(old));
        }
        let Server { epoch, last, received, .. } = self.server;
        let hello = json!({"type": "wire.hello", "version": 1, "session": format!("s{epoch}"), "connection_id": "c",
            "resumed": resumed, "last": last, "received": received});
        self.send_client(generation, hello.to_string());
        self.pump();
    }

    /// The one writer: from the cursor on, whatever there is.
    fn pump(&mut self) {
        while let Some((generation, cursor)) = self.server.socket.filter(|_| !self.server.stalled) {
            let Server { epoch, first, last, .. } = self.server;
            if cursor >= last {
                return;
            }
            let (frame, cursor) = if cursor + 1 < first {
                (format!(r#"{{"type":"wire.gap","from":{},"to":{}}}"#, cursor + 1, first - 1), first - 1)
            } else {
                let (seq, pad) = (cursor + 1, "x".repeat(self.random.below(30) as usize));
                let frame = match seq % 3 {
                    0 => format!(r#"{{"type":"tick","epoch":{epoch},"pad":"{pad}","seq":{seq}}}"#),
                    1 => format!(r#"{{"type":"tick","seq":{seq},"epoch":{epoch}}}"#),
                    _ => format!(r#"{{"epoch":{epoch},"seq":{seq},"type":"tick"}}"#),
                };
                (frame, seq)
            };
            self.server.socket = Some((generation, cursor));
            if self.random.chance(2) {
                self.send_client(generation, frame.clone()); // what the protocol allows, and the client drops
            }
            self.send_client(generation, frame);
        }
    }

    fn send_client(&mut self, generation: u64, frame: String) {
        let at = self.now.since_start() + self.random.up_to(Duration::from_millis(120));
        let Some(wire) = self.wires.get_mut(&generation) else { return };
        wire.to_client = wire.to_client.max(at);
        let wait = wire.to_client - self.now.since_start();
        self.plan(wait, Happening::ToClient(generation, frame));
    }

    fn send_server(&mut self, generation: u64, frame: String) {
        let at = self.now.since_start() + self.random.up_to(Duration::from_millis(120));
        let Some(wire) = self.wires.get_mut(&generation) else { return };
        wire.to_server = wire.to_server.max(at);
        let wait = wire.to_server - self.now.since_start();
        self.plan(wait, Happening::ToServer(generation, frame));
    }

    fn drain(&mut self, seen: &mut Seen) {
        self.act(seen);
        while self.session.wants_room() {
            // While a successor is on its way, the older one is still the connection: a driver knows which, here all are asked.
            let sockets: Vec<u64> = self.wires.keys().copied().collect();
            for generation in sockets {
                self.give(Input::Room { generation });
                self.act(seen);
            }
        }
    }

    fn act(&mut self, seen: &mut Seen) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Dial { generation, .. } => {
                    self.dialled = generation;
                    let wait = self.random.up_to(Duration::from_millis(300));
                    let fails = self.now.since_start() < TROUBLE && self.random.chance(20);
                    self.plan(
                        wait,
                        if fails { Happening::DialFailed(generation) } else { Happening::Opened(generation) },
                    );
                }
                Output::Send { generation, message: Message::Text(text), .. } => self.send_server(generation, text),
                // The last frames may arrive all the same, both ways: the client gives up before the server does.
                Output::Abort { generation, .. } if self.random.chance(50) => {
                    self.wires.entry(generation).or_default().cut = true;
                }
                Output::Event(event) => self.event(&event, seen),
                Output::Lifecycle(step) => self.step(step, seen),
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event, seen: &mut Seen) {
        let document: Value = event.json().expect("JSON");
        let number = |name: &str| document[name].as_u64().expect("a number");
        match event.event_type() {
            "tick" => {}
            "wire.hello" => {
                let epoch =
                    document["session"].as_str().and_then(|session| session[1..].parse().ok()).expect("a session");
                self.check((epoch != self.epoch) == self.anew, "a gap without an end is a new session, and only that");
                if epoch != self.epoch {
                    (self.epoch, self.next, self.anew) = (epoch, 1, false);
                }
                return;
            }
            _ => return,
        }
        seen.events += 1;
        let (epoch, seq) = (number("epoch"), number("seq"));
        self.check(epoch == self.epoch && !self.anew, "an event of another session");
        self.check(seq == self.next, &format!("event {seq} where {} was next", self.next));
        self.next += 1;
    }

    fn step(&mut self, step: Lifecycle, seen: &mut Seen) {
        match step {
            Lifecycle::Gap { from, to } => {
                self.check(from == self.next, "a gap that begins elsewhere");
                match to {
                    Some(to) => {
                        let dropped = |seq| self.server.dropped.contains(&(self.epoch, seq));
                        self.check((from..=to).all(dropped), "a gap over what the server has kept");
                        self.next = to + 1;
                    }
                    None => self.anew = true,
                }
            }
            Lifecycle::ReplayCompleted { mode: everwire::ReplayMode::FullBuffer, count, .. } => seen.again += count,
            Lifecycle::Error(error) if error.message().contains("session is gone") => self.reported = true,
            Lifecycle::Renewing { .. } => seen.renewed += 1,
            Lifecycle::Closed(cause) => self.check(false, &format!("ended: {cause}")),
            _ => {}
        }
    }
}

/// A generator of its own, so that the world does not share its draws with the session.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn up_to(&mut self, time: Duration) -> Duration {
        Duration::from_micros(self.below(time.as_micros() as u64 + 1))
    }
}
