//! A message that stays in JavaScript: wasm knows it by its place there and the number that its type has.

use super::edge::{Edge, member, name, release, text};
use crate::{
    platform::{FromBrowser, Inbox},
    proto::{Class, Json, Parts, Payload, decimal},
};
use std::{borrow::Cow, rc::Rc};
use wasm_bindgen::{JsValue, prelude::Closure};
use web_sys::WebSocket;

/// What stands for the number of a type that has none.
const MALFORMED: i32 = -1;
const UNTYPED: i32 = -3;

/// What a message is.
const JSON_TEXT: u32 = 0;
const BINARY: u32 = 3;

/// Whether the entry of the package is the one that leaves nothing out.
const EVERYTHING: bool = cfg!(feature = "npm-all");

/// A whole number that is not negative, also one written as a string.
pub(super) fn whole(value: &JsValue) -> Option<u64> {
    match value.as_f64() {
        Some(number) => Some(number as u64).filter(|whole| *whole as f64 == number),
        None => decimal::read(value.as_string()?.as_bytes()),
    }
}

/// What the types are to the session.
pub(crate) struct Names {
    field: String,
    control: Vec<String>,
    /// By the number of the type.
    classes: Vec<Option<Class>>,
}

impl Names {
    fn class(&mut self, id: i32, place: &Place) -> Class {
        // A type that is not remembered has no number.
        let Ok(number) = usize::try_from(id) else { return self.find(id, place) };
        if number >= self.classes.len() {
            self.classes.resize(number + 1, None);
        }
        match self.classes[number] {
            Some(class) => class,
            None => {
                let class = self.find(id, place);
                self.classes[number] = Some(class);
                class
            }
        }
    }

    fn find(&self, id: i32, place: &Place) -> Class {
        let name = name(id, place.0, &self.field);
        self.control.iter().position(|control| *control == name).map_or(Class::Event, Class::Control)
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
    /// The number of the type.
    id: i32,
    kind: u32,
    size: usize,
}

impl JsPayload {
    /// The number of its type.
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// The number that a function of the user's gives for it.
    pub(super) fn number_by(&self, edge: &Edge) -> Option<u64> {
        whole(&edge.numbered(self.place.0))
    }

    /// Where it is, for somebody who lets go of it, and whether it must be parsed first.
    pub(super) fn into_place(self) -> (u32, bool) {
        let place = self.place.0;
        std::mem::forget(self.place);
        (place, self.kind == JSON_TEXT)
    }
}

impl FromBrowser for JsPayload {
    type Reader = Rc<Edge>;
    type Handler = Closure<dyn Fn(u32, i32, u32, u32, f64)>;

    fn given(edge: &Rc<Edge>) -> JsValue {
        JsValue::clone(edge)
    }

    fn attach(edge: &Rc<Edge>, web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler {
        let handler = Closure::<dyn Fn(u32, i32, u32, u32, f64)>::new(move |place, id, kind, size, time| {
            // A message that is not taken is let go of, too.
            let (place, size) = (Place(place), size as usize);
            inbox.take(time, size, move || Self { place, id, kind, size });
        });
        edge.attach(web, handler.as_ref());
        handler
    }
}

impl Payload for JsPayload {
    type Names = Names;

    /// A page does not ping, and the lean entry of the package does without the largest parts.
    const PARTS: Parts =
        Parts { ping: false, handshake: false, resume: EVERYTHING, channels: EVERYTHING, ..Parts::ALL };

    fn names(field: &str, control: &[String], _any_text: bool) -> Names {
        Names { field: field.to_owned(), control: control.to_vec(), classes: Vec::new() }
    }

    fn classify(&mut self, names: &mut Names) -> Class {
        match self.id {
            MALFORMED => Class::Malformed,
            UNTYPED if self.kind == BINARY => Class::Binary,
            UNTYPED => Class::Untyped,
            id => names.class(id, &self.place),
        }
    }

    fn json(&self) -> Option<Json> {
        Json::parse(&text(self.place.0)?)
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
