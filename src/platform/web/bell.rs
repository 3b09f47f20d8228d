//! What JavaScript calls. All of it is of one kind, for each kind takes space of its own in what a page downloads.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use wasm_bindgen::{JsValue, prelude::Closure};

/// A function for JavaScript, which is told a number and a value. Whoever drops it sees to it that it is not called any more.
pub(crate) type Callback = Closure<dyn Fn(u32, JsValue)>;

pub(crate) fn callback(call: impl Fn(u32, JsValue) + 'static) -> Callback {
    Closure::new(call)
}

/// A function for JavaScript to call, and a task that waits until it does.
pub(crate) struct Bell {
    heard: Rc<RefCell<Heard>>,
    ring: Callback,
}

#[derive(Default)]
struct Heard {
    told: Option<(u32, JsValue)>,
    waker: Option<Waker>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let rings = heard.clone();
        let ring = callback(move |number, value| {
            let mut heard = rings.borrow_mut();
            heard.told = Some((number, value));
            let waker = heard.waker.take();
            drop(heard);
            // Whoever is woken may run at once.
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        Self { heard, ring }
    }

    pub(crate) fn as_js(&self) -> &JsValue {
        self.ring.as_ref()
    }

    /// What it was told, once.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<(u32, JsValue)> {
        let mut heard = self.heard.borrow_mut();
        if let Some(told) = heard.told.take() {
            return Poll::Ready(told);
        }
        // It is mostly the same task.
        heard.waker.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        Poll::Pending
    }
}
