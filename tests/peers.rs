//! Code that is not ours at the far end of the server: the official client `stream-chat`, which speaks `stream-v1`.
//! It needs Node.js and `scripts/setup test`.
#![cfg(all(native, unix, feature = "cli"))]

mod common;

use common::Peer;
use everwire::server::{RECORDED_EVENTS, Recorded, Server};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};

const SECRET: &str = "a secret";
const KEY: &str = "key";

fn everwire(args: &[&str]) -> Peer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everwire"));
    command.args(args);
    Peer::start(command)
}

/// The client, with these tokens to hand out one after the other.
fn stream_chat(url: &str, tokens: &[String]) -> Peer {
    let options = json!({"url": url, "key": KEY, "user": "alice", "tokens": tokens, "ping": 200});
    let mut command = Command::new("node");
    command.arg(common::file("tests/peers/stream_chat.mjs")).arg(options.to_string());
    Peer::start(command)
}

/// The next line that is wanted.
async fn until(peer: &mut Peer, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line = peer.line().await;
        let json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        if wanted(&json) {
            return json;
        }
    }
}

/// The client's next event of this type.
async fn event(client: &mut Peer, name: &str) -> Value {
    until(client, |line| line["event"] == name).await
}

/// The client's next hello.
async fn hello(client: &mut Peer) -> Value {
    until(client, |line| line["event"] == "health.check" && line["me"] == "alice").await
}

fn token(valid_for: Option<Duration>) -> String {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    server.create_token("alice", valid_for).unwrap()
}

fn expired() -> String {
    token(Some(Duration::ZERO))
}

#[tokio::test]
async fn the_official_client_connects_gets_events_and_stays_alive() {
    let events = common::file(RECORDED_EVENTS);
    let mut args = vec!["serve", "--port", "0", "--api-key", KEY, "--secret", SECRET, "--rate", "20", "--json"];
    args.extend(["--events", events.to_str().unwrap()]);
    let mut server = everwire(&args);
    let url = server.told("url").await.as_str().unwrap().to_owned();
    let mut client = stream_chat(&url, &[token(None)]);

    let connected = until(&mut server, |line| line["log"] == "connected").await;
    assert_eq!((&connected["user_id"], &connected["dialect"]), (&"alice".into(), &"stream-v1".into()));
    let greeted = hello(&mut client).await;
    assert_eq!(greeted["connection"], connected["connection_id"]);

    // Real events, each of a type that the recording has, in its order.
    let recorded = Recorded::load(&events).unwrap();
    for _ in 0..20 {
        let event = until(&mut client, |line| {
            !matches!(line["event"].as_str(), None | Some("health.check" | "connection.changed"))
        });
        let event = event.await;
        assert!(recorded.types().contains(event["event"].as_str().unwrap()), "{event}");
    }
    // The answers to its health checks come in between, on the same connection.
    for _ in 0..3 {
        let answer = event(&mut client, "health.check").await;
        assert_eq!(answer["connection"], connected["connection_id"]);
    }
    client.ended().await;
    let closed = until(&mut server, |line| line["log"] == "closed").await;
    assert_eq!((&closed["by"], &closed["code"]), (&"client".into(), &1000.into()));
}

#[tokio::test]
async fn its_health_checks_alone_keep_it_alive() {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = stream_chat(&running.url(), &[token(None)]);
    // It sends one every 200 ms, and takes silence of 1.4 s for death: the hello and nine answers last longer.
    for _ in 0..10 {
        event(&mut client, "health.check").await;
    }
    let stats = server.stats();
    assert!(stats.health_checks >= 9, "{stats:?}");
    assert_eq!((stats.accepted, stats.published), (1, 0));
    client.ended().await;
}

#[tokio::test]
async fn it_refreshes_a_token_that_has_expired_at_first_or_later() {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = stream_chat(&running.url(), &[expired(), token(None)]);
    let connected = client.told("connected").await;
    assert_eq!(server.stats().refused.keys().collect::<Vec<_>>(), [&40]);

    server.expire_tokens();
    let error = event(&mut client, "connection.error").await;
    assert_eq!((&error["error"]["code"], &error["error"]["StatusCode"]), (&40.into(), &401.into()));
    let again = hello(&mut client).await;
    assert_ne!(again["connection"], connected);

    // And it comes back after a network that breaks.
    server.drop_connections();
    hello(&mut client).await;
    assert_eq!(server.stats().accepted, 3);
    client.ended().await;
}

#[tokio::test]
async fn it_is_told_why_it_is_refused_and_does_not_come_again() {
    let server = Server::builder().api_key("another key").api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = stream_chat(&running.url(), &[token(None)]);
    let refused = client.told("refused").await;
    assert_eq!((&refused["code"], &refused["StatusCode"]), (&2.into(), &401.into()), "{refused}");
    assert_eq!(server.stats().refused, [(2, 1)].into());
    client.ended().await;
}
