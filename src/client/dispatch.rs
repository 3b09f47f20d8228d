//! Gives events to the listeners of a Rust client, on the driver's own task, each isolated from the others (S0-17).

use super::{
    Event,
    channels::{Channels, Router},
    registry::{Entry, Registry, Resolved},
    requests::Replies,
    stream::Queue,
};
use crate::{
    driver::Dispatch,
    platform::{self, Listener, MaybeSend, MaybeSync},
    proto::{Error, ErrorKind, Lifecycle},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Where an event goes.
pub(crate) enum Sink {
    /// To a function, which may say what was wrong with it.
    Call(Box<dyn Call>),
    /// To a reader, with the others of its round.
    Queue(Arc<Queue>),
}

/// A listener that may fail.
pub(crate) trait Call: MaybeSend + MaybeSync {
    fn call(&self, event: &Event) -> Result<(), Error>;
}

impl<F: Fn(&Event) -> Result<(), Error> + MaybeSend + MaybeSync> Call for F {
    fn call(&self, event: &Event) -> Result<(), Error> {
        self(event)
    }
}

/// The listeners of one client, as its handles and its driver share them.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub(crate) events: Arc<Registry<Sink>>,
    pub(crate) lifecycle: Arc<Registry<Listener<Lifecycle>>>,
    pub(crate) shared: Arc<Shared>,
    /// `None` if the dialect knows no channels.
    pub(crate) channels: Option<Arc<Channels>>,
}

#[derive(Default)]
pub(crate) struct Shared {
    /// Those who wait for the reply to a request.
    pub(crate) replies: Replies,
    /// Events that slow readers lost.
    pub(crate) overflows: Arc<AtomicU64>,
    /// Events that did not decode into the type of a listener.
    pub(crate) decode_failures: AtomicU64,
    /// What failed on other tasks, to be told on the driver's.
    reports: Mutex<Vec<Error>>,
    has_reports: AtomicBool,
}

/// How many reports may wait to be told; a driver takes them at once, so more means that it is gone.
const REPORTS: usize = 64;

impl Shared {
    /// Leaves a failure for the driver, which is to be woken then.
    pub(crate) fn report(&self, error: Error) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() < REPORTS {
            reports.push(error);
            self.has_reports.store(true, Ordering::Release);
        }
    }
}

pub(crate) struct ListenerDispatch {
    listeners: Listeners,
    events: Resolved<Sink>,
    lifecycle: Resolved<Listener<Lifecycle>>,
    batches: Batches,
    router: Router,
}

impl ListenerDispatch {
    pub(crate) fn new(listeners: Listeners) -> Self {
        let (events, lifecycle) = (Resolved::new(listeners.events.clone()), Resolved::new(listeners.lifecycle.clone()));
        Self { listeners, events, lifecycle, batches: Batches::default(), router: Router::default() }
    }
}

impl Dispatch<Event> for ListenerDispatch {
    fn reply(&mut self, id: u64, reply: Result<Event, Error>) -> Option<Result<Event, Error>> {
        self.listeners.shared.replies.give(id, reply)
    }

    fn event(&mut self, event: Event, failures: &mut Vec<Error>) {
        let shared = &self.listeners.shared;
        if let Some(channels) = &self.listeners.channels
            && let Some(listeners) = self.router.route(channels, &event)
        {
            let entries = listeners.get(event.event_type());
            if !entries.is_empty() {
                deliver(entries, event.clone(), shared, &mut self.batches, failures);
            }
        }
        deliver(self.events.get(event.event_type()), event, shared, &mut self.batches, failures);
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        // Readers have what came before.
        self.hand_over();
        self.tell(step);
    }

    fn has_gathered(&self) -> bool {
        self.batches.any
    }

    fn end_of_round(&mut self, failures: &mut Vec<Error>) {
        self.hand_over();
        let shared = &self.listeners.shared;
        if shared.has_reports.load(Ordering::Acquire) {
            let mut reports = shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
            shared.has_reports.store(false, Ordering::Relaxed);
            failures.append(&mut reports);
        }
    }
}

