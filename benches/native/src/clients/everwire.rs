//! everwire: listeners of all kinds, its stream of events, and sending.

use super::Meter;
use crate::{
    documents::{Borrowed, FewBorrowed},
    idle::{self, Count},
    workload::{DONE, TYPES, Workload},
};
use everwire::{
    Client, ClientBuilder, Dialect, ErrorKind, Event, Lifecycle, Subscription,
    codec::{Codec, FastJson},
};
use futures::{StreamExt, future::join_all};
use serde::de::DeserializeOwned;
use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub const ON: &str = "everwire, on(type, listener)";
pub const SMALL: &str = "the same with small_buffers()";
pub const STREAM: &str = "everwire, events()";
pub const ONE: &str = "everwire, one listener of everything";
pub const WILDCARDS: &str = "everwire, 5 wildcards";
pub const TEN: &str = "everwire, 10 listeners of each type";
pub const THOUSAND: &str = "everwire, 1,000 listeners, one of each type hears";
pub const FEW: &str = "everwire, four members, serde_json";
pub const FEW_FAST: &str = "everwire, four members, sonic-rs";
pub const FEW_BORROWED: &str = "everwire, four members, borrowed, sonic-rs";
pub const WHOLE: &str = "everwire, every member, serde_json";
pub const WHOLE_FAST: &str = "everwire, every member, sonic-rs";
pub const BORROWED: &str = "everwire, every member, borrowed, sonic-rs";
pub const DEFLATED: &str = "everwire, on(type, listener), compression(true)";
pub const SEND: &str = "everwire, send each";
pub const SEND_MANY: &str = "everwire, 64 sends at once";

/// Those that count in listeners.
pub const LISTENING: [&str; 6] = [ON, ONE, WILDCARDS, TEN, THOUSAND, DEFLATED];

fn client(port: u16, workload: &str) -> Client {
    builder(port, workload).build().expect("a client")
}

fn builder(port: u16, workload: &str) -> ClientBuilder {
    Client::builder(Dialect::stream())
        .url(format!("http://127.0.0.1:{port}"))
        .param("api_key", workload)
        .param("user_id", "bench")
        .token("bench")
}

/// Starts the meter at the hello.
fn starts(client: &Client, meter: &Arc<Mutex<Meter>>) -> Subscription {
    let meter = meter.clone();
    client.on_lifecycle(move |step| {
        if matches!(step, Lifecycle::Connected { .. }) {
            meter.lock().expect("unpoisoned").start();
        }
    })
}

/// The listeners by which a program may hear of the events: patterns, how many of each, and how many of other types.
fn listeners(name: &str) -> (&'static [&'static str], usize, usize) {
    match name {
        ON | DEFLATED => (&TYPES, 1, 0),
        ONE => (&["*"], 1, 0),
        WILDCARDS => (&["message.*", "reaction.*", "typing.*", "user.**", "notification.*"], 1, 0),
        TEN => (&TYPES, 10, 0),
        THOUSAND => (&TYPES, 1, 992),
        _ => panic!("no such client: {name}"),
    }
}

pub async fn on(name: &str, port: u16, workload: &str) {
    let client = builder(port, workload).compression(name == DEFLATED).build().expect("a client");
    let events = Arc::new(AtomicU64::new(0));
    let (patterns, each, others) = listeners(name);
    for other in 0..others {
        client.on(&format!("other.{other}"), |_| ()).detach();
    }
    for pattern in patterns {
        for number in 0..each {
            let events = events.clone();
            let count = move |event: &Event| {
                black_box(event);
                if number == 0 {
                    events.fetch_add(1, Relaxed);
                }
            };
            client.on(pattern, count).detach();
        }
    }
    // The one for everything hears the hello and the last event too.
    run(&client, events, if name == ONE { 2 } else { 0 }).await;
}

