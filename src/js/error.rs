//! Errors on their way to JavaScript and back: an `EverwireError` with a code, and the very value that was thrown as its cause.

use super::{kept::Kept, values::Fields};
use crate::proto::{Error, ErrorKind};
use js_sys::Object;
use std::{error, fmt};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/js/edge.js")]
extern "C" {
    type EverwireError;

    #[wasm_bindgen(constructor)]
    fn new(code: &str, message: &str, retryable: bool, details: Object) -> EverwireError;
}

/// The error as JavaScript sees it.
pub(super) fn to_js(error: &Error) -> JsValue {
    let details = Fields::new()
        .maybe("path", error.path().map(in_options))
        .maybe("serverCode", error.code().map(|code| code as f64))
        .maybe("closeCode", error.close_code())
        .maybe("closeReason", error.close_reason())
        .maybe("response", error.response())
        .maybe("cause", cause(error));
    EverwireError::new(error.kind().as_str(), &text(error), error.is_retryable(), details.into_object()).into()
}

/// The message, with the settings named as they are in the options.
fn text(error: &Error) -> String {
    let text = error.text();
    // The text of an error with a path begins with it.
    match error.path().and_then(|path| Some((in_options(path), text.strip_prefix(path)?))) {
        Some((option, rest)) => [option, rest].concat(),
        None => text,
    }
}

/// Settings whose name in the options differs.
pub(super) fn in_options(path: &str) -> &str {
    match path {
        "max_message_size" => "maxMessageSize",
        "backoff.base" => "backoffBase",
        "backoff.cap" => "backoffCap",
        "token_timeout" => "tokenTimeout",
        "open_timeout" => "openTimeout",
        "hello_timeout" => "helloTimeout",
        "close_timeout" => "closeTimeout",
        "health_check_interval" => "healthCheckInterval",
        "silence_timeout" => "silenceTimeout",
        "probe_timeout" => "probeTimeout",
        "max_age" => "maxConnectionAge",
        "backoff.jitter" => "jitter",
        "resume_from" => "resumeFrom",
        "on_resume" => "onResume",
        path => path,
    }
}

fn cause(error: &Error) -> Option<JsValue> {
    // Only what JavaScript threw is ever the source of an error here.
    error::Error::source(error)?.downcast_ref::<Thrown>()?.0.value()
}

/// A failure of the user's JavaScript, with what was thrown as its source.
pub(super) fn thrown(kind: ErrorKind, message: &'static str, value: JsValue) -> Error {
    Error::new(kind, message).with_source(Thrown(Kept::new(value)))
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
