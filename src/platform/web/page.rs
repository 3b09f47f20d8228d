//! Watches the page: whether it is seen, left, frozen, and has a network (N-4).

use super::{Callback, callback, stop};
use crate::{
    proto::{NetworkChange, PageChange},
    shared::Surroundings,
};
use js_sys::Function;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    /// Tells of every change by its number; gives the way to stop that.
    #[wasm_bindgen(js_name = watch)]
    fn watch_page(tell: &JsValue) -> Function;
}

/// As long as it lives, changes are told.
pub(crate) struct Watch {
    stop: Function,
    _tell: Callback,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Before the callback goes.
        stop(&self.stop);
    }
}

/// Tells what happens to the page, beginning with what it is now.
pub(crate) fn watch(tell: impl Fn(Surroundings) + 'static) -> Watch {
    let tell = callback(move |change, _| {
        tell(match change {
            0 => Surroundings::Page(PageChange::Hidden),
            1 => Surroundings::Page(PageChange::Shown),
            2 => Surroundings::Page(PageChange::Left),
            3 => Surroundings::Page(PageChange::Back),
            4 => Surroundings::Network(NetworkChange::Offline),
            5 => Surroundings::Network(NetworkChange::Online),
            _ => Surroundings::Network(NetworkChange::Changed),
        });
    });
    Watch { stop: watch_page(tell.as_ref()), _tell: tell }
}
