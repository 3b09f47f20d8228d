//! Random schedules on virtual time: a session against a model of the network, the server, the token provider and the
//! user, all of which do what they please. The invariants are checked at every step.
//!
//! A failure prints its seed; `EVERWIRE_SEED=<seed> cargo test --test core simulation` replays that one, and
//! `EVERWIRE_SEEDS=<first>..<end>` runs a range of one's own.

use super::{bed::Event, test};
use everwire::{
    Error, ErrorKind, State,
    proto::{
        CloseInfo, Dialect, Input, Lifecycle, NetworkChange, Output, Secret, Session, Settings, Timestamp, TokenSource,
    },
};
use serde_json::json;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    ops::Range,
    time::Duration,
};

/// How many schedules a plain test run drives.
const SCHEDULES: u64 = 10_000;
/// How long a schedule lasts, in virtual time.
const LENGTH: Duration = Duration::from_secs(400);
/// After this the world behaves, so that what can recover must have recovered by the end.
const TROUBLE: Duration = Duration::from_secs(250);

#[test]
fn invariants_hold_on_random_schedules() {
    let mut seen = Seen::default();
    let seeds = seeds();
    for seed in seeds.clone() {
        let mut world = World::new(seed);
        world.run(&mut seen);
    }
    if seeds.end - seeds.start >= SCHEDULES {
        // A simulation that never gets into trouble proves nothing.
        let Seen { connected, events, stale, ends, .. } = &seen;
        assert!(*connected > 20_000 && *events > 100_000 && *stale > 10_000, "{seen:?}");
        let wanted = ["by-user", "by-server", "refused", "token-expired", "exhausted", "fatal"];
        assert!(wanted.iter().all(|cause| ends.get(cause).is_some_and(|count| *count > 20)), "{seen:?}");
        assert!(seen.timeouts > 1_000 && seen.refreshes > 1_000, "{seen:?}");
    }
}

#[cfg(native)]
fn seeds() -> Range<u64> {
    if let Ok(seed) = std::env::var("EVERWIRE_SEED") {
        let seed = seed.parse().expect("a number");
        return seed..seed + 1;
    }
    let range = std::env::var("EVERWIRE_SEEDS").ok();
    range.map_or(0..SCHEDULES, |range| {
        let (first, end) = range.split_once("..").expect("a range such as 0..100000");
        first.parse().expect("a number")..end.parse().expect("a number")
    })
}

#[cfg(web)]
fn seeds() -> Range<u64> {
    0..SCHEDULES
}

/// What the schedules brought about, all together.
#[derive(Debug, Default)]
struct Seen {
    connected: u64,
    events: u64,
    stale: u64,
    timeouts: u64,
    refreshes: u64,
    ends: BTreeMap<&'static str, u64>,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    Opened(u64),
    DialFailed(u64),
    /// A frame that the server sent on a connection.
    Frame(u64, String),
    Closed(u64, Option<u16>),
    Token(u64, bool),
    Network(NetworkChange),
    /// The server, or a middlebox, has an idea of its own.
    Whim,
    UserConnects,
    UserCloses,
}

