//! everwire: eight listeners that do not decode, and its stream of events.

use super::Meter;
use crate::workload::{DONE, TYPES};
use everwire::{Client, Dialect, Lifecycle, Subscription};
use futures::StreamExt;
use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

pub const ON: &str = "everwire, on(type, listener)";
pub const STREAM: &str = "everwire, events()";

fn client(port: u16, workload: &str) -> Client {
    Client::builder(Dialect::stream())
        .url(format!("http://127.0.0.1:{port}"))
        .param("api_key", workload)
        .param("user_id", "bench")
        .token("bench")
        .build()
        .expect("a client")
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

pub async fn on(port: u16, workload: &str) {
    let client = client(port, workload);
    let events = Arc::new(AtomicU64::new(0));
    for kind in TYPES {
        let events = events.clone();
        let count = move |event: &everwire::Event| {
            black_box(event);
            events.fetch_add(1, Relaxed);
        };
        client.on(kind, count).detach();
    }
    let meter = Arc::new(Mutex::new(Meter::default()));
    let (ending, counted) = (meter.clone(), events.clone());
    client.on(DONE, move |_| ending.lock().expect("unpoisoned").finish(counted.load(Relaxed), 0)).detach();
    let _starting = starts(&client, &meter);
    client.connect().expect("connecting");
    panic!("the connection ended: {:?}", client.closed().await);
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
