//! A test bed for one session: the test plays the network, the server and the clock.

use everwire::proto::{
    BreakerState, Cause, CloseInfo, DialRequest, Dialect, Error, ErrorKind, Input, Lifecycle, Message, Output, Secret,
    SendOptions, Session, Settings, State, Timestamp, TokenSource, UrlParts,
};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) type Event = everwire::proto::Event<String, Vec<u8>>;

/// What a session wanted, in a form that tests compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Did {
    Dial(u64),
    FetchToken(u64),
    Send(u64, String),
    Accepted(u64),
    Settled(u64, ErrorKind),
    Overflow(u64),
    Reply(u64, Option<ErrorKind>),
    Close(u64, u16, String),
    Abort(u64),
    Event(String),
    State(State),
    Connected(Option<String>),
    Disconnected,
    BackingOff(u32, Duration),
    Error(String),
    Token(Option<Duration>),
    Breaker(BreakerState, Option<Duration>),
    Renewing(Duration),
    Clamped(&'static str, Duration, Duration),
    Closed(&'static str, Option<String>),
}

pub(crate) struct Bed {
    pub(crate) session: Session<Event>,
    pub(crate) now: Timestamp,
    pub(crate) requests: Vec<DialRequest>,
    pub(crate) last_error: Option<Error>,
    pub(crate) steps: Vec<Lifecycle>,
}

pub(crate) const HELLO: &str = r#"{"type":"connection.ok","connection_id":"c-1","me":{"id":"alice"}}"#;

pub(crate) fn url() -> UrlParts {
    UrlParts {
        scheme: "https".into(),
        has_credentials: false,
        authority: "example.com".into(),
        path: "/".into(),
        query: None,
    }
}

/// Settings for Stream's dialect with a token provider.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new(Dialect::stream(), url());
    settings.params.insert("api_key", json!("key").into());
    settings.params.insert("user_id", json!("alice").into());
    settings.client = "everwire/test".into();
    settings.token = TokenSource::Provider;
    settings.seed = 1;
    settings
}

pub(crate) fn with_static_token() -> Settings {
    Settings { token: TokenSource::Static(Secret::from("static-token".to_owned())), ..settings() }
}

/// A message of the user's, numbered by its text where that is a number.
pub(crate) fn send(text: &str) -> Input<Event> {
    let id = text.parse().unwrap_or_default();
    Input::Send { id, message: Message::from(text), options: SendOptions::default() }
}

pub(crate) fn raw() -> Settings {
    Settings::new(Dialect::raw(), url())
}

impl Bed {
    pub(crate) fn new(settings: Settings) -> Self {
        let session = Session::new(settings).expect("the settings are right");
        Self { session, now: Timestamp::default(), requests: Vec::new(), last_error: None, steps: Vec::new() }
    }

    /// A session with a static token that is connected, its outputs drained.
    pub(crate) fn connected(settings: Settings) -> Self {
        let mut bed = Self::new(settings);
        bed.give(Input::Connect);
        bed.bring_up();
        bed
    }

    /// Brings the try that is under way up to the hello; returns its generation.
    pub(crate) fn bring_up(&mut self) -> u64 {
        let mut did = self.drain();
        if let Some(Did::FetchToken(generation)) = did.last().cloned() {
            did = self.token(generation, "fresh");
        }
        let generation = dialled(&did);
        self.give(Input::Opened { generation });
        if self.session.state() != State::Connected {
            self.text(generation, HELLO);
        }
        assert_eq!(self.session.state(), State::Connected);
        generation
    }

    pub(crate) fn give(&mut self, input: Input<Event>) {
        self.session.handle(self.now, input).expect("accepted");
    }

    pub(crate) fn refuse(&mut self, input: Input<Event>) -> Error {
        self.session.handle(self.now, input).expect_err("refused")
    }

    pub(crate) fn close(&mut self) -> Vec<Did> {
        self.give(Input::Close { code: 1000, reason: "client disconnect".into(), dropped: false });
        self.drain()
    }

    pub(crate) fn token(&mut self, generation: u64, token: &str) -> Vec<Did> {
        self.give(Input::Token { generation, result: Ok(Secret::from(token.to_owned())) });
        self.drain()
    }

    pub(crate) fn text(&mut self, generation: u64, text: &str) -> Vec<Did> {
        self.give(Input::Message { generation, payload: Event::from_text(text.to_owned()) });
        self.drain()
    }

    pub(crate) fn error(&mut self, generation: u64, code: i64) -> Vec<Did> {
        self.text(
            generation,
            &json!({"type": "connection.error", "error": {"code": code, "message": "no"}}).to_string(),
        )
    }

