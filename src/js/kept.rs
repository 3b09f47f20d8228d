//! Values of JavaScript's in places where only what may go to other threads can be: they stay there, and their numbers go.

use super::edge::{forget, keep, kept};
use wasm_bindgen::JsValue;

/// The number of a value, which is kept as long as this.
pub(super) struct Kept(u32);

impl Kept {
    pub(super) fn new(value: &JsValue) -> Self {
        Self(keep(value))
    }

    /// One that is kept already.
    pub(super) fn of(number: u32) -> Self {
        Self(number)
    }

    pub(super) fn number(&self) -> u32 {
        self.0
    }

    pub(super) fn value(&self) -> JsValue {
        kept(self.0)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        forget(self.0);
    }
}
