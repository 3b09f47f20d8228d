//! A connection that is replaced before it is too old, without a moment in which there is none (S2-8).

use super::{bed::*, jwt::jwt, resume::everwire, test};
use everwire::{
    Lifecycle, State,
    proto::{CloseInfo, Input, Message, Output, Secret, Settings, TokenSource},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A session whose server is played by the test, on two sockets at a time.
struct Pair {
    bed: Bed,
    dialled: Vec<u64>,
    /// The connections for which a token was asked.
    asked: Vec<u64>,
    gone: Vec<u64>,
    sent: Vec<(u64, Value)>,
    events: Vec<u64>,
    words: Vec<&'static str>,
}

impl Pair {
    fn new(settings: Settings) -> Self {
        Self {
            bed: Bed::new(settings),
            dialled: vec![],
            asked: vec![],
            gone: vec![],
            sent: vec![],
            events: vec![],
            words: vec![],
        }
    }

    /// Connected on generation 1, with three events.
    fn connected() -> Self {
        let mut pair = Self::new(Settings { max_age: Some(Duration::from_secs(600)), ..everwire() });
        pair.give(Input::Connect);
        pair.give(Input::Opened { generation: 1 });
        pair.hello(1, false, 0);
        (1..=3).for_each(|seq| pair.event(1, seq));
        pair.words.clear();
        pair.sent.clear();
        pair
    }

    /// Lets the connection grow too old: its successor is dialled.
    fn grow_old(&mut self) -> u64 {
        let dials = self.dialled.len();
        while self.dialled.len() == dials {
            self.keep_alive();
        }
        *self.dialled.last().expect("a dial")
    }

    fn keep_alive(&mut self) {
        self.bed.now = self.bed.session.next_timeout().expect("a timer").max(self.bed.now);
        self.give(Input::Timeout);
        self.text(1, r#"{"type":"wire.pong"}"#);
    }

    fn give(&mut self, input: Input<Event>) {
        self.bed.give(input);
        while let Some(output) = self.bed.session.poll() {
            match output {
                Output::Dial { generation, .. } => self.dialled.push(generation),
                Output::FetchToken { generation } => self.asked.push(generation),
                Output::Abort { generation, .. } => self.gone.push(generation),
                Output::Send { generation, message: Message::Text(text), .. } => {
                    assert!(!self.gone.contains(&generation), "written to a socket that is gone");
                    self.sent.push((generation, serde_json::from_str(&text).expect("JSON")));
                }
                Output::Event(event) if event.event_type() == "tick" => {
                    self.events.push(event.json::<Value>().expect("JSON")["seq"].as_u64().expect("a number"));
                }
                Output::Lifecycle(step) => self.note(&step),
                _ => {}
            }
        }
    }

    fn note(&mut self, step: &Lifecycle) {
        match step {
            Lifecycle::State { .. }
            | Lifecycle::Connecting { .. }
            | Lifecycle::Ping { .. }
            | Lifecycle::Pong { .. } => {}
            Lifecycle::ReplayStarted { .. } | Lifecycle::ReplayCompleted { .. } => {}
            other => self.words.push(other.as_str()),
        }
    }

    fn text(&mut self, generation: u64, text: &str) {
        self.give(Input::Message { generation, payload: Event::from_text(text.to_owned()) });
    }

    fn event(&mut self, generation: u64, seq: u64) {
        self.text(generation, &format!(r#"{{"type":"tick","seq":{seq}}}"#));
    }

    fn hello(&mut self, generation: u64, resumed: bool, last: u64) {
        let hello = json!({"type": "wire.hello", "session": "s1", "connection_id": format!("c-{generation}"),
            "resumed": resumed, "last": last, "received": 0});
        self.text(generation, &hello.to_string());
    }

    fn closed(&mut self, generation: u64, code: Option<u16>) {
        self.give(Input::Closed { generation, info: CloseInfo { code, ..Default::default() } });
    }
}

// The old one delivers until the new one has said hello; at no time two deliver, and nothing is lost or doubled.
#[test]
fn the_new_connection_is_up_before_the_old_one_goes() {
    let mut pair = Pair::connected();
    let next = pair.grow_old();
    assert_eq!((next, pair.words.as_slice(), pair.bed.session.state()), (2, &["renewing"][..], State::Connected));
    pair.event(1, 4);
    pair.give(Input::Opened { generation: 2 });
    let (socket, first) = pair.sent.last().expect("a first frame").clone();
    assert_eq!((socket, &first["session"], &first["last"]), (2, &json!("s1"), &json!(4)));
    pair.event(1, 5);
    assert_eq!((pair.bed.session.connection_id().map(|id| &**id), pair.gone.len()), (Some("c-1"), 0));
    pair.hello(2, true, 6);
    assert_eq!((pair.bed.session.connection_id().map(|id| &**id), pair.gone.as_slice()), (Some("c-2"), &[1][..]));
    pair.event(1, 6); // a frame of the old socket, too late
    (5..=7).for_each(|seq| pair.event(2, seq));
    assert_eq!(pair.events, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(pair.words, ["renewing", "connected"], "nobody was without a connection");
    let stats = pair.bed.session.stats();
    assert_eq!((stats.duplicates, stats.stale_dropped, stats.gaps, stats.resumes), (1, 1, 0, 1));
    // And so on, for the new one grows old too.
    assert_eq!(pair.grow_old(), 3);
}

// The server closes the old socket as soon as it sees the new one: nobody hears of that.
#[test]
fn the_old_socket_may_end_while_the_new_one_waits_for_the_hello() {
    let mut pair = Pair::connected();
    pair.grow_old();
    pair.give(Input::Opened { generation: 2 });
    pair.closed(1, Some(4409));
    assert_eq!((pair.words.as_slice(), pair.bed.session.state()), (&["renewing"][..], State::Connected));
    pair.hello(2, true, 4);
    pair.event(2, 4);
    assert_eq!((pair.events.as_slice(), pair.words.as_slice()), (&[1, 2, 3, 4][..], &["renewing", "connected"][..]));
}

// A successor that does not come about costs nothing: the old connection stays, and another is tried later.
#[test]
fn a_successor_that_fails_leaves_the_old_connection() {
    let mut pair = Pair::connected();
    for (number, generation) in (2..7).enumerate() {
        assert_eq!(pair.grow_old(), generation);
        match number {
            0 => {
                let error = everwire::Error::new(everwire::ErrorKind::Connect, "refused");
                pair.give(Input::DialFailed { generation, error });
            }
            1 => {
                pair.give(Input::Opened { generation });
                pair.closed(generation, None);
            }
            // It never opens; it never says hello.
            2 => {}
            _ => pair.give(Input::Opened { generation }),
        }
        pair.event(1, 4 + number as u64);
    }
    assert_eq!(pair.events, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((pair.bed.session.state(), pair.gone.as_slice()), (State::Connected, &[4, 5][..]));
    // Frames of those that are gone are stale.
    pair.hello(4, true, 8);
    assert_eq!(pair.bed.session.stats().stale_dropped, 1);
}

// The end, and a failure of the old connection, leave no successor behind.
#[test]
fn no_successor_outlives_its_session() {
    for opened in [false, true] {
        let mut pair = Pair::connected();
        pair.grow_old();
        if opened {
            pair.give(Input::Opened { generation: 2 });
        }
        pair.give(Input::Close { code: 1000, reason: "client disconnect".into(), dropped: false });
        assert_eq!(pair.gone, [2]);
        pair.closed(1, Some(1000));
        assert_eq!((pair.bed.session.state(), pair.bed.session.next_timeout()), (State::Closed, None));
        pair.hello(2, true, 3);
        assert_eq!(pair.bed.session.state(), State::Closed);
    }
    let mut pair = Pair::connected();
    pair.grow_old();
    pair.closed(1, None);
    assert_eq!((pair.gone.as_slice(), pair.bed.session.state()), (&[2][..], State::BackingOff));
    // Generations are never used twice.
    while pair.dialled.len() < 3 {
        pair.bed.now = pair.bed.session.next_timeout().expect("a timer");
        pair.give(Input::Timeout);
    }
    assert_eq!(pair.dialled, [1, 2, 3]);
}

// What a refused successor says is acted upon on the usual way: its token may have expired.
#[test]
fn a_successor_that_is_refused_takes_the_usual_way() {
    let mut pair = Pair::connected();
    pair.grow_old();
    pair.give(Input::Opened { generation: 2 });
    pair.text(2, r#"{"type":"wire.error","code":71,"message":"too many connections"}"#);
    assert_eq!(
        (pair.gone.as_slice(), pair.words.as_slice()),
        (&[2, 1][..], &["renewing", "closing", "disconnected"][..])
    );
    assert_eq!((pair.bed.session.state(), pair.dialled.as_slice()), (State::Reconnecting, &[1, 2, 3][..]));
}

// The old connection is told that its session was taken over, by a successor that has died since: that other socket was our
// own, and the client goes on.
#[test]
fn a_session_that_was_taken_over_by_a_successor_that_died_is_not_the_end() {
    let mut pair = Pair::connected();
    pair.grow_old();
    pair.give(Input::Opened { generation: 2 });
    pair.closed(2, None);
    pair.closed(1, Some(4409));
    assert_eq!(pair.bed.session.state(), State::BackingOff);
    // Somebody else's socket is the end.
    let mut pair = Pair::connected();
    pair.closed(1, Some(4409));
    assert_eq!(pair.bed.session.state(), State::Closed);
}

// S0-12, S2-8: a renewal of the token that is under way ends with the old connection, and begins anew on the next.
#[test]
fn a_renewal_of_the_token_survives_the_change_of_sockets() {
    let seconds = Duration::from_secs;
    let token = jwt(&json!({"iat": 1_000_000, "exp": 1_000_062}));
    for outlived in [false, true] {
        let settings = Settings {
            token: TokenSource::Provider,
            token_timeout: seconds(60),
            max_age: Some(seconds(60)),
            ..everwire()
        };
        let mut pair = Pair::new(settings);
        let date = |pair: &mut Pair| {
            let unix = seconds(1_000_000) + pair.bed.now.since_start();
            pair.give(Input::Clock { unix });
        };
        date(&mut pair);
        pair.give(Input::Connect);
        pair.give(Input::Token { generation: 1, result: Ok(Secret::from(token.clone())) });
        pair.give(Input::Opened { generation: 1 });
        pair.hello(1, false, 0);
        // A fifth of its life before its end the token is asked for, and does not come; then the connection is too old.
        while pair.dialled.len() == 1 {
            pair.keep_alive();
        }
        assert_eq!((pair.asked.as_slice(), pair.dialled.as_slice()), (&[1, 1][..], &[1, 2][..]));
        pair.give(Input::Opened { generation: 2 });
        if outlived {
            pair.closed(1, Some(4409));
        }
        pair.hello(2, true, 0);
        assert!(pair.gone.contains(&1), "nobody waits for the old answer any more");
        pair.keep_alive();
        assert_eq!(pair.asked, [1, 1, 2]);
    }
}
