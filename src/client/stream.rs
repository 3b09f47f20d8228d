//! Events as an async stream, for those who would rather pull than be called.

use super::{Event, Subscription};
use crate::{
    codec::{Codec, Json},
    platform::{Clock, Sleep},
    proto::{Error, ErrorKind, Lifecycle},
};
use futures::{Stream, StreamExt, task::AtomicWaker};
use serde::de::DeserializeOwned;
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

/// What becomes of an event for which a stream has no room, because its reader is too slow. It is counted in any case
/// ([`EventStream::dropped`], [`Stats::overflows`](crate::Stats::overflows)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamPolicy {
    /// The oldest event makes room. The default.
    #[default]
    DropOldest,
    /// The new event is dropped.
    DropNewest,
    /// The stream ends: what it holds can still be read, then [`EventStream::recv`] gives
    /// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow).
    Error,
}

impl StreamPolicy {
    /// The policy as a short word: `drop-oldest`, `drop-newest`, `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            StreamPolicy::DropOldest => "drop-oldest",
            StreamPolicy::DropNewest => "drop-newest",
            StreamPolicy::Error => "error",
        }
    }
}

/// How a stream of events, or an async listener, keeps what it has not handled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct StreamOptions {
    pub(super) capacity: Option<usize>,
    pub(super) policy: StreamPolicy,
    pub(super) pattern: String,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { capacity: None, policy: StreamPolicy::default(), pattern: "*".to_owned() }
    }
}

impl StreamOptions {
    /// Every event, as many as the client's [`event_capacity`](crate::ClientBuilder::event_capacity) may wait, the oldest
    /// makes room.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many events may wait, at least 1. Default: the client's
    /// [`event_capacity`](crate::ClientBuilder::event_capacity). The reader takes what waits in one go, so it may hold as
    /// many again.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = Some(events);
        self
    }

    /// What becomes of an event for which there is no room. Default: the oldest makes room.
    pub fn policy(mut self, policy: StreamPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The types it wants, as in [`Client::on`](crate::Client::on). Default `*`.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = pattern.into();
        self
    }
}

/// The queue between the driver and one reader.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    capacity: usize,
    policy: StreamPolicy,
    waker: AtomicWaker,
    dropped: AtomicU64,
    /// The same of all queues of the client.
    overflows: Arc<AtomicU64>,
    /// Where the dispatch gathers for this queue.
    pub(super) place: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Why nothing more comes.
    end: Option<Error>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, policy: StreamPolicy, overflows: Arc<AtomicU64>) -> Self {
        Self {
            waiting: Mutex::default(),
            capacity,
            policy,
            waker: AtomicWaker::new(),
            dropped: AtomicU64::new(0),
            overflows,
            place: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the events of a round in one go, as far as there is room and they are wanted, and leaves `batch` empty. Tells
    /// if there was no room.
    pub(super) fn hand_over(&self, batch: &mut VecDeque<Event>) -> Option<Lifecycle> {
        let mut surplus = VecDeque::new();
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            drop(waiting);
            batch.clear();
            return None;
        }
        let was_empty = waiting.events.is_empty();
        let excess = (waiting.events.len() + batch.len()).saturating_sub(self.capacity);
        match (excess, self.policy) {
            (0, _) => {}
            (_, StreamPolicy::DropOldest) => {
                let old = excess.min(waiting.events.len());
                surplus.extend(waiting.events.drain(..old));
                surplus.extend(batch.drain(..excess - old));
            }
            (_, StreamPolicy::DropNewest | StreamPolicy::Error) => surplus = batch.split_off(batch.len() - excess),
        }
        if was_empty {
            std::mem::swap(&mut waiting.events, batch);
        } else {
            waiting.events.append(batch);
        }
        if excess > 0 && self.policy == StreamPolicy::Error {
            waiting.end = Some(Error::new(ErrorKind::Overflow, "events were not read fast enough"));
        }
        drop(waiting);
        // What there was no room for is dropped outside the lock.
        drop(surplus);
        if excess > 0 {
            self.dropped.fetch_add(excess as u64, Ordering::Relaxed);
            self.overflows.fetch_add(excess as u64, Ordering::Relaxed);
        }
        if was_empty || excess > 0 {
            self.waker.wake();
        }
        (excess > 0).then(|| Lifecycle::Overflow {
            queue: "events",
            capacity: self.capacity,
            dropped: excess as u64,
            policy: self.policy.as_str(),
        })
    }

    /// Nothing more comes; what waits may still be read.
    pub(crate) fn end(&self, why: Error) {
        self.lock().end.get_or_insert(why);
        self.waker.wake();
    }

    /// There is no reader any more: what waits is dropped.
    pub(super) fn abandon(&self) {
        let unread = std::mem::take(&mut self.lock().events);
        drop(unread);
        self.end(Error::new(ErrorKind::Closed, "nobody listens any more"));
    }

    /// Takes all that waits, for a reader that has nothing. Why nothing will follow is told once there is nothing.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, taken: &mut VecDeque<Event>) -> Poll<Result<(), Error>> {
        self.waker.register(cx.waker());
        let mut waiting = self.lock();
        std::mem::swap(taken, &mut waiting.events);
        match &waiting.end {
            _ if !taken.is_empty() => Poll::Ready(Ok(())),
            Some(why) => Poll::Ready(Err(why.clone())),
            None => Poll::Pending,
        }
    }

    /// Why nothing more comes, if that is so. Wakes the task of this context when it changes.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Option<Error> {
        self.waker.register(cx.waker());
        self.lock().end.clone()
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

    /// The next event. Dropping the future loses none.
    ///
    /// # Errors
    /// Why no more will come: the cause of the client's end, or [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) where
    /// the policy says so.
    pub async fn recv(&mut self) -> Result<Event, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Like [`recv`](Self::recv), for at most this time.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if no event came in time: the next may still come.
    pub async fn recv_timeout(&mut self, time: Duration) -> Result<Event, Error> {
        let clock = Clock::start();
        let deadline = clock.now() + time;
        let mut sleep = Sleep::until(&clock, deadline);
        poll_fn(|cx| {
            if let Poll::Ready(result) = self.poll_recv(cx) {
                return Poll::Ready(result);
            }
            while sleep.poll(cx).is_ready() {
                if clock.now() >= deadline {
                    return Poll::Ready(Err(Error::new(ErrorKind::Timeout, "no event came in time")));
                }
                sleep.reset(&clock, deadline);
            }
            Poll::Pending
        })
        .await
    }

    /// The next event, decoded.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv), and [`ErrorKind::Decode`](crate::ErrorKind::Decode) for an event that does not fit,
    /// which is spent then.
    pub async fn recv_json<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        Json::decode(&self.recv().await?)
    }

    /// The same events, each decoded: `typed::<Message, Json>()`.
    pub fn typed<T: DeserializeOwned, C: Codec>(self) -> impl Stream<Item = Result<T, Error>> {
        self.map(|event| C::decode(&event))
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return Poll::Ready(Ok(event));
            }
            match self.queue.poll_take(cx, &mut self.taken) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        match self.taken.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => self.poll_recv(cx).map(Result::ok),
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}
