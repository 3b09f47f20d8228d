//! An error says what is wrong, why, and what the server said, each once, and names the option that mends it.

use super::{Run, certificates::Certificates, ended, everwire, far_end::FarEnd, finish, path};
use rcgen::date_time_ymd;
use rustls::ServerConfig;
use serde_json::Value;
use std::{fs, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

const RAW: [&str; 6] = ["--dialect", "raw", "--max-attempts", "2", "--backoff-base", "50ms"];

/// Two tries that fail, for people and for programs.
async fn twice(url: &str, more: &[&str]) -> (Run, Run) {
    let args = [&["listen", url, "--backoff-cap", "50ms"][..], &RAW, more].concat();
    let text = finish(everwire(&args)).await;
    let json = finish(everwire(&[&args[..], &["--json"]].concat())).await;
    assert_eq!((text.code(), &*text.stdout), (json.code(), ""), "{text:?}");
    (text, json)
}

/// Both lines that tell of a failure say this: the one before the second try, and the last one.
#[track_caller]
fn assert_told(run: &Run, parts: &[&str]) {
    let lines: Vec<_> = run.stderr.lines().collect();
    let told: Vec<_> = lines.iter().filter(|line| !line.starts_with("connecting to")).collect();
    assert!(told.len() >= 2 && told[0].starts_with("try 2 in ") && told[1].starts_with("error: "), "{lines:#?}");
    for line in told {
        for part in parts {
            assert_eq!(line.matches(part).count(), 1, "{part:?} in {line:?}");
        }
    }
}

/// The members of every line of JSON that tells of a failure.
#[track_caller]
fn failures(run: &Run) -> Vec<Value> {
    let lines = run.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let told: Vec<_> = lines.filter(|line| line.get("error").is_some()).collect();
    let kinds: Vec<_> = told.iter().map(|line| line["lifecycle"].as_str()).collect();
    assert_eq!(kinds, [Some("backing-off"), Some("closed"), None], "{run:?}");
    assert_eq!(told[2]["exit_code"], run.code().unwrap());
    told
}

#[tokio::test]
async fn a_port_that_refuses() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (text, json) = twice(&format!("ws://{closed}"), &[]).await;
    assert_eq!(text.code(), Some(4));
    assert_told(&text, &["the server cannot be reached", "Connection refused"]);
    for failure in failures(&json) {
        assert_eq!(failure["kind"], "connect");
        assert!(failure["causes"][0].as_str().unwrap().contains("Connection refused"), "{failure}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_handshake() {
    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, why) in [
        (format!("{HEAD}Sec-WebSocket-Accept: AAAA\r\n\r\n"), "Sec-WebSocket-Accept"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), "HTTP"),
    ] {
        let far_end = FarEnd::new().await;
        let serve = async {
            for _ in 0..4 {
                far_end.answer(&answer).await;
            }
        };
        let ((text, json), ()) = tokio::join!(twice(&far_end.url, &[]), serve);
        assert_told(&text, &["the server's answer is not a WebSocket handshake", why]);
        for failure in failures(&json) {
            assert!(failure["causes"].to_string().contains(why), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_redirect_tells_where_to_and_shows_no_secret() {
    let far_end = FarEnd::new().await;
    let answer = "HTTP/1.1 302 Found\r\nLocation: https://user:s3cret@other.example/ws?token=s3cret#s3cret\r\nContent-Length: 0\r\n\r\n";
    let serve = async {
        for _ in 0..4 {
            far_end.answer(answer).await;
        }
    };
    let ((text, json), ()) = tokio::join!(twice(&far_end.url, &[]), serve);
    assert_told(&text, &["(HTTP 302)", "it redirects to https://***@other.example/ws?…"]);
    for failure in failures(&json) {
        assert_eq!((&failure["status"], &failure["location"]), (&302.into(), &"https://***@other.example/ws?…".into()));
    }
    assert!(!text.stderr.contains("s3cret") && !json.stderr.contains("s3cret"), "{text:?} {json:?}");
}

#[tokio::test]
async fn a_refusal_tells_what_the_server_said_and_drives_no_terminal() {
    let far_end = FarEnd::new().await;
    let body = format!("<h1>busy</h1>\n\n  come\x1b[2J\u{9b}1m back{}", ".".repeat(1000));
    let answer = format!("HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let serve = async {
        for _ in 0..4 {
            far_end.answer(&answer).await;
        }
    };
    let ((text, json), ()) = tokio::join!(twice(&far_end.url, &[]), serve);
    assert_told(&text, &["(HTTP 503)", "retry after 1 s", "the server says: <h1>busy</h1> come [2J 1m back...", "…"]);
    assert!(!text.stderr.contains(['\x1b', '\u{9b}']) && text.stderr.lines().all(|line| line.len() < 500), "{text:?}");
    for failure in failures(&json) {
        assert_eq!((&failure["response"], &failure["retry_after"]), (&body.as_str().into(), &1.0.into()));
    }
    // One that another try does not mend ends it at once.
    let child = everwire(&["listen", &far_end.url, "--dialect", "raw", "-q"]).spawn().unwrap();
    far_end.answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nwho are you?").await;
    let run = ended(child).await;
    assert_eq!(run.code(), Some(3));
    assert!(run.stderr.ends_with("(HTTP 401); the server says: who are you?\n"), "{run:?}");
}

/// Where a TLS server with this configuration listens, until the set is dropped.
async fn tls(config: ServerConfig, servers: &mut JoinSet<()>) -> String {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    servers.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // It fails, as it is to.
            let _ = acceptor.accept(tcp).await;
        }
    });
    url
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted() {
    let made = Certificates::new();
    let root = path("root.pem");
    fs::write(&root, made.root()).unwrap();
    let root = ["--ca", root.to_str().unwrap()];
    let expired = made.server_with("localhost", false, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    let early = made.server_with("localhost", false, |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2090, 2, 1);
    });
    let other = made.server_with("other.example", false, |_| {});
    for (config, trusted, told) in [
        (made.server(false), &[][..], &["signed by an unknown authority; --ca adds one", "UnknownIssuer"][..]),
        (expired, &root, &["the server's certificate has expired", "certificate expired: "]),
        (early, &root, &["the server's certificate is not valid yet", "not valid before"]),
        (other, &root, &["the server's certificate is for another host", "other.example"]),
        (made.server(true), &root, &["--client-cert"]),
    ] {
        let mut servers = JoinSet::new();
        let url = tls(config, &mut servers).await;
        let (text, json) = twice(&url, trusted).await;
        assert_eq!(text.code(), Some(4), "{text:?}");
        assert_told(&text, told);
        for failure in failures(&json) {
            assert!(!failure["causes"].as_array().unwrap().is_empty(), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_once_with_its_reason() {
    let far_end = FarEnd::new().await;
    let args = ["listen", &far_end.url, "--dialect", "raw", "--max-attempts", "2"];
    let child = everwire(&args).spawn().unwrap();
    let mut socket = far_end.accept().await;
    socket.close(1011, "out of \x1b[1mmemory").await;
    drop(socket);
    let (_, refused) = far_end.request().await;
    drop(refused);
    let run = ended(child).await;
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(lines[2].starts_with("connection lost: ") && lines[2].contains("(close 1011"), "{lines:#?}");
    assert!(lines[3].starts_with("try 2 in ") && lines[3].ends_with(" s"), "{lines:#?}");
    assert!(!run.stderr.contains('\x1b'), "{lines:#?}");
}

#[tokio::test]
async fn settings_that_are_wrong_are_named_as_options_in_the_words_of_the_field() {
    let far_end = "ws://127.0.0.1:9";
    for (args, told) in [
        (&["listen", "example.com"][..], "URL: must begin with ws, wss, http or https"),
        (&["listen", "localhost:80"], "URL: must begin with ws, wss, http or https"),
        (
            &["listen", far_end, "--param", "api_key=k", "--param", "user_id=u"],
            "--token: the dialect needs a token or a token provider",
        ),
        (
            &["listen", far_end, "--param", "api_key=k", "--param", "user_id=u", "--token", " "],
            "--token: the dialect needs a token or a token provider",
        ),
        (&["listen", far_end, "--token", "t"], "--param api_key: the dialect needs this parameter"),
        (
            &["listen", far_end, "--dialect", "openai-realtime", "--token", "a\nb"],
            "`authorization` would hold a line break",
        ),
        (&["listen", far_end, "--dialect", "raw", "--header", "A: b\nc"], "no line breaks"),
        (&["listen", far_end, "--dialect", "raw", "--header", "A b: c"], "no blanks"),
        (&["listen", far_end, "--dialect", "raw", "--protocol", "a b"], "without blanks"),
        (&["listen", far_end, "--dialect", "raw", "--breaker", "9"], "--breaker: must be less than --max-attempts"),
        (
            &["listen", far_end, "--dialect", "raw", "--resume-file", "/nowhere"],
            "--resume-file: the dialect does not number",
        ),
        (&["serve"], "a secret is needed"),
        (&["serve", "--dev", "--auth-deadline", "0"], "--auth-deadline: must be more than 0"),
        (&["serve", "--dev", "--port", "0", "--rate", "-1"], "--rate -1: "),
    ] {
        let run = finish(everwire(args)).await;
        assert_eq!((run.code(), &*run.stdout), (Some(2), ""), "{args:?}: {run:?}");
        assert!(run.stderr.contains(told), "{args:?}: {run:?}");
    }
}