pub async fn typed<C: Codec + 'static, T: DeserializeOwned + 'static>(port: u16, workload: &str) {
    let client = client(port, workload);
    let events = Arc::new(AtomicU64::new(0));
    for kind in TYPES {
        let events = events.clone();
        let count = move |event: T| {
            black_box(&event);
            events.fetch_add(1, Relaxed);
        };
        client.on_decoded::<C, T>(kind, count).detach();
    }
    run(&client, events, 0).await;
}

/// Decodes in the listener, into what borrows from the event.
pub async fn borrowed(name: &str, port: u16, workload: &str) {
    let client = client(port, workload);
    let events = Arc::new(AtomicU64::new(0));
    let decode = match name {
        FEW_BORROWED => |event: &Event| _ = black_box(FastJson::decode::<FewBorrowed<'_>>(event).expect("it fits")),
        _ => |event: &Event| _ = black_box(FastJson::decode::<Borrowed<'_>>(event).expect("it fits")),
    };
    for kind in TYPES {
        let events = events.clone();
        let count = move |event: &Event| {
            decode(event);
            events.fetch_add(1, Relaxed);
        };
        client.on(kind, count).detach();
    }
    run(&client, events, 0).await;
}

/// Runs until the last event; `more` events are counted besides those of the workload.
async fn run(client: &Client, events: Arc<AtomicU64>, more: u64) {
    let meter = Arc::new(Mutex::new(Meter::default()));
    let ending = meter.clone();
    client.on(DONE, move |_| ending.lock().expect("unpoisoned").finish(events.load(Relaxed) - more, 0)).detach();
    let _starting = starts(client, &meter);
    client.connect().expect("connecting");
    panic!("the connection ended: {:?}", client.closed().await);
}

/// Sends a message, as soon as there is room for it.
async fn send_one(client: &Client, text: &str) {
    while let Err(error) = client.send(text).await {
        assert_eq!(error.kind(), ErrorKind::Overflow, "{error}");
        tokio::task::yield_now().await;
    }
}

pub async fn send(port: u16, workload: &str, batch: usize) {
    let client = client(port, workload);
    let workload = Workload::parse(workload).expect("a workload");
    let texts = workload.texts();
    let meter = Arc::new(Mutex::new(Meter::default()));
    let ending = meter.clone();
    client.on(DONE, move |_| ending.lock().expect("unpoisoned").finish(workload.events, 0)).detach();
    client.connect().expect("connecting");
    client.ready().await.expect("connected");
    meter.lock().expect("unpoisoned").start();
    let mut left = workload.events as usize;
    while left > 0 {
        let now = left.min(batch);
        let sends = (left - now..left).map(|index| send_one(&client, texts[index % texts.len()].as_str()));
        join_all(sends).await;
        left -= now;
    }
    panic!("the connection ended: {:?}", client.closed().await);
}

/// Holds idle connections, each with a listener for its event.
pub async fn hold(port: u16, small: bool, count: &Count) {
    let clients = idle::make_all(|| async {
        let builder = builder(port, "idle");
        let client = if small { builder.small_buffers() } else { builder }.build().expect("a client");
        let count = count.clone();
        client.on("message.*", move |_| _ = count.fetch_add(1, Relaxed)).detach();
        client.connect().expect("connecting");
        client.ready().await.expect("connected");
        client
    });
    // They live until the process ends.
    std::mem::forget(clients.await);
}

pub async fn stream(port: u16, workload: &str) {
    let client = client(port, workload);
    let mut stream = client.events();
    let meter = Arc::new(Mutex::new(Meter::default()));
    let _starting = starts(&client, &meter);
    client.connect().expect("connecting");
    let mut events = 0;
    while let Some(event) = stream.next().await {
        if event.event_type() == DONE {
            // The hello came through the stream too, unless it was the first to make room.
            let (events, dropped) = match stream.dropped() {
                0 => (events - 1, 0),
                dropped => (events, dropped - 1),
            };
            meter.lock().expect("unpoisoned").finish(events, dropped);
        }
        black_box(&event);
        events += 1;
    }
    panic!("the connection ended");
}
