//! Requests and their replies over real sockets.

use super::peer::{Peer, Server, soon};
use everwire::{Client, Dialect, ErrorKind};
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

async fn start(server: &Server) -> (Client, Peer) {
    let dialect = r#"{"name": "rpc", "type_field": "method", "requests": {"id": "id", "error": "error"}}"#;
    let builder = Client::builder(Dialect::from_json(dialect).unwrap()).url(server.url());
    let client = builder.backoff(Duration::from_millis(10), Duration::from_millis(50)).build().unwrap();
    client.connect().unwrap();
    let peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    (client, peer)
}

/// The next request, as the server sees it.
async fn asked(peer: &mut Peer) -> Value {
    serde_json::from_str(&peer.text().await).expect("JSON")
}

#[tokio::test]
async fn replies_find_their_requests_whatever_their_order() {
    let server = Server::start().await;
    let (client, mut peer) = start(&server).await;
    let mut events = client.events();
    let serving = async {
        let (first, second) = (asked(&mut peer).await, asked(&mut peer).await);
        peer.event("tick", 1).await;
        peer.send(&json!({"id": second["id"], "result": second["n"]}).to_string()).await;
        peer.send(&json!({"id": first["id"], "error": {"code": 7, "message": "no"}}).to_string()).await;
    };
    let first = client.request(json!({"method": "get", "n": 1}), LONG);
    let second = client.request(json!({"method": "get", "n": 2}), LONG);
    let (first, second, ()) = soon(async { futures::join!(first, second, serving) }).await;
    let error = first.unwrap_err();
    assert_eq!((error.kind(), error.code(), error.message()), (ErrorKind::Server, Some(7), "no"));
    assert_eq!(second.unwrap().json::<Value>().unwrap()["result"], 2);
    // The listeners have the event, and none of the replies.
    let tick = soon(futures::StreamExt::next(&mut events)).await.unwrap();
    assert_eq!(tick.json::<Value>().unwrap()["number"], 1);
    assert_eq!((client.stats().requests, client.stats().replies, client.stats().events), (2, 2, 1));
}

#[tokio::test]
async fn a_request_fails_with_its_time_its_connection_and_its_client() {
    let server = Server::start().await;
    let (client, mut peer) = start(&server).await;
    let error = soon(client.request(json!({}), Duration::from_millis(50))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    asked(&mut peer).await;
    let breaking = async {
        asked(&mut peer).await;
        drop(peer);
    };
    let (lost, ()) = soon(async { futures::join!(client.request(json!({}), LONG), breaking) }).await;
    let error = lost.unwrap_err();
    assert!(error.is_closed() && error.is_retryable(), "{error}");
    // One that waits for the next connection is answered there.
    let serving = async {
        let mut peer = server.accept().await;
        let request = asked(&mut peer).await;
        peer.send(&json!({"id": request["id"]}).to_string()).await;
        peer
    };
    let (reply, mut peer) = soon(async { futures::join!(client.request(json!({}), LONG), serving) }).await;
    reply.unwrap();
    let closing = async {
        asked(&mut peer).await;
        client.close().await;
    };
    let (closed, ()) = soon(async { futures::join!(client.request(json!({}), LONG), closing) }).await;
    assert!(closed.unwrap_err().is_closed());
    assert_eq!(client.request(json!({}), LONG).await.unwrap_err().kind(), ErrorKind::Closed);
}

// Whoever drops the future is forgotten, and the late reply is an event as any other.
#[tokio::test]
async fn a_request_that_is_dropped_leaves_nothing_behind() {
    let server = Server::start().await;
    let (client, mut peer) = start(&server).await;
    let mut events = client.events();
    for _ in 0..300 {
        let request = client.request(json!({"method": "get"}), LONG);
        assert!(tokio::time::timeout(Duration::from_millis(2), request).await.is_err());
    }
    // More than may wait at a time: those that were dropped do not count.
    let last = client.request(json!({"method": "last"}), LONG);
    let serving = async {
        let mut request = asked(&mut peer).await;
        peer.send(&json!({"id": request["id"], "late": true}).to_string()).await;
        while request["method"] != "last" {
            request = asked(&mut peer).await;
        }
        peer.send(&json!({"id": request["id"]}).to_string()).await;
    };
    let (reply, ()) = soon(async { futures::join!(last, serving) }).await;
    reply.unwrap();
    let late = soon(futures::StreamExt::next(&mut events)).await.unwrap();
    assert_eq!(late.json::<Value>().unwrap()["late"], true);
}
