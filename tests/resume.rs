//! Client and server of the everwire protocol over real sockets that break again and again (N-9, S2-6, S2-7).
#![cfg(all(native, feature = "server"))]
#![allow(clippy::disallowed_methods)] // the proxy is no part of everwire, and sockets break in real time

use everwire::{
    Cause, Client, ClientBuilder, Dialect, Lifecycle, NetworkChange,
    server::{Activity, Running, Server, ServerBuilder},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it takes too long")
}

async fn start(builder: ServerBuilder) -> Running {
    builder.development().build().expect("right").bind("127.0.0.1:0").await.expect("a free port")
}

fn client(address: SocketAddr) -> ClientBuilder {
    Client::builder(Dialect::everwire())
        .url(format!("http://{address}"))
        .param("user_id", "alice")
        .token("any")
        .max_attempts(0)
        .backoff(Duration::from_millis(2), Duration::from_millis(10))
}

/// The first and the last number of a gap.
type Gap = (u64, Option<u64>);

/// What a listener got: the numbers of events, and the gaps between them.
#[derive(Clone)]
struct Got {
    events: Arc<Mutex<Vec<u64>>>,
    gaps: Arc<Mutex<Vec<Gap>>>,
    count: watch::Sender<usize>,
}

impl Got {
    fn by(client: &Client) -> Self {
        let got = Self { events: Arc::default(), gaps: Arc::default(), count: watch::Sender::new(0) };
        let (events, gaps, count) = (got.events.clone(), got.gaps.clone(), got.count.clone());
        client
            .on("tick", move |event| {
                let number = event.json::<Value>().expect("JSON")["n"].as_u64().expect("a number");
                events.lock().unwrap().push(number);
                count.send_modify(|count| *count += 1);
            })
            .detach();
        client
            .on_lifecycle(move |step| {
                if let Lifecycle::Gap { from, to } = step {
                    gaps.lock().unwrap().push((*from, *to));
                }
            })
            .detach();
        got
    }

    async fn until(&self, count: usize) -> Vec<u64> {
        let mut counts = self.count.subscribe();
        soon(counts.wait_for(|have| *have >= count)).await.expect("the sender is in self");
        self.events.lock().unwrap().clone()
    }
}

/// Between client and server: lets this many bytes of each connection through, then breaks it in the middle of a frame.
async fn cutting_proxy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut budget = 700_u64;
        while let Ok((near, _)) = listener.accept().await {
            budget = budget.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tokio::spawn(forward(near, server, 600 + (budget >> 33) % 6_000));
        }
    });
    address
}

async fn forward(mut near: TcpStream, server: SocketAddr, budget: u64) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    let (mut from_near, mut to_near) = near.split();
    let (from_far, mut to_far) = far.split();
    let mut from_far = from_far.take(budget);
    tokio::select! {
        _ = tokio::io::copy(&mut from_near, &mut to_far) => {}
        _ = tokio::io::copy(&mut from_far, &mut to_near) => {}
    }
    let _ = to_near.shutdown().await;
}

/// Publishes numbered ticks, as fast as a market in a hurry.
async fn publish(server: &Server, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        server.publish(&json!({"type": "tick", "n": number})).expect("an object");
        if number % 8 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

// N-9: every event exactly once and in order, over connections that are dropped, and cut in the middle of a frame.
#[tokio::test]
async fn every_event_comes_once_and_in_order_across_many_reconnects() {
    let running = start(Server::builder()).await;
    let client = client(cutting_proxy(running.local_addr()).await).build().unwrap();
    let got = Got::by(&client);
    client.connect().unwrap();
    soon(client.ready()).await.unwrap();
    let drops = async {
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            running.server().drop_connections();
        }
    };
    tokio::select! {
        () = publish(running.server(), 1..=4_000) => {}
        () = drops => {}
    }
    let events = got.until(4_000).await;
    assert_eq!(events, (1..=4_000).collect::<Vec<_>>());
    let stats = client.stats();
    assert!(stats.reconnects >= 10 && stats.resumes == stats.reconnects && stats.gaps == 0, "{stats:?}");
}

