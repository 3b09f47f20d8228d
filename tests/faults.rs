//! What networks do, between the real client and the real server: every fault is survived, told by its right name, and
//! named rightly in the reconnect log (N-12).
#![cfg(all(native, unix, feature = "cli"))]
#![allow(clippy::disallowed_methods)] // the rule is for the crate

mod common;
#[path = "common/proxy.rs"]
mod proxy;

use common::Peer;
use everwire::{
    Client, ClientBuilder, Dialect, ErrorKind, Lifecycle, Reason,
    server::{Running, Server},
};
use proxy::{Cut, Door, Faults, Proxy};
use serde_json::json;
use std::{process::Command, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// A client and a server with a faulty wire between them.
struct Scene {
    server: Running,
    proxy: Proxy,
    client: Client,
    events: mpsc::UnboundedReceiver<u64>,
    faults: Told,
    number: u64,
}

/// What the client tells of its failures: the kind and the words.
type Told = mpsc::UnboundedReceiver<(ErrorKind, String)>;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), future).await.expect("it takes too long")
}

/// Short waits: what takes seconds in real life takes tenths of them here.
fn builder(url: String) -> ClientBuilder {
    Client::builder(Dialect::stream())
        .url(url)
        .param("api_key", "key")
        .param("user_id", "alice")
        .token("any")
        .backoff(Duration::from_millis(20), Duration::from_millis(100))
        .max_attempts(0)
        .open_timeout(Duration::from_millis(400))
        .hello_timeout(Duration::from_millis(800))
        .health_check_interval(Duration::from_millis(100))
        .silence_timeout(Duration::from_millis(1_100))
}

fn listen(client: &Client) -> (mpsc::UnboundedReceiver<u64>, Told) {
    let (sender, events) = mpsc::unbounded_channel();
    let number = move |event: &everwire::Event| {
        let document: serde_json::Value = event.json().expect("JSON");
        let _ = sender.send(document["number"].as_u64().expect("a number"));
    };
    client.on("number", number).detach();
    let (sender, told) = mpsc::unbounded_channel();
    let tell = move |step: &Lifecycle| {
        if let Lifecycle::Disconnected { error, .. } | Lifecycle::BackingOff { error, .. } = step {
            let _ = sender.send((error.kind(), error.to_string()));
        }
    };
    client.on_lifecycle(tell).detach();
    (events, told)
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}, |builder| builder).await
    }

    /// With faults from the start.
    async fn with(faults: impl FnOnce(&mut Faults), set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let server = Server::builder().development().build().unwrap().bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::to(server.local_addr()).await;
        proxy.set(faults);
        let client = set(builder(proxy.url())).build().unwrap();
        let (events, faults) = listen(&client);
        client.connect().unwrap();
        Self { server, proxy, client, events, faults, number: 0 }
    }

    async fn connected() -> Self {
        let scene = Self::new().await;
        soon(scene.client.ready()).await.unwrap();
        scene
    }

    fn publish(&mut self, padding: usize) {
        self.number += 1;
        let event = json!({"type": "number", "number": self.number, "padding": "x".repeat(padding)});
        self.server.server().publish(&event).unwrap();
    }

    /// Events flow: one that is published now arrives, and none before it arrives twice.
    async fn flows(&mut self) {
        soon(self.client.ready()).await.unwrap();
        self.publish(0);
        let mut last = 0;
        while last != self.number {
            let number = soon(self.events.recv()).await.expect("the client is there");
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }

    /// The next failure.
    async fn told(&mut self) -> (ErrorKind, String) {
        soon(self.faults.recv()).await.expect("the client is there")
    }

    /// The reconnect log begins with this reason, and has none besides but those of the tries that may have failed since.
    /// Each entry says in words what its error says. Call it once the wire is mended and events flow: then all is told.
    fn names(&self, reason: Reason, tries: &[Reason]) {
        named(&self.client, reason, tries);
    }

    /// The next failure is this one.
    async fn tells(&mut self, kind: ErrorKind, words: &str) {
        let told = self.told().await;
        assert!(told.0 == kind && told.1.contains(words), "{told:?}, not {kind:?}: {words}");
    }
}

