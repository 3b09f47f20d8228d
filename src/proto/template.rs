//! Templates of a dialect: JSON values whose strings hold placeholders such as `${user_id}`.

use super::{
    decimal::decimal,
    dialect::indexed,
    error::{Error, ErrorKind},
    json::{Json, Object},
    resume::ResumePoint,
    secret::Secret,
    text::cut,
};
use std::borrow::Cow;

/// What placeholders stand for.
pub(super) struct Params<'a> {
    pub(super) token: Option<&'a Secret>,
    pub(super) connection_id: Option<&'a str>,
    /// Where a lost connection goes on.
    pub(super) point: Option<&'a ResumePoint>,
    pub(super) client: &'a str,
    /// Given by the user.
    pub(super) given: &'a Object,
    /// Given by the dialect; templates themselves.
    pub(super) defaults: &'a Object,
}

/// A default may use parameters, which may be defaults again: but not for ever.
const MAX_DEPTH: u8 = 8;

impl Params<'_> {
    fn get(&self, name: &str, depth: u8) -> Result<Option<Json>, Error> {
        match name {
            "token" => return Ok(self.token.map(|token| Json::from(token.reveal()))),
            "connection_id" => return Ok(self.connection_id.map(Json::from)),
            "client" => return Ok(Some(Json::from(self.client))),
            "session" if self.point.is_some() => {
                return Ok(self.point.and_then(|point| point.session.as_deref()).map(Json::from));
            }
            "last_sequence" if self.point.is_some() => {
                let last = self.point.and_then(|point| point.last_sequence);
                return Ok(last.map(|last| Json::Number(decimal(last).into())));
            }
            _ => {}
        }
        match (self.given.get(name), self.defaults.get(name)) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(_)) if depth >= MAX_DEPTH => {
                Err(Error::new(ErrorKind::Config, "refers to itself").with_path(["defaults.", name].concat()))
            }
            (None, Some(template)) => self.fill_at(template, depth + 1),
            (None, None) => Ok(None),
        }
    }

    /// Fills in a template. `None` where the whole of it stands for an optional parameter that is missing.
    ///
    /// # Errors
    /// `Config` with the path `params.<name>` for a parameter that is needed and missing.
    pub(super) fn fill(&self, template: &Json) -> Result<Option<Json>, Error> {
        self.fill_at(template, 0)
    }

    fn fill_at(&self, template: &Json, depth: u8) -> Result<Option<Json>, Error> {
        Ok(Some(match template {
            Json::String(text) => match whole(text) {
                Some(placeholder) => return self.lookup(placeholder, depth),
                None => Json::String(self.fill_text(text, depth)?),
            },
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

    fn fill_text(&self, template: &str, depth: u8) -> Result<String, Error> {
        let mut text = String::new();
        for part in parts(template) {
            match part? {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) => {
                    if let Some(value) = self.lookup(placeholder, depth)? {
                        text.push_str(&plain(&value));
                    }
                }
            }
        }
        Ok(text)
    }

    fn lookup(&self, placeholder: Placeholder<'_>, depth: u8) -> Result<Option<Json>, Error> {
        let value = self.get(placeholder.name, depth)?;
        if value.is_none() && !placeholder.optional {
            return Err(Error::new(ErrorKind::Config, "the dialect needs this parameter")
                .with_path(["params.", placeholder.name].concat()));
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

#[derive(Clone, Copy)]
struct Placeholder<'a> {
    name: &'a str,
    optional: bool,
}

enum Part<'a> {
    Literal(&'a str),
    Placeholder(Placeholder<'a>),
}

/// Cuts a text into literals and placeholders.
fn parts(mut rest: &str) -> impl Iterator<Item = Result<Part<'_>, Error>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(placeholder) = rest.strip_prefix("${") else {
            let (literal, tail) = rest.split_at_checked(begin(rest).unwrap_or(rest.len()))?;
            rest = tail;
            return Some(Ok(Part::Literal(literal)));
        };
        let (inner, Some(tail)) = cut(placeholder, b'}') else {
            rest = "";
            return Some(Err(Error::new(ErrorKind::Config, "a placeholder does not end")));
        };
        rest = tail;
        let name = inner.strip_suffix("?").unwrap_or(inner);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return Some(Err(Error::new(ErrorKind::Config, "a placeholder is named by letters, digits, `_` and `-`")));
        }
        Some(Ok(Part::Placeholder(Placeholder { name, optional: inner.len() > name.len() })))
    })
}

/// Where the first placeholder begins.
fn begin(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|pair| pair == b"${")
}

/// The placeholder that is the whole of a text.
fn whole(text: &str) -> Option<Placeholder<'_>> {
    let mut parts = parts(text);
    match (parts.next(), parts.next()) {
        (Some(Ok(Part::Placeholder(placeholder))), None) => Some(placeholder),
        _ => None,
    }
}

/// Checks the placeholders in a template; an error carries the path to the wrong one.
pub(super) fn check(template: &Json, path: &str) -> Result<(), Error> {
    match template {
        Json::String(text) => check_text(text, path),
        Json::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| check(item, &indexed(path, index, "")))
        }
        Json::Object(members) => members.iter().try_for_each(|(name, value)| check(value, &[path, ".", name].concat())),
        _ => Ok(()),
    }
}

/// Checks the placeholders in a text.
pub(super) fn check_text(template: &str, path: &str) -> Result<(), Error> {
    parts(template).try_for_each(|part| part.map(drop)).map_err(|error| error.with_path(path))
}

/// Whether a text has any placeholder, and so may hold a secret when filled in.
pub(super) fn has_placeholder(template: &Json) -> bool {
    match template {
        Json::String(text) => begin(text).is_some(),
        Json::Array(items) => items.iter().any(has_placeholder),
        Json::Object(members) => members.values().any(has_placeholder),
        _ => false,
    }
}

/// Whether a template asks for the token.
pub(super) fn mentions_token(template: &Json) -> bool {
    match template {
        Json::String(text) => mentions_text(text, "token"),
        Json::Array(items) => items.iter().any(mentions_token),
        Json::Object(members) => members.values().any(mentions_token),
        _ => false,
    }
}

/// Whether a text asks for this parameter.
pub(super) fn mentions_text(template: &str, name: &str) -> bool {
    parts(template).flatten().any(|part| matches!(part, Part::Placeholder(placeholder) if placeholder.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use serde_json::{Value, json};

    fn fill(template: Value, given: Value, defaults: Value) -> Result<Option<Value>, Error> {
        let token = Secret::from("t0k".to_owned());
        let (Json::Object(given), Json::Object(defaults)) = (given.into(), defaults.into()) else { unreachable!() };
        Params {
            token: Some(&token),
            connection_id: None,
            point: None,
            client: "me/1",
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
