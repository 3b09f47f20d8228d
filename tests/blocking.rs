//! The client for programs without async.
#![cfg(all(native, feature = "blocking"))]

use everwire::{Cause, Dialect, Error, ErrorKind, blocking::Client};
use futures::{SinkExt, StreamExt};
use std::{sync::mpsc, time::Duration};

/// A server on a thread of its own: it says what it hears, and leaves at `bye`.
fn echo() -> String {
    let (sender, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.to_text().is_ok_and(|text| text == "bye") {
                        socket.close(None).await.unwrap();
                    } else if !message.is_close() {
                        socket.send(message).await.unwrap();
                    }
                }
            }
        });
    });
    format!("ws://{}", address.recv().unwrap())
}

fn connect(url: &str) -> Result<Client, Error> {
    Client::connect(
        everwire::Client::builder(Dialect::raw()).url(url).reconnect(false).close_timeout(Duration::from_secs(1)),
    )
}

// S2-12: connect, recv with a timeout, send, close, without a runtime of one's own.
#[test]
fn a_program_without_async_connects_sends_receives_and_closes() {
    let mut client = connect(&echo()).unwrap();
    assert!(client.is_connected());
    client.send("hello").unwrap();
    client.send_json(&[1, 2]).unwrap();
    client.send(vec![7_u8]).unwrap();
    assert_eq!(client.recv(Duration::from_secs(20)).unwrap().text(), Some("hello"));
    assert_eq!(client.recv_json::<Vec<u8>>(None).unwrap(), [1, 2]);
    assert_eq!(client.next().unwrap().bytes(), [7]);
    assert_eq!(client.recv(Duration::from_millis(30)).unwrap_err().kind(), ErrorKind::Timeout);
    client.close();
    assert!(client.next().is_none());
    assert_eq!(client.send("late").unwrap_err().kind(), ErrorKind::Closed);
}

// S2-12: run leaves everything to the listeners, until the end.
#[test]
fn run_calls_the_listeners_until_the_end() {
    let mut client = connect(&echo()).unwrap();
    let (sender, heard) = mpsc::channel();
    client.on("*", move |event| sender.send(event.text().unwrap().to_owned()).unwrap()).detach();
    client.send("one").unwrap();
    client.send("bye").unwrap();
    assert!(matches!(client.run().unwrap(), Cause::ByServer(_) | Cause::Exhausted(_)));
    assert_eq!(heard.recv().unwrap(), "one");
}

// S2-12: within async code a blocking call is a typed error, and nothing panics: not even a drop.
#[test]
fn a_blocking_call_in_async_code_is_an_error_and_not_a_panic() {
    let url = echo();
    let mut client = connect(&url).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let refused = |error: Error| assert_eq!(error.kind(), ErrorKind::InvalidState);
        refused(connect(&url).unwrap_err());
        refused(client.send("x").unwrap_err());
        refused(client.recv(None).unwrap_err());
        refused(client.run().unwrap_err());
        client.close();
        drop(client);
    });
}

#[test]
fn a_connect_that_fails_says_why() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(connect(&format!("ws://{closed}")).unwrap_err().kind(), ErrorKind::Connect);
}

// S2-12, N-9: a program without async that is started anew goes on where it was.
#[cfg(feature = "server")]
#[test]
fn a_program_without_async_goes_on_where_the_one_before_it_stopped() {
    use everwire::{ResumePoint, server::Server};
    use serde_json::{Value, json};
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Server::builder().development().build().unwrap();
    let running = runtime.block_on(server.bind("127.0.0.1:0")).unwrap();
    let builder =
        || everwire::Client::builder(Dialect::everwire()).url(running.url()).param("user_id", "alice").token("any");
    let publish = |numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            running.server().publish(&json!({"type": "tick", "n": number})).unwrap();
        }
    };
    let ticks = |client: &mut Client, count: usize| -> Vec<u64> {
        let all = std::iter::from_fn(|| client.recv_json::<Value>(Duration::from_secs(20)).ok());
        all.filter_map(|event| event["n"].as_u64()).take(count).collect()
    };
    let mut client = Client::connect(builder()).unwrap();
    publish(1..=5);
    assert_eq!(ticks(&mut client, 2), [1, 2]);
    client.close_with(4000, "restart").unwrap();
    // What was read before the close waits, and is received before the point is taken.
    let mut seen = ticks(&mut client, 10);
    let point = client.resume_point().unwrap();
    drop(client);
    publish(6..=9);
    let point = ResumePoint::new(point.session.as_deref(), point.last_sequence);
    let mut client = Client::connect(builder().resume_from(point)).unwrap();
    seen.extend(ticks(&mut client, 7 - seen.len()));
    assert_eq!(seen, [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(client.close_with(7, "").unwrap_err().kind(), ErrorKind::InvalidInput);
    // Closed for good there is nothing to go on with.
    client.close();
    assert_eq!(client.resume_point(), None);
}

// S0-21: the close frame leaves though the program waits for nobody.
#[test]
fn a_client_that_is_dropped_says_goodbye() {
    let (sender, closed) = mpsc::channel();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let (tcp, _) = tokio::net::TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if let tokio_tungstenite::tungstenite::Message::Close(frame) = message {
                    sender.send(frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()))).unwrap();
                }
            }
        });
    });
    let client = connect(&url).unwrap();
    drop(client);
    let frame = closed.recv_timeout(Duration::from_secs(20)).expect("a close frame");
    assert_eq!(frame, Some((1000, "client disconnect".to_owned())));
}

// S0-13
#[test]
fn a_provider_that_says_signed_out_is_the_error_of_connect() {
    let signed_out = || async { Err(Error::signed_out("good bye")) };
    let builder = everwire::Client::builder(Dialect::stream()).url("http://127.0.0.1:9").token_provider(signed_out);
    let error = Client::connect(builder.param("api_key", "key").param("user_id", "alice")).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::SignedOut, "good bye"));
}
