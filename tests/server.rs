//! The embedded server over real sockets, with a plain WebSocket client at the other end.
#![cfg(all(native, feature = "server"))]

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

#[tokio::test]
async fn a_client_authenticates_with_its_first_message_and_gets_events() {
    let running = start(builder()).await;
    let (mut socket, hello) = connect(&running).await;
    assert_eq!(hello["me"], json!({"id": "alice", "name": "Alice"}));
    assert!(!hello["connection_id"].as_str().unwrap().is_empty());
    assert!(hello["created_at"].as_str().unwrap().ends_with('Z'));
    eventually("one is connected", || running.server().connections() == 1).await;

    assert_eq!(running.server().publish(&json!({"type": "greeting", "n": 1})).unwrap(), 1);
    assert_eq!(next_json(&mut socket).await, json!({"type": "greeting", "n": 1}));
    socket.close(None).await.unwrap();
    eventually("nobody is connected", || running.server().connections() == 0).await;
    running.shutdown().await;
}

#[tokio::test]
async fn the_older_dialect_authenticates_in_the_query() {
    let running = start(builder()).await;
    // {"user_id":"alice","user_details":{"id":"alice"},"server_determines_connection_id":true}
    let json = "%7B%22user_id%22%3A%22alice%22%2C%22user_details%22%3A%7B%22id%22%3A%22alice%22%7D%2C\
                %22server_determines_connection_id%22%3Atrue%7D";
    let query = format!("/connect?json={json}&api_key=key&authorization={}&stream-auth-type=jwt", token(&running));
    let mut socket = dial(&running, &query).await;
    let hello = next_json(&mut socket).await;
    assert_eq!(hello["type"], "health.check");
    assert_eq!(hello["me"]["id"], "alice");
    assert!(!hello["connection_id"].as_str().unwrap().is_empty());

    let mut refused = dial(&running, &format!("/connect?json={json}&api_key=key&authorization=nonsense")).await;
    assert_eq!(next_refusal(&mut refused).await, (5, 401, 1000));
    let mut refused = dial(&running, "/connect?api_key=key&authorization=x").await;
    assert_eq!(next_refusal(&mut refused).await, (4, 400, 1000));
}

// S0-12
#[tokio::test]
async fn every_wrong_token_has_its_code_and_close() {
    let running = start(builder()).await;
    let far = 4_000_000_000_u64;
    for (token, want) in [
        (sign(&json!({"user_id": "alice", "exp": 1}), SECRET), (40, 401, 3000)),
        (sign(&json!({"user_id": "alice", "nbf": far}), SECRET), (41, 401, 3000)),
        (sign(&json!({"user_id": "alice", "iat": far}), SECRET), (42, 401, 3000)),
        (sign(&json!({"user_id": "alice"}), "another secret"), (43, 401, 1000)),
        (sign(&json!({"user_id": "bob"}), SECRET), (5, 401, 1000)),
        ("no token at all".to_owned(), (5, 401, 1000)),
        (String::new(), (5, 401, 1000)),
    ] {
        let mut socket = dial_v2(&running).await;
        socket.send(first_message(&token)).await.unwrap();
        assert_eq!(next_refusal(&mut socket).await, want, "{token}");
    }
    assert_eq!(running.server().stats().refused, [(5, 3), (40, 1), (41, 1), (42, 1), (43, 1)].into());
    assert_eq!(running.server().stats().accepted, 0);
}

#[tokio::test]
async fn a_wrong_api_key_and_anonymous_clients_are_refused_before_they_say_a_word() {
    let running = start(builder()).await;
    for (query, want) in [
        ("?api_key=other", (2, 401, 1000)),
        ("", (2, 401, 1000)),
        ("?api_key=key&stream-auth-type=anonymous", (5, 401, 1000)),
    ] {
        let mut socket = dial(&running, &format!("/api/v2/connect{query}")).await;
        assert_eq!(next_refusal(&mut socket).await, want, "{query}");
    }
}

#[tokio::test]
async fn a_malformed_first_message_is_refused() {
    let running = start(builder()).await;
    for wrong in ["", "{", "[]", "{}", r#"{"token":7}"#, r#"{"token":"t","user_details":{}}"#] {
        let mut socket = dial_v2(&running).await;
        socket.send(Message::text(wrong)).await.unwrap();
        assert_eq!(next_refusal(&mut socket).await, (4, 400, 1000), "{wrong}");
    }
    let mut socket = dial_v2(&running).await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(next_refusal(&mut socket).await, (4, 400, 1000));
}

