//! The id of the connection across reconnects, for programs that name it to a server elsewhere (S0-24).

use super::{Client, Subscription};
use crate::{
    driver::as_error,
    proto::{Error, ErrorKind, Lifecycle, State},
};
use futures::{Stream, StreamExt, task::AtomicWaker};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

#[derive(Default)]
struct Latest {
    slot: Mutex<Slot>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct Slot {
    id: Option<Arc<str>>,
    ended: bool,
}

impl Latest {
    fn change(&self, change: impl FnOnce(&mut Slot)) {
        change(&mut self.slot.lock().unwrap_or_else(PoisonError::into_inner));
        self.waker.wake();
    }
}

/// The ids of the connections of a client, made by [`Client::connection_ids`]. A reader that is busy gets the latest alone;
/// an id whose connection is lost meanwhile is not given. It ends with the client.
#[must_use = "a stream does nothing unless it is read"]
pub struct ConnectionIds {
    latest: Arc<Latest>,
    _subscription: Subscription,
}

impl Stream for ConnectionIds {
    type Item = Arc<str>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Arc<str>>> {
        self.latest.waker.register(cx.waker());
        let mut slot = self.latest.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.id.take() {
            Some(id) => Poll::Ready(Some(id)),
            None if slot.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionIds")
    }
}

impl Client {
    /// The id of the connection of now, if there is one, and of every connection that follows: to watch a call, say, tell
    /// each of them to the server that is to send its events here.
    ///
    /// ```no_run
    /// # async fn run(client: everwire::Client) {
    /// use futures::StreamExt;
    ///
    /// let mut ids = client.connection_ids();
    /// while let Some(id) = ids.next().await {
    ///     println!("watch the call with {id}");
    /// }
    /// # }
    /// ```
    pub fn connection_ids(&self) -> ConnectionIds {
        let latest = Arc::<Latest>::default();
        let told = latest.clone();
        let subscription = self.on_lifecycle(move |step| match step {
            Lifecycle::Connected { connection_id, .. } => told.change(|slot| slot.id = connection_id.clone()),
            Lifecycle::Disconnected { .. } => told.change(|slot| slot.id = None),
            Lifecycle::Closed(_) => told.change(|slot| *slot = Slot { id: None, ended: true }),
            _ => {}
        });
        if let Some(id) = self.connection_id() {
            latest.change(|slot| {
                slot.id.get_or_insert(id);
            });
        }
        ConnectionIds { latest, _subscription: subscription }
    }

    /// Waits for a connection that has an id, and gives it; at once if there is one.
    ///
    /// # Errors
    /// The cause of the client's end; `InvalidState` if [`connect`](Self::connect) was not called.
    pub async fn wait_for_connection_id(&self) -> Result<Arc<str>, Error> {
        let mut ids = self.connection_ids();
        match self.state() {
            State::Idle => return Err(Error::new(ErrorKind::InvalidState, "`connect` was not called")),
            State::Closed | State::Failed => return Err(as_error(&self.handle.cause())),
            _ => {}
        }
        match ids.next().await {
            Some(id) => Ok(id),
            None => Err(as_error(&self.handle.cause())),
        }
    }
}
