//! Events and who hears of them.

use super::{
    peer::{Diary, Server, soon},
    wire::{CLOSE, TEXT, Wire, frame},
};
use everwire::{Client, Dialect, ErrorKind, Event, State, Subscription};
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
};
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

/// What a listener does at the third of fifty events that come at once.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Closes,
    Drops,
    TurnsOff,
}

// S0-14, S0-21: nothing is delivered after a close, after the last handle was dropped, or after a listener was taken off.
#[tokio::test]
async fn nothing_follows_a_close_within_a_burst() {
    for leaves in [Leaves::Closes, Leaves::Drops, Leaves::TurnsOff] {
        let wire = Wire::open().await;
        let client = wire.builder(Dialect::raw()).build().expect("the settings are right");
        client.connect().expect("idle");
        let mut end = wire.accept().await;
        soon(client.ready()).await.expect("connected");
        let (sender, mut heard) = mpsc::unbounded();
        let held: Arc<Mutex<(Option<Client>, Option<Subscription>)>> = Arc::default();
        let (inside, within) = (held.clone(), AtomicU32::new(0));
        let subscription = client.on("tick", move |_| {
            let number = within.fetch_add(1, Ordering::Relaxed) + 1;
            let _ = sender.unbounded_send(number);
            if number == 3 {
                let mut held = inside.lock().expect("whole");
                match (leaves, &held.0) {
                    (Leaves::Closes, Some(client)) => {
                        let _ = client.close().now_or_never();
                        assert_eq!(client.state(), State::Disconnecting);
                    }
                    (Leaves::Drops, _) => drop(held.0.take()),
                    (Leaves::TurnsOff, _) => drop(held.1.take()),
                    _ => unreachable!("it holds the client"),
                }
            }
        });
        let last = soon_after(&client, leaves);
        *held.lock().expect("whole") = (Some(client), Some(subscription));
        let burst: Vec<u8> = (0..50).flat_map(|_| frame(TEXT, true, br#"{"type":"tick"}"#)).collect();
        end.write(&burst).await;
        end.text(r#"{"type":"last"}"#).await;
        match last {
            Some(last) => soon(last).await.expect("the client goes on"),
            None => assert_eq!(end.frame().await.0, CLOSE),
        }
        let mut numbers = Vec::new();
        while let Some(Some(number)) = heard.next().now_or_never() {
            numbers.push(number);
        }
        assert_eq!(numbers, [1, 2, 3], "{leaves:?}");
    }
}

/// Tells of the event after the burst, where the client goes on.
fn soon_after(client: &Client, leaves: Leaves) -> Option<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    client
        .on("last", move |_| {
            if let Some(sender) = sender.lock().expect("whole").take() {
                let _ = sender.send(());
            }
        })
        .detach();
    matches!(leaves, Leaves::TurnsOff).then_some(receiver)
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