#[tokio::test]
async fn development_takes_any_token_but_must_be_asked_for() {
    let running = start(Server::builder().development()).await;
    for token in ["anything", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoiYWxpY2UifQ.devtoken"] {
        let mut socket = dial(&running, "/api/v2/connect?api_key=whatever").await;
        socket.send(first_message(token)).await.unwrap();
        assert_eq!(next_json(&mut socket).await["type"], "connection.ok");
    }
    let mut socket = dial(&running, "/api/v2/connect").await;
    socket.send(first_message("")).await.unwrap();
    assert_eq!(next_refusal(&mut socket).await, (5, 401, 1000));
}

// S3-2
#[tokio::test]
async fn who_stays_silent_is_closed_at_the_deadline() {
    let running = start(builder().auth_deadline(Duration::from_millis(100))).await;
    let mut socket = dial_v2(&running).await;
    assert_eq!(next_refusal(&mut socket).await, (23, 408, 1008));
    // Pings are no authentication.
    let mut socket = dial_v2(&running).await;
    socket.send(Message::Ping("x".into())).await.unwrap();
    assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Pong(_)))));
    assert_eq!(next_refusal(&mut socket).await, (23, 408, 1008));
}

#[tokio::test]
async fn health_checks_come_only_in_reply() {
    let running = start(builder()).await;
    let (mut socket, hello) = connect(&running).await;
    for check in [json!([{"type": "health.check", "client_id": "c"}]), json!({"type": "health.check", "cid": "*"})] {
        socket.send(Message::text(check.to_string())).await.unwrap();
        let reply = next_json(&mut socket).await;
        assert_eq!(reply["type"], "health.check");
        assert_eq!(reply["connection_id"], hello["connection_id"]);
    }
    // Whatever else is sent is not answered: what comes next is the reply to the check after it.
    for text in [r#"{"type":"typing.start"}"#, "not json", "[]"] {
        socket.send(Message::text(text)).await.unwrap();
    }
    socket.send(Message::binary(vec![0])).await.unwrap();
    running.server().publish(&json!({"type": "between"})).unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "between");
    socket.send(Message::text(r#"{"type":"health.check"}"#)).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    assert!(timeout(Duration::from_millis(200), socket.next()).await.is_err(), "nothing comes unasked");
    let stats = running.server().stats();
    assert_eq!((stats.health_checks, stats.messages_received, stats.malformed), (3, 2, 2));
}

#[tokio::test]
async fn a_client_that_sends_nothing_any_more_is_closed() {
    let running = start(builder().idle_timeout(Duration::from_millis(100))).await;
    let (mut socket, _) = connect(&running).await;
    assert_eq!(next_close(&mut socket).await.0, 3008);
}

// S1-5, S1-23
#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let running = start(builder().max_message_size(1000)).await;
    let (mut socket, _) = connect(&running).await;
    let check = json!([{"type": "health.check", "padding": "x".repeat(900)}]).to_string();
    socket.send(Message::text(check)).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    // Far larger than any buffer: the close arrives although most of it is never taken for a message.
    socket.send(Message::text("x".repeat(20_000_000))).await.unwrap();
    assert_eq!(next_close(&mut socket).await.0, 1009);

    let mut first = dial_v2(&running).await;
    first.send(first_message(&"x".repeat(1000))).await.unwrap();
    assert_eq!(next_close(&mut first).await.0, 1009);
}

// S3-5
#[tokio::test]
async fn a_slow_client_is_closed_and_blocks_nobody() {
    let running = start(builder().queue(64, 1 << 20).close_timeout(Duration::from_millis(300))).await;
    let (slow, _) = connect(&running).await;
    let (mut quick, _) = connect(&running).await;
    let event = json!({"type": "big", "padding": "x".repeat(64 << 10)});
    // More than all buffers between the two ends hold. The quick one has each event before the next is published.
    for _ in 0..400 {
        running.server().publish(&event).unwrap();
        assert_eq!(next_json(&mut quick).await["type"], "big");
    }
    eventually("the slow one is gone", || running.server().connections() == 1).await;
    let stats = running.server().stats();
    assert_eq!(stats.slow_clients, 1);
    eventually("it is counted", || running.server().stats().closed_by_server.get(&1013) == Some(&1)).await;
    drop(slow);
}

#[tokio::test]
async fn a_queue_that_overflows_at_once_closes_a_client_with_1013() {
    let running = start(builder().queue(4, 1 << 20)).await;
    let (mut socket, _) = connect(&running).await;
    // The connection's task cannot run in between: this test has one thread and does not wait.
    for n in 0..10 {
        running.server().publish(&json!({"type": "burst", "n": n})).unwrap();
    }
    assert_eq!(next_close(&mut socket).await.0, 1013);
    assert_eq!(running.server().stats().slow_clients, 1);
}

