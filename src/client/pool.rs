//! A pool of connected clients (S2-14, S3-4): bounded, warm, with counts that are true.
//!
//! There are as many slots as connections are allowed. Whoever wants a connection takes a slot first; the slot frees itself
//! when it is dropped, wherever that happens. All counts follow from the slots and the idle clients, so none can drift.

use super::{Client, ClientBuilder, clients::Factory};
use crate::{
    platform::{Clock, MaybeSend, MaybeSync, Sleep, Spawner},
    proto::{Error, ErrorKind, NetworkChange, Timestamp},
};
use futures::{
    channel::oneshot,
    future::{AbortHandle, Abortable, join_all},
};
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    ops::Deref,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};

/// The bounds of a [`Pool`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PoolOptions {
    max: usize,
    warm: usize,
    idle_timeout: Duration,
    health_check: Duration,
    acquire_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { max: 10, warm: 0, idle_timeout: 300 * second, health_check: 30 * second, acquire_timeout: 10 * second }
    }
}

impl PoolOptions {
    /// At most 10 connections, none kept warm.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections there may be, in use or idle. Default 10.
    pub fn max(mut self, connections: usize) -> Self {
        self.max = connections;
        self
    }

    /// How many connections are made ahead of their use, and kept however long they idle. Default 0.
    pub fn warm(mut self, connections: usize) -> Self {
        self.warm = connections;
        self
    }

    /// How long a connection may idle before it is closed. Default 300 s.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// The time between two looks at the idle connections: those that are dead or idle for too long go, the warm ones are
    /// replaced, the rest is asked for a sign of life. Default 30 s.
    pub fn health_check(mut self, time: Duration) -> Self {
        self.health_check = time;
        self
    }

    /// How long [`Pool::acquire`] waits for a connection. Default 10 s.
    pub fn acquire_timeout(mut self, time: Duration) -> Self {
        self.acquire_timeout = time;
        self
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |path: &str, message: &'static str| Err(Error::new(ErrorKind::Config, message).with_path(path));
        if self.max == 0 {
            return wrong("pool.max", "must be more than 0");
        }
        if self.warm > self.max {
            return wrong("pool.warm", "must not be more than the maximum");
        }
        let times = [
            ("pool.idle_timeout", self.idle_timeout),
            ("pool.health_check", self.health_check),
            ("pool.acquire_timeout", self.acquire_timeout),
        ];
        match times.into_iter().find(|(_, time)| time.is_zero()) {
            Some((path, _)) => wrong(path, "must be more than 0"),
            None => Ok(()),
        }
    }
}

/// What a pool counts. The first four are of now, the rest since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that somebody holds.
    pub in_use: usize,
    /// Connections that wait to be used.
    pub idle: usize,
    /// Connections that are being made.
    pub connecting: usize,
    /// Those who wait for a connection.
    pub waiting: usize,
    /// Connections made.
    pub created: u64,
    /// Uses of a connection that was there.
    pub reused: u64,
    /// Idle connections found dead and put away.
    pub dead: u64,
    /// Connections closed because they idled for too long.
    pub expired: u64,
}

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

struct Shared {
    options: PoolOptions,
    defaults: Box<dyn Factory>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    /// Slots that nobody has. There are never more idle clients than free slots.
    free: usize,
    /// The one that was used last is at the back, and is used next.
    idle: VecDeque<Idle>,
    waiting: VecDeque<oneshot::Sender<Slot>>,
    connecting: usize,
    closed: bool,
    /// The counts since the beginning.
    totals: PoolStats,
}

struct Idle {
    client: Client,
    since: Timestamp,
}

/// The right to one connection. Dropping it passes it on.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.free += 1;
        let waiter = state.next_waiter();
        if waiter.is_some() {
            state.free -= 1;
        }
        drop(state);
        if let Some(waiter) = waiter {
            // Whoever has gone meanwhile drops it, and it is passed on from there.
            drop(waiter.send(Slot(self.0.clone())));
        }
    }
}

impl State {
    fn next_waiter(&mut self) -> Option<oneshot::Sender<Slot>> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|waiter| !waiter.is_canceled())
    }
}

