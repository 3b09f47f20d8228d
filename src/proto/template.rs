//! Templates of a dialect: JSON values whose strings hold placeholders such as `${user_id}`.

use super::{
    decimal::decimal,
    error::Error,
    fields::Mistake,
    json::{Json, Object},
    resume::ResumePoint,
    text::{cut, indexed},
};
use std::borrow::Cow;

/// What placeholders stand for.
pub(super) struct Params<'a> {
    pub(super) token: Option<&'a str>,
    pub(super) connection_id: Option<&'a str>,
    /// Where a lost connection goes on.
    pub(super) point: Option<&'a ResumePoint>,
    /// The channel that is subscribed to, in a frame for it.
    pub(super) channel: Option<&'a str>,
    pub(super) client: &'a str,
    /// Given by the user.
    pub(super) given: &'a Object,
    /// Given by the dialect; templates themselves.
    pub(super) defaults: &'a Object,
}

const NO_ID: &str = "`connection_id` comes with the hello";

/// A default may use parameters, which may be defaults again: but not for ever.
const MAX_DEPTH: u8 = 8;

impl Params<'_> {
    fn get(&self, name: &str, depth: u8) -> Result<Option<Json>, Error> {
        let text = match (name, self.point, self.channel) {
            ("token", ..) => self.token,
            ("connection_id", ..) => self.connection_id,
            ("client", ..) => Some(self.client),
            ("channel", _, channel @ Some(_)) => channel,
            ("session", Some(ResumePoint { session: session @ Some(_), .. }), _) => session.as_deref(),
            ("last_sequence", Some(ResumePoint { last_sequence: Some(last), .. }), _) => {
                return Ok(Some(Json::Number(decimal(*last).into())));
            }
            _ => return self.given_or_default(name, depth),
        };
        Ok(text.map(Json::from))
    }

    fn given_or_default(&self, name: &str, depth: u8) -> Result<Option<Json>, Error> {
        if let Some(value) = self.given.get(name) {
            return Ok(Some(value.clone()));
        }
        match self.defaults.get(name) {
            Some(_) if depth >= MAX_DEPTH => Err(Error::wrong(&["defaults.", name].concat(), "refers to itself")),
            Some(template) => self.fill_at(template, depth + 1),
            None => Ok(None),
        }
    }

    /// Fills in a template. `None` where the whole of it stands for an optional parameter that is missing.
    ///
    /// # Errors
    /// `Config` with the path `params.<name>` for a parameter that is needed and missing.
    pub(super) fn fill(&self, template: &Json) -> Result<Option<Json>, Error> {
        self.fill_at(template, 0)
    }

    /// The same of a frame that is sent: as text.
    pub(super) fn frame(&self, template: &Json) -> Result<Option<String>, Error> {
        Ok(self.fill(template)?.map(|frame| frame.text()))
    }

    /// Whether it can be filled in.
    pub(super) fn check(&self, template: &Json) -> Result<(), Error> {
        self.fill(template).map(drop)
    }

    fn fill_at(&self, template: &Json, depth: u8) -> Result<Option<Json>, Error> {
        Ok(Some(match template {
            Json::String(text) => {
                let mut rest = text.as_str();
                match part(&mut rest) {
                    Some(Part::Placeholder(placeholder)) if rest.is_empty() => return self.lookup(placeholder, depth),
                    _ => Json::String(self.fill_text(text, depth)?),
                }
            }
            Json::Array(items) => {
                let mut array = Vec::new();
                for item in items {
                    array.extend(self.fill_at(item, depth)?);
                }
                Json::Array(array)
            }
            Json::Object(members) => {
                let mut object = Object::new();
                for (name, value) in members.iter() {
                    if let Some(value) = self.fill_at(value, depth)? {
                        object.insert(name, value);
                    }
                }
                Json::Object(object)
            }
            other => other.clone(),
        }))
    }

    /// Fills in a text. What is no string is written as JSON.
    pub(super) fn text(&self, template: &str) -> Result<String, Error> {
        self.fill_text(template, 0)
    }

    fn fill_text(&self, mut template: &str, depth: u8) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(part) = part(&mut template) {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) => {
                    if let Some(value) = self.lookup(placeholder, depth)? {
                        text.push_str(&plain(&value));
                    }
                }
                // A dialect with such a part is refused.
                Part::Wrong(_) => {}
            }
        }
        Ok(text)
    }

    fn lookup(&self, placeholder: Placeholder<'_>, depth: u8) -> Result<Option<Json>, Error> {
        let value = self.get(placeholder.name, depth)?;
        if value.is_none() && !placeholder.optional {
            return Err(match placeholder.name {
                "token" => Error::wrong("token", "the dialect needs a token or a token provider"),
                name => {
                    let why = if name == "connection_id" { NO_ID } else { "the dialect needs this parameter" };
                    Error::wrong(&["params.", name].concat(), why)
                }
            });
        }
        Ok(value)
    }
}

/// A value as text: a string as it is, anything else as JSON.
pub(super) fn plain(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.text()),
    }
}

