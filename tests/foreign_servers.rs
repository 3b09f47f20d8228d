//! The native client against servers that are not ours, built on the npm package `ws` and on Python's `websockets`.
//!
//! Both speak the dialect `stream` and play the same scenes; what they saw is what they print.

#![cfg(not(target_family = "wasm"))]

mod common;

use common::Peer;
use everwire::{Cause, Client, ClientBuilder, Dialect, Error, ErrorKind, Event, EventStream, Lifecycle, State};
use futures::{StreamExt, channel::mpsc};
use serde_json::{Value, json};
use std::{
    future::Future,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// A server, and the client settings to reach it for a scene.
struct Server {
    name: &'static str,
    peer: Peer,
    port: u16,
}

impl Server {
    async fn start(name: &'static str) -> Self {
        let mut command = match name {
            "ws" => Command::new("node"),
            _ => Command::new(common::python_program("python")),
        };
        command.arg(common::file(if name == "ws" {
            "tests/peers/ws_server.mjs"
        } else {
            "tests/peers/websockets_server.py"
        }));
        let mut peer = Peer::start(command);
        let port = peer.told("port").await.as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        Self { name, peer, port }
    }

    fn scene(&self, scene: &str) -> ClientBuilder {
        Client::builder(Dialect::stream())
            .url(format!("http://127.0.0.1:{}", self.port))
            .param("api_key", scene)
            .param("user_id", "alice")
            .token("fresh")
            .backoff(Duration::from_millis(20), Duration::from_millis(200))
            .max_message_size(64 * 1024)
    }
}

/// Runs a check against both servers, each within a time.
async fn with_each<F: Future<Output = ()>>(check: impl Fn(Server) -> F) {
    for name in ["ws", "websockets"] {
        let server = Server::start(name).await;
        timeout(Duration::from_secs(30), check(server)).await.unwrap_or_else(|_| panic!("{name}: took too long"));
    }
}

/// The next event that is not the session's own.
async fn next(events: &mut EventStream) -> Event {
    loop {
        let event = events.next().await.expect("an event");
        if !matches!(event.event_type(), "connection.ok" | "connection.error" | "health.check" | "unknown") {
            return event;
        }
    }
}

/// Checks that the three events come which a server that works sends.
async fn assert_events(events: &mut EventStream) {
    for seq in 1..=3 {
        let event = next(events).await;
        assert_eq!(event.event_type(), "message.new");
        assert_eq!(event.json::<Value>().expect("JSON")["seq"], seq);
    }
}

/// The errors that the lifecycle tells.
fn errors(client: &Client) -> mpsc::UnboundedReceiver<Error> {
    let (sender, errors) = mpsc::unbounded();
    let tell = move |step: &Lifecycle| {
        if let Lifecycle::Disconnected { error } | Lifecycle::Error(error) = step {
            // Whoever does not listen any more needs none.
            let _ = sender.unbounded_send(error.clone());
        }
    };
    client.on_lifecycle(tell).detach();
    errors
}

#[tokio::test]
async fn greets_sends_receives_and_closes_cleanly() {
    with_each(|mut server| async move {
        let client = server.scene("events").build().expect("a client");
        let mut events = client.events();
        client.connect().expect("idle");
        client.ready().await.expect("a hello");
        assert_eq!(client.connection_id().as_deref(), Some("events-1"), "{}", server.name);
        assert_eq!(server.peer.told("open").await, "/api/v2/connect");
        assert_eq!(server.peer.told("auth").await, json!({"token": "fresh", "user_details": {"id": "alice"}}));
        assert_events(&mut events).await;
        client.send(json!({"say": "grüße"})).await.expect("sent");
        assert_eq!(next(&mut events).await.json::<Value>().expect("JSON")["message"]["say"], "grüße");
        client.send(vec![0, 255]).await.expect("sent");
        assert_eq!(server.peer.told("binary").await, json!([0, 255]));
        client.close().await;
        assert_eq!(client.state(), State::Closed);
        let seen: Value = serde_json::from_str(&server.peer.line_with("close").await).expect("JSON");
        assert_eq!(seen, json!({"close": 1000, "reason": "client disconnect"}), "{}", server.name);
    })
    .await;
}

/// S2-9: Python's `websockets` compresses where the client offers it, `ws` does not here: both are understood.
#[cfg(feature = "deflate")]
#[tokio::test]
async fn messages_are_compressed_where_the_server_agrees() {
    with_each(|mut server| async move {
        let client = server.scene("events").compression(true).compression_threshold(1).build().expect("a client");
        let mut events = client.events();
        client.connect().expect("idle");
        client.ready().await.expect("a hello");
        assert_events(&mut events).await;
        for size in [1, 100, 2_500] {
            let say = "grüße ".repeat(size);
            client.send(json!({"say": say})).await.expect("sent");
            assert_eq!(
                next(&mut events).await.json::<Value>().expect("JSON")["message"]["say"],
                say,
                "{}",
                server.name
            );
        }
        client.send(vec![0, 255]).await.expect("sent");
        assert_eq!(server.peer.told("binary").await, json!([0, 255]));
        client.close().await;
        let seen: Value = serde_json::from_str(&server.peer.line_with("close").await).expect("JSON");
        assert_eq!(seen, json!({"close": 1000, "reason": "client disconnect"}), "{}", server.name);
    })
    .await;
}

#[tokio::test]
async fn answers_pings_and_keeps_alive_by_health_checks() {
    with_each(|mut server| async move {
        let client = server.scene("ping").health_check_interval(Duration::from_millis(50)).build().expect("a client");
        let mut events = client.events();
        client.connect().expect("idle");
        assert_eq!(server.peer.told("pong").await, "are you there", "{}", server.name);
        let mut echoes = 0;
        while echoes < 3 {
            let event = events.next().await.expect("an event");
            echoes += usize::from(event.event_type() == "health.check");
        }
        assert!(client.stats().health_checks >= 3, "{}: {:?}", server.name, client.stats());
        assert_eq!(client.stats().connects, 1);
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn comes_back_after_a_drop_a_close_and_silence() {
    for (scene, code) in [("drop", None), ("close-1011", Some(1011)), ("close-4000", Some(4000)), ("mute", None)] {
        with_each(|server| async move {
            let client = server
                .scene(scene)
                .health_check_interval(Duration::from_millis(200))
                .silence_timeout(Duration::from_millis(1300))
                .build()
                .expect("a client");
            let (mut events, mut errors) = (client.events(), errors(&client));
            client.connect().expect("idle");
            client.ready().await.expect("a hello");
            if scene == "drop" {
                assert_eq!(next(&mut events).await.json::<Value>().expect("JSON")["seq"], 1);
                client.send(json!({"say": "drop me"})).await.expect("sent");
            }
            let error = errors.next().await.expect("an error");
            assert_eq!(error.close_code(), code, "{}, {scene}: {error}", server.name);
            let silent = scene == "mute";
            assert_eq!(error.is_timeout(), silent, "{}, {scene}: {error}", server.name);
            assert_events(&mut events).await;
            assert_eq!(client.connection_id().as_deref(), Some(format!("{scene}-2").as_str()), "{}", server.name);
            assert_eq!(client.stats().reconnects, 1);
            client.close().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_close_with_1000_is_the_end() {
    with_each(|server| async move {
        let client = server.scene("close-1000").build().expect("a client");
        client.connect().expect("idle");
        match client.closed().await {
            Cause::ByServer(error) => {
                assert_eq!(
                    (error.close_code(), error.close_reason()),
                    (Some(1000), Some("go away")),
                    "{}",
                    server.name
                );
            }
            other => panic!("{}: {other}", server.name),
        }
        assert_eq!(client.stats().dials, 1);
    })
    .await;
}

// S0-12
#[tokio::test]
async fn an_expired_token_is_replaced_on_the_first_connect_and_in_midstream() {
    with_each(|mut server| async move {
        for (scene, tokens) in [("events", ["stale", "fresh"]), ("expires", ["fresh", "fresher"])] {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = asked.clone();
            let client = server
                .scene(scene)
                .token_provider(move || {
                    let token = tokens[count.fetch_add(1, Ordering::Relaxed).min(1)];
                    async move { Ok::<_, Error>(token.to_owned()) }
                })
                .build()
                .expect("a client");
            let mut events = client.events();
            client.connect().expect("idle");
            client.ready().await.expect("a hello");
            assert_events(&mut events).await;
            for token in tokens {
                assert_eq!(server.peer.told("auth").await["token"], token, "{}, {scene}", server.name);
            }
            assert_eq!(asked.load(Ordering::Relaxed), 2, "{}, {scene}", server.name);
            client.close().await;
        }
    })
    .await;
}

// S0-13
#[tokio::test]
async fn an_expired_token_that_nobody_can_replace_is_the_end() {
    with_each(|server| async move {
        let client = server.scene("events").token("stale").build().expect("a client");
        client.connect().expect("idle");
        let error = client.ready().await.expect_err("no hello");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, Some(40)), "{}: {error}", server.name);
        assert!(matches!(client.closed().await, Cause::TokenExpired(_)), "{}", server.name);
    })
    .await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_1009() {
    with_each(|mut server| async move {
        let client = server.scene("large").build().expect("a client");
        let (mut events, mut errors) = (client.events(), errors(&client));
        client.connect().expect("idle");
        assert_eq!(errors.next().await.expect("an error").kind(), ErrorKind::TooLarge, "{}", server.name);
        assert_eq!(server.peer.told("close").await, 1009, "{}", server.name);
        // The connection is lost, not the client.
        assert_events(&mut events).await;
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn bad_messages_are_counted_and_the_connection_goes_on() {
    with_each(|server| async move {
        let client = server.scene("bad").build().expect("a client");
        let (mut events, mut errors) = (client.events(), errors(&client));
        client.connect().expect("idle");
        assert_eq!(errors.next().await.expect("an error").kind(), ErrorKind::Decode, "{}", server.name);
        assert_events(&mut events).await;
        let stats = client.stats();
        assert_eq!((stats.malformed, stats.binary, stats.connects), (1, 1, 1), "{}", server.name);
        client.close().await;
    })
    .await;
}

// S2-10
#[tokio::test]
async fn a_refused_handshake_is_told_with_its_status() {
    with_each(|server| async move {
        for (status, dials) in [(401, 1), (503, 2)] {
            let client = server.scene(&format!("status-{status}")).max_attempts(2).build().expect("a client");
            client.connect().expect("idle");
            let error = client.ready().await.expect_err("no hello");
            assert_eq!(
                (error.kind(), error.status()),
                (ErrorKind::Handshake, Some(status)),
                "{}: {error}",
                server.name
            );
            assert_eq!(client.stats().dials, dials, "{}", server.name);
            assert!(!format!("{error:?}").contains("fresh"));
        }
    })
    .await;
}
