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
/// (`-C target-cpu=native`). Feature `sonic`, native only.
#[cfg(all(native, feature = "sonic"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct FastJson;

#[cfg(all(native, feature = "sonic"))]
impl Codec for FastJson {
    fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, Error> {
        let decoded = match event.text() {
            Some(text) => sonic_rs::from_str(text),
            None => sonic_rs::from_slice(event.bytes()),
        };
        decoded.map_err(|error| {
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

fn no_json(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, "is not representable as JSON").with_source(error)
}
