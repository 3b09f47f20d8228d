//! A server that sends faster than anybody reads: nothing is lost on the way to a listener or a stream.

#![cfg(not(target_family = "wasm"))]

use everwire::{Client, Dialect};
use futures::StreamExt;
use std::{
    fs,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use tokio_tungstenite::tungstenite::{
    Message, accept,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

const EVENTS: u32 = 50_000;

/// A server in a thread of its own, that sends numbered events until it is done, then closes with 1000.
fn flood(events: u32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let mut socket = accept(listener.accept().expect("a client").0).expect("a handshake");
        for seq in 0..events {
            socket.write(Message::text(format!(r#"{{"type":"event","seq":{seq}}}"#))).expect("written");
        }
        socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).expect("closed");
        while socket.read().is_ok() {}
    });
    url
}

/// The reader is the program's main task, on the only thread: it must have its turn before its queue overflows.
#[tokio::test(flavor = "current_thread")]
async fn a_stream_on_the_main_task_of_one_thread_loses_nothing() {
    let client = Client::builder(Dialect::raw()).url(flood(EVENTS)).build().expect("a client");
    let mut events = client.events();
    client.connect().expect("idle");
    for seq in 0..EVENTS {
        let event = events.next().await.expect("an event");
        assert!(event.text().expect("text").ends_with(&format!(":{seq}}}")), "{seq}: {:?}", event.text());
    }
    assert_eq!((events.dropped(), client.stats().overflows), (0, 0));
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_is_called_for_each_in_order() {
    let client = Client::builder(Dialect::raw()).url(flood(EVENTS)).build().expect("a client");
    let (next, counted) = (Arc::new(AtomicU32::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (expected, done) = (next.clone(), counted.clone());
    let _subscription = client.on("event", move |event| {
        let seq = expected.fetch_add(1, Ordering::Relaxed);
        assert!(event.text().expect("text").ends_with(&format!(":{seq}}}")), "{seq}: {:?}", event.text());
        if seq + 1 == EVENTS {
            done.notify_one();
        }
    });
    client.connect().expect("idle");
    counted.notified().await;
    client.closed().await;
    assert_eq!(client.stats().events, u64::from(EVENTS));
    assert_eq!(client.stats().listener_failures, 0);
}

/// The memory of this process that is not shared, in bytes.
#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line for it");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

// Pitfall 19: a message that a program keeps is a slice of the buffer into which hundreds were read.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "current_thread")]
async fn a_few_small_events_that_are_kept_do_not_keep_the_buffers_they_came_in() {
    const MANY: u32 = 1_000_000;
    let client = Client::builder(Dialect::raw()).url(flood(MANY)).build().expect("a client");
    let mut events = client.events();
    client.connect().expect("idle");
    let (mut kept, before) = (Vec::new(), memory());
    for seq in 0..MANY {
        let event = events.next().await.expect("an event");
        if seq % 500 == 0 {
            kept.push(event);
        }
    }
    let grown = memory().saturating_sub(before);
    // All that came is some 29 MB, and each buffer of it has an event that was kept.
    assert!(client.stats().bytes_in > 25_000_000);
    assert!(grown < 8_000_000, "{} events keep {grown} bytes alive", kept.len());
    assert!(kept[1999].text().expect("text").ends_with(":999500}"));
    client.close().await;
}
