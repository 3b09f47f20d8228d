//! A message that stays in JavaScript: wasm knows it by its place there, and by what it is to the session.

use super::{
    edge::{Edge, member, readable, release, undecoded},
    error::thrown,
    kept::Kept,
};
use crate::{
    platform::{FromBrowser, Inbox, since},
    proto::{Class, Error, ErrorKind, Json, Parts, Passed, Payload, decimal},
};
use std::{borrow::Cow, rc::Rc};
use wasm_bindgen::{JsValue, prelude::Closure};
use web_sys::WebSocket;

/// What `edge.js` says of a message that is none of the control messages, which have their numbers from zero.
const EVENT: i32 = -1;
const UNTYPED: i32 = -2;
const MALFORMED: i32 = -3;
const UNDECODED: i32 = -5;

/// Whether the entry of the package is the one that leaves nothing out.
const EVERYTHING: bool = cfg!(feature = "npm-all");

/// A whole number that is not negative, also one written as a string. Beyond 2^53 a number may stand for another.
pub(super) fn whole(value: &JsValue) -> Option<u64> {
    match value.as_f64() {
        Some(number) => Some(number as u64).filter(|whole| *whole as f64 == number && *whole < 1 << 53),
        None => decimal::read(value.as_string()?.as_bytes()),
    }
}

/// Where a message is kept, until it is delivered or dropped.
struct Place(u32);

impl Drop for Place {
    fn drop(&mut self) {
        release(self.0);
    }
}

/// A message of the browser's.
pub(crate) struct JsPayload {
    place: Place,
    class: i32,
    size: usize,
}

impl JsPayload {
    /// The number that a function of the user's gives for it.
    pub(super) fn number_by(&self, edge: &Edge) -> Option<u64> {
        whole(&edge.numbered(self.place.0))
    }

    /// Where it is, for somebody who lets go of it.
    pub(super) fn into_place(self) -> u32 {
        let place = self.place.0;
        std::mem::forget(self.place);
        place
    }
}

/// What has passed the session by and is not told yet, if anything has.
pub(super) fn untold(edge: &Edge) -> Option<Passed> {
    let messages = edge.passed(0) as u64;
    (messages > 0).then(|| Passed { messages, bytes: edge.passed(1) as u64, since: since(edge.passed(2)) })
}

impl FromBrowser for JsPayload {
    type Reader = Rc<Edge>;
    type Handler = Closure<dyn Fn(u32, i32, u32)>;

    fn given(edge: &Rc<Edge>) -> JsValue {
        JsValue::clone(edge)
    }

    fn attach(edge: &Rc<Edge>, web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler {
        let max_size = inbox.max_message_size();
        let handler = Closure::<dyn Fn(u32, i32, u32)>::new(move |place, class, size| {
            // A message that is not taken is let go of, too.
            let (place, size) = (Place(place), size as usize);
            inbox.take(size, move || Self { place, class, size });
        });
        edge.attach(web, max_size, handler.as_ref());
        handler
    }

    fn let_pass(edge: &Rc<Edge>, web: &WebSocket, until: f64) {
        edge.let_pass(web, until);
    }

    fn hold(edge: &Rc<Edge>) -> Option<Passed> {
        let passed = untold(edge);
        edge.hold();
        passed
    }
}

impl Payload for JsPayload {
    /// The types are looked up in JavaScript.
    type Names = ();

    /// A page does not ping, and the lean entry of the package does without the largest parts.
    const PARTS: Parts =
        Parts { ping: false, handshake: false, resume: EVERYTHING, channels: EVERYTHING, ..Parts::ALL };

    fn names(_field: &str, _control: &[String], _any_text: bool) {}

    fn classify(&mut self, (): &mut ()) -> Class {
        match self.class {
            EVENT => Class::Event,
            UNTYPED => Class::Untyped,
            MALFORMED | UNDECODED => Class::Malformed,
            class => usize::try_from(class).map_or(Class::Binary, Class::Control),
        }
    }

    fn undecoded(&self) -> Option<Error> {
        let cause = (self.class == UNDECODED).then(|| Kept::of(undecoded(self.place.0)))?;
        Some(thrown(ErrorKind::Decode, "the codec could not decode a message", cause))
    }

    fn readable(&self) -> Option<Cow<'_, str>> {
        readable(self.place.0).map(Cow::Owned)
    }

    fn json(&self) -> Option<Json> {
        Json::of_message(&self.readable()?)
    }

    fn number(&self, path: &str) -> Option<u64> {
        whole(&member(self.place.0, path))
    }

    fn string(&self, path: &str) -> Option<Cow<'_, str>> {
        member(self.place.0, path).as_string().map(Cow::Owned)
    }

    fn size(&self) -> usize {
        self.size
    }
}
