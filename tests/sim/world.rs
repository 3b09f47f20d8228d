//! One schedule: what it is about, and the agenda of what will happen.

use super::{
    book::{Book, Listener},
    happenings::{Frame, Happening},
    keeper::Keeper,
    link::{End, Wire},
    random::Random,
    rules::{Rules, Token},
    seen::Seen,
    server::{self, Kind},
};
use everwire::{
    ErrorKind, OutboxRule, ResumeMode, State, WhenFull,
    proto::{
        BackoffRule, BreakerRule, Input, Parts, Secret, Session, Settings, Timestamp, TokenSource, UrlParts,
        control_types,
    },
};
use serde_json::json;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    time::Duration,
};

pub(crate) type Event = everwire::proto::Event<String, Vec<u8>>;

/// How long a schedule lasts, in virtual time.
const LENGTH: Duration = Duration::from_secs(330);
/// From then on nobody has anything more to say, so that everything can have arrived by the end.
const SPEECHES: Duration = Duration::from_secs(290);
/// After this the world behaves, so that what can recover must have recovered by the end.
const TROUBLE: Duration = Duration::from_secs(200);

/// A breaker that opens soon enough to be seen.
const BREAKER: BreakerRule = BreakerRule { failures: 3, pause: Duration::from_secs(10) };
const MAX_AGE: Duration = Duration::from_secs(70);
pub(crate) const POLICIES: [WhenFull; 4] =
    [WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait];
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
    /// The messages of the user's that reached the server, by their place among those written, and on which connection.
    pub(crate) arrived: BTreeMap<u64, u64>,
    /// The session of the dialect `everwire`, what was taken in it, and what its listener has.
    pub(crate) keeper: Keeper,
    pub(crate) taken: BTreeSet<u64>,
    pub(crate) last_taken: u64,
    /// The number of the last message that the client was told is taken.
    pub(crate) known_taken: u64,
    pub(crate) listener: Listener,
    pub(crate) mode: ResumeMode,
    /// Whether messages were reported that may not have been taken.
    pub(crate) reported: bool,
    /// Whether the user closes in such a way that the server forgets the session.
    pub(crate) for_good: bool,
    /// Until when the socket takes nothing.
    pub(crate) full_until: Duration,
    pub(crate) tokens: u64,
    /// What the client's calendar said when the schedule began.
    calendar: Option<Duration>,
    agenda: BinaryHeap<Reverse<Planned>>,
    plans: u64,
    /// What the session is being told, and what came of it.
    pub(crate) feeding: Feeding,
    /// The events that passed the session by and that it is not told of yet.
    pub(crate) untold: Option<Untold>,
    /// The types that the session must see all messages of.
    pub(crate) control: Vec<String>,
    /// How many events the listener was given.
    pub(crate) heard: u64,
    /// Why the last input was refused that was.
    pub(crate) refusal: ErrorKind,
    pub(crate) trace: bool,
}

/// What came of an input.
#[derive(Default)]
pub(crate) struct Feeding {
    /// Whether it was the time that had come.
    pub(crate) timeout: bool,
    /// The event that is in it.
    pub(crate) event: Option<(u64, u64)>,
    /// The session and the number of an event that is in it.
    pub(crate) numbered: Option<(u64, u64)>,
    pub(crate) outputs: u32,
    pub(crate) aborts: u32,
    pub(crate) delivered: u32,
}

/// Events that passed a session by.
#[derive(Default)]
pub(crate) struct Untold {
    pub(crate) wire: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// When the last one came.
    pub(crate) at: Duration,
}

