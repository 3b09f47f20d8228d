//! Values of JavaScript's in places where only what may go to other threads can be: they stay here, and their numbers go.

use std::cell::RefCell;
use wasm_bindgen::JsValue;

thread_local! {
    /// The last number, and the values by theirs.
    static VALUES: RefCell<(u32, Vec<(u32, JsValue)>)> = const { RefCell::new((0, Vec::new())) };
}

/// The number of a value, which is kept as long as this.
pub(super) struct Kept(u32);

impl Kept {
    pub(super) fn new(value: JsValue) -> Self {
        VALUES.with_borrow_mut(|(last, values)| {
            *last = last.wrapping_add(1);
            values.push((*last, value));
            Self(*last)
        })
    }

    /// The value; `None` on another thread.
    pub(super) fn value(&self) -> Option<JsValue> {
        VALUES.with_borrow(|(_, values)| values.iter().find(|(id, _)| *id == self.0).map(|(_, value)| value.clone()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The value itself is dropped when the table is free again.
        drop(VALUES.with_borrow_mut(|(_, values)| {
            let place = values.iter().position(|(id, _)| *id == self.0);
            place.map(|place| values.swap_remove(place))
        }));
    }
}
