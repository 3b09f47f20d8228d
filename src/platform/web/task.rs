//! Tasks on the page's event loop.
//!
//! A message of the browser's is an event of its own, and a task that it wakes runs at once, as a handler on a plain
//! WebSocket does: a microtask for each would cost more than all the rest. Whatever else wakes a task may be the middle of
//! a user's call, and there the task waits for its microtask.

use super::BoxFuture;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    sync::Arc,
    task::{Context, Wake, Waker},
};
use wasm_bindgen::{
    JsValue,
    prelude::{Closure, wasm_bindgen},
};

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    /// Calls a function in a microtask.
    fn later(run: &JsValue);
}

thread_local! {
    static TASKS: RefCell<Vec<Rc<Task>>> = const { RefCell::new(Vec::new()) };
    static LAST: Cell<u32> = const { Cell::new(0) };
    /// Whether what is woken runs at once.
    static AT_ONCE: Cell<bool> = const { Cell::new(false) };
    /// The tasks whose turn has come, in their order.
    static SCHEDULED: RefCell<Vec<Rc<Task>>> = const { RefCell::new(Vec::new()) };
    /// Gives them their turn.
    static RUN: JsValue = Closure::<dyn Fn()>::new(run_scheduled).into_js_value();
}

struct Task {
    id: u32,
    /// Gone once it has ended.
    future: RefCell<Option<BoxFuture<()>>>,
    waker: Waker,
    /// Whether its turn has been scheduled.
    scheduled: Cell<bool>,
}

/// Wakes the task with this number.
struct Wakeup(u32);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        wake(self.0);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        wake(self.0);
    }
}

/// Runs a task in the background.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let id = LAST.get() + 1;
    LAST.set(id);
    let waker = Waker::from(Arc::new(Wakeup(id)));
    let future: BoxFuture<()> = Box::pin(future);
    let task = Task { id, future: RefCell::new(Some(future)), waker, scheduled: Cell::new(false) };
    TASKS.with_borrow_mut(|tasks| tasks.push(Rc::new(task)));
    wake(id);
}

/// Runs the task of this waker now.
pub(super) fn at_once(waker: &Waker) {
    AT_ONCE.set(true);
    waker.wake_by_ref();
    AT_ONCE.set(false);
}

fn wake(id: u32) {
    let task = TASKS.with_borrow(|tasks| tasks.iter().find(|task| task.id == id).cloned());
    // A task that has ended may be woken still.
    let Some(task) = task else { return };
    if !AT_ONCE.take() || !task.run() {
        task.schedule();
    }
}

fn run_scheduled() {
    for task in SCHEDULED.take() {
        task.scheduled.set(false);
        task.run();
    }
}

impl Task {
    fn schedule(self: Rc<Self>) {
        if self.scheduled.replace(true) {
            return;
        }
        let waiting = SCHEDULED.with_borrow_mut(|tasks| {
            tasks.push(self);
            tasks.len()
        });
        if waiting == 1 {
            RUN.with(later);
        }
    }

    /// Gives it a turn; false if it is in the middle of one.
    fn run(&self) -> bool {
        let Ok(mut place) = self.future.try_borrow_mut() else { return false };
        let Some(future) = place.as_mut() else { return true };
        if future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            let ended = place.take();
            TASKS.with_borrow_mut(|tasks| tasks.retain(|task| task.id != self.id));
            // What is dropped here may wake others, and itself.
            drop(place);
            drop(ended);
        }
        true
    }
}
