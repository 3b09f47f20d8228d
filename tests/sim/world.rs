//! One schedule: the agenda of what will happen, and the driver between the session and the models.

use super::{
    happenings::{Frame, Happening},
    link::{End, Wire},
    random::Random,
    rules::{Rules, Seen, Token},
    server::{self, Kind},
};
use everwire::{
    ErrorKind, Message, State,
    proto::{
        BackoffRule, BreakerRule, Input, Lifecycle, Output, Secret, Session, Settings, Timestamp, TokenSource, UrlParts,
    },
};
use serde_json::json;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

pub(crate) type Event = everwire::proto::Event<String, Vec<u8>>;

/// How long a schedule lasts, in virtual time.
const LENGTH: Duration = Duration::from_secs(330);
/// After this the world behaves, so that what can recover must have recovered by the end.
const TROUBLE: Duration = Duration::from_secs(200);

/// A breaker that opens soon enough to be seen.
const BREAKER: BreakerRule = BreakerRule { failures: 3, pause: Duration::from_secs(10) };
const MAX_AGE: Duration = Duration::from_secs(70);
/// What the calendar of the server says when a schedule begins.
pub(crate) const TODAY: Duration = Duration::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Duration,
    pub(crate) session: Session<Event>,
    pub(crate) rules: Rules,
    pub(crate) wires: BTreeMap<u64, Wire>,
    pub(crate) latency: Duration,
    /// Until when nobody answers a dial.
    pub(crate) down_until: Duration,
    /// Until when the token provider fails.
    pub(crate) tokenless_until: Duration,
    /// What was sent on each connection that the server let in.
    pub(crate) sent: BTreeMap<u64, u64>,
    /// The messages of the user's that reached the server, and on which connection.
    pub(crate) arrived: BTreeMap<u64, u64>,
    pub(crate) tokens: u64,
    /// What the client's calendar said when the schedule began.
    calendar: Option<Duration>,
    agenda: BinaryHeap<Reverse<Planned>>,
    plans: u64,
    /// What the session is being told, and what came of it.
    pub(crate) feeding: Feeding,
    trace: bool,
}

/// What came of an input.
#[derive(Default)]
pub(crate) struct Feeding {
    /// Whether it was the time that had come.
    timeout: bool,
    /// The event that is in it.
    pub(crate) event: Option<(u64, u64)>,
    pub(crate) outputs: u32,
    pub(crate) aborts: u32,
    pub(crate) delivered: u32,
}

