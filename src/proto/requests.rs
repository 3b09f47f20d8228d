//! Requests: messages that wait for their reply, which is known by an id in both.

use super::{
    decimal::decimal,
    dialect::member,
    error::{Error, ErrorKind},
    fields::{Fields, Mistake},
    json::Json,
    template::plain,
    text::cut,
    time::Timestamp,
};
use serde::Serialize;

/// How a reply is known, as a part of a [`Dialect`](super::Dialect).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RequestRule {
    /// Where the id stands in a request. One that is there already is kept, and must not be in use.
    pub id: String,
    /// Where the id stands in the reply. Default: where it stands in the request.
    pub reply_id: String,
    /// What an id begins with; the rest is a number. Without it, an id is a number.
    pub prefix: Option<String>,
    /// The types that a reply can have. Without any, every message is looked at while a reply is awaited.
    pub reply_types: Vec<String>,
    /// A member that makes a reply an error: if it is there, and neither `null` nor `false`.
    pub error: Option<String>,
}

impl RequestRule {
    pub(super) fn read(fields: &mut Fields<'_>, rule: &mut Option<Self>) {
        let rule = rule.insert(Self {
            id: String::new(),
            reply_id: String::new(),
            prefix: None,
            reply_types: Vec::new(),
            error: None,
        });
        fields.needed_text("id", &mut rule.id);
        rule.reply_id = fields.string("reply_id").unwrap_or(&rule.id).clone();
        fields.text("prefix", &mut rule.prefix);
        fields.texts("reply_types", &mut rule.reply_types);
        fields.text("error", &mut rule.error);
        fields.leave();
    }

    pub(super) fn check(&self, mistake: &Mistake) {
        mistake.unless_path(&self.id, "requests.id");
        mistake.unless_path(&self.reply_id, "requests.reply_id");
        if let Some(error) = &self.error {
            mistake.unless_path(error, "requests.error");
        }
    }

    /// Puts an id into a request, and tells it.
    fn mark(&self, request: &mut Json, number: u64) -> Result<String, Error> {
        if let Some(id @ (Json::String(_) | Json::Number(_))) = member(request, &self.id) {
            return Ok(plain(id).into_owned());
        }
        let key = [self.prefix.as_deref().unwrap_or_default(), &decimal(number)].concat();
        let id = match self.prefix {
            Some(_) => Json::String(key.clone()),
            None => Json::Number(key.as_str().into()),
        };
        match set_member(request, &self.id, id) {
            true => Ok(key),
            false => Err(Error::new(ErrorKind::InvalidInput, "a request is a JSON object with a place for its id")),
        }
    }

    /// The error in a reply, if it is one.
    fn error(&self, reply: &Json) -> Option<Error> {
        let error = member(reply, self.error.as_deref()?).filter(|error| !error.is(false))?;
        let message = error.as_str().or_else(|| error.get("message")?.as_str());
        let message = message.unwrap_or("the server answered with an error").to_owned();
        let code = error.get("code").and_then(Json::as_i64);
        Some(Error::new(ErrorKind::Server, message).with_code(code).with_response(reply.text()))
    }
}

/// Sets a member of a document; false where something on the way is no object.
fn set_member(document: &mut Json, path: &str, value: Json) -> bool {
    let Json::Object(members) = document else { return false };
    match cut(path, b'.') {
        (name, None) => members.insert(name, value),
        (name, Some(rest)) => return set_member(members.entry(name), rest, value),
    }
    true
}

#[derive(Debug)]
struct Request {
    /// The number by which its sender knows it.
    id: u64,
    /// The id on the wire.
    key: String,
    deadline: Timestamp,
    /// Whether it went over the current connection.
    written: bool,
}