struct World {
    seed: u64,
    random: Random,
    now: Timestamp,
    session: Session<Event>,
    refreshable: bool,
    /// What will happen, by time and then by order of planning.
    agenda: BinaryHeap<Reverse<(Duration, u64)>>,
    planned: BTreeMap<u64, Happening>,
    plans: u64,
    /// Dials under way and open sockets.
    live: BTreeSet<u64>,
    open: Option<u64>,
    fetching: Option<u64>,
    state: State,
    closed_told: bool,
    /// Waiters for `ready`, as a driver keeps them.
    waiting_ready: u32,
    offline: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
        let refreshable = random.chance(70);
        let mut settings = Settings::new(Dialect::stream(), super::bed::url());
        settings.params.insert("api_key", json!("key").into());
        settings.params.insert("user_id", json!("alice").into());
        settings.token = match refreshable {
            true => TokenSource::Provider,
            false => TokenSource::Static(Secret::from("static".to_owned())),
        };
        settings.backoff.max_attempts = if random.chance(50) { 0 } else { 5 };
        settings.seed = seed;
        let session = Session::new(settings).expect("the settings are right");
        let mut world = Self {
            seed,
            random,
            now: Timestamp::default(),
            session,
            refreshable,
            agenda: BinaryHeap::new(),
            planned: BTreeMap::new(),
            plans: 0,
            live: BTreeSet::new(),
            open: None,
            fetching: None,
            state: State::Idle,
            closed_told: true,
            waiting_ready: 0,
            offline: false,
        };
        world.plan(Duration::ZERO, Happening::UserConnects);
        for _ in 0..20 {
            let at = world.random.up_to(TROUBLE);
            world.plan(at, Happening::Whim);
        }
        world
    }

    #[track_caller]
    fn check(&self, holds: bool, what: &str) {
        assert!(
            holds,
            "seed {}: at {:?}: {what} (replay with EVERWIRE_SEED={})",
            self.seed,
            self.now.since_start(),
            self.seed
        );
    }

    fn plan(&mut self, wait: Duration, happening: Happening) {
        let at = self.now.since_start() + wait;
        self.plans += 1;
        self.agenda.push(Reverse((at, self.plans)));
        self.planned.insert(self.plans, happening);
    }

    fn troubled(&self) -> bool {
        self.now.since_start() < TROUBLE
    }

    fn run(&mut self, seen: &mut Seen) {
        loop {
            let next = self.agenda.peek().map(|Reverse((at, _))| *at);
            let timer = self.session.next_timeout().map(Timestamp::since_start);
            let Some(at) = [next, timer].into_iter().flatten().min().filter(|at| *at < LENGTH) else { break };
            self.now = self.now.max(Timestamp::after_start(at));
            // A driver reads frames before timers; a busy one may be late with either.
            if next == Some(at) {
                let Reverse((_, plan)) = self.agenda.pop().expect("peeked");
                let happening = self.planned.remove(&plan).expect("planned");
                self.happen(happening);
            } else {
                if self.troubled() && self.random.chance(5) {
                    self.now = self.now + self.random.up_to(Duration::from_secs(90));
                }
                self.give(Input::Timeout);
            }
            self.drain(seen);
            self.check_rest();
        }
        // The world has behaved for a while: whoever still wants a connection has one.
        let settled = self.state.is_end() || self.state == State::Connected;
        self.check(settled, &format!("still {} after a quiet time", self.state));
        self.now = self.now.max(Timestamp::after_start(LENGTH));
        self.happen(Happening::UserCloses);
        self.drain(seen);
        if let Some(generation) = self.open {
            self.happen(Happening::Closed(generation, Some(1000)));
            self.drain(seen);
        }
        self.check(matches!(self.state, State::Closed | State::Failed), "not ended after a close");
        self.check_rest();
        seen.stale += self.session.stats().stale_dropped;
        seen.refreshes += self.session.stats().token_fetches.saturating_sub(1);
    }

    fn give(&mut self, input: Input<Event>) {
        if let Err(error) = self.session.handle(self.now, input) {
            let expected = matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::Closed);
            self.check(expected, "refused for no good reason");
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Opened(generation) => {
                if self.live.contains(&generation) {
                    self.open = Some(generation);
                }
                self.give(Input::Opened { generation });
            }
            Happening::DialFailed(generation) => {
                self.live.remove(&generation);
                let kind = if self.random.chance(3) { ErrorKind::Unsupported } else { ErrorKind::Connect };
                self.give(Input::DialFailed { generation, error: Error::new(kind, "refused") });
            }
            Happening::Frame(generation, text) => {
                self.give(Input::Message { generation, payload: Event::from_text(text) });
            }
            // A socket that is not open yet cannot close: its dial fails.
            Happening::Closed(generation, _) if self.live.contains(&generation) && self.open != Some(generation) => {}
            Happening::Closed(generation, code) => {
                self.live.remove(&generation);
                self.open.take_if(|open| *open == generation);
                self.give(Input::Closed { generation, info: CloseInfo { code, ..Default::default() } });
            }
            Happening::Token(generation, good) => {
                self.fetching.take_if(|fetching| *fetching == generation);
                let result = match good {
                    true => Ok(Secret::from(format!("token-{generation}"))),
                    false => Err(Error::new(ErrorKind::Token, "no")),
                };
                self.give(Input::Token { generation, result });
            }
            Happening::Network(change) => {
                self.offline = change == NetworkChange::Offline;
                self.give(Input::Network(change));
            }
            Happening::Whim => self.whim(),
            Happening::UserConnects => {
                let may = self.state.is_end();
                let result = self.session.handle(self.now, Input::Connect);
                self.check(may == result.is_ok(), "connect is accepted at rest, and only then");
                if may {
                    self.closed_told = false;
                }
                self.waiting_ready += u32::from(!self.state.is_end() || may);
            }
            Happening::UserCloses => {
                self.give(Input::Close { code: 1000, reason: "client disconnect".into(), dropped: false });
            }
        }
    }

    /// Something the session did not ask for.
    fn whim(&mut self) {
        let generation = match (self.open, self.random.chance(30)) {
            (Some(open), false) => open,
            // A frame or a close of an old connection, or of one that never was.
            _ => self.random.below(12),
        };
        let wait = self.random.up_to(Duration::from_secs(3));
        let happening = match self.random.below(14) {
            0 | 1 => Happening::Closed(generation, None),
            2 => Happening::Closed(generation, Some(*self.random.pick(&[1001, 1006, 1008, 1011, 1012, 4000]))),
            3 if self.random.chance(30) => Happening::Closed(generation, Some(1000)),
            4 => Happening::Frame(generation, error_frame(40)),
            5 => {
                let code = *self.random.pick(&[-1, 9, 41, 42, 4, 17, 1234]);
                Happening::Frame(generation, error_frame(code))
            }
            6 if self.random.chance(20) => Happening::Frame(generation, error_frame(43)),
            7 => Happening::Frame(generation, "{broken".into()),
            8 => Happening::Frame(generation, hello(generation)),
            9 => Happening::Network(*self.random.pick(&[NetworkChange::Online, NetworkChange::Changed])),
            10 => {
                let back = wait + self.random.up_to(Duration::from_secs(60));
                self.plan(back, Happening::Network(NetworkChange::Online));
                Happening::Network(NetworkChange::Offline)
            }
            11 if self.random.chance(40) => {
                let again = self.random.up_to(Duration::from_secs(20));
                self.plan(again, Happening::UserConnects);
                Happening::UserCloses
            }
            12 => Happening::UserConnects,
            _ => Happening::Frame(generation, event(generation)),
        };
        self.plan(wait, happening);
    }

    fn drain(&mut self, seen: &mut Seen) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Dial { generation, .. } => self.dial(generation),
                Output::FetchToken { generation } => {
                    self.check(self.refreshable, "a static token is never refreshed");
                    self.check(self.fetching.is_none(), "two token requests at once");
                    self.fetching = Some(generation);
                    if !(self.troubled() && self.random.chance(5)) {
                        let wait = self.random.up_to(Duration::from_secs(2));
                        let good = !(self.troubled() && self.random.chance(10));
                        self.plan(wait, Happening::Token(generation, good));
                    }
                }
                Output::Send { generation, message, .. } => {
                    self.check(self.open == Some(generation), "written to a socket that is not open");
                    self.check(!message.is_empty(), "an empty frame");
                    self.answer(generation, &message);
                }
                Output::Close { generation, .. } => {
                    self.check(self.open == Some(generation), "closing what is not open");
                    if !self.random.chance(20) {
                        let wait = self.random.up_to(Duration::from_secs(1));
                        self.plan(wait, Happening::Closed(generation, Some(1000)));
                    }
                }
                Output::Abort { generation, .. } => {
                    self.live.remove(&generation);
                    self.open.take_if(|open| *open == generation);
                    self.fetching.take_if(|fetching| *fetching == generation);
                }
                Output::Event(event) => {
                    seen.events += 1;
                    self.check(self.state == State::Connected, "an event outside a connection");
                    if let Some(text) = event.text().filter(|text| text.contains("\"generation\"")) {
                        let document: serde_json::Value = serde_json::from_str(text).expect("JSON");
                        let current = document["generation"].as_u64() == self.open;
                        self.check(current, "an event of another connection was delivered");
                    }
                }
                Output::Lifecycle(step) => self.step(step, seen),
                _ => self.check(false, "an output nobody knows"),
            }
        }
    }

    fn dial(&mut self, generation: u64) {
        self.check(self.live.is_empty(), "two dials or sockets at once");
        self.live.insert(generation);
        let wait = self.random.up_to(Duration::from_millis(400));
        let trouble = self.troubled();
        match self.random.below(10) {
            0 | 1 if trouble => self.plan(wait, Happening::DialFailed(generation)),
            // Half-open: no answer in time, or none at all.
            2 if trouble => {
                let late = Duration::from_secs(8) + self.random.up_to(Duration::from_secs(10));
                self.plan(late, Happening::Opened(generation));
            }
            3 if trouble && self.random.chance(50) => {}
            _ => self.plan(wait, Happening::Opened(generation)),
        }
    }

    /// What the server says to a frame of the client.
    fn answer(&mut self, generation: u64, message: &everwire::Message) {
        let everwire::Message::Text(text) = message else { return };
        let first = text.contains("user_details");
        let mut wait = self.random.up_to(Duration::from_millis(900));
        if self.troubled() {
            match self.random.below(24) {
                0 if first => return self.plan(wait, Happening::Frame(generation, error_frame(40))),
                1 if first => return self.plan(wait, Happening::Closed(generation, None)),
                2 if first && self.random.chance(10) => {
                    return self.plan(wait, Happening::Frame(generation, event(generation)));
                }
                // Lost, duplicated, delayed.
                3 | 4 => return,
                5 => {
                    let reply = if first { hello(generation) } else { event(generation) };
                    self.plan(wait, Happening::Frame(generation, reply));
                }
                6 => wait += self.random.up_to(Duration::from_secs(40)),
                _ => {}
            }
        }
        let reply = if first { hello(generation) } else { r#"{"type":"health.check"}"#.to_owned() };
        self.plan(wait, Happening::Frame(generation, reply));
        for _ in 0..self.random.below(4) {
            let later = wait + self.random.up_to(Duration::from_secs(20));
            self.plan(later, Happening::Frame(generation, event(generation)));
        }
    }

    fn step(&mut self, step: Lifecycle, seen: &mut Seen) {
        match step {
            Lifecycle::State { old, new } => {
                self.check(old == self.state, "a state was skipped");
                self.check(old.next().contains(&new), &format!("illegal: {old} to {new}"));
                self.state = new;
            }
            Lifecycle::Connected { .. } => {
                seen.connected += 1;
                self.waiting_ready = 0;
            }
            Lifecycle::Disconnected { error } => seen.timeouts += u64::from(error.is_timeout()),
            Lifecycle::BackingOff { delay, .. } => {
                let within = delay >= Duration::from_millis(50) && delay <= Duration::from_secs(5);
                self.check(within, &format!("a delay of {delay:?}"));
            }
            Lifecycle::Closed(cause) => {
                self.check(!self.closed_told, "an end was told twice");
                self.closed_told = true;
                self.waiting_ready = 0;
                *seen.ends.entry(cause.as_str()).or_default() += 1;
                self.check(cause.is_intended() == cause.error().is_none(), "a failure has an error, a wish has none");
            }
            _ => {}
        }
    }

    /// What holds whenever there is nothing left to do.
    fn check_rest(&self) {
        self.check(self.state == self.session.state(), "a state was not told");
        self.check(self.live.len() <= 1, "two dials or sockets at once");
        match self.state {
            State::Idle | State::Failed | State::Closed => {
                self.check(self.session.next_timeout().is_none(), "a timer after the end");
                self.check(self.live.is_empty(), "a socket after the end");
                self.check(self.fetching.is_none(), "a token request after the end");
                self.check(self.closed_told, "an end without a cause");
                self.check(self.waiting_ready == 0, "somebody still waits for `ready`");
            }
            State::BackingOff => {
                self.check(self.live.is_empty(), "a socket while backing off");
                self.check(self.offline == self.session.next_timeout().is_none(), "a wait has an end, unless offline");
            }
            // Whatever is under way has a deadline: nothing hangs for ever.
            _ => self.check(self.session.next_timeout().is_some(), &format!("{} without a deadline", self.state)),
        }
        let up = self.state == State::Connected;
        self.check(up == self.session.connection_id().is_some(), "the connection id belongs to a connection");
    }
}

fn hello(generation: u64) -> String {
    json!({"type": "connection.ok", "connection_id": format!("c-{generation}"), "generation": generation}).to_string()
}

fn event(generation: u64) -> String {
    json!({"type": "message.new", "generation": generation}).to_string()
}

fn error_frame(code: i64) -> String {
    json!({"type": "connection.error", "error": {"code": code, "message": "no"}}).to_string()
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

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}
