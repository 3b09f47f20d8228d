//! Errors on their way to JavaScript and back: an `EverwireError` with a code, and the very value that was thrown as its cause.

use super::{edge::failure, kept::Kept};
use crate::proto::{Error, ErrorKind};
use std::{error, fmt};
use wasm_bindgen::JsValue;

/// The number of a cause that there is not.
const NONE: u32 = 0;

/// The error as JavaScript sees it.
pub(super) fn to_js(error: &Error) -> JsValue {
    failure(
        error.kind().as_str(),
        &error.text(),
        error.is_retryable(),
        error.path(),
        error.code().map_or(f64::NAN, |code| code as f64),
        error.close_code().map_or(f64::NAN, f64::from),
        error.close_reason(),
        error.response(),
        cause(error).unwrap_or(NONE),
    )
}

fn cause(error: &Error) -> Option<u32> {
    // Only what JavaScript threw is ever the source of an error here.
    Some(error::Error::source(error)?.downcast_ref::<Thrown>()?.0.number())
}

/// A failure of the user's JavaScript, with what was thrown as its source.
pub(super) fn thrown(kind: ErrorKind, message: &'static str, value: Kept) -> Error {
    Error::new(kind, message).with_source(Thrown(value))
}

/// What was thrown, as the source of an error.
struct Thrown(Kept);

impl fmt::Debug for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thrown by JavaScript")
    }
}

impl error::Error for Thrown {}
