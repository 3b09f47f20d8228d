//! A real-time event client that stays alive: one pure protocol core, a native client and a browser package around it.
//!
//! A program that lives on a stream of events holds one WebSocket open for hours. [`Client`] is the loop around that socket:
//! it authenticates with a first message, waits for the server's hello, keeps the connection alive, notices when it is
//! dead, connects again without storms, and ends with one typed [`Cause`].
//!
//! # First steps
//!
//! ```no_run
//! # async fn run() -> Result<(), everwire::Error> {
//! use everwire::{Client, Dialect};
//!
//! let client = Client::builder(Dialect::stream())
//!     .url("https://chat.example.com")
//!     .param("api_key", "key")
//!     .param("user_id", "alice")
//!     .token("a token")
//!     .connect()
//!     .await?;
//!
//! #[derive(serde::Deserialize)]
//! struct Message {
//!     text: String,
//! }
//! let messages = client.on("message.new", |event| match event.json::<Message>() {
//!     Ok(message) => println!("{}", message.text),
//!     Err(error) => eprintln!("{error}"),
//! });
//! # drop(messages); Ok(()) }
//! ```
//!
//! # What is where
//!
//! - [`Client`] and [`ClientBuilder`]: the client, the same natively and on the web.
//! - [`Dialect`]: what a server expects on the wire, as data. Some are built in, and `docs/DIALECTS.md` tells how to write others.
//! - [`Event`]: a message as it came; it is decoded when you ask.
//! - [`Lifecycle`] and [`Cause`]: what the client tells of itself, and how it can end.
//! - [`Error`]: one error with kinds. No error, lifecycle step or `Debug` of everwire ever shows a token, and everwire logs
//!   nothing. (Natively the library below, `tungstenite`, writes requests and frames to the `log` facade at its `TRACE`
//!   level: keep that off for it where logs are not secret.)
//! - [`proto`]: the pure core, for those who bring their own I/O.
//!
//! # Features
//!
//! - `sonic` (native): a faster JSON decoder, [`codec`].
//! - `blocking` (native): a client for programs without async, `blocking`.
//! - `jwt` (native): tokens made from an API secret.
//! - `tracing`, `metrics` (native): what a client does, as events in a span for each client, and as counters, gauges and
//!   histograms (`everwire_…`, labelled with the name of the dialect). A recorder must be there before the client is made.
//! - `server` (native): the server half.
//! - `proxy` (native): connections through an HTTP proxy.
//! - `deflate` (native): permessage-deflate.
//! - `cli` (native): the program `everwire`.
//!
//! Native needs a tokio runtime. On the web there is nothing to set up; the npm package is built by `scripts/build-pkg`.

// One thread: what native code shares between threads is shared within it.
#![cfg_attr(web, allow(clippy::arc_with_non_send_sync))]

mod answer;
#[cfg(all(native, feature = "blocking"))]
pub mod blocking;
mod client;
pub mod codec;
mod driver;
mod handle;
#[cfg(all(web, feature = "npm"))]
mod js;
#[cfg(all(native, feature = "jwt"))]
mod jwt;
mod observe;
#[cfg_attr(native, path = "platform/native/mod.rs")]
#[cfg_attr(web, path = "platform/web/mod.rs")]
mod platform;
pub mod proto;
mod sending;
#[cfg(all(native, feature = "server"))]
pub mod server;
mod shared;
mod transport;
#[cfg(web)]
mod web;

pub use client::{
    Channel, Client, ClientBuilder, Clients, Config, ConnectionIds, Event, EventStream, Pool, PoolOptions, PoolStats,
    Pooled, Preset, StreamOptions, StreamPolicy, Subscription,
};
pub use platform::TlsConfig;
pub use proto::{
    BreakerRule, BreakerState, Cause, Dialect, Error, ErrorKind, Lifecycle, Message, NetworkChange, OutboxRule,
    PageChange, Reason, Reconnect, ReplayMode, ResumeMode, ResumePoint, SendOptions, Side, State, Stats, WhenFull,
};
pub use sending::Sending;

/// The examples of the README compile.
#[cfg(all(doctest, native))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So do those of the guide.
#[cfg(all(doctest, native, feature = "blocking"))]
#[doc = include_str!("../docs/GUIDE.md")]
struct Guide;

/// The client id sent to servers: `everwire/<version> (<short sha>)`.
pub const CLIENT_ID: &str = env!("EVERWIRE_CLIENT_ID");

// The unit tests of the core run on both targets: in a test module, `use crate::test` is the target's own attribute.
#[cfg(all(test, native))]
pub(crate) use core::prelude::v1::test;
#[cfg(all(test, web))]
pub(crate) use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(all(test, web))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
