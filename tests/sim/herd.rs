//! The herd: 10,000 clients lose one server at once. It is down for 20 s, and then admits 1,000 handshakes in each second;
//! whoever comes beyond that is refused. Ours are sessions; beside them stand the formulas of other clients.
//!
//! `make herd` writes the table of `docs/HERD.md`; the test compares.

use super::{random::Random, server::Kind, world};
use everwire::proto::{CloseInfo, Error, ErrorKind, Input, Output, Session, Settings, State, Timestamp};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt::Write,
    path::Path,
    time::Duration,
};

const CLIENTS: usize = 10_000;
const DOWN: Duration = Duration::from_secs(20);
const ADMITTED: u32 = 1_000;

/// How a kind of client decides when to dial next.
trait Client {
    /// The connection was lost; gives the time of the next dial.
    fn lost(&mut self, now: Duration) -> Duration;
    /// The dial was refused; gives the time of the next one.
    fn refused(&mut self, now: Duration) -> Duration;
    /// The dial was admitted.
    fn admitted(&mut self, _now: Duration) {}
}

/// A formula: the wait after so many failures.
struct Formula {
    failures: u32,
    random: Random,
    own: f64,
    wait: Wait,
}

impl Client for Formula {
    fn lost(&mut self, now: Duration) -> Duration {
        self.refused(now)
    }

    fn refused(&mut self, now: Duration) -> Duration {
        self.failures += 1;
        let drawn = self.random.fraction();
        now + Duration::from_secs_f64((self.wait)(self.failures, self.own, drawn) / 1_000.0)
    }
}

/// One of ours.
struct Ours {
    session: Session<world::Event>,
    generation: u64,
}

impl Ours {
    fn new(seed: u64) -> Self {
        let mut settings = Settings::new(Kind::Raw.dialect(), world::url());
        settings.backoff.max_attempts = 0;
        settings.seed = seed;
        let mut ours = Self { session: Session::new(settings).expect("right"), generation: 0 };
        ours.give(Duration::ZERO, Input::Connect);
        ours.admitted(Duration::ZERO);
        ours
    }

    fn give(&mut self, now: Duration, input: Input<world::Event>) {
        self.session.handle(Timestamp::after_start(now), input).expect("accepted");
        while let Some(output) = self.session.poll() {
            if let Output::Dial { generation, .. } = output {
                self.generation = generation;
            }
        }
    }

    /// Fires the timer of the next try, whose time it gives.
    fn next_dial(&mut self) -> Duration {
        assert_eq!(self.session.state(), State::BackingOff);
        let due = self.session.next_timeout().expect("a try").since_start();
        self.give(due, Input::Timeout);
        due
    }
}

impl Client for Ours {
    fn lost(&mut self, now: Duration) -> Duration {
        // It has been up for long.
        self.give(now, Input::Timeout);
        self.give(now, Input::Closed { generation: self.generation, info: CloseInfo::default() });
        self.next_dial()
    }

    fn refused(&mut self, now: Duration) -> Duration {
        let error = Error::new(ErrorKind::Connect, "refused");
        self.give(now, Input::DialFailed { generation: self.generation, error });
        self.next_dial()
    }

    fn admitted(&mut self, now: Duration) {
        self.give(now, Input::Opened { generation: self.generation });
        assert_eq!(self.session.state(), State::Connected);
    }
}

/// What came of a policy.
struct Outcome {
    dials: u64,
    /// The most dials in one second while the server is down, and after it is back.
    peak_down: u32,
    peak_back: u32,
    /// After the server is back.
    half: Duration,
    all: Duration,
}

fn run(make: &dyn Fn(u64) -> Box<dyn Client>) -> Outcome {
    let mut random = Random::new(1);
    // All were connected for an hour, and hear of the loss as soon as the network tells them.
    let start = Duration::from_secs(3_600);
    let mut agenda = BinaryHeap::new();
    let mut clients = Vec::new();
    for seed in 0..CLIENTS as u64 {
        let latency = random.up_to(Duration::from_millis(50));
        let mut client = make(seed);
        agenda.push(Reverse((client.lost(start + latency) + latency, clients.len())));
        clients.push((client, latency));
    }
    // Dials and admissions by the second.
    let mut seconds: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    let mut admissions = Vec::new();
    while let Some(Reverse((arrival, index))) = agenda.pop() {
        let since = arrival - start;
        let (dials, admitted) = seconds.entry(since.as_secs()).or_default();
        *dials += 1;
        let (client, latency) = &mut clients[index];
        if since >= DOWN && *admitted < ADMITTED {
            *admitted += 1;
            admissions.push(since - DOWN);
            client.admitted(arrival + *latency);
        } else {
            agenda.push(Reverse((client.refused(arrival + *latency) + *latency, index)));
        }
    }
    let peak = |down: bool| {
        let side = seconds.iter().filter(|(second, _)| (**second < DOWN.as_secs()) == down);
        side.map(|(_, (dials, _))| *dials).max().unwrap_or_default()
    };
    Outcome {
        dials: seconds.values().map(|(dials, _)| u64::from(*dials)).sum(),
        peak_down: peak(true),
        peak_back: peak(false),
        half: admissions[CLIENTS / 2 - 1],
        all: admissions[CLIENTS - 1],
    }
}

