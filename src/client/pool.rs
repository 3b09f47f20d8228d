//! A pool of connected clients (S2-14, S3-4): bounded, warm, with counts that are true.
//!
//! There are as many slots as connections are allowed. Whoever wants a connection takes a slot first; the slot frees itself
//! when it is dropped, wherever that happens. All counts follow from the slots and the idle clients, so none can drift.

mod options;
mod slots;

pub use options::{PoolOptions, PoolStats};

use super::{Client, ClientBuilder};
use crate::{
    platform::{Clock, MaybeSend, MaybeSync, Spawner},
    proto::Error,
};
use futures::future::{AbortHandle, Abortable, join_all};
use slots::{Idle, Shared, Slot, State, upkeep};
use std::{
    collections::VecDeque,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex},
};

/// Connected clients to be lent, made from shared defaults.
///
/// It is a cheap handle: clone it freely. When the last clone is dropped, idle connections are closed; those in use end when
/// they are given back.
///
/// ```no_run
/// # async fn run() -> Result<(), everwire::Error> {
/// use everwire::{Client, Dialect, Pool, PoolOptions};
///
/// let defaults = || Client::builder(Dialect::raw()).url("wss://feed.example.com");
/// let pool = Pool::new(PoolOptions::new().max(4).warm(1), defaults)?;
/// {
///     let client = pool.acquire().await?;
///     client.send("hello").await?;
/// } // given back here
/// pool.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Keeper>);

/// What the handles of a pool share; the guards of its connections and its task hold `Shared` alone.
struct Keeper {
    shared: Arc<Shared>,
    upkeep: AbortHandle,
}

impl Pool {
    /// A pool whose clients are made from these defaults. It makes no connection yet; see [`warm_up`](Self::warm_up).
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the path of the wrong option, `InvalidState` outside a tokio
    /// runtime.
    pub fn new(
        options: PoolOptions,
        defaults: impl Fn() -> ClientBuilder + MaybeSend + MaybeSync + 'static,
    ) -> Result<Self, Error> {
        options.check()?;
        let spawner = Spawner::new()?;
        let clock = Clock::start();
        let state = State {
            free: options.max,
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            connecting: 0,
            closed: false,
            totals: PoolStats::default(),
        };
        let interval = options.health_check;
        let shared = Arc::new(Shared { options, defaults: Box::new(defaults), clock, state: Mutex::new(state) });
        let (abort, registration) = AbortHandle::new_pair();
        let task = Abortable::new(upkeep(Arc::downgrade(&shared), clock, interval), registration);
        spawner.spawn(async move {
            // Aborted is how it ends.
            let _ = task.await;
        });
        Ok(Self(Arc::new(Keeper { shared, upkeep: abort })))
    }

    /// Makes the connections that are to be kept warm. The pool does the same by itself at every health check.
    ///
    /// # Errors
    /// Why a connection could not be made; those before it are there.
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.0.shared.warm_up().await
    }

    /// A connected client: an idle one, or else a new one. Those who wait for one get it in the order of asking. Dropping
    /// the future gives up the place, and whatever it had already.
    ///
    /// # Errors
    /// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) if every connection stays in use for the whole timeout,
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if making one takes longer than that,
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the pool is closed, and those of [`ClientBuilder::connect`].
    pub async fn acquire(&self) -> Result<Pooled, Error> {
        self.0.shared.acquire().await
    }

    /// What the pool counts.
    pub fn stats(&self) -> PoolStats {
        let shared = &self.0.shared;
        let state = shared.lock();
        PoolStats {
            in_use: (shared.options.max - state.free).saturating_sub(state.connecting),
            idle: state.idle.len(),
            connecting: state.connecting,
            waiting: state.waiting.iter().filter(|waiter| !waiter.is_canceled()).count(),
            ..state.totals
        }
    }

    /// Closes the idle connections and waits for their ends. Those who wait are told; connections in use end when they are
    /// given back. No more can be acquired.
    pub async fn close(&self) {
        self.0.upkeep.abort();
        let (idle, waiting) = {
            let mut state = self.0.shared.lock();
            state.closed = true;
            (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiting))
        };
        drop(waiting);
        join_all(idle.iter().map(|idle| idle.client.close())).await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.upkeep.abort();
        let mut state = self.shared.lock();
        state.closed = true;
        let (idle, waiting) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiting));
        drop(state);
        drop((idle, waiting));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("options", &self.0.shared.options).field("stats", &self.stats()).finish()
    }
}

/// A client lent by a [`Pool`]: dropping it gives it back. Listeners that were added to it stay until their subscriptions
/// are dropped, so drop those first.
#[must_use = "the client goes back to the pool when this is dropped"]
pub struct Pooled {
    /// `None` once it is on its way back.
    client: Option<Client>,
    slot: Slot,
}

impl Pooled {
    /// Closes the connection instead of giving it back: another takes its place when one is needed.
    pub fn discard(mut self) {
        self.client = None;
    }
}

impl Deref for Pooled {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let shared = &self.slot.0;
        // One that is not connected is of no use to the next.
        let connected = client.is_connected();
        let mut state = shared.lock();
        if connected && !state.closed {
            state.idle.push_back(Idle { client, since: shared.clock.now() });
        } else {
            drop(state);
            drop(client);
        }
        // The slot goes last: there are never more idle clients than free slots for more than this moment.
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.client).finish()
    }
}