impl ListenerDispatch {
    fn hand_over(&mut self) {
        for overflow in self.batches.hand_over() {
            self.tell(&overflow);
        }
    }

    fn tell(&mut self, step: &Lifecycle) {
        for entry in self.lifecycle.get("*").iter() {
            if entry.take_turn() {
                // Nobody is left to tell of a lifecycle listener that panics, and it must not stop the rest.
                let _ = platform::isolate(|| (entry.listener)(step));
            }
        }
    }
}

impl Drop for ListenerDispatch {
    fn drop(&mut self) {
        self.listeners.shared.replies.end();
        self.batches.hand_over();
        let mut end = |listener: &Sink| {
            if let Sink::Queue(queue) = listener {
                queue.end(crate::shared::gone());
            }
        };
        self.listeners.events.each(&mut end);
        if let Some(channels) = &self.listeners.channels {
            channels.each(&mut end);
        }
    }
}

/// Gives an event to those who listen to it.
fn deliver(
    entries: &[Arc<Entry<Sink>>],
    event: Event,
    shared: &Shared,
    batches: &mut Batches,
    failures: &mut Vec<Error>,
) {
    // The last one may keep the event: a single reader costs no copy.
    let Some((last, others)) = entries.split_last() else { return };
    for entry in others {
        if entry.take_turn() {
            match &entry.listener {
                Sink::Call(listener) => call(&**listener, &event, shared, failures),
                Sink::Queue(queue) => batches.add(queue, event.clone()),
            }
        }
    }
    if last.take_turn() {
        match &last.listener {
            Sink::Call(listener) => call(&**listener, &event, shared, failures),
            Sink::Queue(queue) => batches.add(queue, event),
        }
    }
}

fn call(listener: &dyn Call, event: &Event, shared: &Shared, failures: &mut Vec<Error>) {
    match platform::isolate(|| listener.call(event)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            if error.kind() == ErrorKind::Decode {
                shared.decode_failures.fetch_add(1, Ordering::Relaxed);
            }
            failures.push(error);
        }
        Err(panic) => {
            let what = format!("a listener of `{}` panicked: {panic}", event.event_type());
            failures.push(Error::new(ErrorKind::Listener, what));
        }
    }
}

/// The events of a round, for each of the readers: one lock and one wake for all of them.
#[derive(Default)]
struct Batches {
    batches: Vec<Batch>,
    any: bool,
}

struct Batch {
    queue: Arc<Queue>,
    events: VecDeque<Event>,
}

impl Batches {
    fn add(&mut self, queue: &Arc<Queue>, event: Event) {
        self.any = true;
        let place = queue.place.load(Ordering::Relaxed);
        match self.batches.get_mut(place) {
            Some(batch) if Arc::ptr_eq(&batch.queue, queue) => batch.events.push_back(event),
            _ => self.begin(queue, event),
        }
    }

    #[cold]
    fn begin(&mut self, queue: &Arc<Queue>, event: Event) {
        // Those whose readers have gone go when others come, so that a program that waits for single events for hours does
        // not grow.
        self.batches.retain(|batch| !batch.events.is_empty() || Arc::strong_count(&batch.queue) > 1);
        for (place, batch) in self.batches.iter().enumerate() {
            batch.queue.place.store(place, Ordering::Relaxed);
        }
        queue.place.store(self.batches.len(), Ordering::Relaxed);
        self.batches.push(Batch { queue: queue.clone(), events: [event].into() });
    }

    /// Gives what was lost for want of room.
    fn hand_over(&mut self) -> Vec<Lifecycle> {
        let mut overflows = Vec::new();
        if std::mem::take(&mut self.any) {
            for batch in &mut self.batches {
                if !batch.events.is_empty() {
                    overflows.extend(batch.queue.hand_over(&mut batch.events));
                }
            }
        }
        overflows
    }
}
