//! The server half: it speaks the dialects `stream`, `stream-v1` and `everwire` from the other end.
//!
//! ```no_run
//! # async fn example() -> Result<(), everwire::Error> {
//! use everwire::server::Server;
//! use serde_json::json;
//!
//! let server = Server::builder().api_key("my-key").api_secret("my-secret").build()?;
//! let running = server.bind("127.0.0.1:8080").await?;
//! println!("listening on {}", running.url());
//! server.publish(&json!({"type": "greeting", "text": "hello, everybody"}))?;
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Server::router`] gives the same as an [`axum::Router`], to be merged with one's own routes.

mod activity;
mod builder;
mod clock;
mod connection;
mod files;
mod ids;
mod outage;
mod protocol;
mod queue;
mod recorded;
mod refusal;
mod registry;
mod session;
mod sessions;
mod socket;
mod token;
mod upgrade;

pub use activity::{Activity, End, Stats};
pub use builder::ServerBuilder;
pub use protocol::Protocol;
pub use recorded::{RECORDED_EVENTS, Recorded, Replay};
pub use refusal::Refusal;

use crate::{
    platform,
    proto::{Error, ErrorKind, close_code},
};
use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::IntoResponse,
    routing::get,
    serve::ListenerExt,
};
use builder::Limits;
use registry::{Order, Peer, Registry};
use serde::Serialize;
use std::{fmt, future::IntoFuture, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::{oneshot, watch},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tower_http::services::ServeDir;

/// A server. Clones are handles to the same one.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    api_key: Option<String>,
    tokens: token::Tokens,
    limits: Limits,
    registry: Arc<Registry>,
    sessions: sessions::Sessions,
    counters: activity::Counters,
    outage: outage::Outage,
    observer: Option<builder::Observer>,
    www: Option<ServeDir>,
    pkg: Option<PathBuf>,
}

impl Server {
    /// Starts to make a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// The WebSocket routes alone, to be merged with one's own. It must be served with
    /// [`axum::serve()`] or another server that lets connections be upgraded.
    pub fn router(&self) -> Router {
        routes().with_state(self.shared.clone())
    }

    /// Listens on this address, and serves the WebSocket routes and the static folders.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] if it cannot listen there, [`ErrorKind::InvalidState`] once the server was closed.
    pub async fn bind(&self, address: impl ToSocketAddrs) -> Result<Running, Error> {
        self.bind_with(address, |router| router).await
    }

    /// As [`bind`](Self::bind), with more routes or layers: the function gets all that is served.
    ///
    /// # Errors
    /// Those of [`bind`](Self::bind).
    pub async fn bind_with(
        &self,
        address: impl ToSocketAddrs,
        more: impl FnOnce(Router) -> Router,
    ) -> Result<Running, Error> {
        if self.shared.registry.is_closed() {
            return Err(Error::new(ErrorKind::InvalidState, "this server was closed for good: make another"));
        }
        let failed = |error| Error::new(ErrorKind::Connect, "cannot listen on this address").with_source(error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let listener = listener.tap_io(|socket| {
            // Events are small and must not wait for one another; a socket that refuses this still works.
            let _ = socket.set_nodelay(true);
        });
        let router = more(files::serve(routes(), self.shared.pkg.as_deref()).with_state(self.shared.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let (done, _) = watch::channel(false);
        let done_by = done.clone();
        platform::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            // Its type can fail, but it never does: errors of a connection end that connection.
            let _ = axum::serve(listener, router).with_graceful_shutdown(until).into_future().await;
            done_by.send_replace(true);
        })?;
        Ok(Running { server: self.clone(), local_addr, stop: Some(stop), done })
    }

    /// Sends an event to every client that is connected, and returns how many these are. It is written as JSON once.
    /// Sessions of the everwire protocol that have lost their connection get it when they come back.
    /// Clients find the type of an event fastest where it is the first field.
    ///
    /// This never waits: a client that reads too slowly is closed, see [`ServerBuilder::queue`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is no JSON object.
    pub fn publish(&self, event: &impl Serialize) -> Result<usize, Error> {
        let text = serde_json::to_string(event)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "the event is no JSON").with_source(error))?;
        if !text.starts_with('{') {
            return Err(Error::new(ErrorKind::InvalidInput, "an event is a JSON object"));
        }
        Ok(self.publish_text(text))
    }

    /// Sends an event that is JSON already; it is not looked at.
    pub fn publish_text(&self, event: impl Into<String>) -> usize {
        let text = Utf8Bytes::from(event.into());
        self.shared.counters.published.add(1);
        let mut count = self.shared.sessions.publish(&text, &self.shared.limits);
        self.shared.registry.for_each_live(|peer| {
            if !peer.has_session() {
                self.shared.push(peer, text.clone());
                count += 1;
            }
        });
        count
    }

    /// Makes a token for a user, which holds for this long, or for ever: what the backend of an app hands out.
    pub fn create_token(&self, user_id: &str, valid_for: Option<Duration>) -> Result<String, Error> {
        self.shared.tokens.create(user_id, valid_for, clock::now())
    }

    /// How many clients are connected, after their hello.
    pub fn connections(&self) -> usize {
        self.shared.registry.live()
    }

    /// The counts so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot(self.connections(), self.shared.sessions.count(&self.shared.limits))
    }

    /// Drops every socket without a close frame, as a broken network does. To test how a client recovers.
    pub fn drop_connections(&self) -> usize {
        self.shared.registry.order_all(&Order::Drop)
    }

    /// Forgets every session of the everwire protocol and drops their sockets, as a crash does. To test how a client tells of
    /// a gap.
    pub fn forget_sessions(&self) -> usize {
        self.shared.sessions.forget_all()
    }

    /// Closes every connection with this code and reason, after what waits to be written to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a code that no close frame may have, or a reason of more than 123 bytes.
    pub fn close_connections(&self, code: u16, reason: &str) -> Result<usize, Error> {
        if !close_code::may_be_sent(code) {
            return Err(Error::new(ErrorKind::InvalidInput, "this close code may not be sent"));
        }
        if reason.len() > close_code::MAX_REASON {
            return Err(Error::new(ErrorKind::InvalidInput, "a close reason has at most 123 bytes"));
        }
        Ok(self.shared.registry.order_all(&Order::close(code, reason)))
    }

    /// Tells every client this error, and closes its connection.
    pub fn refuse_connections(&self, refusal: &Refusal) -> usize {
        self.shared.registry.order_all(&Order::refuse(refusal.clone()))
    }

    /// Tells every client that its token has expired (code 40). To test how a client refreshes it.
    pub fn expire_tokens(&self) -> usize {
        self.refuse_connections(&Refusal::new(Refusal::TOKEN_EXPIRED, "the token has expired"))
    }

    /// Neither reads nor writes anything for this time, counted from now, while every socket stays open: what a process that
    /// hangs looks like from outside. To test how a client notices. [`close`](Self::close) and its kind still work, and so do
    /// static files. Zero ends it.
    pub fn freeze(&self, time: Duration) {
        self.shared.outage.freeze(time);
    }

    /// Drops every socket without a close frame, and refuses new ones with the status 503 for this time, counted from now. To test
    /// how a client waits for a network that is gone. Zero ends it. Returns how many sockets were dropped.
    pub fn go_offline(&self, time: Duration) -> usize {
        self.shared.outage.go_offline(time);
        self.drop_connections()
    }

    /// Closes every connection with 1001 and lets nobody in any more, for good; returns when all have gone, which takes at most
    /// the [close timeout](ServerBuilder::close_timeout). What was published before is delivered first, so a last event
    /// can tell clients the reason.
    pub async fn close(&self) {
        let order = Order::close(1001, "the server is shutting down");
        // Each connection bounds its own end; this is only for one whose observer blocks it.
        let patience = self.shared.limits.close_timeout + Duration::from_secs(1);
        self.shared.registry.close(order, patience).await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Queues a message; a client whose queue is full is closed.
    fn push(&self, peer: &Peer, text: Utf8Bytes) {
        if peer.push(text).is_err() && peer.order(Order::CloseSlow) {
            self.counters.slow_clients.add(1);
        }
    }

    fn notify(&self, activity: &Activity<'_>) {
        if let Some(observer) = &self.observer {
            observer(activity);
        }
    }
}

fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route(Protocol::Stream.path(), get(|server, query, upgrade| accept(Protocol::Stream, server, query, upgrade)))
        .route(
            Protocol::StreamV1.path(),
            get(|server, query, upgrade| accept(Protocol::StreamV1, server, query, upgrade)),
        )
        .route(
            Protocol::Everwire.path(),
            get(|server, query, upgrade| accept(Protocol::Everwire, server, query, upgrade)),
        )
}

async fn accept(
    protocol: Protocol,
    State(server): State<Arc<Shared>>,
    Query(query): Query<protocol::Query>,
    upgrade: upgrade::Upgrade,
) -> axum::response::Response {
    if server.outage.is_offline() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    server.outage.thawed().await;
    let largest = server.limits.max_message_size;
    upgrade.accept(largest, move |socket| connection::run(server, protocol, query, socket))
}

/// A server that listens. Dropping it stops listening and drops the connections; [`shutdown`](Self::shutdown) is kinder.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct Running {
    server: Server,
    local_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: watch::Sender<bool>,
}

impl Running {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address as an `http://` URL, from which clients make the one they dial.
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// The server behind it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Stops listening, tells every client (see [`Server::close`]), and returns when all has ended, in bounded time.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        self.server.close().await;
        // What is left are downloads of static files; they get as long as a connection.
        let mut done = self.done.subscribe();
        let _ = tokio::time::timeout(self.server.shared.limits.close_timeout, done.wait_for(|done| *done)).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stop.take().is_some() {
            self.server.shared.registry.drop_all();
        }
    }
}
