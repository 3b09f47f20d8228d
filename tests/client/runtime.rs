//! Programs that end before their clients: the runtime is shut down, and the connection is closed all the same (S0-21, N-8).

use super::wire::{CLOSE, Wire};
use everwire::{Cause, Client, Dialect, ErrorKind, Lifecycle, State};
use futures::{FutureExt, StreamExt};
use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
};
use tokio::runtime::{Builder, Runtime};

/// A server on a thread of its own, for one connection: gives its URL, and the frames that it reads up to the close frame.
fn server() -> (String, mpsc::Receiver<Vec<String>>) {
    let ((url, address), (sender, frames)) = (mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        current_thread().block_on(async {
            let wire = Wire::open().await;
            url.send(wire.url()).expect("the test waits");
            let mut end = wire.accept().await;
            let mut seen = Vec::new();
            loop {
                let (opcode, payload) = end.frame().await;
                if opcode == CLOSE {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    seen.push(format!("close {code} {}", String::from_utf8_lossy(&payload[2..])));
                    return sender.send(seen).expect("the test waits");
                }
                seen.push(String::from_utf8(payload).expect("text"));
            }
        });
    });
    (address.recv().expect("a URL"), frames)
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// On another runtime than the client's.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    current_thread().block_on(future)
}

fn runtimes() -> [Runtime; 2] {
    [current_thread(), Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")]
}

async fn connected(url: &str) -> Client {
    Client::builder(Dialect::raw()).url(url).connect().await.expect("connected")
}

const GOODBYE: &str = "close 1000 client disconnect";

#[test]
fn a_client_that_is_dropped_as_its_program_ends_says_goodbye() {
    for runtime in runtimes() {
        let (url, frames) = server();
        runtime.block_on(async {
            let client = connected(&url).await;
            // Nobody waits for it, and it is not lost.
            let sent = client.send("last words").now_or_never();
            assert!(sent.is_none());
        });
        drop(runtime);
        let seen = frames.recv().expect("a close frame");
        assert_eq!(seen.last().map(String::as_str), Some(GOODBYE));
    }
}

#[test]
fn a_client_whose_runtime_was_shut_down_is_closed() {
    for runtime in runtimes() {
        let (url, frames) = server();
        let client = runtime.block_on(connected(&url));
        let mut events = client.events();
        let steps: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = steps.clone();
        client
            .on_lifecycle(move |step| {
                if let Lifecycle::Closed(cause) = step {
                    told.lock().expect("whole").push(cause.as_str().to_owned());
                }
            })
            .detach();
        let waiting = client.clone();
        let waiting = thread::spawn(move || block_on(waiting.closed()));
        drop(runtime);
        assert_eq!(frames.recv().expect("a close frame"), [GOODBYE]);
        assert_eq!((client.state(), client.is_connected()), (State::Closed, false));
        assert_eq!(client.connection_id(), None);
        assert!(matches!(waiting.join().expect("it ends"), Cause::Dropped));
        assert!(matches!(block_on(client.closed()), Cause::Dropped));
        assert_eq!(*steps.lock().expect("whole"), ["dropped"]);
        assert!(block_on(events.next()).is_none());
        for refused in [
            client.connect().unwrap_err(),
            block_on(client.ready()).unwrap_err(),
            block_on(client.send("x")).unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
            assert!(refused.to_string().contains("runtime was shut down"), "{refused}");
        }
    }
}

#[test]
fn a_client_that_connects_as_its_runtime_ends_is_closed() {
    let runtime = current_thread();
    let client = runtime.block_on(async {
        let client = Client::builder(Dialect::raw()).url("ws://127.0.0.1:9").build().expect("the settings are right");
        client.connect().expect("idle");
        client
    });
    drop(runtime);
    assert_eq!((client.state(), client.is_connected()), (State::Closed, false));
    assert!(matches!(block_on(client.closed()), Cause::Dropped));
}
