//! Dialects are data (N-2): what a server expects on the wire, as a value that can be written in JSON.

mod action;
mod templates;

pub(super) use templates::Place;

pub use action::{Action, CloseRule, CodeRule};

use super::{
    channels::ChannelRule,
    dialect_check, dialect_reader,
    error::Error,
    event::Event,
    fields::{Fields, Mistake},
    json::{Json, Object},
    message::Payload,
    requests::RequestRule,
    resume::ResumeRule,
    text::pieces,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::time::Duration;

/// How to talk to a kind of server: URL, first frame, hello, errors, health check, close codes.
///
/// Some are built in (see [`Dialect::builtin`]); any other is written as JSON, as `docs/DIALECTS.md` tells, and read by [`Dialect::from_json`].
/// Strings may hold placeholders: `"${name}"` stands for a parameter (any JSON value where it is the whole string),
/// `"${name?}"` for one that may be missing, in which case the member is left out. `token` and `client`
/// (the client id) are always there, `connection_id` after the hello; the rest comes from the builder's `param`, else from `defaults`. Members that are
/// named by a path are written `a.b`.
///
/// ```
/// let dialect = everwire::Dialect::from_json(r#"{
///     "name": "mine",
///     "first_frame": { "op": "login", "key": "${token}" },
///     "type_field": "op",
///     "hello": { "types": ["welcome"] },
///     "health_check": { "interval_ms": 20000, "silence_ms": 30000, "frame": { "op": "ping" } }
/// }"#)?;
/// assert_eq!(dialect.type_field, "op");
///
/// let wrong = everwire::Dialect::from_json(r#"{ "name": "mine", "hello": { "types": "welcome" } }"#);
/// assert_eq!(wrong.unwrap_err().path(), Some("hello.types"));
/// # Ok::<(), everwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Dialect {
    /// What it is called.
    pub name: String,
    /// How the URL is made.
    pub url: UrlRule,
    /// Values for parameters that the user does not give; they may hold placeholders themselves.
    pub defaults: Object,
    /// The subprotocols to offer.
    pub protocols: Vec<String>,
    /// Request headers, each a string (native only).
    pub headers: Object,
    /// How a token must begin, unless the parameter `any_token` is true: a guard against keys that must not be shown where this
    /// dialect shows them.
    pub token_prefix: Option<String>,
    /// The first frame of the client. Without one, nothing is sent first.
    pub first_frame: Option<Json>,
    /// How a token that was renewed while connected is given to the server. Without it, it is for the next connection.
    pub token_refresh: Option<TokenRefreshRule>,
    /// The member that holds the type of an event. Default `type`.
    pub type_field: String,
    /// Whether text that is not JSON is an event too (of type `unknown`) rather than an error.
    pub any_text: bool,
    /// What the first frame of the server must be. Without it, the client is connected as soon as the socket is open.
    pub hello: Option<HelloRule>,
    /// How the server reports errors.
    pub errors: Option<ErrorRule>,
    /// How the connection is kept alive, and when it counts as dead.
    pub health_check: Option<HealthCheckRule>,
    /// How a lost connection goes on without losing events.
    pub resume: Option<ResumeRule>,
    /// How one connection carries many channels.
    pub channels: Option<ChannelRule>,
    /// How the reply to a request is known.
    pub requests: Option<RequestRule>,
    /// Frames of the server that are answered at once, such as its pings.
    pub answers: Vec<AnswerRule>,
    /// What an HTTP status means with which the server refuses the handshake; the first rule that has it counts. For every
    /// other: 401, 403, 404 and 410 are fatal (S2-10), 429 and 503 ask for a longer wait, and the rest is tried again.
    pub statuses: Vec<CodeRule>,
    /// What a close code of the server means; the first rule that fits counts.
    pub close: Vec<CloseRule>,
    /// The time between pings of the protocol, if the user sets none. Native only.
    pub ping_interval_ms: Option<u64>,
    /// The largest message to take, in bytes, if the user sets none.
    pub max_message_size: Option<u64>,
    /// What every other close code means, and a connection that breaks without one. Default `retry`.
    pub close_default: Action,
}

/// How the URL is made from the one the user gave. `http` and `https` become `ws` and `wss`; a fragment is dropped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UrlRule {
    /// The URL to use when the user gives none.
    pub default: Option<String>,
    /// The path, whatever the user's URL has. Without it the user's path stays.
    pub path: Option<String>,
    /// Whether the query of the user's URL stays. Default true.
    pub keep_query: bool,
    /// Query parameters to add. One that is no string after filling in is written as JSON.
    pub query: Object,
}

