//! Messages to the server.

use super::peer::{Server, soon};
use everwire::{ErrorKind, Message};
use serde_json::json;

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

// Pitfall 10
#[tokio::test]
async fn nothing_is_sent_before_the_hello() {
    let server = Server::start().await;
    let client = server.builder().build().unwrap();
    assert_eq!(client.send("early").await.unwrap_err().kind(), ErrorKind::Closed);
    client.connect().unwrap();
    let mut peer = server.accept().await;
    assert!(peer.text().await.contains("the-token"));
    assert_eq!(client.send("early").await.unwrap_err().kind(), ErrorKind::Closed);
    peer.send(super::peer::HELLO).await;
    soon(client.ready()).await.unwrap();
    client.send("now").await.unwrap();
    assert_eq!(peer.text().await, "now");
}

// Pitfall 19: a peer that does not read fills a bounded queue, and reading goes on meanwhile.
#[tokio::test]
async fn a_peer_that_does_not_read_is_an_overflow_and_not_a_deadlock() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let big = Message::Text("x".repeat(1 << 20));
    let error = soon(async {
        loop {
            if let Err(error) = client.send(big.clone()).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Overflow);
    assert!(error.is_retryable());
    // The other direction is alive.
    let mut events = client.events();
    peer.event("a", 1).await;
    assert_eq!(soon(futures::StreamExt::next(&mut events)).await.unwrap().event_type(), "a");
}