struct Planned {
    at: Duration,
    number: u64,
    happening: Happening,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let kind = Kind::ALL[(seed % 5) as usize];
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
        let resumes = kind == Kind::Everwire;
        settings.max_age = random.chance(if resumes { 60 } else { 30 }).then_some(MAX_AGE);
        let modes = [ResumeMode::SequenceId, ResumeMode::SequenceId, ResumeMode::FullBuffer, ResumeMode::None];
        settings.resume = if resumes { random.pick(&modes) } else { ResumeMode::default() };
        let mode = settings.resume;
        settings.outbox = match random.below(6) {
            0 => OutboxRule::OFF,
            1..4 => OutboxRule {
                messages: 1 + random.below(6) as usize,
                bytes: 40 + random.below(200) as usize,
                when_full: random.pick(&POLICIES),
                ttl: random.chance(30).then(|| Duration::from_secs(1 + random.below(30))),
            },
            _ => OutboxRule::default(),
        };
        settings.max_requests = 4;
        settings.ping_interval = random.chance(30).then_some(Duration::from_secs(10));
        settings.seed = seed;
        // No calendar, one that is right, or one that is a day late or early.
        let calendar = random.pick(&[None, Some(TODAY), Some(TODAY - DAY), Some(TODAY + DAY)]);
        let latency = Duration::from_millis(1 + random.below(300));
        let mut rules = Rules::new(seed, kind, refreshable, backoff);
        rules.book = Book::new(settings.outbox, settings.max_requests);
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
            keeper: Keeper::default(),
            taken: BTreeSet::new(),
            last_taken: 0,
            known_taken: 0,
            listener: Listener::default(),
            mode,
            reported: false,
            for_good: true,
            full_until: Duration::ZERO,
            tokens: 0,
            calendar,
            agenda: BinaryHeap::new(),
            plans: 0,
            feeding: Feeding::default(),
            untold: None,
            control: control_types(&kind.dialect(), Parts::ALL),
            heard: 0,
            refusal: ErrorKind::Closed,
            trace,
        };
        // Some have something to say before they connect.
        let early = world.random.chance(10);
        if early {
            world.plan(Duration::ZERO, Happening::UserWants);
        }
        let connects = if early { world.random.up_to(Duration::from_secs(20)) } else { Duration::ZERO };
        world.plan(connects, Happening::UserConnects);
        for _ in 0..16 {
            let at = world.random.up_to(TROUBLE);
            world.plan(at, Happening::Whim);
        }
        if resumes {
            world.plan(Duration::from_secs(1), Happening::Published);
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

    pub(crate) fn speaks(&self) -> bool {
        self.now < SPEECHES
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
                self.rules.timer_served(self.now - at);
                self.rules.holds(self.rules.book.timer_served(self.now));
            }
        }
        // The world has behaved for a while: whoever still wants a connection has one.
        let just_lost = self.rules.lost_at.is_some_and(|lost| lost + Duration::from_secs(30) > LENGTH);
        let settled = self.rules.state.is_end() || self.rules.state == State::Connected || just_lost;
        self.rules.check(settled, "no connection after a quiet time");
        self.pass(LENGTH);
        self.everything_has_come();
        let stats = self.session.stats();
        seen.resumes += stats.resumes;
        seen.duplicates += stats.duplicates;
        seen.gaps += stats.gaps;
        self.finish(seen);
    }

    /// Rules 4 and 5, after a quiet time: every event has come, every message was taken, or the loss was told.
    fn everything_has_come(&self) {
        let settled = self.rules.up.filter(|(_, since)| *since + Duration::from_secs(30) < LENGTH);
        let wire = settled.and_then(|(wire, _)| self.wires.get(&wire)).filter(|wire| wire.is_quick());
        if self.rules.kind != Kind::Everwire || wire.is_none() {
            return;
        }
        let all = (self.listener.epoch, self.listener.next) == (self.keeper.epoch, self.keeper.last + 1);
        self.rules.check(all, "(5) an event is still missing after a quiet time");
        self.rules.check(self.keeper.first == self.keeper.last + 1, "(5) what has arrived is not acknowledged");
        let missing = self.rules.book.written() != self.taken.len();
        self.rules.check(!missing || self.reported, "(4) a message is lost without a report");
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
        self.happen(Happening::UserCloses { code: 1000, dropped: false }, seen);
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
        self.rules.check(self.rules.book.is_empty(), "(3) a message or a request has not settled");
        for _ in 0..4 {
            self.stale(seen);
        }
        self.give(Input::Timeout, seen);
        seen.stale += self.session.stats().stale_dropped;
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
