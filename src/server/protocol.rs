//! The two dialects the server speaks: where a client's credentials come from, and what the hello and a health check
//! look like.

use super::{clock, refusal::Refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The dialect of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `/api/v2/connect`: the first message authenticates, and `connection.ok` answers it.
    Stream,
    /// `/connect`: the query authenticates, and the first `health.check` is the hello.
    StreamV1,
}

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
}

impl Protocol {
    /// The name of the dialect, as in the client's settings.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Stream => "stream",
            Protocol::StreamV1 => "stream-v1",
        }
    }

    /// The path that the dialect is spoken on.
    pub fn path(self) -> &'static str {
        match self {
            Protocol::Stream => "/api/v2/connect",
            Protocol::StreamV1 => "/connect",
        }
    }

    /// The first message to a client that was let in.
    pub(super) fn hello(self, connection_id: &str, user: &Map<String, Value>) -> String {
        let created_at = clock::rfc3339(clock::now());
        match self {
            Protocol::Stream => json!({
                "type": "connection.ok",
                "connection_id": connection_id,
                "created_at": created_at,
                "me": user,
            }),
            Protocol::StreamV1 => json!({
                "type": "health.check",
                "cid": "*",
                "connection_id": connection_id,
                "created_at": created_at,
                "me": own_user(user),
            }),
        }
        .to_string()
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
        if api_key.is_some_and(|key| key != self.api_key) {
            return Err(Refusal::new(Refusal::BAD_API_KEY, "the api_key is not valid"));
        }
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
        let first: First = serde_json::from_str(text)
            .map_err(|_| bad_input("the first message must be an object with token and user_details"))?;
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
            serde_json::from_str(&query.json).map_err(|_| bad_input("the query needs json={\"user_details\":{…}}"))?;
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

    fn new(token: String, user: Map<String, Value>, without_id: &'static str) -> Result<Self, Refusal> {
        match user.get("id").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(Self { token, user_id: id.to_owned(), user }),
            _ => Err(bad_input(without_id)),
        }
    }
}

fn bad_input(message: &'static str) -> Refusal {
    Refusal::new(Refusal::BAD_INPUT, message)
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
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) if items.first().is_some_and(is_check) => Inbound::HealthCheck,
        Ok(object @ Value::Object(_)) if is_check(&object) => Inbound::HealthCheck,
        Ok(Value::Array(_) | Value::Object(_)) => Inbound::Message,
        _ => Inbound::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_older_hello_carries_the_whole_own_user() {
        let user = json!({"id": "alice", "role": "admin"});
        let hello: Value = serde_json::from_str(&Protocol::StreamV1.hello("c1", user.as_object().unwrap())).unwrap();
        assert_eq!(hello["type"], "health.check");
        assert_eq!(hello["connection_id"], "c1");
        assert_eq!(hello["me"]["id"], "alice");
        assert_eq!(hello["me"]["role"], "admin");
        assert_eq!(hello["me"]["mutes"], json!([]));
    }
}