    pub(crate) fn lost(&mut self, generation: u64, code: Option<u16>) -> Vec<Did> {
        self.give(Input::Closed { generation, info: CloseInfo { code, ..Default::default() } });
        self.drain()
    }

    pub(crate) fn lost_dial(&mut self, generation: u64) -> Vec<Did> {
        self.give(Input::DialFailed { generation, error: Error::new(ErrorKind::Connect, "refused") });
        self.drain()
    }

    /// Lets time pass and fires the timers on their way.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Did> {
        let until = self.now + time;
        let mut did = Vec::new();
        while let Some(due) = self.session.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.give(Input::Timeout);
            did.extend(self.drain());
        }
        self.now = until;
        did
    }

    /// Lets time pass up to the next timer and fires it.
    pub(crate) fn next_timer(&mut self) -> Vec<Did> {
        let due = self.session.next_timeout().expect("a timer");
        self.pass(due - self.now)
    }

    pub(crate) fn drain(&mut self) -> Vec<Did> {
        std::iter::from_fn(|| {
            loop {
                match self.session.poll()? {
                    // Told besides what is done; `records` looks at them.
                    Output::Lifecycle(
                        step @ (Lifecycle::Ping { .. } | Lifecycle::Pong { .. } | Lifecycle::Closing { .. }),
                    ) => self.steps.push(step),
                    output => return Some(self.note(output)),
                }
            }
        })
        .collect()
    }

    fn note(&mut self, output: Output<Event>) -> Did {
        match output {
            Output::Dial { generation, request } => {
                self.requests.push(request);
                Did::Dial(generation)
            }
            Output::FetchToken { generation } => Did::FetchToken(generation),
            Output::Send { generation, message: Message::Text(text), .. } => Did::Send(generation, text),
            Output::Accepted { id } => Did::Accepted(id),
            Output::Reply { id, reply } => Did::Reply(id, reply.err().map(|error| error.kind())),
            Output::Settled { id, error } => Did::Settled(id, error.kind()),
            Output::Close { generation, code, reason } => Did::Close(generation, code, reason),
            Output::Abort { generation, .. } => Did::Abort(generation),
            Output::Event(event) => Did::Event(event.event_type().to_owned()),
            Output::Lifecycle(step) => self.note_step(step),
            other => panic!("unexpected {other:?}"),
        }
    }

    fn note_step(&mut self, step: Lifecycle) -> Did {
        match step {
            Lifecycle::State { new, .. } => Did::State(new),
            Lifecycle::Connecting { .. } => Did::State(self.session.state()),
            Lifecycle::Connected { connection_id, .. } => Did::Connected(connection_id.map(|id| id.to_string())),
            Lifecycle::Disconnected { error } => {
                self.last_error = Some(error);
                Did::Disconnected
            }
            Lifecycle::BackingOff { attempt, delay, error } => {
                self.last_error = Some(error);
                Did::BackingOff(attempt, delay)
            }
            Lifecycle::Error(error) => Did::Error(error.kind().as_str().to_owned()),
            Lifecycle::Breaker { state, wait } => Did::Breaker(state, wait),
            Lifecycle::Renewing { age } => Did::Renewing(age),
            Lifecycle::TokenRenewed { valid_for } => Did::Token(valid_for),
            Lifecycle::Clamped { setting, asked, used } => Did::Clamped(setting, asked, used),
            Lifecycle::Overflow { dropped, .. } => Did::Overflow(dropped),
            Lifecycle::Closed(cause) => {
                self.last_error = cause.error().cloned();
                Did::Closed(name(&cause), cause.error().map(ToString::to_string))
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn name(cause: &Cause) -> &'static str {
    cause.as_str()
}

/// The generation of the one dial among what was done.
pub(crate) fn dialled(did: &[Did]) -> u64 {
    let dials: Vec<u64> =
        did.iter().filter_map(|did| if let Did::Dial(generation) = did { Some(*generation) } else { None }).collect();
    assert_eq!(dials.len(), 1, "{did:?}");
    dials[0]
}

/// The frames that were sent, as JSON.
pub(crate) fn sent(did: &[Did]) -> Vec<Value> {
    let frames = did.iter().filter_map(|did| if let Did::Send(_, text) = did { Some(text) } else { None });
    frames.map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// The cause of the end, if it was told; told twice is a failure.
pub(crate) fn ended(did: &[Did]) -> Option<&'static str> {
    let ends: Vec<_> =
        did.iter().filter_map(|did| if let Did::Closed(cause, _) = did { Some(*cause) } else { None }).collect();
    assert!(ends.len() <= 1, "{did:?}");
    ends.first().copied()
}

pub(crate) fn backed_off(did: &[Did]) -> Option<Duration> {
    did.iter().find_map(|did| if let Did::BackingOff(_, delay) = did { Some(*delay) } else { None })
}
