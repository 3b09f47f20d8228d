//! Messages to the server.

use super::peer::{Diary, Server, soon};
use everwire::{ErrorKind, Message, SendOptions, WhenFull};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn text_bytes_and_json_arrive_in_order() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    client.send("text").await.unwrap();
    client.send(json!({"type": "a", "n": 1})).await.unwrap();
    client.send(vec![1_u8, 2]).await.unwrap();
    assert_eq!(peer.text().await, "text");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&peer.text().await).unwrap(), json!({"type": "a", "n": 1}));
    assert_eq!(peer.next().await.unwrap().into_data().to_vec(), [1, 2]);
    assert_eq!(client.stats().messages_out, 4);
}

// N-6, pitfall 10
#[tokio::test]
async fn what_is_sent_before_the_hello_waits_for_it() {
    let server = Server::start().await;
    let client = server.builder().build().unwrap();
    let mut early = client.send_with("early", SendOptions::new());
    soon(early.accepted()).await.unwrap();
    client.connect().unwrap();
    let mut first = client.send_with("first", SendOptions::new());
    let second = client.send_with("second", SendOptions::new());
    soon(first.accepted()).await.unwrap();
    let mut peer = server.accept().await;
    assert!(peer.text().await.contains("the-token"));
    assert_eq!(client.stats().outbox_messages, 3);
    let mut first = Box::pin(first);
    assert!(futures::poll!(&mut first).is_pending());
    peer.send(super::peer::HELLO).await;
    soon(early).await.unwrap();
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    client.send("now").await.unwrap();
    for text in ["early", "first", "second", "now"] {
        assert_eq!(peer.text().await, text);
    }
}

// N-6: across a reconnect nothing is sent twice, and nothing is lost.
#[tokio::test]
async fn what_is_sent_while_reconnecting_arrives_once_and_in_order() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    client.send("0").await.unwrap();
    assert_eq!(peer.text().await, "0");
    let diary = Diary::of(&client);
    drop(peer);
    diary.until("backing-off").await;
    let sendings: Vec<_> = (1..50).map(|n| client.send_with(n.to_string(), SendOptions::new())).collect();
    let (mut peer, _) = server.greet().await;
    soon(futures::future::try_join_all(sendings)).await.unwrap();
    client.send("last").await.unwrap();
    for n in 1..50 {
        assert_eq!(peer.text().await, n.to_string());
    }
    assert_eq!(peer.text().await, "last");
}

// N-6: a message may be given up, by its time and by its sender, and what is left on its way is reported when it is lost.
#[tokio::test]
async fn messages_expire_are_withdrawn_and_reported() {
    let server = Server::start().await;
    let client = server.builder().build().unwrap();
    let diary = Diary::of(&client);
    client.connect().unwrap();
    let mut peer = server.accept().await;
    let short = SendOptions::new().ttl(Duration::from_millis(20));
    assert!(soon(client.send_with("expires", short)).await.unwrap_err().is_timeout());
    client.send_with("expires unheard", short).detach();
    diary.until("error: the message could not be written in time").await;
    let mut withdrawn = client.send_with("withdrawn", SendOptions::new());
    withdrawn.accepted().await.unwrap();
    drop(withdrawn);
    drop(client.send_with("withdrawn at once", SendOptions::new()));
    client.send_with("stays", SendOptions::new()).detach();
    peer.text().await;
    peer.send(super::peer::HELLO).await;
    assert_eq!(peer.text().await, "stays");
    assert_eq!(client.stats().outbox_expired, 2);
    // The end settles what waits, and tells why.
    peer.close(1012, "restart").await;
    diary.until("backing-off").await;
    let (sent, ()) = soon(async { futures::join!(client.send("too late"), client.close()) }).await;
    assert!(sent.unwrap_err().is_closed());
}

// Pitfall 19: a peer that does not read fills bounded queues; then senders wait for room, or are told that there is none.
#[tokio::test]
async fn a_peer_that_does_not_read_holds_up_senders_and_nothing_else() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let big = Message::Text("x".repeat(1 << 20));
    let mut written = 0;
    let mut stuck = loop {
        let mut sending = client.send_with(big.clone(), SendOptions::new());
        match tokio::time::timeout(Duration::from_millis(300), &mut sending).await {
            Ok(result) => result.unwrap(),
            Err(_) => break sending,
        }
        written += 1;
    };
    soon(stuck.accepted()).await.unwrap();
    let error = client.send("no room").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Overflow && error.is_retryable());
    let mut waits = client.send_with("waits for room", SendOptions::new().when_full(WhenFull::Wait));
    assert!(futures::poll!(std::pin::pin!(waits.accepted())).is_pending());
    // The other direction is alive.
    let mut events = client.events();
    peer.event("a", 1).await;
    assert_eq!(soon(futures::StreamExt::next(&mut events)).await.unwrap().event_type(), "a");
    // Once the peer reads, all of it arrives.
    let reading = async {
        for _ in 0..=written {
            assert_eq!(peer.text().await.len(), 1 << 20);
        }
        assert_eq!(peer.text().await, "waits for room");
    };
    let (accepted, ()) = soon(async { futures::join!(waits.accepted(), reading) }).await;
    accepted.unwrap();
    stuck.await.unwrap();
    waits.await.unwrap();
}
