//! Channels over real sockets, and the ids of connections.

use super::peer::{Diary, Peer, Server, soon};
use everwire::{Client, Dialect, Error, ErrorKind, StreamOptions};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const DIALECT: &str = r#"{
    "name": "market",
    "channels": {
        "field": "data.channel",
        "subscribe": { "op": "sub", "channel": "${channel}" },
        "unsubscribe": { "op": "unsub", "channel": "${channel}" }
    }
}"#;

async fn start(server: &Server) -> (Client, Peer) {
    let builder = Client::builder(Dialect::from_json(DIALECT).unwrap()).url(server.url());
    let client = builder.backoff(Duration::from_millis(10), Duration::from_millis(50)).build().unwrap();
    client.connect().unwrap();
    let peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    (client, peer)
}

/// The next subscription, as the server sees it.
async fn op(peer: &mut Peer) -> String {
    let frame: Value = serde_json::from_str(&peer.text().await).expect("JSON");
    format!("{} {}", frame["op"].as_str().unwrap_or("?"), frame["channel"].as_str().unwrap_or("?"))
}

async fn tick(peer: &mut Peer, channel: &str, number: u64) {
    peer.send(&json!({"type": "tick", "data": {"channel": channel, "n": number}}).to_string()).await;
}

async fn number(event: impl Future<Output = Result<everwire::Event, Error>>) -> u64 {
    let event = soon(event).await.expect("an event").json::<Value>().expect("JSON");
    event["data"]["n"].as_u64().expect("a number")
}

// S2-13
#[tokio::test]
async fn each_channel_has_its_own_events_and_is_subscribed_to_again_after_a_reconnect() {
    let server = Server::start().await;
    let (client, mut peer) = start(&server).await;
    let mut all = client.events();
    let (a, b) = (client.channel("a").unwrap(), client.channel("b").unwrap());
    let again = client.channel("a").unwrap();
    assert_eq!((op(&mut peer).await.as_str(), op(&mut peer).await.as_str()), ("sub a", "sub b"));
    let mut of_a = a.events();
    let mut of_b = b.events_with(StreamOptions::new().capacity(2)).unwrap();
    let heard = Arc::new(Mutex::new(0));
    let counter = heard.clone();
    let _counting = again.on("tick", move |_| *counter.lock().unwrap() += 1);
    let _deaf = a.on("other", |_| panic!("not of this type"));
    for (channel, n) in [("a", 1), ("nobody", 2), ("b", 3), ("b", 4), ("b", 5)] {
        tick(&mut peer, channel, n).await;
        // The listeners of the client have all of them.
        assert_eq!(number(all.recv()).await, n);
    }
    assert_eq!(number(of_a.recv()).await, 1);
    // Its queue is its own, and bounded.
    assert_eq!((number(of_b.recv()).await, of_b.dropped()), (4, 1));
    assert_eq!(*heard.lock().unwrap(), 1);
    assert_eq!((client.stats().routed, client.stats().unroutable), (4, 1));

    // One handle less is not the last one.
    drop(again);
    drop(peer);
    let mut peer = server.accept().await;
    assert_eq!((op(&mut peer).await.as_str(), op(&mut peer).await.as_str()), ("sub a", "sub b"));
    tick(&mut peer, "a", 6).await;
    assert_eq!(number(of_a.recv()).await, 6);
    drop(a.clone());
    drop(a);
    assert_eq!(op(&mut peer).await, "unsub a");
    let error = soon(of_a.recv()).await.unwrap_err();
    assert!(error.is_closed(), "{error}");
    let a = client.channel("a").unwrap();
    assert_eq!(op(&mut peer).await, "sub a");
    let mut of_a = a.events();
    tick(&mut peer, "a", 7).await;
    assert_eq!(number(of_a.recv()).await, 7);
}

#[tokio::test]
async fn a_channel_may_be_wanted_before_there_is_a_connection() {
    let server = Server::start().await;
    let client = Client::builder(Dialect::from_json(DIALECT).unwrap()).url(server.url()).build().unwrap();
    let channel = client.channel("a").unwrap();
    client.connect().unwrap();
    let first = client.send_with("first", everwire::SendOptions::new());
    let mut peer = server.accept().await;
    assert_eq!(op(&mut peer).await, "sub a");
    soon(first).await.unwrap();
    assert_eq!(peer.text().await, "first");
    // Every handle gone, that of the channel too: then the connection ends.
    drop(client);
    drop(channel);
    assert_eq!(peer.close_frame().await.map(|(code, _)| code), Some(1000));
    let client = Client::builder(Dialect::raw()).url(server.url()).build().unwrap();
    assert_eq!(client.channel("a").unwrap_err().kind(), ErrorKind::Unsupported);
}

// S0-24
#[tokio::test]
async fn the_connection_id_is_told_across_reconnects() {
    let server = Server::start().await;
    let idle = server.builder().build().unwrap();
    assert_eq!(idle.wait_for_connection_id().await.unwrap_err().kind(), ErrorKind::InvalidState);
    let (client, peer) = server.connect(server.builder()).await;
    let diary = Diary::of(&client);
    let mut ids = client.connection_ids();
    assert_eq!(soon(ids.next()).await.as_deref(), Some("c-1"));
    assert_eq!(&*soon(client.wait_for_connection_id()).await.unwrap(), "c-1");
    drop(peer);
    diary.until("backing-off").await;
    let greet = async {
        let mut peer = server.accept().await;
        peer.text().await;
        peer.send(r#"{"type":"connection.ok","connection_id":"c-2"}"#).await;
        peer
    };
    let (id, waited, peer) = soon(async { futures::join!(ids.next(), client.wait_for_connection_id(), greet) }).await;
    assert_eq!((id.as_deref(), waited.as_deref().ok()), (Some("c-2"), Some("c-2")));
    peer.close(1000, "enough").await;
    assert_eq!(soon(ids.next()).await, None);
    assert!(client.wait_for_connection_id().await.unwrap_err().is_closed());
}

// S0-26: the `products` filter is a parameter of the dialect `stream`.
#[tokio::test]
async fn products_are_filtered_by_the_first_frame() {
    let server = Server::start().await;
    let client = server.builder().param("products", ["chat", "video"]).build().unwrap();
    client.connect().unwrap();
    let (_peer, first) = server.greet().await;
    assert_eq!(first["products"], json!(["chat", "video"]));
    let client = server.builder().build().unwrap();
    client.connect().unwrap();
    let (_peer, first) = server.greet().await;
    assert_eq!(first.get("products"), None);
}
