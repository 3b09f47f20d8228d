//! With `--json` every message is one line of JSON, by one rule (see its help), whatever the message holds.

use super::{
    ended, everwire,
    far_end::{BINARY, FarEnd, TEXT, frame},
    soon,
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::test]
async fn the_shape_of_a_message_depends_on_its_grammar_alone() {
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    // What comes, and the line that is printed.
    let table = [
        (r#"{"type":"a","n":1}"#, r#"{"type":"a","n":1}"#),
        // Grammatical, though a decoder may refuse or change it.
        (r#"{"type":"a","half":"\ud83d"}"#, r#"{"type":"a","half":"\ud83d"}"#),
        (r#"{"type":"a","large":1e999}"#, r#"{"type":"a","large":1e999}"#),
        (r#"{"long":123456789012345678901234567890.5}"#, r#"{"long":123456789012345678901234567890.5}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        (&deep, &deep),
        ("\u{feff}{\"bom\":true}", r#"{"bom":true}"#),
        ("{\"a\":\n  1\r\n}\n", r#"{"a":   1  }"#),
        ("\"a\\nb\"", "\"a\\nb\""),
        ("[1]", "[1]"),
        ("null", "null"),
        // No JSON.
        ("hello", r#"{"text":"hello","type":"unknown"}"#),
        ("", r#"{"text":"","type":"unknown"}"#),
        ("two\nlines", r#"{"text":"two\nlines","type":"unknown"}"#),
        (r#"{"type":"a" "#, r#"{"text":"{\"type\":\"a\" ","type":"unknown"}"#),
        ("NaN", r#"{"text":"NaN","type":"unknown"}"#),
    ];
    let far_end = FarEnd::new().await;
    let count = (table.len() + 1).to_string();
    let child =
        everwire(&["listen", &far_end.url, "--dialect", "raw", "--json", "-q", "--count", &count]).spawn().unwrap();
    let mut socket = far_end.accept().await;
    for (message, _) in &table {
        socket.send(TEXT, message.as_bytes()).await;
    }
    socket.send(BINARY, &[0, 255]).await;
    assert_eq!(socket.close_code().await, 1000);
    drop(socket);
    let run = ended(child).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    let wanted: Vec<_> = table.iter().map(|(_, line)| *line).chain([r#"{"bytes":[0,255],"type":"unknown"}"#]).collect();
    assert_eq!(lines, wanted);
    assert!(lines.iter().all(|line| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()));
}

#[tokio::test]
async fn a_server_logs_messages_as_they_came() {
    let mut child = everwire(&["serve", "--dev", "--port", "0", "--json"]).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon(log.next_line()).await.unwrap().unwrap();
    let port = serde_json::from_str::<Value>(&line).unwrap()["port"].to_string();
    let mut client = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let request = "GET /api/v2/connect?api_key=demo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let message = r#"{"type":"a", "n":1.50, "n":123456789012345678901234567890}"#;
    for text in [r#"{"token":"t","user_details":{"id":"a"}}"#, message] {
        let mut masked = frame(TEXT, text.as_bytes());
        // With zeros.
        masked[1] |= 0x80;
        masked.splice(2..2, [0; 4]);
        client.write_all(&masked).await.unwrap();
    }
    let connected = soon(log.next_line()).await.unwrap().unwrap();
    let id = serde_json::from_str::<Value>(&connected).unwrap()["connection_id"].take();
    let line = soon(log.next_line()).await.unwrap().unwrap();
    assert_eq!(line, format!(r#"{{"log":"message","connection_id":{id},"message":{message}}}"#));
}