#[tokio::test]
async fn one_connection_too_many_is_refused() {
    let running = start(builder().max_connections(1)).await;
    let (_first, _) = connect(&running).await;
    let mut second = dial_v2(&running).await;
    assert_eq!(next_refusal(&mut second).await, (71, 429, 1013));
}

#[tokio::test]
async fn a_wrong_path_is_closed_with_1000_at_once() {
    let running = start(builder()).await;
    let mut socket = dial(&running, "/api/v3/connect").await;
    assert_eq!(next_close(&mut socket).await.0, 1000);
}

// S1-22
#[tokio::test]
async fn shutdown_tells_every_client_after_the_last_event() {
    let running = start(builder()).await;
    let (mut one, _) = connect(&running).await;
    let (mut two, _) = connect(&running).await;
    let mut waiting = dial_v2(&running).await;
    let server = running.server().clone();
    eventually("both are in", || server.connections() == 2).await;
    server.publish(&json!({"type": "maintenance"})).unwrap();
    let address = running.local_addr();
    let clients = async {
        for socket in [&mut one, &mut two] {
            assert_eq!(next_json(socket).await["type"], "maintenance");
            assert_eq!(next_close(socket).await.0, 1001);
            assert!(soon(socket.next()).await.is_none());
        }
        assert_eq!(next_close(&mut waiting).await.0, 1001);
        assert!(soon(waiting.next()).await.is_none());
    };
    tokio::join!(soon(running.shutdown()), clients);
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
    assert_eq!(server.bind("127.0.0.1:0").await.unwrap_err().kind(), everwire::ErrorKind::InvalidState);
    assert_eq!(server.stats().closed_by_server, [(1001, 3)].into());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_hangs() {
    let running = start(builder().close_timeout(Duration::from_millis(200))).await;
    let (_hangs, _) = connect(&running).await;
    timeout(Duration::from_secs(3), running.shutdown()).await.expect("bounded");
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_no_socket_behind() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    let address = running.local_addr();
    drop(running);
    assert!(matches!(soon(socket.next()).await, Some(Err(_))));
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn connections_can_be_dropped_closed_and_refused() {
    let running = start(builder()).await;
    let server = running.server();
    let (mut socket, _) = connect(&running).await;
    assert_eq!(server.drop_connections(), 1);
    assert!(matches!(soon(socket.next()).await, Some(Err(SocketError::Protocol(_) | SocketError::Io(_)))));

    let (mut socket, _) = connect(&running).await;
    assert_eq!(server.close_connections(4321, "on purpose").unwrap(), 1);
    assert_eq!(next_close(&mut socket).await, (4321, "on purpose".to_owned()));
    assert!(server.close_connections(1006, "").is_err());
    assert!(server.close_connections(1000, &"x".repeat(124)).is_err());

    let (mut socket, _) = connect(&running).await;
    eventually("the others are gone", || server.connections() == 1).await;
    server.expire_tokens();
    assert_eq!(next_refusal(&mut socket).await, (40, 401, 3000));

    let (mut socket, _) = connect(&running).await;
    server.refuse_connections(&Refusal::new(9, "é".repeat(100)));
    assert_eq!(next_refusal(&mut socket).await, (9, 429, 1013));
}

#[tokio::test]
async fn activity_is_told_in_order_and_without_a_token() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let running = start(builder().on_activity(move |activity| {
        let line = match activity {
            Activity::Connected { user_id, protocol, .. } => format!("connected {user_id} {}", protocol.name()),
            Activity::Message { user_id, text, .. } => format!("message {user_id} {text}"),
            Activity::Refused { user_id, refusal, .. } => format!("refused {user_id:?} {}", refusal.code()),
            Activity::Disconnected { user_id, end, .. } => format!("disconnected {user_id:?} {end:?}"),
            _ => String::new(),
        };
        log.lock().unwrap().push(line);
    }))
    .await;
    let (mut socket, _) = connect(&running).await;
    socket.send(Message::text(r#"{"type":"typing.start"}"#)).await.unwrap();
    let frame = CloseFrame { code: 4000.into(), reason: "bye".into() };
    socket.close(Some(frame)).await.unwrap();
    assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Close(_)))));
    eventually("it is told", || seen.lock().unwrap().len() == 3).await;
    let end = End::ByClient { code: Some(4000), reason: "bye".to_owned() };
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "connected alice stream".to_owned(),
            r#"message alice {"type":"typing.start"}"#.to_owned(),
            format!("disconnected Some(\"alice\") {end:?}"),
        ]
    );
}

