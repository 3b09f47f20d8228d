//! Losses, tokens and ends over real sockets.

use super::{
    jwt::jwt,
    peer::{Diary, Server, soon},
};
use everwire::{Cause, Error, ErrorKind, State};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

// S0-10, S0-14, pitfall 9: listeners are not doubled by a reconnect.
#[tokio::test]
async fn a_lost_connection_comes_back_and_listeners_stay_single() {
    let server = Server::start().await;
    let (client, peer) = server.connect(server.builder()).await;
    let heard = Arc::new(AtomicU32::new(0));
    let counter = heard.clone();
    client
        .on("a", move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .detach();
    let (sender, mut done) = futures::channel::mpsc::unbounded();
    client.on("done", move |_| drop(sender.unbounded_send(()))).detach();
    drop(peer);
    let (mut peer, _) = server.greet().await;
    peer.event("a", 1).await;
    peer.event("done", 1).await;
    soon(futures::StreamExt::next(&mut done)).await;
    assert_eq!(heard.load(Ordering::Relaxed), 1);
    let stats = client.stats();
    assert_eq!((stats.connects, stats.reconnects, stats.dials), (2, 1, 2));
    peer.close(1012, "restart").await;
    let (peer, _) = server.greet().await;
    soon(client.ready()).await.unwrap();
    peer.close(1000, "enough").await;
    let cause = soon(client.closed()).await;
    assert!(matches!(&cause, Cause::ByServer(error) if error.close_reason() == Some("enough")), "{cause}");
    assert_eq!(client.state(), State::Closed);
}

// S0-12
#[tokio::test]
async fn an_expired_token_is_replaced_on_the_first_connect_and_in_the_middle() {
    let server = Server::start().await;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let client = server
        .builder()
        .token_provider(move || {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            async move { Ok(format!("token-{number}")) }
        })
        .build()
        .unwrap();
    client.connect().unwrap();
    let expired = r#"{"type":"connection.error","error":{"code":40,"message":"expired"}}"#;
    let mut peer = server.accept().await;
    assert!(peer.text().await.contains("token-0"));
    peer.send(expired).await;
    // S0-16: the refused socket is closed.
    peer.close_frame().await;
    let (mut peer, first) = server.greet().await;
    assert_eq!(first["token"], "token-1");
    soon(client.ready()).await.unwrap();
    peer.send(expired).await;
    let (_peer, first) = server.greet().await;
    assert_eq!(first["token"], "token-2");
}

// Pitfall 11: the token that was just fetched is not thrown away by a dial that fails.
#[tokio::test]
async fn a_provider_that_fails_panics_or_hangs_is_asked_again() {
    let server = Server::start().await;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let client = server
        .builder()
        .token_timeout(Duration::from_millis(100))
        .token_provider(move || {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0 => Err(Error::new(ErrorKind::Token, "no network")),
                    1 => panic!("on purpose"),
                    2 => std::future::pending().await,
                    _ => Ok("good".to_owned()),
                }
            }
        })
        .build()
        .unwrap();
    client.connect().unwrap();
    drop(server.accept().await);
    let (_peer, first) = server.greet().await;
    assert_eq!((first["token"].as_str(), asked.load(Ordering::Relaxed)), (Some("good"), 4));
}

