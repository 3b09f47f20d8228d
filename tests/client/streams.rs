//! The stream of events: bounds and policies, and every way to read it.

use super::peer::{Server, soon};
use everwire::{Client, ErrorKind, Event, EventStream, Lifecycle, StreamOptions, StreamPolicy};
use futures::{StreamExt, channel::mpsc};
use std::time::Duration;

fn number(event: &Event) -> u64 {
    event.json::<serde_json::Value>().unwrap()["number"].as_u64().unwrap()
}

async fn filled(client: &Client, peer: &mut super::peer::Peer, options: StreamOptions) -> EventStream {
    let stream = client.events_with(options.pattern("n")).unwrap();
    for sent in 0..6 {
        peer.event("n", sent).await;
    }
    let (end, ()) = soon(async { futures::join!(client.next_event("end"), peer.event("end", 0)) }).await;
    end.unwrap();
    stream
}

// S2-6: each policy keeps what it says, and counts what it drops.
#[tokio::test]
async fn a_full_stream_drops_by_its_policy_and_counts() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (told, mut overflows) = mpsc::unbounded();
    let _watching = client.on_lifecycle(move |step| {
        if let Lifecycle::Overflow { queue, capacity, dropped, policy } = step {
            told.unbounded_send((*queue, *capacity, *dropped, *policy)).unwrap();
        }
    });
    for (policy, kept) in [(StreamPolicy::DropOldest, [3, 4, 5]), (StreamPolicy::DropNewest, [0, 1, 2])] {
        let before = client.stats().overflows;
        let mut stream = filled(&client, &mut peer, StreamOptions::new().capacity(3).policy(policy)).await;
        assert_eq!((stream.dropped(), client.stats().overflows - before), (3, 3));
        let mut told = 0;
        while told < 3 {
            let (queue, capacity, dropped, word) = soon(overflows.next()).await.unwrap();
            assert_eq!((queue, capacity, word), ("events", 3, policy.as_str()));
            told += dropped;
        }
        for expected in kept {
            assert_eq!(number(&soon(stream.recv()).await.unwrap()), expected, "{policy:?}");
        }
        assert_eq!(stream.recv_timeout(Duration::from_millis(1)).await.unwrap_err().kind(), ErrorKind::Timeout);
    }
    let mut stream = filled(&client, &mut peer, StreamOptions::new().capacity(3).policy(StreamPolicy::Error)).await;
    for expected in 0..3 {
        assert_eq!(number(&soon(stream.recv()).await.unwrap()), expected);
    }
    let error = soon(stream.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overflow);
    assert!(soon(stream.next()).await.is_none());
    // The others go on.
    assert!(client.is_connected());
}

// S1-13: recv gives text and binary messages as they came, and the cause of the end.
#[tokio::test]
async fn raw_and_binary_messages_come_through_and_the_end_has_its_cause() {
    let server = Server::start().await;
    let client = Client::builder(everwire::Dialect::raw()).url(server.url()).build().unwrap();
    let mut stream = client.events();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    peer.send("no JSON at all").await;
    peer.send_binary(&[0, 255]).await;
    assert_eq!(soon(stream.recv()).await.unwrap().text(), Some("no JSON at all"));
    let binary = soon(stream.recv_timeout(Duration::from_secs(20))).await.unwrap();
    assert_eq!((binary.is_binary(), binary.bytes()), (true, &[0, 255][..]));
    soon(client.close()).await;
    let error = soon(stream.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("closed by the user"), "{error}");
}

// S2-6: events of a round that waited behind those of an earlier one stay in order, with readers that come and go.
#[tokio::test]
async fn streams_that_come_and_go_each_see_every_event_in_order() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let mut kept = client.events_with(StreamOptions::new().pattern("n")).unwrap();
    for round in 0..20 {
        let mut passing = client.events_with(StreamOptions::new().pattern("n")).unwrap();
        for index in 0..30 {
            peer.event("n", round * 30 + index).await;
        }
        for index in 0..30 {
            assert_eq!(number(&soon(passing.recv()).await.unwrap()), round * 30 + index);
        }
    }
    for expected in 0..600 {
        assert_eq!(number(&soon(kept.recv()).await.unwrap()), expected);
    }
    assert_eq!(kept.dropped(), 0);
}
