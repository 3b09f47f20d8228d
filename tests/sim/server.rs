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
    Everwire,
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
    /// One that wants a reply, and the id that is to stand in it.
    Request(u64, u64),
    /// It is told of a channel.
    Channel,
    /// The session has taken this event and those before it.
    Acknowledged(u64),
    /// The answer to its own ping.
    Pong,
    /// The client is not what it should be: a bug of the client.
    Nonsense,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Stream, Kind::StreamV1, Kind::Envelope, Kind::Raw, Kind::Everwire];

    pub(crate) fn name(self) -> &'static str {
        ["stream", "stream-v1", "envelope", "raw", "everwire"][self as usize]
    }

    /// The dialect, with requests and channels, read from its JSON once.
    pub(crate) fn dialect(self) -> Dialect {
        static READ: OnceLock<[Dialect; 5]> = OnceLock::new();
        let read = READ.get_or_init(|| {
            [Dialect::stream(), Dialect::stream_v1(), Dialect::envelope(), Dialect::raw(), Dialect::everwire()]
                .map(|dialect| with_requests_and_channels(&dialect))
        });
        read[self as usize].clone()
    }

    /// Whether the first frame of the client lets it in, rather than the URL.
    pub(crate) fn has_first_frame(self) -> bool {
        matches!(self, Kind::Stream | Kind::Envelope | Kind::Everwire)
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
            Kind::Stream | Kind::Envelope | Kind::Everwire => None,
        }
    }

    /// What the server says to a frame. `authenticated`: whether the client is in.
    pub(crate) fn receive(self, text: &str, authenticated: bool, now: Duration) -> Reply {
        if !authenticated {
            let first = match self {
                Kind::Stream => text.contains(r#""user_details":{"id":"alice"}"#),
                Kind::Envelope => text.starts_with(r#"{"type":"auth","data":{"token":"#),
                Kind::Everwire => text.starts_with(r#"{"type":"wire.connect","version":1,"#),
                Kind::StreamV1 | Kind::Raw => false,
            };
            return if first { judge(token_in(text), now) } else { Reply::Nonsense };
        }
        if let Some(number) = number_in(text, r#""mine":"#) {
            return number_in(text, r#""rid":"#).map_or(Reply::Message(number), |id| Reply::Request(number, id));
        }
        if channel_in(text).is_some() {
            return Reply::Channel;
        }
        match self {
            Kind::Stream | Kind::StreamV1 if text.starts_with(r#"[{"type":"health.check","client_id":"c-"#) => {
                Reply::Alive(r#"{"type":"health.check"}"#.to_owned())
            }
            Kind::Envelope if text == r#"{"type":"ping"}"# => Reply::Alive(r#"{"type":"pong"}"#.to_owned()),
            Kind::Envelope if text == r#"{"type":"pong","data":null}"# => Reply::Pong,
            Kind::Everwire if text == r#"{"type":"wire.ping"}"# => Reply::Alive(r#"{"type":"wire.pong"}"#.to_owned()),
            Kind::Everwire if text == r#"{"type":"wire.pong"}"# => Reply::Pong,
            Kind::Everwire if text.starts_with(r#"{"type":"wire.ack","#) => {
                number_in(text, r#""up_to":"#).map_or(Reply::Nonsense, Reply::Acknowledged)
            }
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
            // Of a session that never was.
            Kind::Everwire => r#"{"type":"wire.hello","session":"s0-","connection_id":"c-0"}"#.to_owned(),
            Kind::Raw => String::new(),
        }
    }

    pub(crate) fn error(self, code: i64) -> String {
        match self {
            Kind::Stream | Kind::StreamV1 => {
                format!(r#"{{"type":"connection.error","error":{{"code":{code},"message":"no"}}}}"#)
            }
            Kind::Everwire => format!(r#"{{"type":"wire.error","code":{code},"message":"no"}}"#),
            Kind::Envelope | Kind::Raw => format!(r#"{{"type":"error","data":{{"code":{code},"message":"no"}}}}"#),
        }
    }
}

/// In Stream's two dialects any event may be a reply, by its id.
fn with_requests_and_channels(dialect: &Dialect) -> Dialect {
    let any = matches!(&*dialect.name, "stream" | "stream-v1");
    let requests = match any {
        true => r#""requests": {"id":"rid","error":"failed"}"#,
        false => r#""requests": {"id":"rid","reply_types":["reply"],"error":"failed"}"#,
    };
    let channels =
        r#""channels": {"field":"channel","subscribe":{"sub":"${channel}"},"unsubscribe":{"unsub":"${channel}"}}"#;
    let json = dialect.to_json().replace(r#""requests": null"#, requests).replace(r#""channels": null"#, channels);
    Dialect::from_json(&json).expect("a dialect")
}

/// The channel in a frame that is about one, and whether it subscribes.
pub(crate) fn channel_in(text: &str) -> Option<(bool, &str)> {
    let (subscribe, rest) = match text.strip_prefix(r#"{"sub":""#) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix(r#"{"unsub":""#)?),
    };
    Some((subscribe, rest.strip_suffix(r#""}"#)?))
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

/// The session that a frame names.
pub(crate) fn session_in(text: &str) -> Option<u64> {
    number_in(text, r#""session":"s"#)
}

/// The session and the number of an event of the dialect `everwire`.
pub(crate) fn numbered(text: &str) -> Option<(u64, u64)> {
    Some((number_in(text, r#""epoch":"#)?, number_in(text, r#""seq":"#)?))
}

/// Whether a reply says that something is wrong.
pub(crate) fn fails(reply: &str) -> bool {
    reply.contains(r#""failed":{"#)
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

pub(crate) fn number_in(text: &str, member: &str) -> Option<u64> {
    let rest = &text[text.find(member)? + member.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
