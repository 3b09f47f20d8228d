//! The examples do what they say.
#![cfg(all(native, feature = "server"))]
#![allow(clippy::disallowed_methods)] // they are programs of their own

#[path = "../examples/channels.rs"]
mod channels;
#[path = "../examples/market_data.rs"]
mod market_data;
#[path = "../examples/openai_realtime.rs"]
mod openai_realtime;
#[path = "../examples/pool.rs"]
mod pool;
#[path = "../examples/stream_chat.rs"]
mod stream_chat;

// S0-22, S0-18
#[test]
fn the_chat_survives_that_everybody_is_thrown_out() {
    stream_chat::main().unwrap();
}

// N-9
#[test]
fn no_trade_is_missed_and_none_counted_twice() {
    market_data::main().unwrap();
}

// S1-24
#[test]
fn the_realtime_session_gets_its_answer() {
    openai_realtime::main().unwrap();
}

// S2-14
#[test]
fn the_pool_serves_all_jobs() {
    pool::main().unwrap();
}

// S2-13
#[test]
fn the_channels_go_on_after_the_connection_was_cut() {
    channels::main().unwrap();
}
