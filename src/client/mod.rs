//! The client as a Rust program sees it, the same on both targets.

mod builder;
mod dispatch;
pub(crate) mod registry;
mod stream;

pub use builder::ClientBuilder;
pub use stream::EventStream;

use crate::{
    driver::DISCONNECT,
    handle::Handle,
    platform::{self, MaybeSend, MaybeSync},
    proto::{self, Cause, Dialect, Error, Lifecycle, Message, NetworkChange, State, Stats},
};
use dispatch::Listeners;
use registry::{Entry, Registry};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};
use stream::Queue;

/// An event as this target keeps it. See [`proto::Event`].
pub type Event = proto::Event<platform::Text, platform::Bytes>;

/// How many events a stream holds for a reader that is busy.
const STREAM_CAPACITY: usize = 1024;

/// A live connection to one server, held for as long as there is a handle.
///
/// It is a cheap handle: clone it freely. When the last clone is dropped, the connection is closed and its task ends.
/// Listeners must not hold a clone, or it never is.
#[derive(Clone)]
pub struct Client {
    handle: Handle,
    listeners: Listeners,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).field("connection_id", &self.connection_id()).finish()
    }
}

impl Client {
    /// The settings of a client that speaks this dialect.
    pub fn builder(dialect: Dialect) -> ClientBuilder {
        ClientBuilder::new(dialect)
    }

    /// Starts to connect; [`ready`](Self::ready) waits for the result. It may be called again after the end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidState`](crate::ErrorKind::InvalidState) while connected or connecting (S0-20).
    pub fn connect(&self) -> Result<(), Error> {
        self.handle.connect()
    }

    /// Waits for the hello. It always settles: the client connects, or ends with a cause.
    ///
    /// # Errors
    /// The cause of the end; `InvalidState` if [`connect`](Self::connect) was not called.
    pub async fn ready(&self) -> Result<(), Error> {
        self.handle.ready().await
    }

    /// Calls a listener for every event of a type: `message.new`, or a pattern such as `message.*` (one level),
    /// `call.**` (one or more levels) or `*` (everything).
    ///
    /// Listeners are called in the order in which they were added, on the client's own task: one that blocks holds up the
    /// stream. One that panics is reported as a [`Lifecycle::Error`] and goes on being called. On the web a panic cannot be
    /// caught: it ends the program.
    ///
    /// The listener is removed when the subscription is dropped; [`Subscription::detach`] keeps it.
    ///
    /// # Panics
    /// If the pattern makes no sense (empty, or with a star that is not alone in its level): that is a mistake in the
    /// program. Use [`try_on`](Self::try_on) for patterns that come from outside.
    #[track_caller]
    pub fn on(&self, pattern: &str, listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        self.try_on(pattern, listener).unwrap_or_else(|error| panic!("{pattern:?}: {error}"))
    }

    /// Like [`on`](Self::on), for patterns that come from outside.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense.
    pub fn try_on(
        &self,
        pattern: &str,
        listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static,
    ) -> Result<Subscription, Error> {
        let entry = self.listeners.events.add(pattern, Box::new(listener), false)?;
        Ok(Subscription::new(self.listeners.events.clone(), entry))
    }

    /// Like [`on`](Self::on), for the first event alone.
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn once(&self, pattern: &str, listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        match self.listeners.events.add(pattern, Box::new(listener), true) {
            Ok(entry) => Subscription::new(self.listeners.events.clone(), entry),
            Err(error) => panic!("{pattern:?}: {error}"),
        }
    }

    /// Calls a listener for every step in the life of the client: states, tries, errors, the end.
    pub fn on_lifecycle(&self, listener: impl Fn(&Lifecycle) + MaybeSend + MaybeSync + 'static) -> Subscription {
        let entry = self.listeners.lifecycle.add("*", Box::new(listener), false).expect("the pattern is right");
        Subscription::new(self.listeners.lifecycle.clone(), entry)
    }

    /// All events from now on as a stream, which holds up to 1024 for a reader that is busy; then the oldest is dropped and
    /// counted ([`EventStream::dropped`]). It ends with the client's last handle or its end, whichever comes first.
    pub fn events(&self) -> EventStream {
        let queue = Arc::new(Queue::new(STREAM_CAPACITY, self.listeners.overflows.clone()));
        let (events, ends) = (queue.clone(), queue.clone());
        let subscriptions = [
            self.on("*", move |event| events.push(event.clone())),
            self.on_lifecycle(move |step| {
                if matches!(step, Lifecycle::Closed(_)) {
                    ends.end();
                }
            }),
        ];
        EventStream::new(queue, subscriptions)
    }

    /// Sends a message: text, bytes or a JSON value. Settles when it is handed to the socket of an authenticated
    /// connection.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) while not connected, `Overflow` when too much waits to be written.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        self.handle.send(message.into()).await
    }

    /// Closes with 1000 `client disconnect`, and waits for the end, at most for the close timeout. No reconnect follows.
    pub async fn close(&self) {
        // The code and the reason are right; a client that is gone is closed.
        let _ = self.handle.close(1000, DISCONNECT).await;
    }

    /// Closes with a code and a reason of one's own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a code that is not 1000 or 3000 to 4999, or a reason
    /// of more than 123 bytes.
    pub async fn close_with(&self, code: u16, reason: &str) -> Result<(), Error> {
        self.handle.close(code, reason).await
    }

    /// Waits for the end, and tells its cause. Settles at once if the client has ended.
    pub async fn closed(&self) -> Cause {
        // An error only says that there is nobody left to answer; the cause is known all the same.
        let _ = self.handle.closed().await;
        self.handle.cause()
    }

    /// Tells the client what is known of the network: while offline no try is made, and when it is back a waiting try begins
    /// at once.
    pub fn network(&self, change: NetworkChange) {
        self.handle.network(change);
    }

    /// The state.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.handle.stats();
        stats.overflows = self.listeners.overflows.load(Ordering::Relaxed);
        stats
    }

    /// The id the server gave this connection; `None` while there is none (S0-7).
    pub fn connection_id(&self) -> Option<Arc<str>> {
        self.handle.connection_id()
    }
}

/// A listener that is on. Dropping it turns the listener off.
#[must_use = "the listener is removed when this is dropped; `detach` keeps it"]
pub struct Subscription(Option<Box<dyn Off>>);

impl Subscription {
    fn new<L>(registry: Arc<Registry<L>>, entry: Arc<Entry<L>>) -> Self
    where
        Listening<L>: Off + 'static,
    {
        Self(Some(Box::new(Listening { registry, entry })))
    }

    /// Turns the listener off, and tells whether it was still on. It is not called any more, not even for an event that is
    /// being dispatched.
    pub fn off(mut self) -> bool {
        self.0.take().is_some_and(|listening| listening.off())
    }

    /// Keeps the listener for as long as the client lives.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listening) = self.0.take() {
            listening.off();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

/// A listener and where it is registered, whatever it listens to.
struct Listening<L> {
    registry: Arc<Registry<L>>,
    entry: Arc<Entry<L>>,
}

trait Off: MaybeSend + MaybeSync {
    fn off(&self) -> bool;
}

impl<L> Off for Listening<L>
where
    Self: MaybeSend + MaybeSync,
{
    fn off(&self) -> bool {
        self.registry.remove(&self.entry)
    }
}
