//! Tasks on the page's event loop.
//!
//! A message of the browser's is an event of its own, and a task that it wakes runs at once, as a handler on a plain
//! WebSocket does: a microtask for each would cost more than all the rest. Whatever else wakes a task may be the middle of
//! a user's call, and there the task waits for its microtask.

use super::{BoxFuture, Callback, callback};
use std::{
    cell::{Cell, OnceCell, RefCell},
    future::Future,
    rc::Rc,
    sync::Arc,
    task::{Context, Wake, Waker},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    /// Calls a function in a microtask.
    fn later(run: &JsValue);
}

thread_local! {
    static TASKS: Tasks = const { Tasks::new() };
}

struct Tasks {
    all: RefCell<Vec<Rc<Task>>>,
    last: Cell<u32>,
    /// Whether what is woken runs at once.
    at_once: Cell<bool>,
    /// The tasks whose turn has come, in their order.
    scheduled: RefCell<Vec<Rc<Task>>>,
    /// Gives them their turn.
    run: OnceCell<Callback>,
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
    TASKS.with(|tasks| tasks.add(Box::pin(future)));
}

/// Runs the task of this waker now.
pub(super) fn at_once(waker: &Waker) {
    TASKS.with(|tasks| {
        tasks.at_once.set(true);
        waker.wake_by_ref();
        tasks.at_once.set(false);
    });
}

fn wake(id: u32) {
    TASKS.with(|tasks| tasks.wake(id));
}

impl Tasks {
    const fn new() -> Self {
        Self {
            all: RefCell::new(Vec::new()),
            last: Cell::new(0),
            at_once: Cell::new(false),
            scheduled: RefCell::new(Vec::new()),
            run: OnceCell::new(),
        }
    }

    fn add(&self, future: BoxFuture<()>) {
        let id = self.last.get() + 1;
        self.last.set(id);
        let waker = Waker::from(Arc::new(Wakeup(id)));
        let task = Task { id, future: RefCell::new(Some(future)), waker, scheduled: Cell::new(false) };
        self.all.borrow_mut().push(Rc::new(task));
        self.wake(id);
    }

    fn wake(&self, id: u32) {
        let task = self.all.borrow().iter().find(|task| task.id == id).cloned();
        // A task that has ended may be woken still.
        let Some(task) = task else { return };
        if !self.at_once.take() || !self.run(&task) {
            self.schedule(task);
        }
    }

    fn schedule(&self, task: Rc<Task>) {
        if task.scheduled.replace(true) {
            return;
        }
        let mut scheduled = self.scheduled.borrow_mut();
        scheduled.push(task);
        if scheduled.len() == 1 {
            later(self.run.get_or_init(|| callback(|_, _| TASKS.with(Tasks::run_scheduled))).as_ref());
        }
    }

    fn run_scheduled(&self) {
        for task in self.scheduled.take() {
            task.scheduled.set(false);
            self.run(&task);
        }
    }

    /// Gives a task a turn; false if it is in the middle of one.
    fn run(&self, task: &Task) -> bool {
        let Ok(mut place) = task.future.try_borrow_mut() else { return false };
        let Some(future) = place.as_mut() else { return true };
        if future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            let ended = place.take();
            self.all.borrow_mut().retain(|other| other.id != task.id);
            // What is dropped here may wake others, and itself.
            drop(place);
            drop(ended);
        }
        true
    }
}
