//! A real-time event client that stays alive.

// One thread: what native code shares between threads is shared within it.
#![cfg_attr(web, allow(clippy::arc_with_non_send_sync))]

mod client;
mod driver;
#[cfg(web)]
mod js;
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

// The unit tests of the core run on both targets: in a test module, `use crate::test` is the target's own attribute.
#[cfg(all(test, native))]
pub(crate) use core::prelude::v1::test;
#[cfg(all(test, web))]
pub(crate) use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(all(test, web))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