/// What a text is made of.
enum Part<'a> {
    Literal(&'a str),
    Placeholder(Placeholder<'a>),
    /// What begins like a placeholder and is none; the rest of the text is passed over.
    Wrong(&'static str),
}

struct Placeholder<'a> {
    name: &'a str,
    optional: bool,
}

/// Takes the first part off a text.
fn part<'a>(rest: &mut &'a str) -> Option<Part<'a>> {
    let text = *rest;
    if text.is_empty() {
        return None;
    }
    *rest = "";
    let Some(placeholder) = text.strip_prefix("${") else {
        let end = text.as_bytes().windows(2).position(|pair| pair == b"${").unwrap_or(text.len());
        *rest = &text[end..];
        return Some(Part::Literal(&text[..end]));
    };
    let (inner, Some(tail)) = cut(placeholder, b'}') else {
        return Some(Part::Wrong("a placeholder does not end"));
    };
    let name = inner.strip_suffix("?").unwrap_or(inner);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Some(Part::Wrong("a placeholder is named by letters, digits, `_` and `-`"));
    }
    *rest = tail;
    Some(Part::Placeholder(Placeholder { name, optional: inner.len() > name.len() }))
}

/// Checks the placeholders in a template; a mistake carries the path to the wrong one. `has_id`: whether a connection id can be
/// known where it stands.
pub(super) fn check(template: &Json, path: &str, has_id: bool, mistake: &Mistake) {
    match template {
        Json::String(text) => {
            let mut text = text.as_str();
            while let Some(part) = part(&mut text) {
                match part {
                    Part::Wrong(message) => mistake.note(path, message),
                    Part::Placeholder(Placeholder { name: "connection_id", .. }) if !has_id => {
                        mistake.note(path, NO_ID);
                    }
                    _ => {}
                }
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &indexed(path, index, ""), has_id, mistake);
            }
        }
        Json::Object(members) => {
            for (name, value) in members.iter() {
                check(value, &[path, ".", name].concat(), has_id, mistake);
            }
        }
        _ => {}
    }
}

/// Whether a template asks for this parameter, or for any.
pub(super) fn asks_for(template: &Json, name: Option<&str>) -> bool {
    match template {
        Json::String(text) => text_asks_for(text, name),
        Json::Array(items) => items.iter().any(|item| asks_for(item, name)),
        Json::Object(members) => members.values().any(|value| asks_for(value, name)),
        _ => false,
    }
}

/// The same of a text.
pub(super) fn text_asks_for(mut text: &str, name: Option<&str>) -> bool {
    while let Some(part) = part(&mut text) {
        if let Part::Placeholder(placeholder) = part
            && name.is_none_or(|name| name == placeholder.name)
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use serde_json::{Value, json};

    fn fill(template: Value, given: Value, defaults: Value) -> Result<Option<Value>, Error> {
        let (Json::Object(given), Json::Object(defaults)) = (given.into(), defaults.into()) else { unreachable!() };
        Params {
            token: Some("t0k"),
            connection_id: None,
            point: None,
            client: "me/1",
            channel: None,
            given: &given,
            defaults: &defaults,
        }
        .fill(&template.into())
        .map(|filled| filled.as_ref().map(Value::from))
    }

    // S0-4: `user_details` defaults to `{"id": user_id}`.
    #[test]
    fn fills_in_parameters_defaults_and_leaves_out_what_is_optional() {
        let frame = json!({"token": "${token}", "user_details": "${user_details}", "products": "${products?}", "n": [1, "${x?}", null]});
        let defaults = json!({"user_details": {"id": "${user_id}"}});
        assert_eq!(
            fill(frame.clone(), json!({"user_id": "alice"}), defaults.clone()).unwrap(),
            Some(json!({"token": "t0k", "user_details": {"id": "alice"}, "n": [1, null]}))
        );
        assert_eq!(
            fill(
                frame.clone(),
                json!({"user_details": {"id": "bob", "name": "Bob"}, "products": ["chat"]}),
                defaults.clone()
            )
            .unwrap(),
            Some(
                json!({"token": "t0k", "user_details": {"id": "bob", "name": "Bob"}, "products": ["chat"], "n": [1, null]})
            )
        );
        assert_eq!(fill(frame, json!({}), defaults).unwrap_err().path(), Some("params.user_id"));
        assert_eq!(
            fill(json!("Bearer ${token}, ${n}"), json!({"n": 5}), json!({})).unwrap(),
            Some(json!("Bearer t0k, 5"))
        );
        assert_eq!(fill(json!("${n}"), json!({"n": 5}), json!({})).unwrap(), Some(json!(5)));
        assert_eq!(fill(json!("$5 and } {"), json!({}), json!({})).unwrap(), Some(json!("$5 and } {")));
    }

    #[test]
    fn a_default_that_refers_to_itself_is_an_error() {
        let error = fill(json!("${a}"), json!({}), json!({"a": "${b}", "b": ["${a}"]})).unwrap_err();
        assert!(error.path().unwrap().starts_with("defaults."), "{error}");
    }
}