// S2-8: the new socket is up before the old one goes; during a steady stream no event is lost, none comes twice, the order
// holds, and nobody is told of a loss.
#[tokio::test]
async fn a_connection_is_replaced_during_a_steady_stream_without_a_trace() {
    let running = start(Server::builder()).await;
    let client = client(running.local_addr()).max_connection_age(Duration::from_millis(100)).connect().await.unwrap();
    let got = Got::by(&client);
    let losses = Arc::new(Mutex::new(0));
    let seen = losses.clone();
    client
        .on_lifecycle(move |step| *seen.lock().unwrap() += u32::from(matches!(step, Lifecycle::Disconnected { .. })))
        .detach();
    let watch = async {
        loop {
            assert!(running.server().stats().sessions == 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = publish(running.server(), 1..=6_000) => {}
        () = watch => {}
    }
    assert_eq!(got.until(6_000).await, (1..=6_000).collect::<Vec<_>>());
    let stats = client.stats();
    assert!(stats.resumes >= 5 && stats.gaps == 0, "{stats:?}");
    assert_eq!(*losses.lock().unwrap(), 0);
}

// Past the retention the gap is told, in its place.
#[tokio::test]
async fn past_the_retention_the_gap_is_told_in_its_place() {
    let running = start(Server::builder().retention(50, 1 << 20)).await;
    let client = client(running.local_addr()).connect().await.unwrap();
    let got = Got::by(&client);
    publish(running.server(), 1..=10).await;
    got.until(10).await;
    client.network(NetworkChange::Offline);
    running.server().drop_connections();
    soon(async {
        while running.server().connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publish(running.server(), 11..=200).await;
    client.network(NetworkChange::Online);
    let events = got.until(60).await;
    assert_eq!(events, (1..=10).chain(151..=200).collect::<Vec<_>>());
    assert_eq!(*got.gaps.lock().unwrap(), [(11, Some(150))]);
}

// A server that has forgotten the session says so, and the client goes on in a new one.
#[tokio::test]
async fn a_session_that_is_gone_is_a_gap_without_an_end() {
    let running = start(Server::builder()).await;
    let client = client(running.local_addr()).connect().await.unwrap();
    let got = Got::by(&client);
    publish(running.server(), 1..=10).await;
    got.until(10).await;
    assert_eq!(running.server().forget_sessions(), 1);
    soon(async {
        while client.stats().reconnects == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publish(running.server(), 11..=20).await;
    assert_eq!(got.until(20).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(*got.gaps.lock().unwrap(), [(11, None)]);
}

// N-9: at least once to the wire, exactly once to the listener, the other way round.
#[tokio::test]
async fn every_message_is_taken_once_and_in_order_across_many_reconnects() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = taken.clone();
    let running = start(Server::builder().on_activity(move |activity| {
        if let Activity::Message { text, .. } = activity {
            seen.lock().unwrap().push(serde_json::from_str::<Value>(text).unwrap()["n"].as_u64().unwrap());
        }
    }))
    .await;
    let client = client(cutting_proxy(running.local_addr()).await).connect().await.unwrap();
    let mut sent = 0;
    while sent < 1_000 {
        soon(client.ready()).await.unwrap();
        if client.send(json!({"type": "order", "n": sent + 1})).await.is_ok() {
            sent += 1;
        }
        if sent % 100 == 50 {
            running.server().drop_connections();
        }
    }
    soon(async {
        while taken.lock().unwrap().len() < 1_000 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(*taken.lock().unwrap(), (1..=1_000).collect::<Vec<u64>>());
    assert!(client.stats().reconnects >= 5, "{:?}", client.stats());
}

// Two clients must not fight for one session.
#[tokio::test]
async fn a_client_whose_session_is_taken_over_ends() {
    let running = start(Server::builder()).await;
    let client = client(running.local_addr()).connect().await.unwrap();
    running.server().close_connections(4409, "another socket has taken over this session").unwrap();
    assert!(matches!(soon(client.closed()).await, Cause::ByServer(error) if error.close_code() == Some(4409)));
}

// S2-7: on a server of another kind, by functions.
#[tokio::test]
async fn a_server_without_sessions_is_asked_by_a_function() {
    let dialect = r#"{"name": "feed", "hello": {"types": ["welcome"]}}"#;
    let builder = |dialect| Client::builder(Dialect::from_json(dialect).unwrap()).url("ws://127.0.0.1:1");
    let error = builder(dialect).on_resume(|_| None).build().unwrap_err();
    assert_eq!(error.path(), Some("on_resume"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = builder(dialect)
        .url(format!("ws://{}", listener.local_addr().unwrap()))
        .backoff(Duration::from_millis(2), Duration::from_millis(10))
        .sequence(|event| event.json::<Value>().ok()?["offset"].as_u64())
        .on_resume(|point| Some(json!({"since": point.last_sequence}).into()))
        .build()
        .unwrap();
    let got = Got::by(&client);
    client.connect().unwrap();
    for (asked, numbers) in [(None, vec![1, 2]), (Some(r#"{"since":2}"#), vec![2, 3, 5])] {
        let (tcp, _) = soon(listener.accept()).await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
        use futures::{SinkExt, StreamExt};
        socket.send(r#"{"type":"welcome"}"#.into()).await.unwrap();
        if let Some(asked) = asked {
            assert_eq!(soon(socket.next()).await.unwrap().unwrap().to_text().unwrap(), asked);
        }
        for number in numbers {
            socket.send(json!({"type": "tick", "n": number, "offset": number}).to_string().into()).await.unwrap();
        }
        socket.flush().await.unwrap();
        got.until(if asked.is_some() { 4 } else { 2 }).await;
    }
    assert_eq!(*got.events.lock().unwrap(), [1, 2, 3, 5]);
    assert_eq!(&*got.gaps.lock().unwrap(), &[(4, Some(4))]);
    assert_eq!(client.stats().duplicates, 1);
}

// N-9: a program that is started anew misses nothing, and its messages are taken as if it were the old one.
#[tokio::test]
async fn a_program_that_is_started_anew_goes_on_where_it_was() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = taken.clone();
    let running = start(Server::builder().on_activity(move |activity| {
        if let Activity::Message { text, .. } = activity {
            seen.lock().unwrap().push(serde_json::from_str::<Value>(text).unwrap()["n"].as_u64().unwrap());
        }
    }))
    .await;
    let old = client(running.local_addr()).connect().await.unwrap();
    let got = Got::by(&old);
    publish(running.server(), 1..=10).await;
    got.until(10).await;
    old.send(json!({"type": "order", "n": 1})).await.unwrap();
    soon(old.close_with(4000, "restart")).await.unwrap();
    let point = old.resume_point().expect("the session is kept");
    let kept = (point.session.as_deref().map(str::to_owned), point.last_sequence);
    drop(old);
    publish(running.server(), 11..=20).await;

    let point = everwire::ResumePoint::new(kept.0.as_deref(), kept.1);
    let new = client(running.local_addr()).resume_from(point).build().unwrap();
    let got = Got::by(&new);
    new.connect().unwrap();
    publish(running.server(), 21..=30).await;
    assert_eq!(got.until(20).await, (11..=30).collect::<Vec<_>>());
    assert!(got.gaps.lock().unwrap().is_empty());
    assert_eq!(new.stats().resumes, 1);
    new.send(json!({"type": "order", "n": 2})).await.unwrap();
    soon(async {
        while taken.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(*taken.lock().unwrap(), [1, 2]);
    // Closed for good there is nothing to go on with.
    soon(new.close()).await;
    assert_eq!(new.resume_point(), None);
    let error = Client::builder(Dialect::raw()).url("ws://127.0.0.1:1").resume_from(everwire::ResumePoint::default());
    assert_eq!(error.build().unwrap_err().path(), Some("resume_from"));
}
