//! The client for programs without async (S2-12). Feature `blocking`, native only.
//!
//! ```no_run
//! # fn run() -> Result<(), everwire::Error> {
//! use everwire::{Dialect, blocking::Client};
//! use std::time::Duration;
//!
//! let mut client = Client::connect(everwire::Client::builder(Dialect::raw()).url("wss://feed.example.com"))?;
//! client.send("hello")?;
//! let event = client.recv(Duration::from_secs(5))?;
//! println!("{event:?}");
//! client.close();
//! # Ok(()) }
//! ```

use crate::{
    client::{self, ClientBuilder, Event, EventStream, Subscription},
    platform::Runtime,
    proto::{Cause, Error, Lifecycle, Message, ResumePoint, State, Stats},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// A connection whose calls wait. It brings its own runtime, on a thread of its own, which ends with it.
///
/// No call may be made from within async code, listeners included: it would hold up everything else there, so it is an
/// [`InvalidState`](crate::ErrorKind::InvalidState) error.
#[derive(Debug)]
pub struct Client {
    // Dropped before the runtime: the connection is closed in good order.
    events: Option<EventStream>,
    client: client::Client,
    runtime: Runtime,
}

impl Client {
    /// Connects and waits for the hello.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::connect`], and `InvalidState` from within async code.
    pub fn connect(builder: ClientBuilder) -> Result<Self, Error> {
        let runtime = Runtime::new()?;
        let (client, events) = runtime.block_on(async {
            let client = builder.build()?;
            // From the beginning, so that the hello is there.
            let events = client.events();
            client.connect()?;
            client.ready().await?;
            Ok::<_, Error>((client, events))
        })??;
        Ok(Self { events: Some(events), client, runtime })
    }

    /// The next event, waiting for at most this time; `None` waits for as long as it takes. Events are kept for it from the
    /// beginning, within the [`event_capacity`](ClientBuilder::event_capacity).
    ///
    /// # Errors
    /// Those of [`EventStream::recv_timeout`](crate::EventStream::recv_timeout).
    pub fn recv(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Event, Error> {
        let timeout = timeout.into();
        let events = self.events.get_or_insert_with(|| self.client.events());
        self.runtime.block_on(async {
            match timeout {
                Some(time) => events.recv_timeout(time).await,
                None => events.recv().await,
            }
        })?
    }

    /// The next event, decoded from JSON. See [`recv`](Self::recv).
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv), and [`ErrorKind::Decode`](crate::ErrorKind::Decode) for one that does not fit.
    pub fn recv_json<T: DeserializeOwned>(&mut self, timeout: impl Into<Option<Duration>>) -> Result<T, Error> {
        self.recv(timeout)?.json()
    }

    /// Sends a message. See [`Client::send`](crate::Client::send).
    ///
    /// # Errors
    /// Those of [`Client::send`](crate::Client::send), and `InvalidState` from within async code.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), Error> {
        self.runtime.block_on(self.client.send(message))?
    }

    /// Sends a value as JSON.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and `InvalidInput` for a value that has no JSON.
    pub fn send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        self.runtime.block_on(self.client.send_json(value))?
    }

    /// Calls a listener for every event of a type or pattern, on the thread of the client: see
    /// [`Client::on`](crate::Client::on).
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn on(&self, pattern: &str, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.client.on(pattern, listener)
    }

    /// Calls a listener for every step in the life of the client.
    pub fn on_lifecycle(&self, listener: impl Fn(&Lifecycle) + Send + Sync + 'static) -> Subscription {
        self.client.on_lifecycle(listener)
    }

    /// Leaves everything to the listeners, and waits for the end. Events are not kept for [`recv`](Self::recv) any more.
    ///
    /// # Errors
    /// `InvalidState` from within async code.
    pub fn run(&mut self) -> Result<Cause, Error> {
        self.events = None;
        self.runtime.block_on(self.client.closed())
    }

    /// Closes the connection and waits for the end. What came before can still be received. From within async code it does
    /// not wait.
    pub fn close(&self) {
        if self.runtime.block_on(self.client.close()).is_err() {
            // Asked for, and not waited for.
            drop(self.client.handle.close(1000, crate::driver::DISCONNECT));
        }
    }

    /// Closes with a code and a reason of one's own, and waits for the end. See
    /// [`Client::close_with`](crate::Client::close_with): with any code but 1000 a session that can be resumed is kept.
    ///
    /// # Errors
    /// Those of [`Client::close_with`](crate::Client::close_with), and `InvalidState` from within async code.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.close_with(code, reason))?
    }

    /// Where another program would go on. See [`Client::resume_point`](crate::Client::resume_point). Events that still wait for
    /// [`recv`](Self::recv) count as had: close with a code such as 4000, receive until the end, and then take the point.
    pub fn resume_point(&self) -> Option<ResumePoint> {
        self.client.resume_point()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.client.state()
    }

    /// Whether the connection is up.
    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// The async client within. It may be used from any runtime, and by several threads.
    pub fn inner(&self) -> &client::Client {
        &self.client
    }
}

/// The events until the end.
impl Iterator for Client {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv(None).ok()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}
