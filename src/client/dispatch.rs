//! Calls the listeners of a Rust client, on the driver's own task, each isolated from the others (S0-17).

use super::{
    Event,
    registry::{Registry, Resolved},
};
use crate::{
    driver::Dispatch,
    platform::{self, Listener},
    proto::{Error, ErrorKind, Lifecycle},
};
use std::sync::{Arc, atomic::AtomicU64};

/// The listeners of one client, as its handles and its driver share them.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub(crate) events: Arc<Registry<Listener<Event>>>,
    pub(crate) lifecycle: Arc<Registry<Listener<Lifecycle>>>,
    /// Events that slow streams lost.
    pub(crate) overflows: Arc<AtomicU64>,
}

pub(crate) struct ListenerDispatch {
    events: Resolved<Listener<Event>>,
    lifecycle: Resolved<Listener<Lifecycle>>,
}

impl ListenerDispatch {
    pub(crate) fn new(listeners: Listeners) -> Self {
        Self { events: Resolved::new(listeners.events), lifecycle: Resolved::new(listeners.lifecycle) }
    }
}

impl Dispatch<Event> for ListenerDispatch {
    fn event(&mut self, event: Event, failures: &mut Vec<Error>) {
        for entry in self.events.get(event.event_type()).iter() {
            if entry.take_turn()
                && let Err(panic) = platform::isolate(|| (entry.listener)(&event))
            {
                let what = format!("a listener of `{}` panicked: {panic}", event.event_type());
                failures.push(Error::new(ErrorKind::Listener, what));
            }
        }
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        for entry in self.lifecycle.get("*").iter() {
            if entry.take_turn() {
                // Nobody is left to tell of a lifecycle listener that panics, and it must not stop the rest.
                let _ = platform::isolate(|| (entry.listener)(step));
            }
        }
    }
}
