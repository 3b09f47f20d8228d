//! The client over real sockets, against a server that does what each test tells it.
#![cfg(native)]

mod channels;
mod config;
mod dialects;
mod events;
#[path = "../common/jwt.rs"]
mod jwt;
mod listeners;
mod loops;
mod peer;
mod pool;
mod recovery;
mod requests;
mod resilience;
mod runtime;
mod sending;
mod settings;
mod slow;
mod streams;
mod wire;
