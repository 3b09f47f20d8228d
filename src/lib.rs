//! A real-time event client that stays alive.

mod client;
mod driver;
#[cfg_attr(native, path = "platform/native/mod.rs")]
#[cfg_attr(web, path = "platform/web/mod.rs")]
mod platform;
pub mod proto;
#[cfg(all(native, feature = "server"))]
pub mod server;
mod transport;

pub use client::{Client, ClientBuilder, Event, EventStream, Subscription};
pub use proto::{Cause, Dialect, Error, ErrorKind, Lifecycle, Message, NetworkChange, State, Stats};

/// The client id sent to servers: `everwire/<version> (<short sha>)`.
pub const CLIENT_ID: &str = env!("EVERWIRE_CLIENT_ID");
