//! `everwire send`, the file of options, completions and man pages, run as a user runs them.
#![cfg(all(native, unix, feature = "cli"))]
#![allow(clippy::disallowed_methods)] // the server runs on tasks of its own

use futures::{SinkExt, StreamExt};
use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, time::timeout};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
};

/// What a server saw: the headers of the handshakes, and the messages.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A server that says back what it hears.
async fn echo() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let notes = seen.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let notes = notes.clone();
            tokio::spawn(async move {
                #[allow(clippy::result_large_err)] // the signature is not ours
                let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                    if let Some(value) = request.headers().get("x-test") {
                        notes.note(format!("header {}", value.to_str().unwrap()));
                    }
                    Ok(response)
                };
                let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(tcp, look).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    match &message {
                        Message::Text(text) => notes.note(format!("text {text}")),
                        Message::Binary(bytes) => notes.note(format!("binary {:?}", bytes.to_vec())),
                        Message::Close(Some(frame)) => notes.note(format!("close {}", u16::from(frame.code))),
                        _ => continue,
                    }
                    if !message.is_close() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    (url, seen)
}

fn everwire(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everwire"));
    for name in ["EVERWIRE_TOKEN", "EVERWIRE_CONFIG", "WS_MAX_MESSAGE_SIZE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn finish(mut command: Command) -> (Option<i32>, String, String) {
    let output: Output = timeout(Duration::from_secs(20), command.output()).await.expect("it takes too long").unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("everwire-send-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn send_sends_texts_and_files_and_prints_the_replies() {
    let (url, seen) = echo().await;
    let bytes = file("bytes", &[1, 2]);
    let args = ["send", &url, "--dialect", "raw", "-m", r#"{"type":"a"}"#, "-m", "two", "--binary"];
    let mut command = everwire(&args);
    command.arg(bytes).args(["--replies", "3", "--json", "--protocol", "one", "--header", "X-Test: yes"]);
    // The server chooses no subprotocol, which a client that offers one must not accept.
    let (code, _, stderr) = finish(command).await;
    assert_eq!(code, Some(4), "{stderr}");
    let mut command = everwire(&args);
    command.arg(file("bytes", &[1, 2])).args(["--replies", "3", "--json", "--header", "X-Test: yes"]);
    let (code, stdout, stderr) = finish(command).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        stdout.lines().collect::<Vec<_>>(),
        [r#"{"type":"a"}"#, r#"{"text":"two","type":"unknown"}"#, r#"{"bytes":[1,2],"type":"unknown"}"#]
    );
    let lines = seen.lines();
    assert_eq!(
        lines[lines.len() - 5..],
        ["header yes", r#"text {"type":"a"}"#, "text two", "binary [1, 2]", "close 1000"]
    );
}

#[tokio::test]
async fn send_takes_its_messages_from_stdin() {
    let (url, seen) = echo().await;
    let mut child = everwire(&["send", &url, "--dialect", "raw", "-q"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").await.unwrap();
    drop(stdin);
    let output = timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    assert_eq!(seen.lines(), ["text one", "text two", "close 1000"]);
}

#[tokio::test]
async fn a_reply_that_does_not_come_is_a_failure() {
    let (url, _) = echo().await;
    let args = [
        "send",
        &url,
        "--dialect",
        "raw",
        "-m",
        "x",
        "--replies",
        "2",
        "--reply-timeout",
        "100ms",
        "--filter",
        "unknown",
    ];
    let (code, stdout, stderr) = finish(everwire(&args)).await;
    assert_eq!((code, stdout.lines().count()), (Some(4), 1), "{stderr}");
    assert!(stderr.contains("reply"), "{stderr}");
}

// S1-12: the environment, a file and the command line, in that order.
#[tokio::test]
async fn options_come_from_a_file_and_the_command_line_wins() {
    let (url, seen) = echo().await;
    let config = format!(
        "url = \"{url}\"\ndialect = \"raw\"\nheader = [\"X-Test: file\"]\nno_reconnect = true\noutbox_bytes = 4096\noutbox-policy = \"wait\"\nmessage = \"from the file\"\nping-interval = \"20s\"\n[param]\na = \"b\"\nn = 1\n"
    );
    let config = file("options.toml", config.as_bytes());
    let config = config.to_str().unwrap();
    let (code, _, stderr) = finish(everwire(&["send", "--config", config])).await;
    assert_eq!(code, Some(0), "{stderr}");
    let mut command = everwire(&["send", "--preset", "minimal", "--max-message-size", "9999", "-m", "more"]);
    command.env("EVERWIRE_CONFIG", config);
    assert_eq!(finish(command).await.0, Some(0));
    assert_eq!(
        seen.lines(),
        [
            "header file",
            "text from the file",
            "close 1000",
            "header file",
            "text from the file",
            "text more",
            "close 1000"
        ]
    );
    // The variables WS_* count when they are asked for, and what is given wins.
    for (name, args, code) in [
        ("WS_OPEN_TIMEOUT", &["--env"][..], 2),
        ("WS_OPEN_TIMEOUT", &[], 0),
        ("WS_OUTBOX_POLICY", &["--env"], 2),
        ("WS_OUTBOX_POLICY", &[], 0),
    ] {
        let mut command = everwire(&["send", "--config", config]);
        command.args(args).env(name, "soon");
        let (found, _, stderr) = finish(command).await;
        assert_eq!(found, Some(code), "{stderr}");
        assert_eq!(stderr.contains(name), code == 2, "{stderr}");
    }
    for (text, want) in [
        ("url = 'ws://h'\ntoken = s3cret\n", "line 2"),
        ("colour = 'red'\n", "--colour"),
        ("outbox_policy = 'later'\n", "--outbox-policy"),
        ("jitter = 2\ndialect = 'raw'\nurl = 'ws://h'\n", "--jitter"),
        ("ping-interval = 1979-05-27\n", "ping-interval"),
    ] {
        let path = file("wrong.toml", text.as_bytes());
        let (code, _, stderr) = finish(everwire(&["listen", "--config", path.to_str().unwrap()])).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(want) && !stderr.contains("s3cret"), "{stderr}");
    }
    let (code, _, stderr) = finish(everwire(&["listen", "--config", "/nowhere.toml"])).await;
    assert!(code == Some(2) && stderr.contains("/nowhere.toml"), "{stderr}");
}

#[tokio::test]
async fn wrong_options_of_a_connection_are_named() {
    for (args, want) in [
        (&["--preset", "quiet"][..], "trading"),
        (&["--ping-interval", "soon"], "ping-interval"),
        (&["--ping-interval", "0s"], "--ping-interval"),
        (&["--ping-timeout", "1s"], "ping-interval"),
        (&["--max-message-size", "0"], "--max-message-size"),
        (&["--read-buffer", "1"], "--read-buffer"),
        (&["--resume", "some"], "sequence_id"),
        (&["--outbox-policy", "later"], "drop-oldest"),
        (&["--outbox-messages", "some"], "outbox-messages"),
        (&["--outbox-ttl", "0s"], "--outbox-ttl"),
        (&["--breaker-pause", "1s"], "breaker"),
        (&["--breaker", "9"], "breaker"),
        (&["--max-age", "0"], "--max-age"),
        (&["--client-cert", "a.pem"], "client-key"),
        (&["--proxy", "socks://user:hush@h"], "proxy"),
    ] {
        let mut command = everwire(&["listen", "ws://127.0.0.1:9", "--dialect", "raw"]);
        command.args(args);
        let (code, stdout, stderr) = finish(command).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(want) && !stderr.contains("hush"), "{args:?}: {stderr}");
    }
    let none = ["send", "ws://127.0.0.1:9", "--dialect", "raw", "--ping-interval", "none", "--no-reconnect", "-m", "x"];
    assert_eq!(finish(everwire(&none)).await.0, Some(4));
}

#[tokio::test]
async fn completions_and_man_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, _) = finish(everwire(&["completions", shell])).await;
        assert_eq!(code, Some(0));
        for word in ["listen", "send", "ping-interval", "token-command"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let (code, page, _) = finish(everwire(&["man"])).await;
    assert!(code == Some(0) && page.contains(".TH everwire 1") && page.contains("EXIT STATUS"), "{page}");
    let dir = std::env::temp_dir().join(format!("everwire-man-{}", std::process::id()));
    let (code, ..) = finish(everwire(&["man", "--dir", dir.to_str().unwrap()])).await;
    assert_eq!(code, Some(0));
    let page = fs::read_to_string(dir.join("everwire-send.1")).unwrap();
    assert!(page.contains("reply\\-timeout"), "{page}");
}
