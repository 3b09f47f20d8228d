//! An event: the message as it came, and its type, found without decoding the document.

use super::{
    error::{Error, ErrorKind},
    json::Json,
    message::{Class, Payload},
    scan::{self, Found},
};
use serde::Deserialize;
use serde_json::Value;
use std::{borrow::Cow, fmt, ops::Range};

/// The type of an event that has none (S0-18).
pub const UNKNOWN: &str = "unknown";

/// A message from the server. The text is kept as it came; [`json`](Self::json) decodes it when asked.
///
/// Generic over how a target keeps text and bytes; use it by its alias `everwire::Event`.
#[derive(Clone)]
pub struct Event<T, B> {
    data: Data<T, B>,
    name: Name,
}

#[derive(Clone)]
enum Data<T, B> {
    Text(T),
    Binary(B),
}

/// Where the type of an event stands.
#[derive(Clone)]
enum Name {
    Unknown,
    /// In the text, as it is.
    Span(Range<u32>),
    /// Written with escapes in the text.
    Owned(Box<str>),
}

impl<T: AsRef<str>, B: AsRef<[u8]>> Event<T, B> {
    /// An event from a text message.
    pub fn from_text(text: T) -> Self {
        Self { data: Data::Text(text), name: Name::Unknown }
    }

    /// An event from a binary message. Its type is `unknown`.
    pub fn from_binary(bytes: B) -> Self {
        Self { data: Data::Binary(bytes), name: Name::Unknown }
    }

    /// The type: the value of the dialect's type field (`type`), or `unknown`.
    pub fn event_type(&self) -> &str {
        match (&self.name, &self.data) {
            (Name::Span(span), Data::Text(text)) => &text.as_ref()[span.start as usize..span.end as usize],
            (Name::Owned(name), _) => name,
            _ => UNKNOWN,
        }
    }

    /// The text as it came; `None` for a binary message.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text.as_ref()),
            Data::Binary(_) => None,
        }
    }

    /// The payload as bytes, of a text message too.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Text(text) => text.as_ref().as_bytes(),
            Data::Binary(bytes) => bytes.as_ref(),
        }
    }

    /// Whether this is a binary message.
    pub fn is_binary(&self) -> bool {
        matches!(self.data, Data::Binary(_))
    }

    /// The value at a path of the document, as it is written.
    fn value(&self, path: &str) -> Option<&str> {
        let after = if let Name::Span(span) = &self.name { span.end as usize } else { 0 };
        scan::find_value(self.text()?, after, path)
    }

    /// Decodes the document into a type of yours. One that borrows from the event (`&str`, or `Cow` with
    /// `#[serde(borrow)]`) saves the copies.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not JSON or does not fit.
    pub fn json<'de, D: Deserialize<'de>>(&'de self) -> Result<D, Error> {
        serde_json::from_slice(self.bytes()).map_err(|error| {
            Error::new(ErrorKind::Decode, "the event does not decode into the wanted type").with_source(error)
        })
    }
}

/// Shows the type and the size: an event may hold what should not be logged.
impl<T: AsRef<str>, B: AsRef<[u8]>> fmt::Debug for Event<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({}, {} bytes)", self.event_type(), self.bytes().len())
    }
}

/// The names of the control messages of a dialect.
pub struct Names {
    field: String,
    /// How a text begins whose first member is the type, such as `{"type":"`.
    prefix: String,
    control: Vec<String>,
    any_text: bool,
}

impl<T: AsRef<str>, B: AsRef<[u8]>> Payload for Event<T, B> {
    type Names = Names;

    fn names(field: &str, control: &[String], any_text: bool) -> Names {
        let prefix = format!("{{{}:\"", Value::from(field));
        Names { field: field.to_owned(), prefix, control: control.to_vec(), any_text }
    }

    fn classify(&mut self, names: &mut Names) -> Class {
        let Data::Text(text) = &self.data else { return Class::Binary };
        match scan::find_type(text.as_ref(), &names.prefix, &names.field) {
            Found::Plain(span) => self.name = Name::Span(span.start as u32..span.end as u32),
            Found::Escaped(name) => self.name = Name::Owned(name.into()),
            Found::Nothing => return Class::Untyped,
            Found::Malformed if names.any_text => return Class::Untyped,
            Found::Malformed => return Class::Malformed,
        }
        let name = self.event_type();
        match names.control.iter().position(|control| control == name) {
            Some(index) => Class::Control(index),
            None => Class::Event,
        }
    }

    fn json(&self) -> Option<Json> {
        Json::parse(self.text()?)
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.value(path).and_then(scan::as_number)
    }

    fn string(&self, path: &str) -> Option<Cow<'_, str>> {
        self.value(path).and_then(scan::as_text)
    }

    fn size(&self) -> usize {
        self.bytes().len()
    }
}