/// See [`Scene::names`].
fn named(client: &Client, reason: Reason, tries: &[Reason]) {
    let log = client.reconnect_log();
    let shown: Vec<String> = log.iter().map(|entry| format!("{}: {entry}", entry.attempt)).collect();
    assert_eq!(log.first().map(|entry| entry.reason), Some(reason), "{shown:?}");
    for (entry, shown) in log.iter().zip(&shown).skip(1) {
        assert!(tries.contains(&entry.reason) && entry.attempt > 0, "{shown}, after {reason}");
    }
    for (entry, shown) in log.iter().zip(&shown) {
        assert!(shown.contains(entry.reason.as_str()) && shown.contains(entry.error.message()), "{shown}");
        assert!(entry.unix.is_some(), "{shown} has no date");
    }
    assert!(log.windows(2).all(|two| two[0].at <= two[1].at), "{shown:?}");
}

#[tokio::test]
async fn a_slow_and_narrow_link_loses_nothing() {
    let narrow = |faults: &mut Faults| *faults = Faults { bandwidth: Some(50_000), ..Faults::default() };
    let mut scene = Scene::with(narrow, |builder| builder.health_check_interval(Duration::from_millis(500))).await;
    soon(scene.client.ready()).await.unwrap();
    scene.proxy.set(|faults| faults.latency = Duration::from_millis(60));
    for _ in 0..30 {
        scene.publish(500);
    }
    for number in 1..=30 {
        assert_eq!(soon(scene.events.recv()).await, Some(number));
    }
    // The round trip shows it.
    soon(async {
        while scene.client.latency().is_none_or(|latency| latency < Duration::from_millis(120)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(scene.client.stats().dials, 1);
    assert!(scene.client.reconnect_log().is_empty());
}

// Pitfall 2, S0-9: no FIN, no reset, just nothing.
#[tokio::test]
async fn a_stall_is_noticed_by_its_silence() {
    let mut scene = Scene::connected().await;
    scene.flows().await;
    let began = Instant::now();
    scene.proxy.set(|faults| faults.stall = true);
    scene.tells(ErrorKind::Timeout, "nothing came from the server for too long").await;
    let noticed = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_millis(2_500)).contains(&noticed), "{noticed:?}");
    scene.proxy.heal();
    scene.flows().await;
    scene.names(Reason::Silence, &[Reason::OpenTimeout]);
    assert_eq!(scene.client.reconnect_log()[0].attempt, 0);
}

#[tokio::test]
async fn a_reset_is_a_connection_that_broke() {
    let mut scene = Scene::connected().await;
    scene.flows().await;
    scene.proxy.reset();
    scene.tells(ErrorKind::Closed, "the connection broke").await;
    scene.flows().await;
    assert_eq!(scene.client.stats().reconnects, 1);
    scene.names(Reason::Broken, &[]);
}

// Pitfall 20: half a frame is no event, and does no harm.
#[tokio::test]
async fn a_cut_in_the_middle_of_a_frame_loses_that_frame_alone() {
    for (how, kind, words, reason) in [
        (Cut::Reset, ErrorKind::Closed, "the connection broke", Reason::Broken),
        (Cut::End, ErrorKind::Closed, "the connection broke", Reason::Broken),
        (Cut::Silence, ErrorKind::Timeout, "nothing came from the server for too long", Reason::Silence),
    ] {
        let mut scene = Scene::with(|faults| faults.cut = Some((3_000, how)), |builder| builder).await;
        soon(scene.client.ready()).await.unwrap();
        scene.publish(10_000);
        scene.tells(kind, words).await;
        scene.proxy.heal();
        // What was cut off is not delivered, in no part of it.
        scene.flows().await;
        assert_eq!(scene.client.stats().malformed, 0);
        // The wire may cut the next connection too, before it is mended.
        scene.names(reason, &[reason, Reason::OpenTimeout, Reason::HelloTimeout]);
    }
}

// Pitfalls 4 and 5: the first connect too is tried again.
#[tokio::test]
async fn a_port_that_refuses_is_tried_until_it_does_not() {
    let mut scene = Scene::with(|faults| faults.door = Door::Refuse, |builder| builder).await;
    for _ in 0..3 {
        scene.tells(ErrorKind::Connect, "the server cannot be reached").await;
    }
    scene.proxy.heal();
    scene.flows().await;
    scene.names(Reason::Unreachable, &[Reason::Unreachable]);
    assert!(scene.client.reconnect_log().len() >= 3);
}

// Pitfall 8: nothing waits for ever for an answer.
#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_a_timeout() {
    let mut scene = Scene::with(|faults| faults.door = Door::Ignore, |builder| builder).await;
    let began = Instant::now();
    scene.tells(ErrorKind::Timeout, "could not be opened in time").await;
    assert!((Duration::from_millis(300)..Duration::from_millis(1_500)).contains(&began.elapsed()));
    scene.tells(ErrorKind::Timeout, "could not be opened in time").await;
    scene.proxy.heal();
    scene.flows().await;
    scene.names(Reason::OpenTimeout, &[Reason::OpenTimeout]);
}