impl Default for UrlRule {
    fn default() -> Self {
        Self { default: None, path: None, keep_query: true, query: Object::new() }
    }
}

/// How a server takes a new token on an open connection (N-7).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenRefreshRule {
    /// The frame to send.
    pub frame: Json,
}

/// What the first frame of the server must be (S0-6). Anything else is an authentication error.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HelloRule {
    /// The types that are a hello.
    pub types: Vec<String>,
    /// Members it must have.
    pub requires: Vec<String>,
    /// The member that is the connection id.
    pub connection_id: Option<String>,
    /// The time from dialling to the hello. Default 15 000 ms.
    pub timeout_ms: u64,
}

/// How the server reports errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorRule {
    /// The types that are an error.
    pub types: Vec<String>,
    /// A member that makes a frame without a type an error.
    pub bare: Option<String>,
    /// Where the code stands; the first that is there counts. A code may be a number or a string of digits.
    pub code: Vec<String>,
    /// Where the message stands.
    pub message: Vec<String>,
    /// Where the HTTP-like status stands.
    pub status: Vec<String>,
    /// A member that, being true, makes the error fatal whatever its code.
    pub unrecoverable: Option<String>,
    /// What the codes mean.
    pub codes: Vec<CodeRule>,
    /// What every other code means. Default `retry`.
    pub default: Action,
}

/// How the connection is kept alive (S0-8, S0-9).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthCheckRule {
    /// The time between two health checks; the first is armed by the hello.
    pub interval_ms: u64,
    /// The longest interval a user may set: proxies drop idle sockets.
    pub max_interval_ms: Option<u64>,
    /// The connection is dead when no frame of any kind came for this long.
    pub silence_ms: u64,
    /// By how much the silence must at least exceed the interval, so that a healthy connection is not killed.
    pub min_grace_ms: u64,
    /// The frame to send; an array where the server wants it wrapped.
    pub frame: Json,
    /// The type of the server's answer, to measure the round trip.
    pub reply: Option<String>,
}

/// A frame of the server that is answered at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AnswerRule {
    /// The type of the server's frame.
    #[serde(rename = "type")]
    pub kind: String,
    /// The answer.
    pub frame: Json,
}

/// In milliseconds.
pub(super) const HELLO_TIMEOUT: u64 = 15_000;

/// The messages of a session that lacks nothing.
type Whole = Event<String, Vec<u8>>;

const BUILTIN: [&str; 7] =
    ["stream", "stream-v1", "everwire", "envelope", "openai-realtime", "openai-realtime-browser", "raw"];

/// The texts of the built-in dialects. One that such a session cannot speak has none.
const fn texts<P: Payload>() -> [&'static str; 7] {
    [
        include_str!("dialects/stream.json"),
        include_str!("dialects/stream-v1.json"),
        if P::PARTS.resume { include_str!("dialects/everwire.json") } else { "" },
        include_str!("dialects/envelope.json"),
        include_str!("dialects/openai-realtime.json"),
        include_str!("dialects/openai-realtime-browser.json"),
        include_str!("dialects/raw.json"),
    ]
}

