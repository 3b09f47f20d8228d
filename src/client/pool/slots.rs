//! The slots of a pool, of which there are as many as connections are allowed: who has one, who waits for one, and the idle
//! clients in those that nobody has.

use super::{PoolOptions, PoolStats, Pooled};
use crate::{
    client::{Client, clients::Factory},
    platform::{Clock, Sleep},
    proto::{Error, ErrorKind, NetworkChange, Timestamp},
};
use futures::channel::oneshot;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};

/// What the handles, the connections lent and the upkeep share.
pub(super) struct Shared {
    pub(super) options: PoolOptions,
    pub(super) defaults: Box<dyn Factory>,
    pub(super) clock: Clock,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// Slots that nobody has. There are never more idle clients than free slots.
    pub(super) free: usize,
    /// The one that was used last is at the back, and is used next.
    pub(super) idle: VecDeque<Idle>,
    pub(super) waiting: VecDeque<oneshot::Sender<Slot>>,
    pub(super) connecting: usize,
    pub(super) closed: bool,
    /// The counts since the beginning.
    pub(super) totals: PoolStats,
}

pub(super) struct Idle {
    pub(super) client: Client,
    pub(super) since: Timestamp,
}

/// The right to one connection. Dropping it passes it on.
pub(super) struct Slot(pub(super) Arc<Shared>);

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
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
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

    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Pooled, Error> {
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
    pub(super) async fn warm_up(self: &Arc<Self>) -> Result<(), Error> {
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
pub(super) async fn upkeep(pool: Weak<Shared>, clock: Clock, interval: Duration) {
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
