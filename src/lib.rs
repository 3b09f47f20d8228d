//! A real-time event client that stays alive.

#[cfg_attr(native, path = "platform/native/mod.rs")]
#[cfg_attr(web, path = "platform/web/mod.rs")]
mod platform;
pub mod proto;
#[cfg(all(native, feature = "server"))]
pub mod server;
mod transport;

pub use proto::{Error, ErrorKind, Message};

/// The client id sent to servers: `everwire/<version> (<short sha>)`.
pub const CLIENT_ID: &str = env!("EVERWIRE_CLIENT_ID");
