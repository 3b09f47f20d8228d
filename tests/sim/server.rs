//! A server for each dialect, as a model: it lets clients in by their token, answers health checks, and says what it is told.

use super::{random::Random, world::TODAY};
use everwire::proto::{DialRequest, Dialect};
use std::{sync::OnceLock, time::Duration};

/// The dialects there is a server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    StreamV1,
    Envelope,
    Raw,
}

/// What the server does with a frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// It lets the client in.
    Welcome,
    /// The token has expired.
    Expired,
    /// It answers a health check.
    Alive(String),
    /// A message of the user's.
    Message(u64),
    /// The answer to its own ping.
    Pong,
    /// The client is not what it should be: a bug of the client.
    Nonsense,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Stream, Kind::StreamV1, Kind::Envelope, Kind::Raw];

    pub(crate) fn name(self) -> &'static str {
        ["stream", "stream-v1", "envelope", "raw"][self as usize]
    }

    /// The dialect, read from its JSON once.
    pub(crate) fn dialect(self) -> Dialect {
        static READ: OnceLock<[Dialect; 4]> = OnceLock::new();
        let read = READ.get_or_init(|| [Dialect::stream(), Dialect::stream_v1(), Dialect::envelope(), Dialect::raw()]);
        read[self as usize].clone()
    }

    /// Whether the first frame of the client lets it in, rather than the URL.
    pub(crate) fn has_first_frame(self) -> bool {
        matches!(self, Kind::Stream | Kind::Envelope)
    }

    pub(crate) fn has_token(self) -> bool {
        self != Kind::Raw
    }

    pub(crate) fn has_hello(self) -> bool {
        self != Kind::Raw
    }

    /// What the server says to a dial that reached it.
    pub(crate) fn accept(self, request: &DialRequest, now: Duration) -> Option<Reply> {
        match self {
            Kind::StreamV1 => Some(judge(token_in(&request.url), now)),
            Kind::Raw => Some(Reply::Welcome),
            Kind::Stream | Kind::Envelope => None,
        }
    }

    /// What the server says to a frame. `authenticated`: whether the client is in.
    pub(crate) fn receive(self, text: &str, authenticated: bool, now: Duration) -> Reply {
        if !authenticated {
            let first = match self {
                Kind::Stream => text.contains(r#""user_details":{"id":"alice"}"#),
                Kind::Envelope => text.starts_with(r#"{"type":"auth","data":{"token":"#),
                Kind::StreamV1 | Kind::Raw => false,
            };
            return if first { judge(token_in(text), now) } else { Reply::Nonsense };
        }
        if let Some(number) = number_in(text, r#""mine":"#) {
            return Reply::Message(number);
        }
        match self {
            Kind::Stream | Kind::StreamV1 if text.starts_with(r#"[{"type":"health.check","client_id":"c-"#) => {
                Reply::Alive(r#"{"type":"health.check"}"#.to_owned())
            }
            Kind::Envelope if text == r#"{"type":"ping"}"# => Reply::Alive(r#"{"type":"pong"}"#.to_owned()),
            Kind::Envelope if text == r#"{"type":"pong","data":null}"# => Reply::Pong,
            _ => Reply::Nonsense,
        }
    }

    pub(crate) fn hello(self, wire: u64) -> String {
        match self {
            Kind::Stream => format!(r#"{{"type":"connection.ok","connection_id":"c-{wire}"}}"#),
            Kind::StreamV1 => {
                format!(r#"{{"type":"health.check","connection_id":"c-{wire}","me":{{"id":"alice"}}}}"#)
            }
            Kind::Envelope => format!(r#"{{"type":"auth_ok","data":{{"connection_id":"c-{wire}"}}}}"#),
            Kind::Raw => String::new(),
        }
    }

    pub(crate) fn error(self, code: i64) -> String {
        match self {
            Kind::Stream | Kind::StreamV1 => {
                format!(r#"{{"type":"connection.error","error":{{"code":{code},"message":"no"}}}}"#)
            }
            Kind::Envelope | Kind::Raw => format!(r#"{{"type":"error","data":{{"code":{code},"message":"no"}}}}"#),
        }
    }
}

/// An event in one of the shapes that servers write: the type first, last, escaped, or not there at all.
pub(crate) fn event(wire: u64, number: u64, random: &mut Random) -> String {
    match random.below(8) {
        0 => format!(r#"{{"wire":{wire},"n":{number},"type":"message.new"}}"#),
        1 => format!(r#"{{"wire":{wire},"n":{number},"nested":{{"type":"connection.ok"}}}}"#),
        2 => format!(r#"{{"type":"mess\u0061ge.new","wire":{wire},"n":{number}}}"#),
        _ => format!(r#"{{"type":"message.new","wire":{wire},"n":{number}}}"#),
    }
}

/// The wire and the number of an event.
pub(crate) fn event_number(text: &str) -> Option<(u64, u64)> {
    Some((number_in(text, r#""wire":"#)?, number_in(text, r#""n":"#)?))
}

/// The number of a message of the user's.
pub(crate) fn mine(text: &str) -> u64 {
    number_in(text, r#""mine":"#).unwrap_or_default()
}

/// A token that says itself how long it is good.
pub(crate) fn token(number: u64, good_until: Duration) -> String {
    format!("tok-{number}-{}-end", good_until.as_millis())
}

/// The same as a JWT, whose dates the client can read.
pub(crate) fn jwt(number: u64, issued: Duration, good_until: Duration) -> String {
    let date = |since: Duration| (TODAY + since).as_secs();
    let payload = format!(r#"{{"iat":{},"exp":{}}}"#, date(issued), date(good_until));
    format!("e30.{}.{}", base64url(payload.as_bytes()), token(number, good_until))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

/// The token and its end, wherever it stands in a text.
pub(crate) fn token_in(text: &str) -> Option<(u64, Duration)> {
    let rest = text.split_once("tok-")?.1;
    let (number, rest) = rest.split_once('-')?;
    let (end, _) = rest.split_once("-end")?;
    Some((number.parse().ok()?, Duration::from_millis(end.parse().ok()?)))
}

fn judge(token: Option<(u64, Duration)>, now: Duration) -> Reply {
    match token {
        None => Reply::Nonsense,
        Some((_, end)) if end <= now => Reply::Expired,
        Some(_) => Reply::Welcome,
    }
}

fn number_in(text: &str, member: &str) -> Option<u64> {
    let rest = &text[text.find(member)? + member.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
