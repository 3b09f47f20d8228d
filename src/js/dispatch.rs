//! Gives events and lifecycle steps to JavaScript functions.

use super::{
    edge::Edge,
    error::{thrown, to_js},
    kept::Kept,
    payload::JsPayload,
    values,
};
use crate::{
    driver::Dispatch,
    proto::{Error, ErrorKind, Lifecycle},
    shared::gone,
};
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// What `deliver` answers; anything else: listeners threw.
const DELIVERED: i32 = 0;
const NOT_JSON: i32 = -1;

/// The place of a reply that is none.
const NO_REPLY: u32 = 0;

pub(super) struct JsDispatch(pub(super) Rc<Edge>);

/// Goes with the driver: then nobody is left to answer.
impl Drop for JsDispatch {
    fn drop(&mut self) {
        self.0.end(&to_js(&gone()));
    }
}

impl Dispatch<JsPayload> for JsDispatch {
    fn event(&mut self, payload: JsPayload, failures: &mut Vec<Error>) {
        match self.0.deliver(payload.into_place()) {
            DELIVERED => {}
            NOT_JSON => failures.push(Error::new(ErrorKind::Decode, "an event is not JSON")),
            _ => self.take_thrown(failures),
        }
    }

    fn end_of_round(&mut self, failures: &mut Vec<Error>) {
        // Async listeners throw when they like.
        self.take_thrown(failures);
    }

    fn reply(&mut self, id: u64, answer: Result<JsPayload, Error>) -> Option<Result<JsPayload, Error>> {
        // Which it is, is known only once somebody waits for it.
        let id = id as f64;
        match answer {
            Ok(payload) if self.0.expects(id) => {
                self.0.reply(id, &JsValue::UNDEFINED, payload.into_place());
            }
            Err(error) if self.0.expects(id) => self.0.reply(id, &to_js(&error), NO_REPLY),
            answer => return Some(answer),
        }
        None
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        values::lifecycle(&self.0, step);
    }
}

impl JsDispatch {
    fn take_thrown(&self, failures: &mut Vec<Error>) {
        while let number @ 1.. = self.0.take_thrown() {
            failures.push(thrown(ErrorKind::Listener, "a listener threw", Kept::of(number)));
        }
    }
}