struct Planned {
    at: Duration,
    number: u64,
    happening: Happening,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let kind = Kind::ALL[(seed % 4) as usize];
        let refreshable = random.chance(70);
        let backoff = BackoffRule { max_attempts: if random.chance(50) { 0 } else { 5 }, ..Default::default() };
        let mut settings = Settings::new(kind.dialect(), url());
        settings.params.insert("api_key", json!("key").into());
        settings.params.insert("user_id", json!("alice").into());
        let forever = Duration::from_secs(1_000_000);
        settings.token = match refreshable {
            true => TokenSource::Provider,
            false => TokenSource::Static(Secret::from(server::token(0, forever))),
        };
        settings.backoff = backoff;
        settings.breaker = random.chance(30).then_some(BREAKER);
        settings.max_age = random.chance(30).then_some(MAX_AGE);
        settings.ping_interval = random.chance(30).then_some(Duration::from_secs(10));
        settings.seed = seed;
        // No calendar, one that is right, or one that is a day late or early.
        let calendar = random.pick(&[None, Some(TODAY), Some(TODAY - DAY), Some(TODAY + DAY)]);
        let latency = Duration::from_millis(1 + random.below(300));
        let mut rules = Rules::new(seed, kind, refreshable, backoff);
        rules.breaker = settings.breaker;
        rules.max_age = settings.max_age;
        rules.token = (!refreshable && kind.has_token()).then_some(Token { number: 0, renew_after: None });
        let mut world = Self {
            random,
            now: Duration::ZERO,
            session: Session::new(settings).expect("the settings are right"),
            rules,
            wires: BTreeMap::new(),
            latency,
            down_until: Duration::ZERO,
            tokenless_until: Duration::ZERO,
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
            tokens: 0,
            calendar,
            agenda: BinaryHeap::new(),
            plans: 0,
            feeding: Feeding::default(),
            trace,
        };
        world.plan(Duration::ZERO, Happening::UserConnects);
        for _ in 0..16 {
            let at = world.random.up_to(TROUBLE);
            world.plan(at, Happening::Whim);
        }
        world
    }

    pub(crate) fn plan(&mut self, wait: Duration, happening: Happening) {
        self.plan_at(self.now + wait, happening);
    }

    pub(crate) fn plan_at(&mut self, at: Duration, happening: Happening) {
        self.plans += 1;
        self.agenda.push(Reverse(Planned { at, number: self.plans, happening }));
    }

    pub(crate) fn troubled(&self) -> bool {
        self.now < TROUBLE
    }

    pub(crate) fn run(mut self, seen: &mut Seen) {
        loop {
            let next = self.agenda.peek().map(|Reverse(planned)| planned.at);
            let timer = self.session.next_timeout().map(Timestamp::since_start);
            let Some(at) = [next, timer].into_iter().flatten().min().filter(|at| *at < LENGTH) else { break };
            self.pass(at);
            // A driver reads frames before timers; a busy one, or one that slept, is late with them.
            if next == Some(at) {
                let Reverse(planned) = self.agenda.pop().expect("peeked");
                self.happen(planned.happening, seen);
            } else {
                if self.troubled() && self.random.chance(5) {
                    let late = self.random.seconds(90);
                    self.pass(at + late);
                }
                self.tell_time(seen);
                self.give(Input::Timeout, seen);
                self.rules.timer_served();
            }
        }
        // The world has behaved for a while: whoever still wants a connection has one.
        let just_lost = self.rules.lost_at.is_some_and(|lost| lost + Duration::from_secs(30) > LENGTH);
        let settled = self.rules.state.is_end() || self.rules.state == State::Connected || just_lost;
        self.rules.check(settled, "no connection after a quiet time");
        self.pass(LENGTH);
        self.finish(seen);
    }

    /// A driver that has a calendar shows it.
    pub(crate) fn tell_time(&mut self, seen: &mut Seen) {
        if let Some(calendar) = self.calendar {
            self.give(Input::Clock { unix: calendar + self.now }, seen);
        }
    }

    fn pass(&mut self, to: Duration) {
        self.now = self.now.max(to);
        self.rules.now = self.now;
    }

    /// The end: nothing is left, and nothing that comes late brings anything back (rule 9).
    fn finish(&mut self, seen: &mut Seen) {
        self.happen(Happening::UserCloses { dropped: false }, seen);
        if self.rules.state == State::Disconnecting {
            if self.random.chance(50) {
                let open = self.wires.iter().find(|(_, wire)| wire.client == End::Open).map(|(wire, _)| *wire);
                self.happen(Happening::Broken(open.unwrap_or_default(), Some(1000)), seen);
            } else {
                self.pass(LENGTH + Duration::from_secs(5));
                self.give(Input::Timeout, seen);
            }
        }
        self.rules.check(self.rules.state.is_end(), "(9) not ended after a close");
        for _ in 0..4 {
            self.stale(seen);
        }
        self.give(Input::Timeout, seen);
        seen.stale += self.session.stats().stale_dropped;
    }

    /// Tells the session what happened, and does what it says.
    pub(crate) fn give(&mut self, input: Input<Event>, seen: &mut Seen) -> bool {
        if self.trace {
            eprintln!("{:>12.3?} {input:?}", self.now);
        }
        let ended = self.rules.state.is_end() && !matches!(input, Input::Connect | Input::Close { .. });
        let event = self.feeding.event.take();
        self.feeding = Feeding { timeout: matches!(input, Input::Timeout), event, ..Feeding::default() };
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
            && let Some((generation, _)) = self.rules.up
        {
            let feeding = std::mem::take(&mut self.feeding);
            self.give(Input::Room { generation }, seen);
            self.feeding = feeding;
        }
        self.rest();
        match result {
            Ok(()) => true,
            Err(error) => {
                let expected = matches!(error.kind(), ErrorKind::InvalidState | ErrorKind::Closed);
                self.rules.check(expected, "refused for no good reason");
                false
            }
        }
    }

    fn rest(&self) {
        let live = self.wires.values().filter(|wire| wire.client != End::Gone).count();
        self.rules.rest(live, self.session.next_timeout().is_some());
        self.rules.check(self.rules.state == self.session.state(), "a state was not told");
        let named = self.session.connection_id().is_some();
        let up = self.rules.state == State::Connected && self.rules.kind.has_hello();
        self.rules.check(up == named, "the connection id belongs to a connection");
    }

    fn act(&mut self, output: Output<Event>, seen: &mut Seen) {
        match output {
            Output::Dial { generation, request } => {
                self.rules.tries(self.feeding.timeout);
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
                if let Some(number) = id {
                    self.rules.check(number == server::mine(&text), "(4) another message");
                    self.rules.writes(generation, number);
                    seen.written += 1;
                }
                self.sends_up(generation, text);
            }
            Output::Ping { generation } => {
                let open = self.wires.get(&generation).is_some_and(|wire| wire.client == End::Open);
                self.rules.check(open, "a ping to a socket that is not open");
                self.pings(generation);
            }
            Output::Accepted { id } => self.rules.accepts(id),
            Output::Settled { id, .. } => {
                // However many wait, all are told.
                self.feeding.outputs -= 1;
                self.rules.gives_up(id);
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
                self.feeding.delivered += 1;
                if let Some((wire, number)) = event.text().and_then(server::event_number) {
                    self.rules.check(self.feeding.event == Some((wire, number)), "(2) an event out of nowhere");
                    self.rules.delivers(wire, number);
                }
                self.rules.check(self.rules.up.is_some(), "(2) an event outside a connection");
            }
            Output::Lifecycle(step) => {
                let open = self.wires.iter().find(|(_, wire)| wire.client == End::Open).map(|(wire, _)| *wire);
                self.rules.step(&step, open, seen);
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

    /// Something of an old connection, or of one that never was.
    pub(crate) fn stale(&mut self, seen: &mut Seen) {
        let last = self.wires.keys().last().copied().unwrap_or_default();
        let wire = self.random.below(last + 3);
        if self.wires.get(&wire).is_some_and(|wire| wire.client != End::Gone) || self.rules.fetching == Some(wire) {
            return;
        }
        let happening = match self.random.below(6) {
            0 => Happening::Opened(wire),
            1 => Happening::Refused(wire, ErrorKind::Connect),
            2 => Happening::Down(wire, Frame::Hello(self.rules.kind.hello(wire))),
            3 => Happening::Broken(wire, Some(self.random.pick(&[1000, 1008, 1011]))),
            4 => Happening::Token(wire, Some(self.tokens)),
            _ => Happening::Down(wire, Frame::Event(1_000_000, server::event(wire, 1_000_000, &mut self.random))),
        };
        self.happen(happening, seen);
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

pub(crate) fn url() -> UrlParts {
    UrlParts {
        scheme: "https".into(),
        has_credentials: false,
        authority: "example.com".into(),
        path: "/".into(),
        query: None,
    }
}
