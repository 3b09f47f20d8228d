//! How documents become values of Rust and values become messages (S2-9): JSON, or a codec of one's own.

use crate::{
    client::Event,
    proto::{Error, ErrorKind, Message},
};
use serde::{Deserialize, Serialize};

/// Turns events into values and values into messages. [`Json`] is the one that is used where none is named.
///
/// ```
/// use everwire::{Error, ErrorKind, Event, Message, codec::Codec};
/// use serde::{Deserialize, Serialize};
///
/// /// JSON in binary messages.
/// struct Bytes;
///
/// impl Codec for Bytes {
///     fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, Error> {
///         serde_json::from_slice(event.bytes())
///             .map_err(|error| Error::new(ErrorKind::Decode, "no JSON").with_source(error))
///     }
///
///     fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Message, Error> {
///         serde_json::to_vec(value)
///             .map(Message::Binary)
///             .map_err(|error| Error::new(ErrorKind::InvalidInput, "has no JSON").with_source(error))
///     }
/// }
/// ```
pub trait Codec {
    /// The document of an event as a value, which may borrow from the event.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it does not fit.
    fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, Error>;

    /// A value as a message.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it cannot be represented.
    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Message, Error>;
}

/// JSON by `serde_json`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, Error> {
        event.json()
    }

    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Message, Error> {
        serde_json::to_string(value).map(Message::Text).map_err(no_json)
    }
}

/// JSON by `sonic-rs`, which is faster where the processor has AVX2 or NEON and the compiler may use it
/// (`-C target-cpu=native`). It takes what [`Json`] takes, and documents that are nested up to 254 levels deep; in a
/// debug build, whose frames are larger, 48. Feature `sonic`, native only.
#[cfg(all(native, feature = "sonic"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FastJson;

#[cfg(all(native, feature = "sonic"))]
impl Codec for FastJson {
    fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, Error> {
        if cfg!(debug_assertions) && depth(event.bytes()) > DEBUG_LEVELS {
            return Err(Error::new(ErrorKind::Decode, "the event is nested too deeply"));
        }
        let decoded = match event.text() {
            Some(text) => sonic_rs::from_str(text),
            None => sonic_rs::from_slice(event.bytes()),
        };
        decoded.or_else(|error| event.mended().map_or(Err(error), sonic_rs::from_str)).map_err(|error| {
            // Its message shows the text around the mistake, which may hold a secret: where it is says enough.
            let what = format!(
                "the event does not decode into the wanted type (line {}, column {})",
                error.line(),
                error.column()
            );
            Error::new(ErrorKind::Decode, what)
        })
    }

    fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Message, Error> {
        sonic_rs::to_string(value).map(Message::Text).map_err(no_json)
    }
}

/// How deeply a document may be nested in a debug build: deeper ones would overflow the 2 MiB that a thread's stack has.
#[cfg(all(native, feature = "sonic"))]
const DEBUG_LEVELS: usize = 48;

/// How deeply a document is nested.
#[cfg(all(native, feature = "sonic"))]
fn depth(document: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn no_json(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, "is not representable as JSON").with_source(error)
}

#[cfg(all(test, native, feature = "sonic"))]
mod tests {
    use super::*;
    use serde_json::Value;

    // What `tests/core/legal.rs` has of `Json`.
    #[test]
    fn both_codecs_take_what_is_legal_in_json_alike() {
        let table: Value = serde_json::from_str(include_str!("proto/json/legal.json")).unwrap();
        let text = |row: &Value| row["text"].as_str().or(row.as_str()).unwrap().to_owned();
        let deep = |levels| ["[".repeat(levels), "]".repeat(levels)].concat();
        let texts =
            ["values", "messages", "illegal"].into_iter().flat_map(|name| table[name].as_array().unwrap()).map(text);
        for text in texts.chain([deep(DEBUG_LEVELS - 1), deep(100_000)]) {
            for text in [text.clone(), format!("{{\"x\":{text}}}"), format!("\u{feff}[{text}]")] {
                let event = Event::from_text(text.clone().into());
                let (one, other) = (Json::decode::<Value>(&event), FastJson::decode::<Value>(&event));
                assert_eq!(one.as_ref().ok(), other.as_ref().ok(), "{text:.100?}");
                assert!(other.is_ok() || other.unwrap_err().kind() == ErrorKind::Decode);
            }
        }
        let event = Event::from_text(r#"{"plain":"text","half":"\ude80"}"#.to_owned().into());
        let both: std::collections::BTreeMap<&str, std::borrow::Cow<'_, str>> = FastJson::decode(&event).unwrap();
        assert_eq!((&*both["plain"], &*both["half"]), ("text", "\u{fffd}"));
    }
}
