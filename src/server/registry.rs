//! Who is connected: every socket has a seat here, through which it is written to and told to end.

use super::{
    builder::Limits,
    ids,
    queue::{self, Full, Outgoing, Pending},
    refusal::{NO_RANDOMNESS, Refusal},
};
use crate::proto::close_code::MAX_REASON;
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// All connections of a server.
pub(super) struct Registry {
    peers: Mutex<HashMap<u64, Arc<Peer>>>,
    next: AtomicU64,
    /// How many seats are taken; a closed registry lets nobody in any more.
    taken: watch::Sender<usize>,
    closed: OnceLock<Order>,
}

/// One connection, as the rest of the server sees it.
pub(super) struct Peer {
    pub(super) connection_id: String,
    /// Set once the client was let in.
    user_id: OnceLock<String>,
    /// Set where events come from a session, which numbers them.
    has_session: OnceLock<()>,
    outgoing: Outgoing,
    order: watch::Sender<Option<Order>>,
}

/// What a connection is told to do.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// Write what waits, then the error if there is one, then close.
    Close { refusal: Option<Refusal>, code: u16, reason: String },
    /// Close without writing what waits: the client does not read it.
    CloseSlow,
    /// Drop the socket without a word.
    Drop,
}

impl Order {
    pub(super) fn close(code: u16, reason: impl Into<String>) -> Self {
        Order::Close { refusal: None, code, reason: reason.into() }
    }

    pub(super) fn refuse(refusal: Refusal) -> Self {
        let code = refusal.close_code();
        let end =
            (0..=refusal.message().len().min(MAX_REASON)).rev().find(|end| refusal.message().is_char_boundary(*end));
        let reason = refusal.message()[..end.unwrap_or(0)].to_owned();
        Order::Close { refusal: Some(refusal), code, reason }
    }
}

/// The place of a connection in the registry; dropping it leaves.
pub(super) struct Seat {
    registry: Arc<Registry>,
    number: u64,
    peer: Arc<Peer>,
}

impl Deref for Seat {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl Seat {
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        peers.remove(&self.number);
        self.registry.taken.send_replace(peers.len());
    }
}

impl Registry {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            peers: Mutex::default(),
            next: AtomicU64::new(0),
            taken: watch::Sender::new(0),
            closed: OnceLock::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat for a new connection. One that comes too late, or is one too many, is told to end at once.
    pub(super) fn join(self: &Arc<Self>, limits: &Limits) -> (Seat, Pending) {
        let (outgoing, pending) = queue::bounded(limits.queue_messages, limits.queue_bytes);
        let id = ids::connection();
        let peer = Arc::new(Peer {
            connection_id: id.clone().unwrap_or_default(),
            user_id: OnceLock::new(),
            has_session: OnceLock::new(),
            outgoing,
            order: watch::Sender::new(None),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut peers = self.lock();
        if let Some(order) = self.closed.get() {
            peer.order(order.clone());
        } else if id.is_err() {
            peer.order(Order::refuse(Refusal::new(Refusal::INTERNAL, NO_RANDOMNESS)));
        } else if peers.len() >= limits.max_connections {
            peer.order(Order::refuse(Refusal::new(Refusal::TOO_MANY_CONNECTIONS, "too many connections")));
        }
        peers.insert(number, peer.clone());
        self.taken.send_replace(peers.len());
        (Seat { registry: self.clone(), number, peer }, pending)
    }

    /// Runs for every connection whose client was let in.
    pub(super) fn for_each_live(&self, mut visit: impl FnMut(&Peer)) {
        self.lock().values().filter(|peer| peer.is_live()).for_each(|peer| visit(peer));
    }

    pub(super) fn live(&self) -> usize {
        self.lock().values().filter(|peer| peer.is_live()).count()
    }

    /// Gives every connection an order; also those that are not let in yet.
    pub(super) fn order_all(&self, order: &Order) -> usize {
        let peers = self.lock();
        peers.values().for_each(|peer| {
            peer.order(order.clone());
        });
        peers.len()
    }

    /// Ends every connection with this order, those to come included, and waits until all have gone. Those that have not
    /// after this time are dropped.
    pub(super) async fn close(&self, order: Order, patience: Duration) {
        {
            let _locked = self.lock(); // nobody joins between the two steps
            let _ = self.closed.set(order.clone());
        }
        self.order_all(&order);
        if tokio::time::timeout(patience, self.empty()).await.is_err() {
            self.order_all(&Order::Drop);
            self.empty().await;
        }
    }

    /// Drops every connection, those to come included.
    pub(super) fn drop_all(&self) {
        {
            let _locked = self.lock();
            let _ = self.closed.set(Order::Drop);
        }
        self.order_all(&Order::Drop);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    async fn empty(&self) {
        let mut taken = self.taken.subscribe();
        taken.wait_for(|taken| *taken == 0).await.expect("the sender is in self");
    }
}

impl Peer {
    /// The user, once let in.
    pub(super) fn user_id(&self) -> Option<&str> {
        self.user_id.get().map(String::as_str)
    }

    /// Lets the client in: what is published from now on goes to it too, after what was pushed before.
    pub(super) fn admit(&self, user_id: String) {
        let _ = self.user_id.set(user_id);
    }

    /// Events come from a session: what is published does not go here directly.
    pub(super) fn follow_session(&self) {
        let _ = self.has_session.set(());
    }

    pub(super) fn has_session(&self) -> bool {
        self.has_session.get().is_some()
    }

    fn is_live(&self) -> bool {
        self.user_id.get().is_some() && self.order.borrow().is_none() && !self.outgoing.is_closed()
    }

    pub(super) fn push(&self, text: Utf8Bytes) -> Result<(), Full> {
        self.outgoing.push(text)
    }

    /// Gives the connection an order. The first one holds, except that a socket may be dropped whatever it was told
    /// before. Returns whether this one holds.
    pub(super) fn order(&self, order: Order) -> bool {
        self.order.send_if_modified(|current| {
            let holds = current.is_none() || matches!(order, Order::Drop);
            if holds {
                *current = Some(order);
            }
            holds
        })
    }

    /// Waits for an order.
    pub(super) async fn ordered(&self) -> Order {
        let mut orders = self.order.subscribe();
        let order = orders.wait_for(Option::is_some).await.expect("the sender is in self");
        order.clone().expect("waited for")
    }

    /// Waits for the order to drop the socket.
    pub(super) async fn dropped(&self) {
        let mut orders = self.order.subscribe();
        let _ = orders.wait_for(|order| matches!(order, Some(Order::Drop))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_order_holds_but_a_drop_always_does() {
        let registry = Registry::new();
        let (seat, _pending) = registry.join(&Limits::default());
        assert!(seat.order(Order::close(1001, "first")));
        assert!(!seat.order(Order::close(1000, "second")));
        assert!(matches!(&*seat.order.borrow(), Some(Order::Close { code: 1001, .. })));
        assert!(seat.order(Order::Drop));
        assert!(matches!(&*seat.order.borrow(), Some(Order::Drop)));
    }

    #[test]
    fn one_connection_too_many_is_told_so() {
        let registry = Registry::new();
        let limits = Limits { max_connections: 1, ..Limits::default() };
        let (first, _pending) = registry.join(&limits);
        let (second, _pending) = registry.join(&limits);
        assert!(first.order.borrow().is_none());
        assert!(
            matches!(&*second.order.borrow(), Some(Order::Close { refusal: Some(refusal), .. }) if refusal.code() == 71)
        );
    }
}
