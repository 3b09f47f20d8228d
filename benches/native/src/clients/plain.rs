//! tokio-tungstenite by hand: read alone, and the usual client that parses each message into a `serde_json::Value`.

use super::{AUTH, Meter, is_last};
use crate::{
    idle::{self, Count},
    workload::{DONE, TYPES, Workload},
};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::{cell::Cell, collections::HashMap, hint::black_box, rc::Rc, sync::atomic::Ordering::Relaxed};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

pub const RAW: &str = "tokio-tungstenite, read alone";
pub const RAW_16K: &str = "the same with a buffer of 16 KiB";
pub const NOT_DEFLATED: &str = "tokio-tungstenite, read alone, not compressed";
pub const SEND: &str = "tokio-tungstenite, send each";
pub const FEED: &str = "tokio-tungstenite, 64 fed, then flushed";
pub const VALUE: &str = "tokio-tungstenite, serde_json::Value, map";
pub const DEFAULT_BUFFER: usize = 128 * 1024;

async fn open(url: &str, buffer: usize) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let config = WebSocketConfig::default().read_buffer_size(buffer);
    let (mut socket, _) = connect_async_with_config(url, Some(config), true).await.expect("a socket");
    socket.send(Message::text(AUTH)).await.expect("sent");
    let hello = socket.next().await.expect("a hello").expect("a hello");
    assert!(hello.to_text().expect("text").contains("connection.ok"));
    socket
}

pub async fn raw(url: &str, buffer: usize) {
    let mut socket = open(url, buffer).await;
    let meter = Meter::default();
    meter.start();
    let mut events = 0;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            if is_last(&text) {
                meter.finish(events, 0);
            }
            black_box(&text);
            events += 1;
        }
    }
    panic!("the server left");
}

pub async fn send(url: &str, workload: &str, batch: usize) {
    let mut socket = open(url, DEFAULT_BUFFER).await;
    let workload = Workload::parse(workload).expect("a workload");
    let texts = workload.texts();
    let meter = Meter::default();
    meter.start();
    for index in 0..workload.events as usize {
        socket.feed(Message::text(texts[index % texts.len()].as_str())).await.expect("taken");
        if (index + 1) % batch == 0 {
            socket.flush().await.expect("sent");
        }
    }
    socket.flush().await.expect("sent");
    while let Some(Ok(message)) = socket.next().await {
        if message.to_text().is_ok_and(is_last) {
            meter.finish(workload.events, 0);
        }
    }
    panic!("the server left");
}

/// Holds idle connections.
pub async fn hold(port: u16, buffer: usize, count: &Count) {
    let url = format!("ws://127.0.0.1:{port}/");
    idle::make_all(|| async {
        let (mut socket, count) = (open(&url, buffer).await, count.clone());
        tokio::spawn(async move {
            while socket.next().await.is_some_and(|message| message.is_ok()) {
                count.fetch_add(1, Relaxed);
            }
        });
    })
    .await;
}

type Listeners = HashMap<String, Vec<Box<dyn Fn(&Value)>>>;

pub async fn value(url: &str) {
    let mut socket = open(url, DEFAULT_BUFFER).await;
    let (meter, events) = (Rc::new(Meter::default()), Rc::new(Cell::new(0)));
    let mut listeners = Listeners::new();
    for kind in TYPES {
        let events = events.clone();
        let count = move |event: &Value| {
            black_box(event);
            events.set(events.get() + 1);
        };
        listeners.entry(kind.to_owned()).or_default().push(Box::new(count));
    }
    let (ending, counted) = (meter.clone(), events.clone());
    listeners.entry(DONE.to_owned()).or_default().push(Box::new(move |_| ending.finish(counted.get(), 0)));
    meter.start();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            let event: Value = serde_json::from_str(&text).expect("JSON");
            for listener in event["type"].as_str().and_then(|kind| listeners.get(kind)).into_iter().flatten() {
                listener(&event);
            }
        }
    }
    panic!("the server left");
}