/// The waits of others in milliseconds: after the n-th failure, with what each client draws once, and anew each time.
type Wait = fn(u32, f64, f64) -> f64;

fn stream_js(n: u32, _: f64, drawn: f64) -> f64 {
    let most = (500.0 + 2_000.0 * f64::from(n)).min(5_000.0);
    let least = (2_000.0 * f64::from(n - 1)).clamp(250.0, 5_000.0);
    least + drawn * (most - least)
}

fn phoenix(n: u32, _: f64, _: f64) -> f64 {
    const STEPS: [f64; 9] = [10.0, 50.0, 100.0, 150.0, 200.0, 250.0, 500.0, 1_000.0, 2_000.0];
    STEPS.get(n as usize - 1).copied().unwrap_or(5_000.0)
}

fn supabase(n: u32, _: f64, _: f64) -> f64 {
    [1_000.0, 2_000.0, 5_000.0].get(n as usize - 1).copied().unwrap_or(10_000.0)
}

fn partysocket(n: u32, own: f64, _: f64) -> f64 {
    ((1_000.0 + 4_000.0 * own) * 1.3_f64.powi(n as i32 - 1)).min(10_000.0)
}

fn full_jitter(n: u32, _: f64, drawn: f64) -> f64 {
    drawn * (500.0 * 2.0_f64.powi(n as i32 - 1)).min(30_000.0)
}

fn short_full_jitter(n: u32, _: f64, drawn: f64) -> f64 {
    drawn * (250.0 * 2.0_f64.powi(n as i32 - 1)).min(5_000.0)
}

const OTHERS: [(&str, Wait); 6] = [
    ("Stream JS", stream_js),
    ("phoenix", phoenix),
    ("supabase", supabase),
    ("partysocket", partysocket),
    ("full jitter, 0.5 s to 30 s", full_jitter),
    ("full jitter, 0.25 s to 5 s", short_full_jitter),
];

fn table() -> (String, Vec<(&'static str, Outcome)>) {
    let mut outcomes: Vec<(&'static str, Outcome)> = vec![("**everwire**", run(&|seed| Box::new(Ours::new(seed))))];
    for (name, wait) in OTHERS {
        outcomes.push((
            name,
            run(&|seed| {
                let mut random = Random::new(seed);
                Box::new(Formula { failures: 0, own: random.fraction(), random, wait })
            }),
        ));
    }
    let mut table = String::from(
        "| policy | dials | peak per second while down | peak per second after | half are back | all are back |\n\
         |---|---|---|---|---|---|\n",
    );
    for (name, Outcome { dials, peak_down, peak_back, half, all }) in &outcomes {
        let (half, all) = (half.as_secs_f64(), all.as_secs_f64());
        writeln!(table, "| {name} | {dials} | {peak_down} | {peak_back} | {half:.1} s | {all:.1} s |")
            .expect("a string");
    }
    (table, outcomes)
}

// S0-10, pitfall 7: nobody is gentler to the server and sooner back as well.
#[test]
fn a_herd_comes_back_soon_and_gently() {
    let (table, outcomes) = table();
    println!("{table}");
    let (ours, others) = outcomes.split_first().expect("ours is the first");
    for (name, other) in others {
        let (other, ours) = ((other.peak_back, other.all), (ours.1.peak_back, ours.1.all));
        let better = other.0 <= ours.0 && other.1 <= ours.1;
        assert!(!better, "{name} is better in both");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HERD.md");
    let text = std::fs::read_to_string(&file).expect("docs/HERD.md");
    let (head, rest) = text.split_once("<!-- table -->\n").expect("a mark");
    let (old, tail) = rest.split_once("<!-- end -->").expect("a mark");
    if std::env::var_os("EVERWIRE_HERD").is_some() {
        std::fs::write(file, [head, "<!-- table -->\n", &table, "<!-- end -->", tail].concat()).expect("written");
    } else {
        assert_eq!(old, table, "docs/HERD.md is old: run `make herd`");
    }
}
