//! The program itself, run as a user runs it, against the embedded server.
#![cfg(all(native, unix, feature = "cli"))]

use everwire::server::{Activity, End, Running, Server};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

const SECRET: &str = "a secret";

/// What the server says of clients that come and go: `connected`, or how the connection ended.
type Log = mpsc::UnboundedReceiver<String>;

async fn server() -> (Running, Log) {
    let (sender, log) = mpsc::unbounded_channel();
    let builder = Server::builder().api_key("key").api_secret(SECRET).on_activity(move |activity| {
        let line = match activity {
            Activity::Connected { .. } => "connected".to_owned(),
            Activity::Disconnected { end: End::ByClient { code, reason }, .. } => format!("client {code:?} {reason}"),
            Activity::Disconnected { end, .. } => format!("{end:?}"),
            _ => return,
        };
        let _ = sender.send(line);
    });
    (builder.build().unwrap().bind("127.0.0.1:0").await.unwrap(), log)
}

fn everwire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everwire"));
    for name in ["EVERWIRE_TOKEN", "EVERWIRE_SECRET", "DEMO_SECONDS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// `everwire listen` as alice, without a token.
fn listen(running: &Running) -> Command {
    let mut command = everwire();
    command.args(["listen", &running.url(), "--param", "api_key=key", "--param", "user_id=alice"]);
    command
}

fn token(running: &Running) -> String {
    running.server().create_token("alice", Some(Duration::from_secs(60))).unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

async fn finish(command: &mut Command) -> Output {
    soon(command.output()).await.unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// Starts a command; its stdout can be read line by line.
fn start(command: &mut Command) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn next_json(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = soon(lines.next_line()).await.unwrap().expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

async fn send_signal(child: &Child, signal: &str) {
    let pid = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
}

/// A file of this test, with this text.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("everwire-cli-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    path
}

const INTERRUPT: &str = "-INT";

#[tokio::test]
async fn listen_prints_events_up_to_the_count_and_closes_with_1000() {
    let (running, mut log) = server().await;
    let token = token(&running);
    let mut command = listen(&running);
    let output = finish(command.env("EVERWIRE_TOKEN", &token).args(["--count", "3", "--json"]));
    let publish = async {
        assert_eq!(soon(log.recv()).await.unwrap(), "connected");
        // The hello may still be on its way into the queue: an event that comes before it reaches nobody.
        while running.server().connections() == 0 {
            tokio::task::yield_now().await;
        }
        for n in 0..5 {
            running.server().publish(&json!({"type": "tick", "n": n})).unwrap();
        }
    };
    let (output, ()) = tokio::join!(output, publish);
    assert!(output.status.success(), "{}", stderr(&output));
    let events: Vec<Value> = json_lines(&output).into_iter().filter(|event| event["type"] == "tick").collect();
    assert!(events.len() >= 2, "{events:?}");
    assert_eq!(json_lines(&output).len(), 3);
    assert_eq!(soon(log.recv()).await.unwrap(), "client Some(1000) client disconnect");
    for line in stderr(&output).lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert!(!stderr(&output).contains(&token) && !String::from_utf8_lossy(&output.stdout).contains(&token));
}

#[tokio::test]
async fn the_older_dialect_has_its_token_in_the_url_and_shows_none_of_it() {
    let (running, mut log) = server().await;
    let token = token(&running);
    let mut command = listen(&running);
    let child = command.args(["--dialect", "stream-v1", "--token", &token]).spawn().unwrap();
    assert_eq!(soon(log.recv()).await.unwrap(), "connected");
    send_signal(&child, INTERRUPT).await;
    let output = soon(child.wait_with_output()).await.unwrap();
    assert!(output.status.success());
    assert!(stderr(&output).contains("connecting to ws://"), "{}", stderr(&output));
    assert!(!stderr(&output).contains(&token), "{}", stderr(&output));
    assert_eq!(soon(log.recv()).await.unwrap(), "client Some(1000) client disconnect");
}

#[tokio::test]
async fn an_event_that_matches_two_filters_is_printed_once() {
    let (running, mut log) = server().await;
    let mut command = listen(&running);
    command.env("EVERWIRE_TOKEN", token(&running)).args(["--json", "--filter", "a.*", "--filter", "a.b"]);
    let (child, mut lines) = start(&mut command);
    assert_eq!(soon(log.recv()).await.unwrap(), "connected");
    while running.server().connections() == 0 {
        tokio::task::yield_now().await;
    }
    for name in ["b", "a.b", "a.b.c", "a.c", "a"] {
        running.server().publish(&json!({"type": name})).unwrap();
    }
    assert_eq!(next_json(&mut lines).await["type"], "a.b");
    assert_eq!(next_json(&mut lines).await["type"], "a.c");
    send_signal(&child, INTERRUPT).await;
    assert!(soon(lines.next_line()).await.unwrap().is_none(), "nothing else is printed");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_program_cleanly() {
    let (running, mut log) = server().await;
    let mut command = listen(&running);
    let (mut child, lines) = start(command.env("EVERWIRE_TOKEN", token(&running)));
    assert_eq!(soon(log.recv()).await.unwrap(), "connected");
    drop(lines); // as `| head` does
    while child.try_wait().unwrap().is_none() {
        running.server().publish(&json!({"type": "tick"})).unwrap();
        tokio::task::yield_now().await;
    }
    assert!(soon(child.wait()).await.unwrap().success());
    assert_eq!(soon(log.recv()).await.unwrap(), "client Some(1000) client disconnect");
}

// N-9
#[tokio::test]
async fn a_run_that_is_interrupted_is_gone_on_with_by_the_next_one() {
    let (running, mut log) = server().await;
    let path = file("resume", "");
    fs::remove_file(&path).unwrap();
    let run = || {
        let mut command = listen(&running);
        command.args(["--dialect", "everwire", "--json", "--filter", "tick", "--resume-file"]).arg(&path);
        command.env("EVERWIRE_TOKEN", token(&running));
        start(&mut command)
    };
    let publish = |numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            running.server().publish(&json!({"type": "tick", "n": number})).unwrap();
        }
    };
    for first in [1, 11, 21] {
        let (mut child, mut lines) = run();
        assert_eq!(soon(log.recv()).await.unwrap(), "connected");
        publish(first + 5..=first + 9);
        // Those that came while no program ran, and those that came since.
        for number in if first == 1 { 6..=10 } else { first..=first + 9 } {
            assert_eq!(next_json(&mut lines).await["n"], number);
        }
        send_signal(&child, INTERRUPT).await;
        assert!(soon(child.wait()).await.unwrap().success());
        assert_eq!(soon(lines.next_line()).await.unwrap(), None, "nothing twice");
        assert_eq!(soon(log.recv()).await.unwrap(), "client Some(4000) client will be back");
        publish(first + 10..=first + 14);
    }
    // A run that reaches no server changes nothing.
    let kept = fs::read_to_string(&path).unwrap();
    let mut nowhere = everwire();
    nowhere.args(["listen", "http://127.0.0.1:1", "--dialect", "everwire", "--param", "user_id=alice", "--token", "t"]);
    let output = finish(nowhere.args(["--max-attempts", "1", "--resume-file"]).arg(&path)).await;
    assert_eq!((output.status.code(), fs::read_to_string(&path).unwrap()), (Some(4), kept));
    // Of a dialect that cannot resume, and of a file that is something else, that is said.
    let mut other = listen(&running);
    let output = finish(other.args(["--token", "t", "--resume-file"]).arg(&path)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--resume-file"), "{}", stderr(&output));
    fs::write(&path, "[1]").unwrap();
    let mut other = listen(&running);
    let output = finish(other.args(["--token", "t", "--dialect", "everwire", "--resume-file"]).arg(&path)).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--resume-file"), "{}", stderr(&output));
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_names_what_is_wrong() {
    let wrong_hello = file("dialect.json", r#"{"name": "mine", "hello": {"types": "welcome"}}"#);
    let wrong_hello = wrong_hello.to_str().unwrap();
    for (args, want) in [
        (&["listen", "http://127.0.0.1:9", "--dialect", wrong_hello][..], "hello.types"),
        (&["listen", "http://127.0.0.1:9", "--dialect", "nonsense"], "built-in"),
        (&["listen", "http://127.0.0.1:9", "--dialect", "/nowhere/d.json"], "/nowhere/d.json"),
        (&["listen", "http://127.0.0.1:9", "--filter", "a*", "--dialect", "raw"], "--filter"),
        (&["listen", "no url"], "URL: must begin with"),
        (&["listen", "http://127.0.0.1:9", "--silence-timeout", "soon"], "silence-timeout"),
        (&["serve", "--port", "0"], "--secret"),
        (&["serve", "--port", "0", "--secret", "s", "--dev"], "--dev"),
        (&["serve", "--dev", "--port", "0", "--rate=-1"], "rate"),
    ] {
        let output = finish(everwire().args(args)).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(want), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn who_is_refused_exits_with_3_and_the_token_is_never_shown() {
    let (running, _log) = server().await;
    let bobs = running.server().create_token("bob", None).unwrap();
    for dialect in ["stream", "stream-v1"] {
        let output = finish(listen(&running).args(["--dialect", dialect]).env("EVERWIRE_TOKEN", &bobs)).await;
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("code 5"), "{}", stderr(&output));
        assert!(!stderr(&output).contains(&bobs), "{}", stderr(&output));
    }
    // An expired token that cannot be refreshed.
    let expired = running.server().create_token("alice", Some(Duration::ZERO)).unwrap();
    let output = finish(listen(&running).env("EVERWIRE_TOKEN", &expired)).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));

    let help = finish(everwire().args(["listen", "--help"]).env("EVERWIRE_TOKEN", "hush-hush")).await;
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("EVERWIRE_TOKEN") && text.contains("Exit codes"), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
}

#[tokio::test]
async fn a_connection_that_is_lost_for_good_exits_with_4() {
    let (running, _log) = server().await;
    let mut command = listen(&running);
    command.env("EVERWIRE_TOKEN", token(&running));
    command.args(["--max-attempts", "2", "--backoff-base", "10ms", "--backoff-cap", "20ms"]);
    running.shutdown().await;
    let output = finish(&mut command).await;
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("every try failed"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_token_command_is_run_for_every_fetch() {
    let (running, mut log) = server().await;
    let expired = running.server().create_token("alice", Some(Duration::ZERO)).unwrap();
    let runs = file("runs", "");
    let (first, later) = (file("first", &expired), file("later", &token(&running)));
    let script = format!(
        "echo x >> {runs}; if [ $(wc -l < {runs}) = 1 ]; then cat {first}; else cat {later}; fi",
        runs = runs.display(),
        first = first.display(),
        later = later.display()
    );
    let (child, _lines) = start(listen(&running).args(["--token-command", &script]));
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("connected") {
        seen.push(soon(log.recv()).await.unwrap());
    }
    assert_eq!(fs::read_to_string(&runs).unwrap().lines().count(), 2);
    // A token that expires in the middle is fetched again too.
    running.server().expire_tokens();
    while soon(log.recv()).await.unwrap() != "connected" {}
    assert_eq!(fs::read_to_string(&runs).unwrap().lines().count(), 3);
    send_signal(&child, INTERRUPT).await;

    let output = finish(listen(&running).args(["--token-command", "exit 7", "--max-attempts", "1"])).await;
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("token command"), "{}", stderr(&output));

    // One that says that the user is signed out is not run again.
    let script = format!("echo x >> {}; exit 77", runs.display());
    let output = finish(listen(&running).args(["--token-command", &script])).await;
    assert_eq!((output.status.code(), fs::read_to_string(&runs).unwrap().lines().count()), (Some(3), 4));
    assert!(stderr(&output).contains("signed out"), "{}", stderr(&output));
}

#[tokio::test]
async fn serve_logs_json_lines_and_says_goodbye() {
    let mut command = everwire();
    let (mut child, mut lines) =
        start(command.args(["serve", "--port", "0", "--secret", SECRET, "--api-key", "key", "--json"]));
    let listening = next_json(&mut lines).await;
    assert_eq!(listening["log"], "listening");
    let token =
        Server::builder().api_key("key").api_secret(SECRET).build().unwrap().create_token("alice", None).unwrap();
    let url = format!("ws://127.0.0.1:{}/api/v2/connect?api_key=key", listening["port"]);
    let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
    let first = json!({"token": token, "user_details": {"id": "alice"}});
    socket.send(Message::text(first.to_string())).await.unwrap();
    assert_eq!(next_json(&mut lines).await["log"], "connected");
    assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Text(_)))));
    send_signal(&child, INTERRUPT).await;
    let Some(Ok(Message::Close(Some(frame)))) = soon(socket.next()).await else { panic!("a close frame is expected") };
    assert_eq!(u16::from(frame.code), 1001);
    assert!(soon(socket.next()).await.is_none());
    let mut log = Vec::new();
    while let Some(line) = soon(lines.next_line()).await.unwrap() {
        assert!(!line.contains(&token) && !line.contains(SECRET), "{line}");
        log.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    assert!(log.iter().any(|entry| entry["log"] == "closed" && entry["by"] == "server" && entry["code"] == 1001));
    assert_eq!(log.last().unwrap()["stats"]["accepted"], 1);
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn the_demo_ends_by_itself_with_what_was_received() {
    let mut command = everwire();
    let (mut child, mut lines) =
        start(command.args(["demo", "--port", "0", "--rate", "50", "--json"]).env("DEMO_SECONDS", "2"));
    let url = next_json(&mut lines).await["url"].as_str().unwrap().replace("http", "ws");
    // This socket stands for the page in a browser.
    let mut page = tokio_tungstenite::connect_async(format!("{url}/api/v2/connect?api_key=demo")).await.unwrap().0;
    let first = json!({"token": "any", "user_details": {"id": "page-1"}});
    page.send(Message::text(first.to_string())).await.unwrap();
    let reported = async {
        let mut received = 0;
        while let Some(Ok(message)) = soon(page.next()).await {
            received += 1;
            if message.is_text() {
                let report = json!({"type": "demo.report", "received": received});
                let _ = page.send(Message::text(report.to_string())).await;
            }
        }
    };
    let printed = async {
        let mut printed = Vec::new();
        while let Some(line) = soon(lines.next_line()).await.unwrap() {
            printed.push(serde_json::from_str::<Value>(&line).unwrap());
        }
        printed
    };
    let ((), mut printed) = tokio::join!(reported, printed);
    let summary = printed.pop().unwrap();
    assert!(soon(child.wait()).await.unwrap().success());
    assert_eq!(summary["demo"], "summary");
    assert_eq!(summary["native"], printed.len());
    assert_eq!(summary["pages"], 1);
    assert!(printed.len() > 20, "{}", printed.len());
    assert!(summary["page"].as_u64().unwrap() > 20, "{summary}");
    assert!(printed.iter().all(|event| event["type"].is_string()));
}

#[tokio::test]
async fn the_demo_says_when_no_page_was_open() {
    let output = finish(everwire().args(["demo", "--port", "0", "--rate", "50", "--seconds", "0.5"])).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().last().unwrap().ends_with("events received natively, no page was open"), "{text}");
    assert!(!text.contains('\x1b'), "no colour where there is no terminal");
}

#[tokio::test]
async fn what_is_missing_on_the_machine_exits_with_1_and_says_what_to_do() {
    let (running, _log) = server().await;
    let port = running.local_addr().port().to_string();
    let output = finish(everwire().args(["demo", "--port", &port])).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port), "{}", stderr(&output));
    let output = finish(everwire().args(["demo", "--port", "0", "--events", "/nowhere.json"])).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("/nowhere.json: No such file"), "{}", stderr(&output));
}
