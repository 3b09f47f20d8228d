//! A parent of clients (S0-22): makes them from shared defaults, knows those that live, and closes them all.

use super::{Client, ClientBuilder, WeakClient};
use crate::{
    driver::DISCONNECT,
    platform::{MaybeSend, MaybeSync},
    proto::{Error, ErrorKind},
};
use futures::future::join_all;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Makes the builder that every client of a parent or a pool starts from.
pub(super) trait Factory: MaybeSend + MaybeSync {
    fn make(&self) -> ClientBuilder;
}

impl<F: Fn() -> ClientBuilder + MaybeSend + MaybeSync> Factory for F {
    fn make(&self) -> ClientBuilder {
        self()
    }
}

/// A parent of clients that share their defaults.
///
/// A client that it made lives for as long as somebody holds it: the parent does not keep it alive, and forgets it once it
/// has ended. When the parent is closed, or its last clone is dropped, all its clients are closed.
///
/// ```no_run
/// # async fn run() -> Result<(), everwire::Error> {
/// use everwire::{Client, Clients, Dialect};
///
/// let clients = Clients::new(|| {
///     Client::builder(Dialect::stream()).url("https://chat.example.com").param("api_key", "key").token("a token")
/// });
/// let alice = clients.connect(|builder| builder.param("user_id", "alice")).await?;
/// let bob = clients.connect(|builder| builder.param("user_id", "bob").max_attempts(0)).await?;
/// assert_eq!(clients.len(), 2);
/// clients.close().await;
/// # drop((alice, bob)); Ok(()) }
/// ```
#[derive(Clone)]
pub struct Clients(Arc<Parent>);

struct Parent {
    defaults: Box<dyn Factory>,
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    clients: Vec<WeakClient>,
    closed: bool,
}

impl Children {
    /// Forgets those that have ended.
    fn live(&mut self) -> Vec<Client> {
        let live: Vec<Client> =
            self.clients.iter().filter_map(WeakClient::upgrade).filter(|client| !client.has_ended()).collect();
        self.clients = live.iter().map(Client::downgrade).collect();
        live
    }
}

impl Parent {
    fn children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for client in self.children().live() {
            // Whether it is closed in good order is not waited for: there is nobody to wait.
            drop(client.handle.close(1000, DISCONNECT));
        }
    }
}

impl Clients {
    /// A parent whose clients start from these defaults.
    pub fn new(defaults: impl Fn() -> ClientBuilder + MaybeSend + MaybeSync + 'static) -> Self {
        Self(Arc::new(Parent { defaults: Box::new(defaults), children: Mutex::default() }))
    }

    /// Makes a client and waits for its hello. What `overrides` sets wins over the defaults. If it fails, or if this future
    /// is dropped, nothing is left of the client.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::connect`]; [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the parent is closed.
    pub async fn connect(&self, overrides: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Error> {
        let client = overrides(self.0.defaults.make()).build()?;
        client.connect()?;
        {
            let mut children = self.0.children();
            if children.closed {
                return Err(Error::new(ErrorKind::Closed, "the parent of the clients is closed"));
            }
            children.live();
            children.clients.push(client.downgrade());
        }
        client.ready().await?;
        Ok(client)
    }

    /// The clients that live: connected, connecting or between two tries.
    pub fn clients(&self) -> Vec<Client> {
        self.0.children().live()
    }

    /// How many clients live.
    pub fn len(&self) -> usize {
        self.clients().len()
    }

    /// Whether no client lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all clients and waits for their ends. No more can be made.
    pub async fn close(&self) {
        let clients = {
            let mut children = self.0.children();
            children.closed = true;
            children.live()
        };
        join_all(clients.iter().map(Client::close)).await;
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("live", &self.len()).finish()
    }
}
