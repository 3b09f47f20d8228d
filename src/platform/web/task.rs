//! Tasks on the page's event loop.
//!
//! A message of the browser's is an event of its own, and a task that it wakes runs at once, as a handler on a plain
//! WebSocket does: a microtask for each would cost more than all the rest. Whatever else wakes a task may be the middle of
//! a user's call, and there the task waits for its microtask.

use super::BoxFuture;
use std::{
    cell::RefCell,
    future::Future,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use wasm_bindgen_futures::spawn_local;

thread_local! {
    static TASKS: RefCell<Tasks> = const { RefCell::new(Tasks { last: 0, tasks: Vec::new(), ready: Vec::new(), busy: false }) };
}

struct Tasks {
    last: u32,
    tasks: Vec<Task>,
    ready: Vec<u32>,
    /// Whether the tasks that are ready will be run, or are being run, without anybody scheduling it.
    busy: bool,
}

struct Task {
    id: u32,
    /// Gone while it is being polled.
    future: Option<BoxFuture<()>>,
    waker: Waker,
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
    let id = TASKS.with_borrow_mut(|tasks| {
        tasks.last += 1;
        let id = tasks.last;
        let waker = Waker::from(Arc::new(Wakeup(id)));
        tasks.tasks.push(Task { id, future: Some(Box::pin(future)), waker });
        id
    });
    wake(id);
}

/// Runs now what this wakes, unless tasks are being run already.
pub(super) fn at_once(wake: impl FnOnce()) {
    let was_busy = TASKS.with_borrow_mut(|tasks| std::mem::replace(&mut tasks.busy, true));
    wake();
    if !was_busy {
        run();
    }
}

fn wake(id: u32) {
    let schedule = TASKS.with_borrow_mut(|tasks| {
        if !tasks.ready.contains(&id) {
            tasks.ready.push(id);
        }
        !std::mem::replace(&mut tasks.busy, true)
    });
    if schedule {
        spawn_local(async { run() });
    }
}

/// Runs the tasks that are ready. What they wake has its turn in the next microtask.
fn run() {
    for _ in 0..TASKS.with_borrow(|tasks| tasks.ready.len()) {
        run_one(TASKS.with_borrow_mut(|tasks| tasks.ready.remove(0)));
    }
    let again = TASKS.with_borrow_mut(|tasks| {
        tasks.busy = !tasks.ready.is_empty();
        tasks.busy
    });
    if again {
        spawn_local(async { run() });
    }
}

fn run_one(id: u32) {
    let taken = TASKS.with_borrow_mut(|tasks| {
        let task = tasks.tasks.iter_mut().find(|task| task.id == id)?;
        Some((task.future.take()?, task.waker.clone()))
    });
    // A task that has ended may be woken still.
    let Some((mut future, waker)) = taken else { return };
    let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
    // What is dropped here is dropped with the table free: it may wake others.
    let ended = TASKS.with_borrow_mut(|tasks| {
        let place = tasks.tasks.iter().position(|task| task.id == id)?;
        match poll {
            Poll::Pending => {
                tasks.tasks[place].future = Some(future);
                None
            }
            Poll::Ready(()) => Some((tasks.tasks.swap_remove(place), future)),
        }
    });
    drop(ended);
}