/// Counts a connection as being made for as long as it lives.
struct Connecting<'a>(&'a Shared);

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.lock().connecting -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot, as soon as there is one, in the order of asking.
    async fn slot(self: &Arc<Self>) -> Result<Slot, Error> {
        let turn = {
            let mut state = self.lock();
            if state.closed {
                return Err(closed());
            }
            if state.free > 0 {
                state.free -= 1;
                return Ok(Slot(self.clone()));
            }
            state.waiting.retain(|waiter| !waiter.is_canceled());
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        turn.await.map_err(|_| closed())
    }

    /// An idle client that is connected. Dead ones on the way are put away.
    fn reuse(&self) -> Option<Client> {
        let mut dead = Vec::new();
        let mut state = self.lock();
        let found = loop {
            match state.idle.pop_back() {
                Some(idle) if idle.client.is_connected() => break Some(idle.client),
                Some(idle) => dead.push(idle),
                None => break None,
            }
        };
        state.totals.dead += dead.len() as u64;
        state.totals.reused += u64::from(found.is_some());
        drop(state);
        drop(dead);
        found
    }

    async fn connect(&self) -> Result<Client, Error> {
        self.lock().connecting += 1;
        let counted = Connecting(self);
        let client = self.defaults.make().connect().await?;
        drop(counted);
        self.lock().totals.created += 1;
        Ok(client)
    }

    async fn acquire(self: &Arc<Self>) -> Result<Pooled, Error> {
        let began = self.clock.now();
        let slot = within(self.options.acquire_timeout, self.slot(), || {
            Error::new(ErrorKind::Overflow, "every connection of the pool is in use")
        })
        .await?;
        let client = match self.reuse() {
            Some(client) => client,
            None => {
                let late = || Error::new(ErrorKind::Timeout, "a connection for the pool could not be made in time");
                let left = self.options.acquire_timeout.saturating_sub(self.clock.now() - began);
                within(left, self.connect(), late).await?
            }
        };
        Ok(Pooled { client: Some(client), slot })
    }

    /// Makes idle connections until there are as many as are to be kept warm.
    async fn warm_up(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            let slot = {
                let mut state = self.lock();
                let there = self.options.max - state.free + state.idle.len();
                if state.closed || state.free == 0 || there >= self.options.warm {
                    return Ok(());
                }
                state.free -= 1;
                Slot(self.clone())
            };
            let client = self.connect().await?;
            drop(Pooled { client: Some(client), slot });
        }
    }

    /// Puts away what is dead or too old, and asks the rest for a sign of life.
    fn look_after(&self) {
        let now = self.clock.now();
        let mut away = Vec::new();
        let mut state = self.lock();
        let mut kept = VecDeque::new();
        let mut spare = state.idle.len().saturating_sub(self.options.warm);
        for idle in std::mem::take(&mut state.idle) {
            if !idle.client.is_connected() {
                state.totals.dead += 1;
                away.push(idle);
            } else if spare > 0 && now - idle.since >= self.options.idle_timeout {
                state.totals.expired += 1;
                away.push(idle);
            } else {
                idle.client.network(NetworkChange::Changed);
                kept.push_back(idle);
                continue;
            }
            spare = spare.saturating_sub(1);
        }
        state.idle = kept;
        drop(state);
        // Dropping the last handle of a client closes it.
        drop(away);
    }
}

/// Looks after the idle connections until the pool is gone.
async fn upkeep(pool: Weak<Shared>, clock: Clock, interval: Duration) {
    loop {
        sleep(&clock, interval).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.look_after();
        // What fails now is tried again at the next look, and whoever acquires is told.
        let _ = pool.warm_up().await;
    }
}

async fn sleep(clock: &Clock, time: Duration) {
    let deadline = clock.now() + time;
    let mut sleep = Sleep::until(clock, deadline);
    poll_fn(|cx| {
        while sleep.poll(cx).is_ready() {
            if clock.now() >= deadline {
                return Poll::Ready(());
            }
            sleep.reset(clock, deadline);
        }
        Poll::Pending
    })
    .await;
}

async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Error>>,
    late: impl FnOnce() -> Error,
) -> Result<T, Error> {
    let clock = Clock::start();
    let (mut work, mut over) = (pin!(work), pin!(sleep(&clock, time)));
    let done = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    });
    done.await.unwrap_or_else(|| Err(late()))
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool is closed")
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
