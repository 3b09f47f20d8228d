//! The JavaScript side of the edge, as `edge.js` has it.

use js_sys::{Array, Function};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use web_sys::WebSocket;

#[wasm_bindgen(module = "/src/js/edge.js")]
extern "C" {
    /// What a client has on that side: the user's functions, who listens, and who waits for replies.
    pub type Edge;

    /// Whether the user gave this function.
    #[wasm_bindgen(method)]
    pub(super) fn has(this: &Edge, name: &str) -> bool;

    /// Asks for a token.
    #[wasm_bindgen(method)]
    pub(super) fn ask(this: &Edge, done: &JsValue);

    #[wasm_bindgen(method)]
    pub(super) fn numbered(this: &Edge, place: u32) -> JsValue;

    #[wasm_bindgen(method)]
    pub(super) fn resumption(this: &Edge, session: Option<&str>, last: f64) -> Option<String>;

    #[wasm_bindgen(method)]
    pub(super) fn reads(this: &Edge, field: &str, any_text: bool, channel_field: Option<&str>);

    #[wasm_bindgen(method)]
    pub(super) fn controls(this: &Edge, kind: &str);

    #[wasm_bindgen(method)]
    pub(super) fn attach(this: &Edge, socket: &WebSocket, max_size: usize, receive: &JsValue);

    #[wasm_bindgen(method, js_name = letPass)]
    pub(super) fn let_pass(this: &Edge, socket: &WebSocket, until: f64);

    #[wasm_bindgen(method)]
    pub(super) fn hold(this: &Edge);

    /// What has passed and is not told yet: how many messages (0), their bytes (1), and when the last one came (2).
    #[wasm_bindgen(method)]
    pub(super) fn passed(this: &Edge, which: u32) -> f64;

    #[wasm_bindgen(method)]
    pub(super) fn deliver(this: &Edge, place: u32) -> i32;

    /// The number of the next thing that a listener threw, or 0.
    #[wasm_bindgen(method, js_name = takeThrown)]
    pub(super) fn take_thrown(this: &Edge) -> u32;

    #[wasm_bindgen(method)]
    pub(super) fn step(
        this: &Edge,
        kind: &str,
        text: Option<&str>,
        word: Option<&str>,
        number: f64,
        other: f64,
        error: &JsValue,
    );

    #[wasm_bindgen(method)]
    pub(super) fn expect(this: &Edge, id: f64, done: Function);

    #[wasm_bindgen(method)]
    pub(super) fn expects(this: &Edge, id: f64) -> bool;

    #[wasm_bindgen(method)]
    pub(super) fn forgo(this: &Edge, id: f64);

    #[wasm_bindgen(method)]
    pub(super) fn reply(this: &Edge, id: f64, error: &JsValue, place: u32);

    #[wasm_bindgen(method)]
    pub(super) fn end(this: &Edge, error: &JsValue);

    /// A copy of what an array of bytes has.
    pub(super) fn bytes(value: &JsValue) -> Vec<u8>;

    pub(super) fn tell(done: &Function, error: &JsValue, value: &JsValue);

    pub(super) fn cause(kind: &str, message: &str, error: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = resumePoint)]
    pub(super) fn resume_point(session: Option<&str>, last: f64) -> JsValue;

    pub(super) fn log(lines: &Array, age: f64, attempt: u32, reason: &str, error: &JsValue);

    pub(super) fn counted(numbers: &[f64]) -> JsValue;

    /// A message as text, if it is text, UTF-8, or was decoded: then as JSON.
    pub(super) fn readable(place: u32) -> Option<String>;

    pub(super) fn undecoded(place: u32) -> u32;

    pub(super) fn release(place: u32);

    pub(super) fn member(place: u32, path: &str) -> JsValue;
}

#[wasm_bindgen(module = "/src/js/error.js")]
extern "C" {
    pub(super) fn keep(value: &JsValue) -> u32;

    pub(super) fn kept(number: u32) -> JsValue;

    pub(super) fn forget(number: u32);

    pub(super) fn failure(
        code: &str,
        message: &str,
        retryable: bool,
        path: Option<&str>,
        server_code: f64,
        close_code: f64,
        close_reason: Option<&str>,
        response: Option<&str>,
        cause: u32,
    ) -> JsValue;
}
