//! Events and who hears of them.

use super::peer::{Diary, Server, soon};
use everwire::{ErrorKind, Event};
use futures::{StreamExt, channel::mpsc};
use serde::Deserialize;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

/// A listener that passes on the types it hears.
fn recorder() -> (impl Fn(&Event) + Send + Sync + Clone, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded();
    (move |event: &Event| drop(sender.unbounded_send(event.event_type().to_owned())), receiver)
}

// S0-18, S0-19
#[tokio::test]
async fn listeners_hear_their_types_and_patterns_in_order() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (sender, mut heard) = mpsc::unbounded();
    for pattern in ["message.new", "message.*", "call.**", "*", "unknown"] {
        let sender = sender.clone();
        let note = move |event: &Event| drop(sender.unbounded_send(format!("{pattern}:{}", event.event_type())));
        client.on(pattern, note).detach();
    }
    for frame in [r#"{"type":"message.new"}"#, r#"{"type":"call.a.b"}"#, r#"{"data":1}"#, "broken", r#"{"type":"end"}"#]
    {
        peer.send(frame).await;
    }
    let heard: Vec<String> = soon(heard.by_ref().take(8).collect()).await;
    assert_eq!(
        heard,
        [
            "message.new:message.new",
            "message.*:message.new",
            "*:message.new",
            "call.**:call.a.b",
            "*:call.a.b",
            "*:unknown",
            "unknown:unknown",
            "*:end"
        ]
    );
    let stats = client.stats();
    assert_eq!((stats.malformed, stats.errors), (1, 1));
}

// S0-17
#[tokio::test]
async fn a_listener_that_panics_is_reported_and_the_others_go_on() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let diary = Diary::of(&client);
    let (listener, mut heard) = recorder();
    client.on("a", |_| panic!("on purpose")).detach();
    client.on("a", listener).detach();
    peer.event("a", 1).await;
    peer.event("a", 2).await;
    assert_eq!(soon(heard.by_ref().take(2).collect::<Vec<_>>()).await, ["a", "a"]);
    let error = diary.until("error").await;
    assert!(error.contains("on purpose") && error.contains("`a`"), "{error}");
    client.close().await;
    assert_eq!(client.stats().listener_failures, 2);
}

#[tokio::test]
async fn a_dropped_subscription_is_off_and_a_detached_one_stays() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (listener, mut heard) = recorder();
    let dropped = client.on("dropped", listener.clone());
    let off = client.on("off", listener.clone());
    client.on("kept", listener.clone()).detach();
    client.once("once", listener.clone()).detach();
    drop(dropped);
    assert!(off.off());
    for kind in ["dropped", "off", "once", "once", "kept"] {
        peer.event(kind, 0).await;
    }
    assert_eq!(soon(heard.by_ref().take(2).collect::<Vec<_>>()).await, ["once", "kept"]);
    assert!(client.try_on("a*b", |_| ()).is_err_and(|error| error.kind() == ErrorKind::InvalidInput));
}

// Pitfall 17: anything may be called from within a listener.
#[tokio::test]
async fn listeners_may_change_the_listeners() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (listener, mut heard) = recorder();
    let later = Arc::new(Mutex::new(None));
    let slot = later.clone();
    let weak = Arc::new(Mutex::new(Some(client.clone())));
    let (own, adds) = (weak.clone(), listener.clone());
    client
        .on("change", move |_| {
            // Removed while its event is being dispatched: it is not called any more.
            slot.lock().unwrap().take();
            if let Some(client) = own.lock().unwrap().take() {
                client.on("added", adds.clone()).detach();
            }
        })
        .detach();
    *later.lock().unwrap() = Some(client.on("change", listener.clone()));
    for kind in ["change", "change", "added"] {
        peer.event(kind, 0).await;
    }
    assert_eq!(soon(heard.next()).await.as_deref(), Some("added"));
}

#[derive(Debug, Deserialize, PartialEq)]
struct Numbered {
    number: u64,
}

#[tokio::test]
async fn an_event_decodes_when_asked_and_says_when_it_does_not_fit() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let mut events = client.events();
    peer.event("a", 7).await;
    peer.send(r#"{"type":"b","number":"x","token":"s3cret"}"#).await;
    peer.send_binary(&[1, 2, 3]).await;
    let event = soon(events.next()).await.unwrap();
    assert_eq!((event.event_type(), event.json::<Numbered>().unwrap()), ("a", Numbered { number: 7 }));
    let event = soon(events.next()).await.unwrap();
    let error = event.json::<Numbered>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error:?} {event:?}").contains("s3cret"), "{error:?}");
    let event = soon(events.next()).await.unwrap();
    assert!(event.is_binary() && event.bytes() == [1, 2, 3] && event.text().is_none());
}

// Bounded: a slow reader loses the oldest, and the loss is counted.
#[tokio::test]
async fn a_stream_that_is_not_read_drops_the_oldest_and_counts() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let mut events = client.events();
    let (listener, mut heard) = recorder();
    client.on("last", listener).detach();
    for number in 0..1_500 {
        peer.event("a", number).await;
    }
    peer.event("last", 0).await;
    soon(heard.next()).await.unwrap();
    assert_eq!((events.dropped(), client.stats().overflows), (477, 477));
    let first = soon(events.next()).await.unwrap();
    assert_eq!(first.json::<Numbered>().unwrap().number, 477);
    client.close().await;
    let rest = soon(events.collect::<Vec<_>>()).await;
    assert_eq!(rest.len(), 1_023);
}

#[tokio::test]
async fn a_stream_ends_with_the_client() {
    let server = Server::start().await;
    let (client, peer) = server.connect(server.builder()).await;
    let events = client.events();
    let number = Arc::new(AtomicU32::new(0));
    drop(client);
    let _peer = peer;
    soon(events.for_each(|_| {
        number.fetch_add(1, Ordering::Relaxed);
        async {}
    }))
    .await;
}
