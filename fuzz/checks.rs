//! What the fuzz targets check, and what `tests/fuzz_corpus.rs` replays: no input panics, and what can be compared is.

#![allow(dead_code)] // each target uses its part

use everwire::{
    SendOptions,
    proto::{
        Class, CloseInfo, Dialect, Event, Input, Json, Lifecycle, Message, NetworkChange, Output, Payload, Secret,
        Session, Settings, State, Timestamp, TokenSource, UNKNOWN, UrlParts,
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use std::{fmt, time::Duration};

type TestEvent = Event<String, Vec<u8>>;

/// The type of an event is what a whole JSON parser finds, and the parser of control messages agrees with it too.
pub(crate) fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        let mut event = TestEvent::from_binary(data.to_vec());
        let mut names = TestEvent::names("type", &[], false);
        assert_eq!(event.classify(&mut names), Class::Binary);
        return;
    };
    let parsed = serde_json::from_str::<Value>(text);
    // By the grammar alone: numbers that no float can hold are JSON all the same, and so is any depth.
    let is_json = serde_json::from_str::<IgnoredAny>(text.strip_prefix('\u{feff}').unwrap_or(text)).is_ok();
    let is_deep = text.matches(['[', '{']).count() > 128;
    assert!(is_deep || Json::parse(text).is_some() == is_json, "two parsers, two opinions");
    assert!(
        !is_json || Payload::json(&TestEvent::from_text(text.to_owned())).is_some(),
        "a message that is fine is not read"
    );
    if let Ok(parsed) = &parsed {
        assert_eq!(TestEvent::from_text(text.to_owned()).json::<Value>().ok().as_ref(), Some(parsed));
    }
    for any_text in [false, true] {
        let control = ["health.check".to_owned(), "a\"b".to_owned()];
        let mut names = TestEvent::names("type", &control, any_text);
        let mut event = TestEvent::from_text(text.to_owned());
        let class = event.classify(&mut names);
        let name = event.event_type().to_owned();
        match class {
            Class::Control(index) => assert_eq!(name, control[index]),
            Class::Event => assert!(!control.contains(&name)),
            Class::Untyped => assert_eq!(name, UNKNOWN),
            Class::Malformed => assert!(!any_text && !is_json, "a document that is fine was refused"),
            Class::Binary => panic!("text is not binary"),
        }
        match &parsed {
            Ok(Value::Object(_)) => {
                let Ok(Members(members)) = serde_json::from_str(text) else { continue };
                let mut types = members.iter().filter(|(name, _)| name == "type").map(|(_, value)| value);
                // Of two that are the same the first one counts.
                match types.next() {
                    Some(Value::String(first)) => assert_eq!(&name, first),
                    _ => assert_eq!(class, Class::Untyped),
                }
            }
            Ok(_) => assert_eq!(class, Class::Untyped),
            Err(_) => {}
        }
    }
}

/// A dialect that is accepted can be written and read again, and a session can be made of it or says why not.
pub(crate) fn dialect(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(dialect) = Dialect::from_json(text) else { return };
    let again = Dialect::from_json(&dialect.to_json()).expect("what was written can be read");
    // Numbers may be written in another way.
    assert_eq!(dialect.to_json(), again.to_json());
    let mut settings = settings(dialect);
    settings.token = TokenSource::Static(Secret::from("secret-token".to_owned()));
    if let Ok(mut session) = Session::<TestEvent>::new(settings) {
        let _ = session.handle(Timestamp::default(), Input::Connect);
        while let Some(output) = session.poll() {
            assert!(!format!("{output:?}").contains("secret-token"), "a token is shown");
        }
    }
}

/// A session in the hands of a stranger: the bytes are what happens to it, one after the other.
pub(crate) fn session(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let dialects = ["stream", "stream-v1", "envelope", "raw", "everwire"];
    let Ok(dialect) = Dialect::builtin(dialects[usize::from(*first) % dialects.len()]) else { return };
    let mut settings = settings(dialect);
    settings.token = match first & 0x80 {
        0 => TokenSource::Provider,
        _ => TokenSource::Static(Secret::from("secret-token".to_owned())),
    };
    let Ok(session) = Session::<TestEvent>::new(settings) else { return };
    let mut stranger =
        Stranger { session, now: Duration::ZERO, live: None, last: 0, sent: 0, state: State::Idle, ends: 0 };
    let mut rest = data;
    while let [what, detail, others @ ..] = rest {
        rest = others;
        let wire = if detail & 0x80 == 0 { stranger.last } else { u64::from(detail & 3) };
        let input = match what % 16 {
            0 => Input::Connect,
            1 => Input::Close { code: 1000, reason: String::new(), dropped: detail & 1 == 1 },
            2 => {
                let message = Message::Text("mine".to_owned());
                stranger.sent += 1;
                Input::Send { id: stranger.sent, message, options: SendOptions::default() }
            }
            3 => Input::Opened { generation: wire },
            4 => Input::DialFailed { generation: wire, error: refused(*detail) },
            5 | 6 => {
                let (text, others) = take_text(rest);
                rest = others;
                Input::Message { generation: wire, payload: TestEvent::from_text(text) }
            }
            7 => Input::Message { generation: wire, payload: TestEvent::from_binary(vec![*detail]) },
            8 => Input::Alive { generation: wire },
            9 => Input::Closed { generation: wire, info: closed(*detail) },
            10 => Input::Token { generation: wire, result: Ok(Secret::from("secret-token".to_owned())) },
            11 => Input::Token { generation: wire, result: Err(refused(*detail)) },
            12 => Input::Network(
                [NetworkChange::Offline, NetworkChange::Online, NetworkChange::Changed][usize::from(detail % 3)],
            ),
            13 => Input::Message {
                generation: wire,
                payload: TestEvent::from_text(FRAMES[usize::from(*detail) % FRAMES.len()].to_owned()),
            },
            14 => {
                stranger.now += Duration::from_millis(u64::from(*detail) * 200);
                Input::Timeout
            }
            _ => match stranger.session.next_timeout() {
                Some(at) => {
                    stranger.now = stranger.now.max(at.since_start());
                    Input::Timeout
                }
                None => Input::Timeout,
            },
        };
        stranger.give(input);
    }
}

