//! The dialects the server speaks: where a client's credentials come from, and what the hello and a health check
//! look like.

use super::{clock, refusal::Refusal, session::Welcome};
use crate::proto::Json;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The dialect of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `/api/v2/connect`: the first message authenticates, and `connection.ok` answers it.
    Stream,
    /// `/connect`: the query authenticates, and the first `health.check` is the hello.
    StreamV1,
    /// `/everwire/v1`: everwire's own, which resumes: see `docs/PROTOCOL.md`.
    Everwire,
}

/// The version of the everwire protocol.
const VERSION: u64 = 1;

/// The query of the URL of either dialect. It holds secrets, so it has no `Debug`.
#[derive(Default, Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    pub(super) api_key: String,
    #[serde(default, rename = "stream-auth-type")]
    auth_type: String,
    #[serde(default)]
    json: String,
    #[serde(default)]
    authorization: String,
}

/// Who a client says it is.
pub(super) struct Credentials {
    pub(super) token: String,
    pub(super) user: Map<String, Value>,
    pub(super) user_id: String,
    /// The session to go on with, and the last event of it.
    pub(super) session: Option<(String, u64)>,
}

impl Protocol {
    /// The name of the dialect, as in the client's settings.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Stream => "stream",
            Protocol::StreamV1 => "stream-v1",
            Protocol::Everwire => "everwire",
        }
    }

    /// The path that the dialect is spoken on.
    pub fn path(self) -> &'static str {
        match self {
            Protocol::Stream => "/api/v2/connect",
            Protocol::StreamV1 => "/connect",
            Protocol::Everwire => "/everwire/v1",
        }
    }

    /// The first message to a client that was let in; `welcome` where the dialect has sessions.
    pub(super) fn hello(self, connection_id: &str, user: &Map<String, Value>, welcome: Option<&Welcome>) -> String {
        let created_at = clock::rfc3339(clock::now());
        match (self, welcome) {
            (_, Some(welcome)) => json!({
                "type": "wire.hello",
                "version": VERSION,
                "session": welcome.attached.id(),
                "connection_id": connection_id,
                "user": user,
                "resumed": welcome.resumed,
                "last": welcome.last,
                "received": welcome.received,
            }),
            (Protocol::StreamV1, None) => json!({
                "type": "health.check",
                "cid": "*",
                "connection_id": connection_id,
                "created_at": created_at,
                "me": own_user(user),
            }),
            _ => json!({
                "type": "connection.ok",
                "connection_id": connection_id,
                "created_at": created_at,
                "me": user,
            }),
        }
        .to_string()
    }

    /// An error as it is told to a client.
    pub(super) fn error(self, refusal: &Refusal) -> String {
        if self == Protocol::Everwire { refusal.to_wire() } else { refusal.to_json() }
    }
}

/// The answer to a client's health check.
pub(super) fn health_check(connection_id: &str) -> String {
    let created_at = clock::rfc3339(clock::now());
    json!({"type": "health.check", "cid": "*", "connection_id": connection_id, "created_at": created_at}).to_string()
}

/// The user with the lists and counts that clients of the older dialect read without looking whether they are there.
fn own_user(user: &Map<String, Value>) -> Value {
    let mut own = json!({
        "role": "user",
        "channel_mutes": [],
        "mutes": [],
        "devices": [],
        "blocked_user_ids": [],
        "total_unread_count": 0,
        "unread_channels": 0,
        "unread_count": 0,
    });
    let fields = own.as_object_mut().expect("made as an object");
    fields.extend(user.iter().map(|(name, value)| (name.clone(), value.clone())));
    own
}

impl Query {
    /// Looks at what both dialects say in the query.
    pub(super) fn check(&self, api_key: Option<&str>) -> Result<(), Refusal> {
        check_key(api_key, &self.api_key)?;
        if self.auth_type == "anonymous" {
            return Err(Refusal::new(Refusal::AUTH_FAILED, "anonymous connections are not allowed"));
        }
        Ok(())
    }
}

