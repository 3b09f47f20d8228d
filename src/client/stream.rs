//! Events as an async stream, for those who would rather pull than be called.

use super::{Event, Subscription};
use futures::{Stream, task::AtomicWaker};
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

/// The queue between the driver and one reader.
pub(crate) struct Queue {
    events: Mutex<VecDeque<Event>>,
    capacity: usize,
    waker: AtomicWaker,
    ended: AtomicBool,
    dropped: AtomicU64,
    /// The same of all streams of the client.
    overflows: Arc<AtomicU64>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, overflows: Arc<AtomicU64>) -> Self {
        Self {
            events: Mutex::default(),
            capacity,
            waker: AtomicWaker::new(),
            ended: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            overflows,
        }
    }

    /// Adds an event; the oldest makes room where the reader is too slow.
    pub(crate) fn push(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= self.capacity {
            events.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.overflows.fetch_add(1, Ordering::Relaxed);
        }
        let was_empty = events.is_empty();
        events.push_back(event);
        drop(events);
        if was_empty {
            self.waker.wake();
        }
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The events of a client as a stream, made by [`Client::events`](super::Client::events). It goes on across reconnects and
/// ends with the client. Dropping it stops the collecting.
#[must_use = "a stream does nothing unless it is read"]
pub struct EventStream {
    queue: Arc<Queue>,
    /// Events taken from the queue in one go, so that its lock is not taken for each.
    taken: VecDeque<Event>,
    _subscriptions: [Subscription; 2],
}

impl EventStream {
    pub(crate) fn new(queue: Arc<Queue>, subscriptions: [Subscription; 2]) -> Self {
        Self { queue, taken: VecDeque::new(), _subscriptions: subscriptions }
    }

    /// How many events were dropped because this stream was not read fast enough.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.taken.pop_front() {
            return Poll::Ready(Some(event));
        }
        self.queue.waker.register(cx.waker());
        let ended = self.queue.ended.load(Ordering::Acquire);
        let this = &mut *self;
        std::mem::swap(&mut this.taken, &mut *this.queue.events.lock().unwrap_or_else(PoisonError::into_inner));
        match self.taken.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
