//! JSON documents of the core: dialects, parameters, control messages. Never events.
//!
//! A reader and a writer of our own, because of what a page would have to download for a general one: numbers keep
//! their text, so that nothing here knows floating point, and members are a list, for they are few.

mod mended;
mod reader;

pub(super) use mended::mended;

use super::decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use std::fmt;

/// A JSON document.
// With a tag of four bytes a document is moved in one piece: with one of one byte, `Bool` would stand in the gap behind it.
#[derive(Clone, PartialEq, Eq)]
#[repr(u32)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(Box<str>),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Json)>);

impl Json {
    /// Reads a document. `None` if the text is none (RFC 8259), or is nested more than 128 levels deep.
    ///
    /// A byte order mark before it is passed over, and half a surrogate pair in a string is U+FFFD.
    pub fn parse(text: &str) -> Option<Self> {
        reader::read(text, false)
    }

    /// The same of a message that came, of which some members are looked at: what is nested more than 128 levels deep in it is
    /// passed over, and stands as `null`.
    pub(crate) fn of_message(text: &str) -> Option<Self> {
        reader::read(text, true)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one and fits. It may be written as `7.0`, as by languages whose numbers are floats.
    pub fn as_i64(&self) -> Option<i64> {
        decimal::read_signed(self.whole()?)
    }

    /// The digits of a whole number.
    pub(super) fn whole(&self) -> Option<&str> {
        let Json::Number(number) = self else { return None };
        Some(number.strip_suffix(".0").unwrap_or(number))
    }

    /// Whether it is this, of true and false. `==` would compare whole documents.
    pub(super) fn is(&self, wanted: bool) -> bool {
        matches!(self, Json::Bool(value) if *value == wanted)
    }

    /// A member of an object, if it is one and has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(name),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(number) => out.push_str(number),
            Json::String(text) => write_text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(Object(members)) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The document as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// Where a document begins: after a byte order mark, if there is one.
pub(super) fn after_mark(text: &str) -> usize {
    if text.as_bytes().starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            '\n' => out.push_str("\\n"),
            '\0'..='\x1f' => {
                let code = char as u8;
                out.push_str("\\u00");
                out.push(char::from(b'0' + (code >> 4)));
                out.push(char::from(b"0123456789abcdef"[usize::from(code & 15)]));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

impl Object {
    /// No members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A member; of several with one name the last, as everywhere.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Sets a member.
    pub fn insert(&mut self, name: impl Into<String>, value: Json) {
        let name = name.into();
        match self.0.iter_mut().rev().find(|(other, _)| *other == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    /// A member, made as an object if it is not there.
    pub(super) fn entry(&mut self, name: &str) -> &mut Json {
        let place = self.0.iter().position(|(other, _)| other == name).unwrap_or(self.0.len());
        if place == self.0.len() {
            self.0.push((name.to_owned(), Json::Object(Object::new())));
        }
        &mut self.0[place].1
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The values in their order.
    pub fn values(&self) -> impl Iterator<Item = &Json> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn members(&self) -> &[(String, Json)] {
        &self.0
    }

    /// The members, taken apart.
    pub fn into_members(self) -> Vec<(String, Json)> {
        self.0
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Json::Null,
            serde_json::Value::Bool(value) => Json::Bool(value),
            serde_json::Value::Number(number) => Json::Number(number.to_string().into()),
            serde_json::Value::String(text) => Json::String(text),
            serde_json::Value::Array(items) => Json::Array(items.into_iter().map(Json::from).collect()),
            serde_json::Value::Object(members) => {
                Json::Object(Object(members.into_iter().map(|(name, value)| (name, value.into())).collect()))
            }
        }
    }
}

/// A number that no float holds is `null`.
impl From<&Json> for serde_json::Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => serde_json::from_str(number).unwrap_or_default(),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => items.iter().map(Self::from).collect(),
            Json::Object(members) => members.iter().map(|(name, value)| (name.to_owned(), Self::from(value))).collect(),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(number) => match (number.parse::<i64>(), number.parse::<u64>()) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_u64(number),
                _ => serializer.serialize_f64(number.parse().unwrap_or(f64::NAN)),
            },
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Json::from)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}