#[tokio::test]
async fn an_end_in_the_handshake_or_before_the_hello_is_told_as_such() {
    // The answer to the handshake is about 220 bytes long, the hello some 130.
    for (bytes, how, kind, words, reason) in [
        (60, Cut::Reset, ErrorKind::Connect, "broke during the handshake", Reason::Unreachable),
        (60, Cut::End, ErrorKind::Connect, "broke during the handshake", Reason::Unreachable),
        (60, Cut::Silence, ErrorKind::Timeout, "could not be opened in time", Reason::OpenTimeout),
        (300, Cut::Reset, ErrorKind::Closed, "the connection broke", Reason::Broken),
        (300, Cut::Silence, ErrorKind::Timeout, "the hello did not come in time", Reason::HelloTimeout),
    ] {
        let mut scene = Scene::with(|faults| faults.cut = Some((bytes, how)), |builder| builder).await;
        let told = scene.told().await;
        assert!(told.0 == kind && told.1.contains(words), "{bytes} bytes, then {how:?}: {told:?}");
        scene.proxy.heal();
        scene.flows().await;
        scene.names(reason, &[reason]);
    }
}

/// The server as a program of its own, on a port that stays the same.
fn serve(port: u16) -> Peer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everwire"));
    command.args(["serve", "--dev", "--api-key", "key", "--json", "--port", &port.to_string()]);
    Peer::start(command)
}

fn signal(peer: &Peer, signal: &str) {
    assert!(Command::new("kill").args([signal, &peer.id().to_string()]).status().expect("kill").success());
}

// A process that is stopped keeps its sockets open, and one that is killed does not say goodbye.
#[tokio::test]
async fn a_server_that_is_stopped_or_killed_is_left_and_found_again() {
    let port = {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap().port()
    };
    let mut server = serve(port);
    server.line().await;
    let client = builder(format!("http://127.0.0.1:{port}")).build().unwrap();
    let (_, mut told) = listen(&client);
    let (sender, mut events) = mpsc::unbounded_channel();
    client.on("**", move |_| sender.send(()).unwrap_or_default()).detach();
    client.connect().unwrap();
    soon(client.ready()).await.unwrap();
    soon(events.recv()).await.unwrap();

    signal(&server, "-STOP");
    let (kind, words) = soon(told.recv()).await.unwrap();
    assert!(kind == ErrorKind::Timeout && words.contains("nothing came"), "{words}");
    // The kernel still accepts for it.
    let (kind, words) = soon(async {
        loop {
            match told.recv().await {
                Some((_, words)) if words.contains("nothing") => {}
                other => return other,
            }
        }
    })
    .await
    .unwrap();
    assert!(kind == ErrorKind::Timeout && words.contains("could not be opened in time"), "{words}");
    signal(&server, "-CONT");
    soon(client.ready()).await.unwrap();
    named(&client, Reason::Silence, &[Reason::OpenTimeout, Reason::HelloTimeout]);
    while events.try_recv().is_ok() {}
    soon(events.recv()).await.unwrap();

    while told.try_recv().is_ok() {}
    signal(&server, "-KILL");
    let (kind, words) = soon(told.recv()).await.unwrap();
    assert!(kind == ErrorKind::Closed && words.contains("the connection broke"), "{words}");
    soon(async { while !matches!(told.recv().await, Some((ErrorKind::Connect, _))) {} }).await;
    let mut server = serve(port);
    server.line().await;
    soon(client.ready()).await.unwrap();
    while events.try_recv().is_ok() {}
    soon(events.recv()).await.unwrap();
    let log = client.reconnect_log();
    // The kill comes before what could not be reached, if the log still goes back so far.
    let reasons: Vec<Reason> = log.iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons.last(), Some(&Reason::Unreachable), "{reasons:?}");
    let killed = reasons.iter().position(|reason| *reason == Reason::Broken);
    let since = killed.map_or(&reasons[..], |killed| &reasons[killed + 1..]);
    assert!(since.iter().all(|reason| *reason == Reason::Unreachable), "{reasons:?}");
    soon(client.close()).await;
}