/// The requests that wait for their reply.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: Vec<Request>,
    last: u64,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a request in; gives what is to be sent.
    pub(super) fn add(
        &mut self,
        rule: &RequestRule,
        id: u64,
        mut request: Json,
        deadline: Timestamp,
    ) -> Result<String, Error> {
        self.last += 1;
        let key = rule.mark(&mut request, self.last)?;
        if self.waiting.iter().any(|other| other.key == key) {
            return Err(Error::new(ErrorKind::InvalidInput, "a request with this id waits for its reply already"));
        }
        self.waiting.push(Request { id, key, deadline, written: false });
        Ok(request.text())
    }

    /// It was written. What is no request is ignored.
    pub(super) fn written(&mut self, id: u64) {
        if let Some(request) = self.waiting.iter_mut().find(|request| request.id == id) {
            request.written = true;
        }
    }

    /// Whoever sent it waits no more.
    pub(super) fn remove(&mut self, id: u64) {
        self.take(|request| request.id == id);
    }

    /// The request that this is the reply to, and the error in it.
    pub(super) fn take_reply(&mut self, rule: &RequestRule, reply: &Json) -> Option<(u64, Option<Error>)> {
        let key = plain(member(reply, &rule.reply_id)?);
        let place = self.waiting.iter().position(|request| request.written && request.key == *key)?;
        Some((self.waiting.swap_remove(place).id, rule.error(reply)))
    }

    /// When the next one has waited long enough.
    pub(super) fn deadline(&self) -> Timestamp {
        self.waiting.iter().fold(Timestamp::NEVER, |next, request| next.min(request.deadline))
    }

    /// Takes one that has waited long enough.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<u64> {
        self.take(|request| request.deadline <= now)
    }

    /// Takes one whose reply was to come over the connection that is lost.
    pub(super) fn take_written(&mut self) -> Option<u64> {
        self.take(|request| request.written)
    }

    /// Takes one, whichever.
    pub(super) fn take_any(&mut self) -> Option<u64> {
        self.take(|_| true)
    }

    fn take(&mut self, wanted: impl Fn(&Request) -> bool) -> Option<u64> {
        let place = self.waiting.iter().position(wanted)?;
        Some(self.waiting.remove(place).id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use serde_json::{Value, json};

    fn rule(id: &str, prefix: Option<&str>) -> RequestRule {
        RequestRule {
            id: id.to_owned(),
            reply_id: id.to_owned(),
            prefix: prefix.map(str::to_owned),
            reply_types: Vec::new(),
            error: Some("error".to_owned()),
        }
    }

    fn marked(rule: &RequestRule, request: Value) -> Result<Value, Error> {
        let mut request = request.into();
        rule.mark(&mut request, 7).map(|_| Value::from(&request))
    }

    #[test]
    fn puts_the_id_where_the_dialect_wants_it() {
        assert_eq!(marked(&rule("id", None), json!({"m": 1})).unwrap(), json!({"m": 1, "id": 7}));
        let nested = rule("meta.req.id", Some("r-"));
        let wanted = json!({"meta": {"a": 1, "req": {"id": "r-7"}}});
        assert_eq!(marked(&nested, json!({"meta": {"a": 1}})).unwrap(), wanted);
        assert_eq!(marked(&rule("id", None), json!({"id": "mine"})).unwrap(), json!({"id": "mine"}));
        for wrong in [json!([]), json!("text"), json!({"meta": 5})] {
            assert_eq!(marked(&nested, wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn finds_the_error_in_a_reply() {
        let error = |reply: Value| rule("id", None).error(&reply.into());
        assert!(error(json!({"result": 1})).is_none() && error(json!({"error": null})).is_none());
        assert!(error(json!({"error": false})).is_none());
        let found = error(json!({"error": {"code": -32601, "message": "no such method"}})).unwrap();
        assert_eq!((found.kind(), found.code(), found.message()), (ErrorKind::Server, Some(-32601), "no such method"));
        assert_eq!(error(json!({"error": "nope"})).unwrap().message(), "nope");
        assert!(error(json!({"error": true})).unwrap().response().unwrap().contains("true"));
    }
}