const FRAMES: [&str; 14] = [
    r#"{"type":"connection.ok","connection_id":"c"}"#,
    r#"{"type":"health.check","connection_id":"c","me":{}}"#,
    r#"{"type":"auth_ok","data":{"connection_id":"c"}}"#,
    r#"{"type":"wire.hello","session":"s","connection_id":"c","resumed":false,"last":0}"#,
    r#"{"type":"wire.hello","session":"s","connection_id":"c","resumed":true,"last":5,"received":0}"#,
    r#"{"type":"wire.gap","from":1,"to":3}"#,
    r#"{"type":"message.new","seq":1}"#,
    r#"{"type":"message.new","seq":2}"#,
    r#"{"type":"message.new","seq":18446744073709551615}"#,
    r#"{"type":"connection.error","error":{"code":40}}"#,
    r#"{"type":"wire.error","code":9}"#,
    r#"{"error":{"code":43,"unrecoverable":true}}"#,
    r#"{"type":"ping"}"#,
    "{broken",
];

struct Stranger {
    session: Session<TestEvent>,
    now: Duration,
    live: Option<u64>,
    last: u64,
    sent: u64,
    state: State,
    ends: u32,
}

impl Stranger {
    fn give(&mut self, input: Input<TestEvent>) {
        let connect = matches!(input, Input::Connect) && self.state.is_end();
        let _ = self.session.handle(Timestamp::after_start(self.now), input);
        self.ends = if connect { 0 } else { self.ends };
        while let Some(output) = self.session.poll() {
            assert!(!format!("{output:?}").contains("secret-token"), "a token is shown");
            match output {
                Output::Dial { generation, .. } => {
                    assert!(self.live.replace(generation).is_none(), "two dials or sockets at once");
                    self.last = generation;
                }
                Output::FetchToken { generation } => self.last = generation,
                Output::Send { generation, .. } | Output::Close { generation, .. } => {
                    assert_eq!(self.live, Some(generation), "written to a socket that is not there");
                }
                Output::Abort { generation, .. } => drop(self.live.take_if(|live| *live == generation)),
                Output::Event(_) => assert_eq!(self.state, State::Connected, "an event outside a connection"),
                Output::Lifecycle(Lifecycle::State { old, new }) => {
                    assert!(old == self.state && old.next().contains(&new), "illegal: {old} to {new}");
                    self.state = new;
                    if matches!(new, State::Disconnected | State::BackingOff) || new.is_end() {
                        self.live = None;
                    }
                }
                Output::Lifecycle(Lifecycle::Closed(_)) => self.ends += 1,
                _ => {}
            }
        }
        assert_eq!(self.state, self.session.state());
        assert!(self.ends <= 1, "an end was told twice");
        if self.state.is_end() {
            assert!(self.session.next_timeout().is_none(), "a timer after the end");
        }
    }
}

fn settings(dialect: Dialect) -> Settings {
    let url = UrlParts {
        scheme: "https".to_owned(),
        has_credentials: false,
        authority: "example.com".to_owned(),
        path: "/".to_owned(),
        query: None,
    };
    let mut settings = Settings::new(dialect, url);
    for name in ["api_key", "user_id"] {
        settings.params.insert(name, Json::parse("\"value\"").expect("JSON"));
    }
    settings
}

fn refused(detail: u8) -> everwire::Error {
    use everwire::ErrorKind::{Auth, Config, Connect, Timeout, Token, Unsupported};
    everwire::Error::new([Connect, Token, Timeout, Unsupported, Auth, Config][usize::from(detail % 6)], "no")
}

fn closed(detail: u8) -> CloseInfo {
    let code = [None, Some(1000), Some(1006), Some(1008), Some(1011), Some(1013), Some(4000), Some(4409)];
    CloseInfo { code: code[usize::from(detail % 8)], ..CloseInfo::default() }
}

/// A text whose first byte tells its length.
fn take_text(data: &[u8]) -> (String, &[u8]) {
    let Some((length, data)) = data.split_first() else { return (String::new(), data) };
    let (text, rest) = data.split_at(usize::from(*length).min(data.len()));
    (String::from_utf8_lossy(text).into_owned(), rest)
}

/// The members of an object in their order, doubles included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