impl Credentials {
    /// Reads the first message of the dialect `stream`.
    pub(super) fn from_first_message(text: &str) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct First {
            #[serde(default)]
            token: String,
            #[serde(default)]
            user_details: Map<String, Value>,
        }
        let first: First =
            read(text).ok_or_else(|| bad_input("the first message must be an object with token and user_details"))?;
        Self::new(first.token, first.user_details, "user_details.id is missing")
    }

    /// Reads the query of the dialect `stream-v1`.
    pub(super) fn from_query(query: &Query) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Payload {
            #[serde(default)]
            user_id: String,
            #[serde(default)]
            user_details: Map<String, Value>,
            #[serde(default)]
            user_token: Option<String>,
        }
        let payload: Payload =
            read(&query.json).ok_or_else(|| bad_input("the query needs json={\"user_details\":{…}}"))?;
        let mut user = payload.user_details;
        if !user.contains_key("id") && !payload.user_id.is_empty() {
            user.insert("id".to_owned(), payload.user_id.into());
        }
        let token = if query.authorization.is_empty() {
            payload.user_token.unwrap_or_default()
        } else {
            query.authorization.clone()
        };
        Self::new(token, user, "json.user_id is missing")
    }

    /// Reads the first message of the everwire protocol.
    pub(super) fn from_wire(text: &str, api_key: Option<&str>) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Connect {
            #[serde(rename = "type")]
            kind: String,
            version: u64,
            #[serde(default)]
            token: String,
            #[serde(default)]
            user: Map<String, Value>,
            #[serde(default)]
            api_key: String,
            #[serde(default)]
            session: Option<String>,
            #[serde(default)]
            last: u64,
        }
        let first: Connect = read(text).ok_or_else(|| bad_input("the first frame must be wire.connect"))?;
        if first.kind != "wire.connect" || first.version != VERSION {
            return Err(bad_input("the first frame must be wire.connect of version 1"));
        }
        check_key(api_key, &first.api_key)?;
        let credentials = Self::new(first.token, first.user, "user.id is missing")?;
        Ok(Self { session: first.session.map(|session| (session, first.last)), ..credentials })
    }

    fn new(token: String, user: Map<String, Value>, without_id: &'static str) -> Result<Self, Refusal> {
        match user.get("id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(Self { token, user_id: id.to_owned(), user, session: None }),
            _ => Err(bad_input(without_id)),
        }
    }
}

fn check_key(api_key: Option<&str>, given: &str) -> Result<(), Refusal> {
    match api_key {
        Some(key) if key != given => Err(Refusal::new(Refusal::BAD_API_KEY, "the api_key is not valid")),
        _ => Ok(()),
    }
}

fn bad_input(message: &'static str) -> Refusal {
    Refusal::new(Refusal::BAD_INPUT, message)
}

/// What a client of the everwire protocol sent after the hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// It has the events up to this one.
    Ack(u64),
    /// A health check, which is answered.
    Ping,
    /// A message, with its number if it has one.
    Message(Option<u64>),
    /// A frame of the protocol that needs no answer, or that nobody knows.
    Other,
    /// No object with a type.
    Malformed,
}

/// Reads a frame of the everwire protocol.
pub(super) fn frame(text: &str) -> Frame {
    #[derive(Deserialize)]
    struct Read<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        seq: Option<u64>,
        // In an application's own message it may be anything.
        #[serde(default)]
        up_to: Value,
    }
    match read::<Read<'_>>(text) {
        Some(Read { kind, seq, .. }) if !kind.starts_with("wire.") => Frame::Message(seq),
        Some(Read { kind, up_to, .. }) if kind == "wire.ack" => up_to.as_u64().map_or(Frame::Malformed, Frame::Ack),
        Some(Read { kind, .. }) if kind == "wire.ping" => Frame::Ping,
        Some(_) => Frame::Other,
        None => Frame::Malformed,
    }
}

/// What a client sent after the hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// A health check, which is answered.
    HealthCheck,
    /// Another JSON object or array.
    Message,
    /// Something else.
    Malformed,
}

/// Recognises a health check in each of the shapes that clients send: `{"type":"health.check",…}`, alone or in an array.
pub(super) fn inbound(text: &str) -> Inbound {
    let is_check = |value: &Value| value.get("type").is_some_and(|name| name == "health.check");
    match read::<Value>(text) {
        Some(Value::Array(items)) if items.first().is_some_and(is_check) => Inbound::HealthCheck,
        Some(object @ Value::Object(_)) if is_check(&object) => Inbound::HealthCheck,
        Some(Value::Array(_) | Value::Object(_)) => Inbound::Message,
        _ => Inbound::Malformed,
    }
}