#[tokio::test]
async fn real_events_are_replayed_in_order() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED_EVENTS);
    let recorded = Recorded::load(path).unwrap();
    let replay = running.server().replay(recorded.clone(), 1000.0).unwrap();
    for index in 0..20 {
        let want: Value = serde_json::from_str(&recorded.message(index).unwrap()).unwrap();
        let mut event = next_json(&mut socket).await;
        event["created_at"] = want["created_at"].clone();
        assert_eq!(event, want);
    }
    drop(replay);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(running.server().replay(recorded.clone(), rate).is_err(), "{rate}");
    }
}

#[tokio::test]
async fn an_event_must_be_an_object() {
    let running = start(builder()).await;
    assert!(running.server().publish(&json!([1])).is_err());
    assert!(running.server().publish(&"text").is_err());
}

/// The head and the body of the answer to a request, without a library in between that would mend it.
async fn http(running: &Running, request: &str) -> (String, String) {
    let mut socket = TcpStream::connect(running.local_addr()).await.unwrap();
    socket.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(socket.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn static_files_have_types_and_stay_in_their_folder() {
    let folder = std::env::temp_dir().join(format!("everwire-files-{}", std::process::id()));
    for (name, text) in
        [("www/index.html", "<p>page"), ("pkg/a.js", "1"), ("pkg/a.wasm", "\0asm"), ("pkg/a.mjs", "2"), ("hidden", "h")]
    {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let running = start(builder().www(folder.join("www")).pkg(folder.join("pkg"))).await;
    for (path, content_type, body) in [
        ("/", "text/html", "<p>page"),
        ("/index.html", "text/html", "<p>page"),
        ("/pkg/a.js", "text/javascript", "1"),
        ("/pkg/a.mjs", "application/javascript", "2"),
        ("/pkg/a.wasm", "application/wasm", "\0asm"),
    ] {
        let (head, got) = http(&running, &format!("GET {path} HTTP/1.1")).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {content_type}")), "{path}: {head}");
        assert!(head.contains("cache-control: no-cache"), "{path}: {head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert_eq!(got, body, "{path}");
    }
    for path in ["/../hidden", "/%2e%2e/hidden", "/pkg/../../hidden", "/pkg/%2e%2e%2fhidden", "/none"] {
        let (head, body) = http(&running, &format!("GET {path} HTTP/1.1")).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert_ne!(body, "h", "{path}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_request_that_is_no_websocket_handshake_is_told_so() {
    let running = start(builder()).await;
    let upgrade = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade";
    for (request, want) in [
        ("GET /api/v2/connect HTTP/1.1".to_owned(), "426"),
        ("POST /connect HTTP/1.1".to_owned(), "405"),
        (format!("GET /connect HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 8"), "426"),
        (format!("GET /connect HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Version: 13"), "400"),
    ] {
        let (head, _) = http(&running, &request).await;
        assert!(head.starts_with(&format!("http/1.1 {want}")), "{request}: {head}");
        assert!(want == "405" || head.contains("sec-websocket-version: 13"), "{head}");
    }
}

#[tokio::test]
async fn frames_against_the_rules_are_closed_with_the_code_for_it() {
    let running = start(builder()).await;
    for (frame, want) in [
        (&[0x81, 0x01, b'x'][..], 1002),         // not masked
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),       // an opcode that does not exist
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007), // text that is not UTF-8
    ] {
        let (mut socket, _) = connect(&running).await;
        let MaybeTlsStream::Plain(tcp) = socket.get_mut() else { panic!("there is no TLS") };
        tcp.write_all(frame).await.unwrap();
        assert_eq!(next_close(&mut socket).await.0, want, "{frame:?}");
    }
}

// S1-20
#[tokio::test]
async fn the_routes_can_be_merged_into_an_app_of_ones_own() {
    let server = builder().build().unwrap();
    let app = server.router().route("/mine", axum::routing::get(|| async { "mine" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = async {
        let url = format!("ws://{address}/api/v2/connect?api_key=key");
        let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
        socket.send(first_message(&server.create_token("alice", None).unwrap())).await.unwrap();
        assert_eq!(next_json(&mut socket).await["type"], "connection.ok");
        let closed = async {
            assert_eq!(next_close(&mut socket).await.0, 1001);
            assert!(soon(socket.next()).await.is_none());
        };
        tokio::join!(soon(server.close()), closed);
    };
    tokio::select! {
        served = async { axum::serve(listener, app).await } => panic!("{served:?}"),
        () = client => {}
    }
}

#[tokio::test]
async fn an_address_in_use_is_a_typed_error() {
    let running = start(builder()).await;
    let error = builder().build().unwrap().bind(running.local_addr()).await.unwrap_err();
    assert_eq!(error.kind(), everwire::ErrorKind::Connect);
}
