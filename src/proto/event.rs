//! An event: the message as it came, and its type, found without decoding the document.

use super::{
    error::{Error, ErrorKind},
    json::{self, Json},
    message::{Class, Payload},
    scan::{self, Found},
};
use serde::Deserialize;
use serde_json::Value;
use std::{borrow::Cow, fmt, ops::Range, str, sync::OnceLock};

/// The type of an event that has none (S0-18).
pub const UNKNOWN: &str = "unknown";

/// A message from the server. The text is kept as it came; [`json`](Self::json) decodes it when asked.
///
/// Generic over how a target keeps text and bytes; use it by its alias `everwire::Event`.
#[derive(Clone)]
pub struct Event<T, B> {
    data: Data<T, B>,
    /// Where the type stands in the text, as it is. Before it there is at least a brace.
    name: Range<u32>,
    rare: OnceLock<Box<Rare>>,
}

#[derive(Clone)]
enum Data<T, B> {
    Text(T),
    Binary(B),
}

/// What few events have.
#[derive(Clone, Default)]
struct Rare {
    /// The type, where it is written with escapes in the text.
    name: Option<Box<str>>,
    /// The text as every decoder takes it.
    mended: OnceLock<String>,
}

/// No type in the text.
const NOWHERE: Range<u32> = 0..0;

impl<T: AsRef<str>, B: AsRef<[u8]>> Event<T, B> {
    /// An event from a text message.
    pub fn from_text(text: T) -> Self {
        Self { data: Data::Text(text), name: NOWHERE, rare: OnceLock::new() }
    }

    /// An event from a binary message. Its type is `unknown`.
    pub fn from_binary(bytes: B) -> Self {
        Self { data: Data::Binary(bytes), name: NOWHERE, rare: OnceLock::new() }
    }

    /// The type: the value of the dialect's type field (`type`), or `unknown`.
    pub fn event_type(&self) -> &str {
        match &self.data {
            Data::Text(text) if self.name.start > 0 => &text.as_ref()[self.name.start as usize..self.name.end as usize],
            _ => self.rare.get().and_then(|rare| rare.name.as_deref()).unwrap_or(UNKNOWN),
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
        scan::find_value(self.text()?, self.name.end as usize, path)
    }

    /// Decodes the document into a type of yours. One that borrows from the event (`&str`, or `Cow` with
    /// `#[serde(borrow)]`) saves the copies.
    ///
    /// What JSON allows and `serde_json` refuses is no matter: a byte order mark is passed over, and half a surrogate pair in a
    /// string (`"\ud83d"`) is U+FFFD. Of several members with one name the last counts in a map or a `Value`.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not JSON or does not fit. A document that is nested more than 127 levels deep does not, nor
    /// does a number where no float holds it (`1e400`); where such a member is left out by the type it is no matter.
    pub fn json<'de, D: Deserialize<'de>>(&'de self) -> Result<D, Error> {
        let decoded = serde_json::from_slice(self.bytes());
        decoded
            .or_else(|error| self.mended().map_or(Err(error), |text| serde_json::from_slice(text.as_bytes())))
            .map_err(|error| {
                Error::new(ErrorKind::Decode, "the event does not decode into the wanted type").with_source(error)
            })
    }

    /// The document as every decoder takes it, where one has refused it and that differs from how it came. Those that it takes as
    /// they come pay nothing for it.
    pub(crate) fn mended(&self) -> Option<&str> {
        if let Some(mended) = self.rare.get().and_then(|rare| rare.mended.get()) {
            return Some(mended);
        }
        let mended = json::mended(str::from_utf8(self.bytes()).ok()?)?;
        Some(self.rare.get_or_init(Box::default).mended.get_or_init(|| mended))
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
            Found::Plain(span) => self.name = span.start as u32..span.end as u32,
            Found::Escaped(name) => self.rare = Box::new(Rare { name: Some(name.into()), ..Rare::default() }).into(),
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

    fn readable(&self) -> Option<Cow<'_, str>> {
        str::from_utf8(self.bytes()).ok().map(Cow::Borrowed)
    }

    fn json(&self) -> Option<Json> {
        Json::of_message(self.text()?)
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
