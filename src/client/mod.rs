//! The client as a Rust program sees it, the same on both targets.

mod builder;
mod channels;
mod clients;
mod config;
mod connection_ids;
mod dispatch;
mod env;
mod events;
mod native;
mod pool;
mod preset;
pub(crate) mod registry;
mod requests;
mod stream;
mod subscription;
mod task;

pub use builder::ClientBuilder;
pub use channels::Channel;
pub use clients::Clients;
pub use config::Config;
pub use connection_ids::ConnectionIds;
pub use pool::{Pool, PoolOptions, PoolStats, Pooled};
pub use preset::Preset;
pub use stream::{EventStream, StreamOptions, StreamPolicy};
pub use subscription::Subscription;

use crate::{
    codec::{Codec, Json},
    driver::DISCONNECT,
    handle::{Handle, WeakHandle},
    platform::{self, Spawner},
    proto::{
        self, Cause, Dialect, Error, Message, NetworkChange, PageChange, Reconnect, ResumePoint, SendOptions, State,
        Stats,
    },
    sending::Sending,
    shared::Surroundings,
};
use dispatch::Listeners;
use serde::Serialize;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// An event as this target keeps it. See [`proto::Event`].
pub type Event = proto::Event<platform::Text, platform::Bytes>;

/// A live connection to one server, held for as long as there is a handle.
///
/// It is a cheap handle: clone it freely. When the last clone is dropped, or the tokio runtime is shut down in which it was built, the
/// connection is closed and its task ends. A client whose runtime is gone is closed for good: build another.
/// Listeners must not hold a clone, or it never is.
#[derive(Clone)]
pub struct Client {
    pub(crate) handle: Handle,
    listeners: Listeners,
    spawner: Spawner,
    config: Arc<Config>,
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

    /// Sends a message: text, bytes or a JSON value. Settles when it is handed to the socket of an authenticated
    /// connection; until there is one it waits in the outbox, in order ([`ClientBuilder::outbox`]), before the first
    /// [`connect`](Self::connect) too: do not await it there. What a socket that was lost had taken counts as sent: only the
    /// server could know.
    ///
    /// Dropping the future withdraws the message if it is not written yet.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after the end, and when the end comes first; `Overflow` when the
    /// outbox is full, `Timeout` when the outbox gives messages a time to live.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        self.handle.send_with(message.into(), SendOptions::default()).await
    }

    /// Sends a message with a time to live and a rule of its own for when the outbox is full, and lets one wait for its
    /// place in the outbox ([`Sending::accepted`]) or for the write.
    ///
    /// ```no_run
    /// # async fn run(client: everwire::Client) -> Result<(), everwire::Error> {
    /// use everwire::{SendOptions, WhenFull};
    /// use std::time::Duration;
    ///
    /// let options = SendOptions::new().ttl(Duration::from_secs(5)).when_full(WhenFull::Wait);
    /// let mut sending = client.send_with("hello", options);
    /// sending.accepted().await?; // there is room
    /// sending.await?; // it is written
    /// client.send_with("never mind how it goes", options).detach();
    /// # Ok(()) }
    /// ```
    pub fn send_with(&self, message: impl Into<Message>, options: SendOptions) -> Sending {
        self.handle.send_with(message.into(), options)
    }

    /// Sends a value as JSON. See [`send`](Self::send).
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a value that has
    /// no JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.send_encoded::<Json, T>(value).await
    }

    /// Like [`send_json`](Self::send_json), with a codec of one's choice.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and of the codec.
    pub async fn send_encoded<C: Codec, T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        let message = C::encode(value)?;
        self.send(message).await
    }

    /// Closes with 1000 `client disconnect`, and waits for the end, at most for the close timeout. No reconnect follows.
    pub async fn close(&self) {
        // The code and the reason are right; a client that is gone is closed.
        let _ = self.handle.close(1000, DISCONNECT).await;
    }

    /// Closes with a code and a reason of one's own. With any code but 1000 a session that can be resumed is kept: the next
    /// [`connect`](Self::connect) goes on with it.
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
        self.handle.tell(Surroundings::Network(change));
    }

    /// Tells the client what happens to the window or page that it works for: while that is hidden no further try is made,
    /// when it is seen again an open connection is probed, and one that is left is closed until it is back (N-4). In a
    /// browser the client sees to this by itself.
    pub fn page(&self, change: PageChange) {
        self.handle.tell(Surroundings::Page(change));
    }

    /// The state.
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// The same client, without keeping it alive.
    fn downgrade(&self) -> WeakClient {
        WeakClient {
            handle: self.handle.downgrade(),
            listeners: self.listeners.clone(),
            spawner: self.spawner.clone(),
            config: self.config.clone(),
        }
    }

    /// Whether it was connected and has ended.
    fn has_ended(&self) -> bool {
        matches!(self.state(), State::Closed | State::Failed)
    }

    /// Whether the hello came and the connection is up.
    pub fn is_connected(&self) -> bool {
        self.state() == State::Connected
    }

    /// The URL as the user gave it, without its query, which may hold a secret.
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// The last round trip from a health check or ping to its answer; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.handle.stats().latency
    }

    /// The settings the client was built with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Why connections were lost and tries failed: the last 16 times, the oldest first, each with its time, the number of the
    /// try and the reason in words (N-12).
    pub fn reconnect_log(&self) -> Vec<Reconnect> {
        self.handle.reconnect_log()
    }

    /// Where another program would go on, as of what the listeners were given: [`ClientBuilder::resume_from`] takes it. `None`
    /// where there is nothing to go on with, as after [`close`](Self::close), which ends the session on the server too. A program
    /// that is to be restarted uses [`close_with`](Self::close_with) and a code such as 4000, and takes the point after it.
    pub fn resume_point(&self) -> Option<ResumePoint> {
        self.handle.resume_point()
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.handle.stats();
        stats.overflows = self.listeners.shared.overflows.load(Ordering::Relaxed);
        if let Some(channels) = &self.listeners.channels {
            (stats.routed, stats.unroutable) = channels.counts();
        }
        stats.decode_failures = self.listeners.shared.decode_failures.load(Ordering::Relaxed);
        stats
    }

    /// The id the server gave this connection; `None` while there is none (S0-7).
    pub fn connection_id(&self) -> Option<Arc<str>> {
        self.handle.connection_id()
    }
}

/// See [`Client::downgrade`].
struct WeakClient {
    handle: WeakHandle,
    listeners: Listeners,
    spawner: Spawner,
    config: Arc<Config>,
}

impl WeakClient {
    /// The client, unless the last of its handles is gone.
    fn upgrade(&self) -> Option<Client> {
        Some(Client {
            handle: self.handle.upgrade()?,
            listeners: self.listeners.clone(),
            spawner: self.spawner.clone(),
            config: self.config.clone(),
        })
    }
}
