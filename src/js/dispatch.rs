//! Gives events and lifecycle steps to JavaScript functions.

use super::{
    error::{thrown, to_js},
    payload::JsPayload,
    values,
};
use crate::{
    client::registry::Registry,
    driver::Dispatch,
    handle::gone,
    proto::{Error, ErrorKind, Lifecycle},
};
use js_sys::{Array, Function, JsString};
use std::{cell::RefCell, rc::Rc, sync::Arc};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/js/edge.js")]
extern "C" {
    fn deliver(entries: &Array, place: u32, parse: bool, kind: &JsString) -> u32;

    fn reply(done: &Function, error: &JsValue, place: i32, parse: bool);

    fn call(entries: &Array, event: &JsValue, kind: &JsValue) -> u32;

    #[wasm_bindgen(js_name = takeThrown)]
    fn take_thrown() -> Array;
}

/// What `deliver` answers; anything else: listeners threw.
const DELIVERED: u32 = 0;
const NOT_JSON: u32 = 1;

/// The place of a reply that is none.
const NO_REPLY: i32 = -1;

/// The listeners of one client, as its handle and its driver share them: the places in which JavaScript puts the functions.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) events: Arc<Registry<JsValue>>,
    pub(super) lifecycle: RefCell<Vec<JsValue>>,
    /// Who waits for the reply to a request, by its number.
    pub(super) replies: RefCell<Vec<(u64, Function)>>,
}

impl Listeners {
    /// Whoever waits for this reply, who does so no more.
    pub(super) fn take_reply(&self, id: u64) -> Option<Function> {
        let mut replies = self.replies.borrow_mut();
        let place = replies.iter().position(|(other, _)| *other == id)?;
        Some(replies.swap_remove(place).1)
    }
}

/// Those who listen to a type.
struct Audience {
    /// `None` if nobody does: then the event is not even parsed.
    entries: Option<Array>,
    name: JsString,
}

/// Goes with the driver: then nobody is left to answer.
impl Drop for JsDispatch {
    fn drop(&mut self) {
        for (_, done) in self.listeners.replies.take() {
            reply(&done, &to_js(&gone()), NO_REPLY, false);
        }
    }
}

pub(super) struct JsDispatch {
    listeners: Rc<Listeners>,
    version: u64,
    /// By the number of the type; `edge.js` bounds the numbers.
    audiences: Vec<Option<Audience>>,
}

impl JsDispatch {
    pub(super) fn new(listeners: Rc<Listeners>) -> Self {
        Self { listeners, version: 0, audiences: Vec::new() }
    }

    /// Brings those who listen to the type of this payload up to date.
    fn audience(&mut self, payload: &JsPayload) -> &Audience {
        let version = self.listeners.events.version();
        if version != self.version {
            self.audiences.clear();
            self.version = version;
        }
        // Types that are not remembered share the first place, and are looked up each time.
        let (place, remembered) = payload.id().map_or((0, false), |id| (id, true));
        if place >= self.audiences.len() {
            self.audiences.resize_with(place + 1, || None);
        }
        let slot = &mut self.audiences[place];
        if !remembered {
            *slot = None;
        }
        slot.get_or_insert_with(|| find(&self.listeners.events, payload.name()))
    }
}

fn find(registry: &Registry<JsValue>, name: JsString) -> Audience {
    let entries: Array = registry.resolve(&String::from(&name)).iter().map(|entry| &entry.listener).collect();
    Audience { entries: Some(entries).filter(|entries| entries.length() > 0), name }
}

impl Dispatch<JsPayload> for JsDispatch {
    fn event(&mut self, payload: JsPayload, failures: &mut Vec<Error>) {
        let audience = self.audience(&payload);
        let Some(entries) = &audience.entries else { return };
        let (place, parse) = payload.into_place();
        match deliver(entries, place, parse, &audience.name) {
            DELIVERED => {}
            NOT_JSON => failures.push(Error::new(ErrorKind::Decode, "an event is not JSON")),
            _ => {
                let failed = |value| thrown(ErrorKind::Listener, "a listener threw", value);
                failures.extend(take_thrown().iter().map(failed));
            }
        }
    }

    fn reply(&mut self, id: u64, answer: Result<JsPayload, Error>) -> Option<Result<JsPayload, Error>> {
        let Some(done) = self.listeners.take_reply(id) else { return Some(answer) };
        match answer {
            Ok(payload) => {
                let (place, parse) = payload.into_place();
                reply(&done, &JsValue::UNDEFINED, place as i32, parse);
            }
            Err(error) => reply(&done, &to_js(&error), NO_REPLY, false),
        }
        None
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        let entries: Array = self.listeners.lifecycle.borrow().iter().collect();
        if entries.length() > 0 {
            // Nobody is left to tell of a lifecycle listener that throws; the browser's console has it.
            call(&entries, &values::lifecycle(step), &JsValue::UNDEFINED);
            take_thrown();
        }
    }
}
