//! Channels (S2-13): many streams over one connection, each with its own listeners and bounded queues.

use super::{
    Client, Event, EventStream, StreamOptions, Subscription,
    dispatch::{Listeners, Sink},
    registry::{Registry, Resolved},
};
use crate::{
    handle::Handle,
    platform::{MaybeSend, MaybeSync},
    proto::{Error, ErrorKind},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The channels of one client, as its handles and its driver share them.
pub(crate) struct Channels {
    /// Where the name of the channel stands in an event.
    field: String,
    open: Mutex<HashMap<Arc<str>, Open>>,
    /// Changes with every channel that comes or goes; 0 while there has been none.
    version: AtomicU64,
    routed: AtomicU64,
    unroutable: AtomicU64,
}

struct Open {
    /// How many handles there are.
    handles: usize,
    listeners: Arc<Registry<Sink>>,
}

impl Channels {
    pub(crate) fn new(field: String) -> Self {
        Self {
            field,
            open: Mutex::default(),
            version: AtomicU64::new(0),
            routed: AtomicU64::new(0),
            unroutable: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events that were given to a channel, and those of channels that nobody has.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.routed.load(Ordering::Relaxed), self.unroutable.load(Ordering::Relaxed))
    }

    /// Shows every listener.
    pub(super) fn each(&self, see: &mut dyn FnMut(&Sink)) {
        let all: Vec<_> = self.lock().values().map(|open| open.listeners.clone()).collect();
        all.iter().for_each(|listeners| listeners.each(&mut *see));
    }

    /// One handle more; the first one subscribes.
    fn enter(&self, name: &Arc<str>, handle: &Handle) -> Result<Arc<Registry<Sink>>, Error> {
        let mut open = self.lock();
        if let Some(channel) = open.get_mut(name) {
            channel.handles += 1;
            return Ok(channel.listeners.clone());
        }
        handle.subscribe(name.clone())?;
        let listeners = Arc::<Registry<Sink>>::default();
        open.insert(name.clone(), Open { handles: 1, listeners: listeners.clone() });
        self.version.fetch_add(1, Ordering::Release);
        Ok(listeners)
    }

    /// One handle less; the last one unsubscribes.
    fn leave(&self, name: &Arc<str>, handle: &Handle) {
        let mut open = self.lock();
        let Some(channel) = open.get_mut(name) else { return };
        channel.handles -= 1;
        if channel.handles == 0 {
            let gone = open.remove(name);
            if let Some(channel) = gone {
                channel.listeners.each(|listener| {
                    if let Sink::Queue(queue) = listener {
                        queue.end(Error::new(ErrorKind::Closed, "the channel is unsubscribed"));
                    }
                });
            }
            self.version.fetch_add(1, Ordering::Release);
            handle.unsubscribe(name.clone());
        }
    }
}

/// Finds the listeners of the channel of an event. Costs one look at a number where there are no channels.
#[derive(Default)]
pub(super) struct Router {
    version: u64,
    known: HashMap<Arc<str>, Resolved<Sink>>,
}

impl Router {
    /// The listeners of the event's channel.
    pub(super) fn route(&mut self, channels: &Channels, event: &Event) -> Option<&mut Resolved<Sink>> {
        let version = channels.version.load(Ordering::Acquire);
        if version == 0 {
            return None;
        }
        if version != self.version {
            // Those that have gone go; those that stay keep what they know.
            let open = channels.lock();
            self.known.retain(|name, known| {
                open.get(name).is_some_and(|channel| Arc::ptr_eq(&channel.listeners, known.registry()))
            });
            for (name, channel) in open.iter() {
                self.known.entry(name.clone()).or_insert_with(|| Resolved::new(channel.listeners.clone()));
            }
            self.version = version;
        }
        let name = crate::proto::Payload::string(event, &channels.field)?;
        let found = self.known.get_mut(&*name);
        let count = if found.is_some() { &channels.routed } else { &channels.unroutable };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }
}

/// The events of one channel, made by [`Client::channel`]. The first handle of a channel subscribes to it, and dropping the
/// last one unsubscribes; after a reconnect it is subscribed to again, before anything that waits to be sent.
///
/// Like the client it is a handle: the connection lives as long as there is one.
#[must_use = "the channel is unsubscribed when its last handle is dropped"]
pub struct Channel {
    name: Arc<str>,
    /// The client, with the listeners of the channel in place of its own.
    view: Client,
    channels: Arc<Channels>,
}

impl Client {
    /// Subscribes to a channel. The dialect says how ([`Dialect::channels`](crate::Dialect)), and where the name of the
    /// channel stands in an event. Events of a channel go to its own listeners and streams, and to those of the client too.
    ///
    /// It may be called at any time: what is subscribed to while there is no connection is told as soon as there is one.
    ///
    /// ```no_run
    /// # async fn run(client: everwire::Client) -> Result<(), everwire::Error> {
    /// let prices = client.channel("prices.btc")?;
    /// let mut stream = prices.events();
    /// while let Ok(price) = stream.recv().await {
    ///     println!("{price:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the dialect knows no channels, `Overflow` when too many
    /// calls wait for the client's task, `Closed` if that is gone.
    pub fn channel(&self, name: impl Into<Arc<str>>) -> Result<Channel, Error> {
        let name = name.into();
        let channels =
            self.listeners.channels.clone().ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "the dialect knows no channels").with_path("channels")
            })?;
        let events = channels.enter(&name, &self.handle)?;
        let listeners = Listeners { events, ..self.listeners.clone() };
        Ok(Channel { name, view: Client { listeners, ..self.clone() }, channels })
    }
}

impl Channel {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls a listener for every event of the channel whose type is this or fits this pattern, as
    /// [`Client::on`] does for all events.
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn on(&self, pattern: &str, listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        self.view.on(pattern, listener)
    }

    /// The events of the channel from now on as a stream with a bounded queue of its own, as [`Client::events`].
    pub fn events(&self) -> EventStream {
        self.view.events()
    }

    /// Like [`events`](Self::events), with a capacity, a policy and a pattern of types.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense or the capacity is 0.
    pub fn events_with(&self, options: StreamOptions) -> Result<EventStream, Error> {
        self.view.events_with(options)
    }
}

impl Clone for Channel {
    fn clone(&self) -> Self {
        if let Some(channel) = self.channels.lock().get_mut(&self.name) {
            channel.handles += 1;
        }
        Self { name: self.name.clone(), view: self.view.clone(), channels: self.channels.clone() }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channels.leave(&self.name, &self.view.handle);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.name).finish()
    }
}