/// Reads a client's JSON. What is legal and `serde_json` refuses is read all the same: half a surrogate pair, which JavaScript writes
/// where it cuts a text, a byte order mark, a number that no float holds, the same member twice, any depth.
fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let read = serde_json::from_str(text).ok();
    read.or_else(|| T::deserialize(Value::from(&Json::of_message(text)?)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What clients of the npm package may send (`tests/core/legal.rs`).
    #[test]
    fn whatever_legal_json_a_client_sends_is_read() {
        let table: Value = serde_json::from_str(include_str!("../proto/json/legal.json")).unwrap();
        let values = table["values"].as_array().unwrap().iter().map(|row| row["text"].as_str().unwrap().to_owned());
        for text in values.chain([["[".repeat(5_000), "]".repeat(5_000)].concat()]) {
            let user = format!(r#"{{"id":"alice","x":{text}}}"#);
            let first = format!("\u{feff}{{\"user_details\":{user},\"token\":\"t\"}}");
            let wire = format!(r#"{{"type":"wire.connect","version":1,"token":"t","user":{user},"version":1}}"#);
            let query =
                Query { json: format!(r#"{{"user_details":{user}}}"#), authorization: "t".into(), ..Query::default() };
            for credentials in [
                Credentials::from_first_message(&first),
                Credentials::from_wire(&wire, None),
                Credentials::from_query(&query),
            ] {
                let Credentials { token, user_id, .. } = credentials.unwrap_or_else(|_| panic!("{text:.100}"));
                assert_eq!((&*token, &*user_id), ("t", "alice"), "{text:.100}");
            }
            assert_eq!(
                inbound(&format!(r#"[{{"x":{text},"type":"health.check"}}]"#)),
                Inbound::HealthCheck,
                "{text:.100}"
            );
            assert_eq!(inbound(&format!("{{\"x\":{text}}}")), Inbound::Message, "{text:.100}");
            let message = format!(r#"{{"type":"order","up_to":{text},"seq":7}}"#);
            assert_eq!(frame(&message), Frame::Message(Some(7)), "{text:.100}");
        }
        assert_eq!(frame(r#"{"type":"\ud83d","seq":7}"#), Frame::Message(Some(7)));
        let user =
            Credentials::from_first_message(r#"{"user_details":{"id":"a","name":"Alice \ud83d"}}"#).unwrap().user;
        assert_eq!(user["name"], "Alice \u{fffd}");
    }

    #[test]
    fn a_first_message_needs_a_user() {
        let read = |text| Credentials::from_first_message(text).map(|found| (found.user_id, found.token));
        let ok = read(r#"{"token":"t","user_details":{"id":"alice","name":"Alice"},"products":["chat"]}"#);
        assert_eq!(ok, Ok(("alice".to_owned(), "t".to_owned())));
        for wrong in ["", "[]", "{}", "null", r#"{"token":1}"#, r#"{"token":"t","user_details":{"id":7}}"#] {
            assert_eq!(read(wrong).unwrap_err().code(), 4, "{wrong}");
        }
        // Without a token it is no matter of form: the token check refuses the empty one.
        assert_eq!(read(r#"{"user_details":{"id":"a"}}"#).unwrap().1, "");
    }

    #[test]
    fn a_query_may_name_the_user_and_the_token_in_two_places() {
        let read = |json: &str, authorization: &str| {
            let query = Query { json: json.into(), authorization: authorization.into(), ..Query::default() };
            Credentials::from_query(&query).map(|found| (found.user_id, found.token))
        };
        let alice = |token: &str| Ok(("alice".to_owned(), token.to_owned()));
        assert_eq!(read(r#"{"user_id":"alice","user_details":{"id":"alice"}}"#, "t"), alice("t"));
        assert_eq!(read(r#"{"user_id":"alice","user_token":"u"}"#, ""), alice("u"));
        assert_eq!(read(r#"{"user_details":{"id":"alice"},"user_token":"u"}"#, "t"), alice("t"));
        assert_eq!(read("{}", "t").unwrap_err().code(), 4);
        assert_eq!(read("", "t").unwrap_err().code(), 4);
    }

    #[test]
    fn health_checks_are_recognised_in_every_shape() {
        for check in [
            r#"[{"type":"health.check","client_id":"x"}]"#,
            r#"{"type":"health.check","cid":"*"}"#,
            r#" [ {"client_id":"x","type":"health.check"} ] "#,
        ] {
            assert_eq!(inbound(check), Inbound::HealthCheck, "{check}");
        }
        for message in
            [r#"{"type":"other"}"#, "[]", "{}", r#"[[{"type":"health.check"}]]"#, r#"{"a":{"type":"health.check"}}"#]
        {
            assert_eq!(inbound(message), Inbound::Message, "{message}");
        }
        for malformed in ["", "{", "7", "\"health.check\"", "null"] {
            assert_eq!(inbound(malformed), Inbound::Malformed, "{malformed}");
        }
    }

    #[test]
    fn frames_of_the_everwire_protocol_are_told_apart() {
        for (text, wanted) in [
            (r#"{"type":"wire.ack","up_to":7}"#, Frame::Ack(7)),
            (r#"{"type":"wire.ack","up_to":-7}"#, Frame::Malformed),
            (r#"{"type":"wire.ping"}"#, Frame::Ping),
            (r#"{"type":"wire.later","x":1}"#, Frame::Other),
            (r#"{"type":"order","up_to":"any"}"#, Frame::Message(None)),
            (r#"{"type":"caf\u00e9","seq":7}"#, Frame::Message(Some(7))),
            (r#"{"type":"order","seq":"7"}"#, Frame::Malformed),
            (r#"{"seq":7}"#, Frame::Malformed),
            ("[]", Frame::Malformed),
        ] {
            assert_eq!(frame(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_older_hello_carries_the_whole_own_user() {
        let user = json!({"id": "alice", "role": "admin"});
        let hello: Value =
            serde_json::from_str(&Protocol::StreamV1.hello("c1", user.as_object().unwrap(), None)).unwrap();
        assert_eq!(hello["type"], "health.check");
        assert_eq!(hello["connection_id"], "c1");
        assert_eq!(hello["me"]["id"], "alice");
        assert_eq!(hello["me"]["role"], "admin");
        assert_eq!(hello["me"]["mutes"], json!([]));
    }
}