// A server that asks first, as Home Assistant's, by the dialect of the documentation.
#[tokio::test]
async fn a_server_that_asks_first_is_answered_with_the_token() {
    let text = include_str!("../../docs/DIALECTS.md");
    let example = text.split("```json").find(|part| part.contains("home-assistant")).expect("an example");
    let dialect = everwire::Dialect::from_json(example.split("```").next().expect("its end")).unwrap();
    let server = Server::start().await;
    let provider = || async { Ok("the-token".to_owned()) };
    let client = everwire::Client::builder(dialect).url(server.url()).token_provider(provider).build().unwrap();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    peer.send(r#"{"type":"auth_required","ha_version":"2025.1.0"}"#).await;
    assert_eq!(peer.text().await, r#"{"type":"auth","access_token":"the-token"}"#);
    peer.send(r#"{"type":"auth_ok","ha_version":"2025.1.0"}"#).await;
    soon(client.ready()).await.unwrap();
}

// S0-13: the socket is closed at once, and nothing is tried again.
#[tokio::test]
async fn a_provider_that_says_signed_out_ends_a_client_that_is_connected() {
    let server = Server::start().await;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let builder = server.builder().token_provider(move || {
        let first = counter.fetch_add(1, Ordering::Relaxed) == 0;
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        async move {
            match first {
                true => Ok(jwt(&serde_json::json!({"iat": now, "exp": now + 2}))),
                false => Err(Error::signed_out("good bye")),
            }
        }
    });
    let (client, mut peer) = server.connect(builder).await;
    let ended = soon(async { futures::join!(peer.close_frame(), client.closed()) }).await;
    let (Some((1000, _)), Cause::SignedOut(error)) = &ended else { panic!("{ended:?}") };
    assert_eq!((error.kind(), error.message(), error.is_retryable()), (ErrorKind::SignedOut, "good bye", false));
    assert_eq!((client.state(), asked.load(Ordering::Relaxed), client.stats().dials), (State::Failed, 2, 1));
    assert_eq!(client.ready().await.unwrap_err().kind(), ErrorKind::SignedOut);
}

// N-8, pitfall 5: whoever waits is told, with the cause.
#[tokio::test]
async fn every_waiter_is_told_when_the_tries_are_spent() {
    let server = Server::start().await;
    let builder = server.builder().max_attempts(3);
    drop(server);
    let client = builder.build().unwrap();
    let diary = Diary::of(&client);
    assert_eq!(client.ready().await.unwrap_err().kind(), ErrorKind::InvalidState);
    client.connect().unwrap();
    let (first, second, cause) = soon(async { futures::join!(client.ready(), client.ready(), client.closed()) }).await;
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Connect);
    assert!(second.is_err() && matches!(cause, Cause::Exhausted(_)));
    assert_eq!(client.state(), State::Failed);
    assert_eq!(diary.words().iter().filter(|word| word.starts_with("end")).count(), 1);
    assert!(client.ready().await.is_err());
    assert!(matches!(client.closed().await, Cause::Exhausted(_)));
    assert_eq!(client.stats().dials, 3);
    // It may try again.
    client.connect().unwrap();
    assert!(soon(client.ready()).await.is_err());
}

// S0-20, S0-21
#[tokio::test]
async fn close_says_goodbye_and_connect_starts_anew() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    assert_eq!(client.connect().unwrap_err().kind(), ErrorKind::InvalidState);
    assert_eq!(client.connection_id().as_deref(), Some("c-1"));
    let (frame, ()) = soon(async { futures::join!(peer.close_frame(), client.close()) }).await;
    assert_eq!(frame, Some((1000, "client disconnect".into())));
    assert_eq!((client.state(), client.connection_id()), (State::Closed, None));
    assert!(matches!(client.closed().await, Cause::ByUser));
    client.close().await;
    client.connect().unwrap();
    // The driver has not begun yet.
    let twice = client.connect().unwrap_err();
    assert_eq!(
        (twice.kind(), twice.message()),
        (ErrorKind::InvalidState, "the client is connecting already; close it first")
    );
    let (mut peer, _) = server.greet().await;
    soon(client.ready()).await.unwrap();
    assert!(client.close_with(1001, "").await.is_err_and(|error| error.kind() == ErrorKind::InvalidInput));
    let connect_while_closing = async { client.connect().unwrap_err().message().to_owned() };
    let (frame, result, early) =
        soon(async { futures::join!(peer.close_frame(), client.close_with(4001, "bye"), connect_while_closing) }).await;
    assert_eq!(early, "the client is disconnecting; wait until it has closed");
    assert_eq!((frame, result.is_ok()), (Some((4001, "bye".into())), true));
}

// S0-21: the wait is bounded, even where the server never answers the close.
#[tokio::test]
async fn a_close_that_is_not_answered_ends_all_the_same() {
    let server = Server::start().await;
    let (client, peer) = server.connect(server.builder().close_timeout(Duration::from_millis(100))).await;
    soon(client.close()).await;
    assert_eq!(client.state(), State::Closed);
    drop(peer);
}

// Pitfall 12: nothing outlives the last handle.
#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let clone = client.clone();
    drop(client);
    clone.send("still here").await.unwrap();
    assert_eq!(peer.text().await, "still here");
    drop(clone);
    assert_eq!(peer.close_frame().await, Some((1000, "client disconnect".into())));
    // In the middle of a dial too.
    let client = server.builder().build().unwrap();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    peer.text().await;
    drop(client);
    peer.close_frame().await;
    assert!(peer.next().await.is_none());
}

