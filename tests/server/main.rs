//! The embedded server over real sockets, with a plain WebSocket client at the other end.
#![cfg(all(native, feature = "server"))]
#![allow(clippy::disallowed_methods)] // the rule is for the crate

mod auth;
mod close_codes;
mod ends;
mod events;
mod http;
mod sessions;

use everwire::server::{Activity, End, RECORDED_EVENTS, Recorded, Refusal, Running, Server, ServerBuilder};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error as SocketError, Message, protocol::CloseFrame},
};

const SECRET: &str = "a secret";
const KEY: &str = "key";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn builder() -> ServerBuilder {
    Server::builder().api_key(KEY).api_secret(SECRET)
}

async fn start(builder: ServerBuilder) -> Running {
    builder.build().unwrap().bind("127.0.0.1:0").await.unwrap()
}

/// The end of a wait that should never be reached.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("it takes too long")
}

async fn dial(running: &Running, path_and_query: &str) -> Socket {
    let url = format!("ws://{}{path_and_query}", running.local_addr());
    soon(tokio_tungstenite::connect_async(url)).await.unwrap().0
}

async fn dial_v2(running: &Running) -> Socket {
    dial(running, "/api/v2/connect?api_key=key&stream-auth-type=jwt&X-Stream-Client=test").await
}

fn first_message(token: &str) -> Message {
    Message::text(json!({"token": token, "user_details": {"id": "alice", "name": "Alice"}}).to_string())
}

fn token(running: &Running) -> String {
    running.server().create_token("alice", Some(Duration::from_secs(60))).unwrap()
}

/// A client that was let in, and its hello.
async fn connect(running: &Running) -> (Socket, Value) {
    let mut socket = dial_v2(running).await;
    socket.send(first_message(&token(running))).await.unwrap();
    let hello = next_json(&mut socket).await;
    assert_eq!(hello["type"], "connection.ok");
    (socket, hello)
}

async fn next_json(socket: &mut Socket) -> Value {
    match soon(socket.next()).await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
        other => panic!("a text message is expected, not {other:?}"),
    }
}

async fn next_close(socket: &mut Socket) -> (u16, String) {
    match soon(socket.next()).await {
        Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => (code.into(), reason.to_string()),
        other => panic!("a close frame is expected, not {other:?}"),
    }
}

/// The error, and the close code after it. Nothing else comes in between, and the socket ends cleanly.
async fn next_refusal(socket: &mut Socket) -> (i64, u64, u16) {
    let error = next_json(socket).await;
    assert_eq!(error["type"], "connection.error", "{error}");
    assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    let (close, _) = next_close(socket).await;
    assert!(soon(socket.next()).await.is_none());
    (error["error"]["code"].as_i64().unwrap(), error["error"]["StatusCode"].as_u64().unwrap(), close)
}

fn sign(claims: &Value, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// Waits until the server says so; its tasks run beside the test.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), poll).await.unwrap_or_else(|_| panic!("never: {what}"));
}