impl Dialect {
    /// The names of the built-in dialects: `stream`, `stream-v1`, `everwire`, `envelope`, `openai-realtime`,
    /// `openai-realtime-browser`, `raw`.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.into_iter()
    }

    /// A built-in dialect by its name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](super::ErrorKind::Config) with the path `dialect` if there is none of that name.
    pub fn builtin(name: &str) -> Result<Self, Error> {
        Self::builtin_for::<Whole>(name)
    }

    /// The same for a kind of session that may lack parts: what concerns them is passed over.
    pub(crate) fn builtin_for<P: Payload>(name: &str) -> Result<Self, Error> {
        let place = BUILTIN.iter().position(|builtin| *builtin == name);
        match place.map(|place| const { &texts::<P>() }[place]) {
            Some(json) if !json.is_empty() => Self::from_json_for::<P>(json),
            _ => {
                let message = "no such dialect; the built-in ones are stream, stream-v1, everwire, envelope, openai-realtime, \
                               openai-realtime-browser and raw";
                Err(Error::wrong("dialect", message))
            }
        }
    }

    /// Stream's coordinator, chat and feeds (v2).
    pub fn stream() -> Self {
        Self::shipped("stream")
    }

    /// Stream's older chat (v1).
    pub fn stream_v1() -> Self {
        Self::shipped("stream-v1")
    }

    /// everwire's own protocol, which resumes a lost connection without losing an event: see `docs/PROTOCOL.md`.
    pub fn everwire() -> Self {
        Self::shipped("everwire")
    }

    /// `{type, data}` with a first `auth` message.
    pub fn envelope() -> Self {
        Self::shipped("envelope")
    }

    /// OpenAI's realtime service, with the key in a header: not for browsers (S1-24).
    pub fn openai_realtime() -> Self {
        Self::shipped("openai-realtime")
    }

    /// OpenAI's realtime service, with an ephemeral key (`ek_…`) in a subprotocol. Any other key is refused, unless the
    /// parameter `any_token` is true: whoever opens the page could read it.
    pub fn openai_realtime_browser() -> Self {
        Self::shipped("openai-realtime-browser")
    }

    /// No authentication, no hello, no health check: any WebSocket.
    pub fn raw() -> Self {
        Self::shipped("raw")
    }

    /// A dialect that asks for nothing.
    pub(super) fn plain() -> Self {
        Self {
            name: String::new(),
            url: UrlRule::default(),
            defaults: Object::default(),
            protocols: Vec::new(),
            headers: Object::default(),
            token_prefix: None,
            ping_interval_ms: None,
            max_message_size: None,
            first_frame: None,
            token_refresh: None,
            type_field: "type".to_owned(),
            any_text: false,
            hello: None,
            errors: None,
            health_check: None,
            resume: None,
            channels: None,
            requests: None,
            answers: Vec::new(),
            statuses: Vec::new(),
            close: Vec::new(),
            close_default: Action::Retry,
        }
    }

    fn shipped(name: &str) -> Self {
        Self::builtin(name).expect("the built-in dialects are tested")
    }

    /// Reads a dialect from JSON and checks it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](super::ErrorKind::Config); [`Error::path`] names the wrong field.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        Self::from_json_for::<Whole>(json)
    }

    /// The same for a kind of session that may lack parts: what concerns them is passed over.
    pub(crate) fn from_json_for<P: Payload>(json: &str) -> Result<Self, Error> {
        let not_json = || Error::wrong("dialect", "is not JSON");
        Self::of_json_for::<P>(&Json::parse(json).ok_or_else(not_json)?)
    }

    /// The same for a document that has been read.
    pub(crate) fn of_json_for<P: Payload>(document: &Json) -> Result<Self, Error> {
        let mistake = Mistake::default();
        let mut dialect = Self::plain();
        dialect_reader::read::<P>(&mut Fields::of(document, &mistake), &mut dialect);
        dialect_check::check::<P>(&dialect, &mistake);
        mistake.result().map(|()| dialect)
    }

    /// The dialect as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a dialect has string keys only")
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](super::ErrorKind::Config); [`Error::path`] names the wrong field.
    pub fn check(&self) -> Result<(), Error> {
        self.check_for::<Whole>()
    }

    /// The same for a kind of session that may lack parts.
    pub(super) fn check_for<P: Payload>(&self) -> Result<(), Error> {
        let mistake = Mistake::default();
        dialect_check::check::<P>(self, &mistake);
        mistake.result()
    }

    /// The time from dialling to the hello.
    pub(crate) fn hello_timeout(&self) -> Duration {
        Duration::from_millis(self.hello.as_ref().map_or(HELLO_TIMEOUT, |hello| hello.timeout_ms))
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_json_for::<Whole>(&Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The member of a document at a dotted path.
pub(super) fn member<'a>(document: &'a Json, path: &str) -> Option<&'a Json> {
    pieces(path, b'.').try_fold(document, |value, key| value.get(key)).filter(|value| !matches!(value, Json::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn the_built_in_dialects_are_right_and_survive_json() {
        for name in Dialect::builtin_names() {
            let dialect = Dialect::builtin(name).unwrap();
            assert_eq!(dialect.name, name);
            assert_eq!(Dialect::from_json(&dialect.to_json()).unwrap(), dialect);
        }
        let needs = |dialect: Dialect| dialect.needs_token::<Whole>();
        assert!(needs(Dialect::stream()) && needs(Dialect::stream_v1()) && needs(Dialect::envelope()));
        assert!(!needs(Dialect::raw()));
        assert_eq!(Dialect::builtin("nope").unwrap_err().path(), Some("dialect"));
    }
}