// S0-6
#[tokio::test]
async fn a_wrong_hello_is_a_typed_refusal_with_the_answer() {
    let server = Server::start().await;
    let client = server.builder().build().unwrap();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    peer.text().await;
    peer.send(r#"{"type":"welcome","to":"another service"}"#).await;
    let error = soon(client.ready()).await.unwrap_err();
    assert!(error.is_auth() && error.response().unwrap().contains("another service"), "{error:?}");
    assert!(matches!(client.closed().await, Cause::Refused(_)));
    peer.close_frame().await;
}

// S0-9 over a real socket: the silent connection is replaced.
#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let server = Server::start().await;
    let builder = server
        .builder()
        .health_check_interval(Duration::from_millis(100))
        .silence_timeout(Duration::from_millis(1_100));
    let (client, mut silent) = server.connect(builder).await;
    assert!(silent.text().await.contains("health.check"));
    let (_peer, _) = server.greet().await;
    soon(client.ready()).await.unwrap();
    assert!(client.stats().health_checks >= 9);
}

// A frame over the limit closes with 1009, is named, and the client goes on.
#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder().max_message_size(1_000)).await;
    let lost = Arc::new(std::sync::Mutex::new(None));
    let slot = lost.clone();
    client
        .on_lifecycle(move |step| {
            if let everwire::Lifecycle::Disconnected { error } = step {
                *slot.lock().unwrap() = Some(error.kind());
            }
        })
        .detach();
    peer.send(&format!(r#"{{"type":"big","data":"{}"}}"#, "x".repeat(2_000))).await;
    assert_eq!(peer.close_frame().await.map(|(code, _)| code), Some(1009));
    let (_peer, _) = server.greet().await;
    soon(client.ready()).await.unwrap();
    assert_eq!(*lost.lock().unwrap(), Some(ErrorKind::TooLarge));
}

// N-7: a token that tells its end is renewed before it, and the server is told where the dialect knows how.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the dates of a token are the calendar's
async fn a_token_is_renewed_ahead_of_its_end() {
    use std::time::SystemTime;
    let server = Server::start().await;
    let dialect = r#"{
        "name": "renews",
        "first_frame": { "token": "${token}" },
        "token_refresh": { "frame": { "type": "auth", "token": "${token}" } }
    }"#;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    // A token for two seconds, renewed when a fifth of them is left.
    let mint = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let token = jwt(&serde_json::json!({"iat": now, "exp": now + 2}));
        async move { Ok(token) }
    };
    let dialect = everwire::Dialect::from_json(dialect).unwrap();
    let client = everwire::Client::builder(dialect).url(server.url()).token_provider(mint).build().unwrap();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    let first: serde_json::Value = serde_json::from_str(&peer.text().await).unwrap();
    let next: serde_json::Value = serde_json::from_str(&peer.text().await).unwrap();
    assert_eq!(next["type"], "auth");
    assert_ne!(next["token"], first["token"]);
    assert_eq!((asked.load(Ordering::Relaxed), client.stats().dials, client.state()), (2, 1, State::Connected));
}

// N-7, pitfall 12, found by the simulated world: a renewal that took too long outlived the client.
#[tokio::test]
#[allow(clippy::disallowed_methods)] // the dates of a token are the calendar's
async fn a_renewal_that_hangs_ends_with_the_client() {
    use std::time::SystemTime;
    let server = Server::start().await;
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let (asking, mut asked) = tokio::sync::mpsc::unbounded_channel();
    /// Tells when it is dropped.
    struct Told(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let started = std::sync::Mutex::new(false);
    // The first token is good for two seconds; the next one never comes.
    let provider = move || {
        let _ = asking.send(());
        let sender = sender.clone();
        let first = !std::mem::replace(&mut *started.lock().unwrap(), true);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        async move {
            if first {
                return Ok(jwt(&serde_json::json!({"iat": now, "exp": now + 2})));
            }
            let _told = Told(sender);
            std::future::pending().await
        }
    };
    let builder = server.builder().token_timeout(Duration::from_millis(50)).token_provider(provider);
    let client = builder.build().unwrap();
    let diary = Diary::of(&client);
    client.connect().unwrap();
    let (_peer, _) = server.greet().await;
    soon(asked.recv()).await;
    soon(asked.recv()).await;
    diary.until("error: the token provider took too long").await;
    soon(client.close()).await;
    assert_eq!(soon(dropped.recv()).await, Some(()));
}
