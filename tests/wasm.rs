//! The Rust client in a real browser: its clock and timers, the browser's WebSocket, and what a browser cannot do.
//!
//! Where a server is needed, the page's `WebSocket` is replaced by one that plays it; `tests/web` has real servers.
#![cfg(web)]

use everwire::{Cause, Client, ClientBuilder, Dialect, Error, ErrorKind, Event, State};
use futures::{FutureExt, StreamExt};
use serde::Deserialize;
use std::{cell::RefCell, rc::Rc, time::Duration};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(inline_js = r#"
const Real = globalThis.WebSocket;
const later = (call) => setTimeout(call, 0);

// Plays a server: says hello after the first frame, and sends back what it gets.
class Played extends EventTarget {
  static made = [];
  constructor(url, protocols) {
    super();
    Object.assign(this, { url, protocols, readyState: 0, bufferedAmount: 0, sent: [], closedWith: undefined });
    Played.made.push(this);
    later(() => { this.readyState = 1; this.onopen?.(new Event('open')); });
  }
  say(data) { this.onmessage?.(new MessageEvent('message', { data })); }
  send(data) {
    // A view into the memory of the module, which goes on: the browser copies it too.
    if (typeof data !== 'string') data = data.slice().buffer;
    this.sent.push(data);
    const hello = this.sent.length === 1;
    if (this.url.includes('mute')) return;
    later(() => this.say(hello ? '{"type":"connection.ok","connection_id":"played","me":{}}' : data));
  }
  close(code, reason) {
    if (this.closedWith) return;
    this.closedWith = [code, reason];
    this.readyState = 2;
    later(() => { this.readyState = 3; this.onclose?.(new CloseEvent('close', { code, reason, wasClean: true })); });
  }
}

export const play = () => { globalThis.WebSocket = Played; Played.made = []; };
export const real = () => { globalThis.WebSocket = Real; };
export const dials = () => Played.made.length;
export const say = (text) => Played.made.at(-1).say(text);
export const say_bytes = (bytes) => Played.made.at(-1).say(bytes.slice().buffer);
export const fill = (bytes) => { Played.made.at(-1).bufferedAmount = bytes; };
export const drop_it = () => { Played.made[0].readyState = 3; Played.made[0].onclose?.(new CloseEvent('close', { code: 1006 })); };
export const sent = () => JSON.stringify(Played.made.at(-1).sent.map((data) => typeof data === 'string' ? data : [...new Uint8Array(data)]));
export const closed_with = () => JSON.stringify(Played.made[0].closedWith ?? null);
export const attached = () => ['onopen', 'onmessage', 'onclose'].filter((name) => Played.made[0][name] != null).length;
"#)]
extern "C" {
    fn play();
    fn real();
    fn dials() -> u32;
    fn say(text: &str);
    fn say_bytes(bytes: &[u8]);
    fn fill(bytes: u32);
    fn drop_it();
    fn sent() -> String;
    fn closed_with() -> JsValue;
    fn attached() -> u32;
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder(Dialect::stream()).url(url).token("token").param("api_key", "key").param("user_id", "alice")
}

fn closed() -> String {
    closed_with().as_string().expect("JSON")
}

fn milliseconds() -> f64 {
    js_sys::Date::now()
}

/// Collects the types of all events.
fn types(client: &Client) -> Rc<RefCell<Vec<String>>> {
    let types = Rc::new(RefCell::new(Vec::new()));
    let into = types.clone();
    client.on("*", move |event: &Event| into.borrow_mut().push(event.event_type().to_owned())).detach();
    types
}

#[derive(Debug, Deserialize, PartialEq)]
struct Text {
    text: String,
}

#[wasm_bindgen_test]
async fn connects_listens_decodes_sends_and_closes() {
    play();
    let client = builder("https://example.com/ignored?x=1").build().unwrap();
    let mut events = client.events();
    client.connect().unwrap();
    client.ready().await.unwrap();
    assert_eq!((client.state(), client.connection_id().as_deref()), (State::Connected, Some("played")));
    assert_eq!(events.next().await.unwrap().event_type(), "connection.ok");

    say(r#"{"type":"message.new","text":"héllo ⚡"}"#);
    let event = events.next().await.unwrap();
    assert_eq!(event.json::<Text>().unwrap(), Text { text: "héllo ⚡".to_owned() });
    assert_eq!(event.json::<Vec<u8>>().unwrap_err().kind(), ErrorKind::Decode);

    client.send(r#"{"type":"echo"}"#).await.unwrap();
    assert_eq!(events.next().await.unwrap().event_type(), "echo");
    client.send(vec![1, 2, 255]).await.unwrap();
    assert_eq!(events.next().await.unwrap().bytes(), [1, 2, 255]);
    assert!(sent().ends_with(r#","{\"type\":\"echo\"}",[1,2,255]]"#), "{}", sent());

    client.close().await;
    assert!(matches!(client.closed().await, Cause::ByUser));
    assert_eq!(closed(), r#"[1000,"client disconnect"]"#);
    assert_eq!(attached(), 0);
    assert!(events.next().await.is_none());
}

// Pitfall 15: a clock or a timer that panics on wasm is seen only where it runs.
#[wasm_bindgen_test]
async fn the_hello_timeout_and_the_backoff_run_on_the_clock_of_the_browser() {
    play();
    let started = milliseconds();
    let client = builder("wss://mute.example").hello_timeout(Duration::from_millis(80)).max_attempts(2);
    let client = client.backoff(Duration::from_millis(50), Duration::from_millis(60)).build().unwrap();
    client.connect().unwrap();
    let error = client.ready().await.unwrap_err();
    let took = milliseconds() - started;
    assert!(error.is_timeout(), "{error}");
    assert!((155.0..5_000.0).contains(&took), "{took} ms");
    assert_eq!(dials(), 2);
    assert!(matches!(client.closed().await, Cause::Exhausted(_)));
    assert_eq!(attached(), 0);
}

// Pitfall 16: the handlers of a dead socket are detached, so that nothing of it reaches the listeners.
#[wasm_bindgen_test]
async fn a_dropped_connection_is_detached_and_replaced() {
    play();
    let client =
        builder("wss://example.com").backoff(Duration::from_millis(1), Duration::from_millis(50)).build().unwrap();
    let seen = types(&client);
    client.connect().unwrap();
    client.ready().await.unwrap();
    drop_it();
    let mut events = client.events();
    assert_eq!(events.next().await.unwrap().event_type(), "connection.ok");
    assert_eq!((attached(), dials()), (0, 2));
    say(r#"{"type":"after"}"#);
    assert_eq!(events.next().await.unwrap().event_type(), "after");
    assert_eq!(*seen.borrow(), ["connection.ok", "connection.ok", "after"]);
    client.close().await;
}

#[wasm_bindgen_test]
async fn a_message_over_the_limit_closes_with_a_code_that_a_page_may_send() {
    play();
    let client = builder("wss://example.com").max_message_size(100).max_attempts(2).build().unwrap();
    client.connect().unwrap();
    client.ready().await.unwrap();
    let seen = types(&client);
    let mut events = client.events();
    say_bytes(&[0; 100]);
    say(&"x".repeat(101));
    say(r#"{"type":"too late"}"#);
    assert_eq!(events.next().await.unwrap().event_type(), "unknown");
    assert_eq!(events.next().await.unwrap().event_type(), "connection.ok");
    assert_eq!(*seen.borrow(), ["unknown", "connection.ok"]);
    assert!(closed().starts_with("[4009,"), "{}", closed());
    client.close().await;
}

// N-6: the browser's `bufferedAmount` holds messages back in the outbox.
#[wasm_bindgen_test]
async fn a_full_write_buffer_holds_messages_back_until_it_drains() {
    play();
    let client = builder("wss://example.com").build().unwrap();
    client.connect().unwrap();
    client.ready().await.unwrap();
    fill(1 << 20);
    let before = sent();
    let mut waits = client.send_with("x", everwire::SendOptions::new());
    waits.accepted().await.unwrap();
    assert_eq!((client.stats().outbox_messages, sent()), (1, before));
    fill(0);
    waits.await.unwrap();
    assert!(sent().ends_with(r#","x"]"#), "{}", sent());
    client.close().await;
}

#[wasm_bindgen_test]
async fn dropping_the_last_handle_closes_the_socket() {
    play();
    let client = builder("wss://example.com").build().unwrap();
    client.connect().unwrap();
    client.ready().await.unwrap();
    let ended = Rc::new(RefCell::new(None));
    let into = ended.clone();
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    let sender = RefCell::new(Some(sender));
    client
        .on_lifecycle(move |step| {
            if let everwire::Lifecycle::Closed(cause) = step {
                *into.borrow_mut() = Some(cause.clone());
                drop(sender.take());
            }
        })
        .detach();
    drop(client);
    assert!(receiver.await.is_err());
    assert!(matches!(*ended.borrow(), Some(Cause::Dropped)));
    assert_eq!(closed(), r#"[1000,"client disconnect"]"#);
}

#[wasm_bindgen_test]
async fn a_port_that_nobody_listens_on_is_a_connect_error() {
    real();
    let client = builder("ws://127.0.0.1:9").max_attempts(1).build().unwrap();
    client.connect().unwrap();
    assert_eq!(client.ready().await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(client.state(), State::Failed);
}

#[wasm_bindgen_test]
async fn a_subprotocol_that_the_browser_refuses_is_a_typed_error() {
    real();
    let client = builder("ws://127.0.0.1:9").protocol("not a token").build().unwrap();
    client.connect().unwrap();
    assert_eq!(client.ready().await.unwrap_err().kind(), ErrorKind::Config);
}

#[wasm_bindgen_test]
fn what_a_browser_cannot_do_is_a_typed_error_before_anything_is_dialled() {
    play();
    let kinds = |result: Result<Client, Error>| {
        let error = result.expect_err("refused");
        (error.kind(), error.path().map(str::to_owned))
    };
    let unsupported = |path: &str| (ErrorKind::Unsupported, Some(path.to_owned()));
    assert_eq!(kinds(builder("wss://h").header("authorization", "x").build()), unsupported("headers"));
    let native_only = [
        (builder("wss://h").root_certificate("pem"), "root_certificate"),
        (builder("wss://h").client_certificate("pem", "pem"), "client_certificate"),
        (builder("wss://h").tls_config(everwire::TlsConfig), "tls_config"),
        (builder("wss://h").proxy("http://h"), "proxy"),
        (builder("wss://h").proxy_from_env(), "proxy_from_env"),
        (builder("wss://h").compression(true), "compression"),
        (builder("wss://h").compression_threshold(1), "compression_threshold"),
        (builder("wss://h").read_buffer(4096), "read_buffer"),
        (builder("wss://h").small_buffers(), "small_buffers"),
    ];
    for (builder, path) in native_only {
        assert_eq!(kinds(builder.build()), unsupported(path));
    }
    for url in ["ftp://h", "wss://user:password@h", "wss://"] {
        assert_eq!(kinds(builder(url).build()), (ErrorKind::Config, Some("url".to_owned())), "{url}");
    }
    assert_eq!(dials(), 0);
}

#[wasm_bindgen_test]
async fn a_token_provider_is_asked_and_awaited() {
    play();
    let client = Client::builder(Dialect::stream()).url("wss://h").param("api_key", "k").param("user_id", "a");
    let client = client.token_provider(|| async { Ok("fetched".to_owned()) }).build().unwrap();
    client.connect().unwrap();
    client.ready().await.unwrap();
    assert!(sent().contains("fetched"));
    assert_eq!(client.stats().token_fetches, 1);
    assert!(client.closed().now_or_never().is_none());
    client.close().await;
}

#[wasm_bindgen_test]
fn parameters_may_come_from_the_page() {
    let params =
        js_sys::JSON::parse(r#"{"api_key":"key","user_id":"alice","user_details":{"id":"alice","n":[1,2.5,null]}}"#);
    let builder = || Client::builder(Dialect::stream()).url("ws://localhost").token("token");
    let builder_of_page = builder().js_params(&params.expect("JSON")).expect("an object");
    assert!(builder_of_page.build().is_ok());
    for wrong in [JsValue::NULL, JsValue::from(1), js_sys::Function::new_no_args("").into()] {
        let error = builder().js_params(&wrong).expect_err("no object");
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("params")));
    }
    assert_eq!(builder().build().expect_err("parameters are missing").path(), Some("params.api_key"));
}
