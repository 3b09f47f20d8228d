//! The pure core on virtual time: the same tests natively and in a browser.

#[cfg(web)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// The target's own test attribute.
#[cfg(native)]
pub(crate) use core::prelude::v1::test;
#[cfg(web)]
pub(crate) use wasm_bindgen_test::wasm_bindgen_test as test;

mod bed;
mod channels;
mod connection;
mod dialects;
mod dice;
mod health;
#[path = "../common/jwt.rs"]
mod jwt;
mod legal;
mod line;
mod outbox;
mod overlap;
mod page;
mod ping;
mod pitfalls;
mod placeholders;
mod records;
mod recovery;
mod requests;
mod resilience;
mod resume;
mod tokens;
