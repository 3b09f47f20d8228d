//! What crosses the border of the session: messages out, payloads in, dial requests and the way a socket ended.

use super::{dialect::member, error::Error, json::Json, resume};
use serde_json::Value;
use std::{borrow::Cow, fmt, time::Duration};

/// A message to the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

impl Message {
    /// The size of the payload in bytes.
    pub fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows the size alone: a first frame holds a token.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Message::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes)
    }
}

impl From<&Value> for Message {
    fn from(json: &Value) -> Self {
        Message::Text(json.to_string())
    }
}

impl From<Value> for Message {
    fn from(json: Value) -> Self {
        Message::from(&json)
    }
}

/// Where and how to dial. `url`, `protocols` and `headers` may hold a token; `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct DialRequest {
    /// The whole URL, `ws://` or `wss://`.
    pub url: String,
    /// The URL as it may be shown: every query value that is or may be a secret is replaced by `***`.
    pub shown_url: String,
    /// The subprotocols to offer, in order.
    pub protocols: Vec<String>,
    /// Extra request headers. A browser cannot send any.
    pub headers: Vec<(String, String)>,
    /// How long the dial may take; the session gives it up then.
    pub within: Duration,
}

impl fmt::Debug for DialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DialRequest({})", self.shown_url)
    }
}

/// What a WebSocket handshake agreed on. `Debug` shows no subprotocol: it may be a token.
#[derive(Clone, Default)]
pub struct Negotiated {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<Box<str>>,
    /// The extensions.
    pub extensions: Option<Box<str>>,
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Negotiated({})", self.extensions.as_deref().unwrap_or_default())
    }
}

/// How a socket ended.
#[derive(Clone, Debug, Default)]
pub struct CloseInfo {
    /// The code of the peer's close frame; `None` if the connection broke without one.
    pub code: Option<u16>,
    /// The reason of the close frame.
    pub reason: String,
    /// What broke, where something did.
    pub error: Option<Error>,
}

/// Ordinary events that passed the session by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many.
    pub messages: u64,
    /// Their bytes (in a browser: UTF-16 units).
    pub bytes: u64,
    /// How long ago the last one came.
    pub since: Duration,
}

/// What the session needs to know of a message that came in. The payload itself may stay where it is:
/// a browser keeps it in JavaScript, native keeps the text.
pub trait Payload: Sized {
    /// The names of control messages, prepared for fast look-up.
    type Names;

    /// What a session of such messages can do besides holding a connection. Default: everything.
    const PARTS: Parts = Parts::ALL;

    /// Prepares the look-up. `field` is the name of the top-level member that holds the type; `control` are the types
    /// the session itself must see. `any_text` accepts text that is not JSON.
    fn names(field: &str, control: &[String], any_text: bool) -> Self::Names;

    /// Finds out the type of the message, and remembers it for the dispatch that follows.
    fn classify(&mut self, names: &mut Self::Names) -> Class;

    /// The message as text; of a binary one if it is UTF-8.
    fn readable(&self) -> Option<Cow<'_, str>>;

    /// Why a [malformed](Class::Malformed) message could not be decoded, where that was not because it is no JSON.
    fn undecoded(&self) -> Option<Error> {
        None
    }

    /// The whole document, for control messages. `None` if it is no JSON.
    fn json(&self) -> Option<Json>;

    /// The number at this path (`a.b`) of the document; one that is written as a string of digits counts too.
    fn number(&self, path: &str) -> Option<u64> {
        self.json().as_ref().and_then(|document| member(document, path)).and_then(resume::number)
    }

    /// The string at this path of the document.
    fn string(&self, path: &str) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(member(&self.json()?, path)?.as_str()?.to_owned()))
    }

    /// The size in bytes (in a browser: in UTF-16 units).
    fn size(&self) -> usize;
}

/// The optional parts of a session. They are constants of a type, so that a part that is off is not in the program at all:
/// a page downloads only what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// Messages that are sent while there is no connection wait for one.
    pub outbox: bool,
    /// Messages can be sent that wait for their reply.
    pub requests: bool,
    /// Sequence numbers are followed: duplicates are dropped, gaps are told, and a lost connection is resumed.
    pub resume: bool,
    /// One connection carries many channels.
    pub channels: bool,
    /// Tokens are renewed before they end.
    pub renewal: bool,
    /// The protocol's own pings can be sent.
    pub ping: bool,
    /// A handshake can carry request headers, and the status with which a server refuses it is seen.
    pub handshake: bool,
    /// Tries are stopped by a circuit breaker, and a connection is replaced when it is too old.
    pub resilience: bool,
    /// Every step is told, and what happened is remembered: round trips, why connections were lost.
    pub records: bool,
}

impl Parts {
    /// All of them.
    pub const ALL: Self = Self {
        outbox: true,
        requests: true,
        resume: true,
        channels: true,
        renewal: true,
        ping: true,
        handshake: true,
        resilience: true,
        records: true,
    };
    /// None of them: events in, messages out.
    pub const NONE: Self = Self {
        outbox: false,
        requests: false,
        resume: false,
        channels: false,
        renewal: false,
        ping: false,
        handshake: false,
        resilience: false,
        records: false,
    };
}

/// What kind of message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A control message: the index of its type in the list given to [`Payload::names`].
    Control(usize),
    /// An ordinary event.
    Event,
    /// A document without a type: an event of type `unknown`, or an error that carries no type.
    Untyped,
    /// Not JSON where JSON is expected.
    Malformed,
    /// A binary message.
    Binary,
}
