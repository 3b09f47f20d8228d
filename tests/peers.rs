//! Code that is not ours at the far end of the server: the official client `stream-chat`, which speaks `stream-v1`.
//! It needs Node.js and `scripts/setup test`.
#![cfg(all(native, unix, feature = "cli"))]

use everwire::server::{RECORDED_EVENTS, Recorded, Server};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

const SECRET: &str = "a secret";
const KEY: &str = "key";

/// A program that tells what happens, one JSON object a line.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program is installed");
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines }
    }

    fn everwire(args: &[&str]) -> Self {
        Self::start(Command::new(env!("CARGO_BIN_EXE_everwire")).args(args))
    }

    /// The client, with these tokens to hand out one after the other.
    fn stream_chat(url: &str, tokens: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/stream_chat.mjs");
        let options = json!({"url": url, "key": KEY, "user": "alice", "tokens": tokens, "ping": 200});
        Self::start(Command::new("node").arg(script).arg(options.to_string()))
    }

    async fn next(&mut self) -> Value {
        let line = timeout(Duration::from_secs(30), self.lines.next_line()).await.expect("it takes too long");
        let line = line.unwrap().expect("the program goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The next line that is wanted, and how many others came before it.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> (Value, usize) {
        let mut others = 0;
        loop {
            let line = self.next().await;
            if wanted(&line) {
                return (line, others);
            }
            others += 1;
        }
    }

    /// The next event of this type.
    async fn event(&mut self, name: &str) -> Value {
        self.until(|line| line["event"] == name).await.0
    }

    /// Ends its input, which tells it to disconnect.
    async fn disconnect(mut self) {
        self.stdin = None;
        self.until(|line| line["disconnected"] == true).await;
        assert!(self.child.wait().await.unwrap().success());
    }
}

fn token(valid_for: Option<Duration>) -> String {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    server.create_token("alice", valid_for).unwrap()
}

fn expired() -> String {
    token(Some(Duration::ZERO))
}

#[tokio::test]
async fn the_official_client_connects_gets_events_and_stays_alive() {
    let args = ["serve", "--port", "0", "--api-key", KEY, "--secret", SECRET, "--rate", "20", "--json"];
    let mut server = Program::everwire(&args);
    let url = server.next().await["url"].as_str().unwrap().to_owned();
    let mut client = Program::stream_chat(&url, &[token(None)]);

    let connected = server.until(|line| line["log"] == "connected").await.0;
    assert_eq!((&connected["user_id"], &connected["dialect"]), (&"alice".into(), &"stream-v1".into()));
    let hello = client.event("health.check").await;
    assert_eq!((&hello["me"], &hello["connection"]), (&"alice".into(), &connected["connection_id"]));

    // Real events, each of a type that the recording has, in its order.
    let recorded = Recorded::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED_EVENTS)).unwrap();
    for _ in 0..20 {
        let event =
            client.until(|line| !matches!(line["event"].as_str(), None | Some("health.check" | "connection.changed")));
        let event = event.await.0;
        assert!(recorded.types().contains(event["event"].as_str().unwrap()), "{event}");
    }
    // The answers to its health checks come in between, on the same connection.
    for _ in 0..3 {
        let answer = client.event("health.check").await;
        assert_eq!(answer["connection"], connected["connection_id"]);
    }
    client.disconnect().await;
    let closed = server.until(|line| line["log"] == "closed").await.0;
    assert_eq!((&closed["by"], &closed["code"]), (&"client".into(), &1000.into()));
}

#[tokio::test]
async fn its_health_checks_alone_keep_it_alive() {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = Program::stream_chat(&running.url(), &[token(None)]);
    // It sends one every 200 ms, and takes silence of 1.4 s for death: the hello and nine answers last longer.
    for _ in 0..10 {
        client.event("health.check").await;
    }
    let stats = server.stats();
    assert!(stats.health_checks >= 9, "{stats:?}");
    assert_eq!((stats.accepted, stats.published), (1, 0));
    client.disconnect().await;
}

#[tokio::test]
async fn it_refreshes_a_token_that_has_expired_at_first_or_later() {
    let server = Server::builder().api_key(KEY).api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = Program::stream_chat(&running.url(), &[expired(), token(None)]);
    let (connected, _) = client.until(|line| !line["connected"].is_null()).await;
    assert_eq!(server.stats().refused.keys().collect::<Vec<_>>(), [&40]);

    server.expire_tokens();
    let error = client.event("connection.error").await;
    assert_eq!((&error["error"]["code"], &error["error"]["StatusCode"]), (&40.into(), &401.into()));
    let again = client.until(|line| line["event"] == "health.check" && line["me"] == "alice").await.0;
    assert_ne!(again["connection"], connected["connected"]);

    // And it comes back after a network that breaks.
    server.drop_connections();
    client.until(|line| line["event"] == "health.check" && line["me"] == "alice").await;
    assert_eq!(server.stats().accepted, 3);
    client.disconnect().await;
}

#[tokio::test]
async fn it_is_told_why_it_is_refused_and_does_not_come_again() {
    let server = Server::builder().api_key("another key").api_secret(SECRET).build().unwrap();
    let running = server.bind("127.0.0.1:0").await.unwrap();
    let mut client = Program::stream_chat(&running.url(), &[token(None)]);
    let (refused, _) = client.until(|line| !line["refused"].is_null()).await;
    assert_eq!((&refused["refused"]["code"], &refused["refused"]["StatusCode"]), (&2.into(), &401.into()), "{refused}");
    assert_eq!(server.stats().refused, [(2, 1)].into());
    client.disconnect().await;
}
