//! Nothing that the program waits for holds up its end: not stdin, not a reply, a token command, a pipe, or a reader of its output.

use super::{
    INTERRUPT, TERMINATE, ended, everwire,
    far_end::{FarEnd, TEXT, frame},
    finish, path, signal, soon, told, without_terminal,
};
use std::{fs, os::unix::process::ExitStatusExt, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

fn send(url: &str) -> Command {
    everwire(&["send", url, "--dialect", "raw"])
}

#[tokio::test]
async fn a_server_that_closes_for_good_ends_a_program_that_waits_for_stdin() {
    for (code, reason) in [(1000, "that was all"), (1008, "not on a Sunday")] {
        let far_end = FarEnd::new().await;
        let mut child = send(&far_end.url).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"one\n").await.unwrap();
        let mut socket = far_end.accept().await;
        assert_eq!(socket.next().await, (TEXT, b"one".to_vec()));
        socket.close(code, reason).await;
        let run = ended(child).await;
        assert_eq!(run.code(), Some(4), "{run:?}");
        assert!(run.stderr.contains(&format!("(close {code} \"{reason}\")")), "{run:?}");
        drop(stdin); // it was open until here
    }
}

#[tokio::test]
async fn a_signal_ends_a_program_that_waits_for_stdin() {
    for name in [INTERRUPT, TERMINATE] {
        let far_end = FarEnd::new().await;
        let mut child = send(&far_end.url).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut socket = far_end.accept().await;
        told(&mut child, "connected").await;
        signal(&child, name);
        assert_eq!(socket.close_code().await, 1000);
        socket.close(1000, "").await;
        let run = ended(child).await;
        assert_eq!(run.code(), Some(0), "{name}: {run:?}");
        drop(stdin);
    }
}

#[tokio::test]
async fn a_signal_ends_a_program_that_waits_for_a_reply_or_an_answer_to_its_handshake() {
    let far_end = FarEnd::new().await;
    let child = send(&far_end.url).args(["-m", "x", "--replies", "1", "--reply-timeout", "60s"]).spawn().unwrap();
    let mut socket = far_end.accept().await;
    assert_eq!(socket.next().await, (TEXT, b"x".to_vec()));
    signal(&child, INTERRUPT);
    assert_eq!(socket.close_code().await, 1000);
    drop(socket);
    assert_eq!(ended(child).await.code(), Some(0));

    for command in ["listen", "send"] {
        let args = [command, &far_end.url, "--dialect", "raw", "--open-timeout", "60s", "--hello-timeout", "60s"];
        let child = everwire(&args).stdin(Stdio::piped()).spawn().unwrap();
        let unanswered = far_end.request().await;
        signal(&child, TERMINATE);
        assert_eq!(ended(child).await.code(), Some(0), "{command}");
        drop(unanswered);
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once() {
    for (command, name, code) in [("listen", INTERRUPT, 130), ("listen", TERMINATE, 143), ("send", INTERRUPT, 130)] {
        let far_end = FarEnd::new().await;
        let args = [command, &far_end.url, "--dialect", "raw", "--close-timeout", "60s"];
        let mut child = everwire(&args).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut socket = far_end.accept().await;
        told(&mut child, "connected").await;
        signal(&child, name);
        // It waits for the answer to this, which does not come.
        assert_eq!(socket.close_code().await, 1000);
        signal(&child, name);
        assert_eq!(ended(child).await.code(), Some(code), "{command} {name}");
        drop(stdin);
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_server_whose_clients_do_not_hang_up() {
    let mut child = everwire(&["serve", "--dev", "--port", "0", "--json"]).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon(log.next_line()).await.unwrap().unwrap();
    let port = serde_json::from_str::<serde_json::Value>(&line).unwrap()["port"].to_string();
    let mut client = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let request = "GET /api/v2/connect?api_key=demo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut first = frame(TEXT, br#"{"token":"t","user_details":{"id":"a"}}"#);
    // Masked with zeros.
    first[1] |= 0x80;
    first.splice(2..2, [0; 4]);
    client.write_all(&first).await.unwrap();
    let line = soon(log.next_line()).await.unwrap().unwrap();
    assert!(line.contains("\"connected\""), "{line}");
    signal(&child, TERMINATE);
    let line = soon(log.next_line()).await.unwrap().unwrap();
    assert!(line.contains("shutting-down"), "{line}");
    signal(&child, TERMINATE);
    assert_eq!(soon(child.wait()).await.unwrap().code(), Some(143));
}

#[tokio::test]
async fn a_token_command_ends_with_the_program_and_so_does_what_it_started() {
    for signals in [1, 2] {
        let pid = path("pid");
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let args =
            ["listen", "ws://127.0.0.1:9", "--dialect", "everwire", "--param", "user_id=a", "--token-timeout", "60s"];
        let child = without_terminal(&args).args(["--token-command", &script]).spawn().unwrap();
        let started = async {
            while !pid.exists() {
                tokio::task::yield_now().await;
            }
        };
        soon(started).await;
        let sleep = fs::read_to_string(&pid).unwrap();
        assert!(runs(sleep.trim()));
        for _ in 0..signals {
            signal(&child, TERMINATE);
        }
        let status = soon(child.wait_with_output()).await.unwrap().status;
        assert!(matches!(status.code(), Some(0 | 143)), "{status}");
        let gone = async {
            while runs(sleep.trim()) {
                tokio::task::yield_now().await;
            }
        };
        soon(gone).await;
    }
}

/// Whether a process runs. One that has ended and was not waited for does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_token_command_may_speak_but_neither_reads_stdin_nor_floods_the_program() {
    let far_end = FarEnd::new().await;
    let dialect = path("dialect.json");
    fs::write(&dialect, r#"{"name":"d","any_text":true,"first_frame":{"token":"${token}"}}"#).unwrap();
    let args = ["send", &far_end.url, "--dialect", dialect.to_str().unwrap(), "--no-reconnect", "--token-command"];
    let with = |script| everwire(&[&args[..], &[script]].concat());
    let mut child = with("cat; echo why >&2; echo tok").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a line\n").await.unwrap();
    let mut socket = far_end.accept().await;
    assert_eq!(socket.next().await, (TEXT, br#"{"token":"tok"}"#.to_vec()));
    assert_eq!(socket.next().await, (TEXT, b"a line".to_vec()));
    socket.close(1000, "").await;
    let run = ended(child).await;
    assert!(run.stderr.contains("why\n"), "{run:?}");
    let run = finish(with("yes")).await;
    assert_eq!(run.code(), Some(3), "{run:?}");
    assert!(run.stderr.contains("more than"), "{run:?}");
}

/// A library that takes the place of the system's resolver, which then never answers. The compiler that links Rust makes it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
async fn dead_resolver() -> std::path::PathBuf {
    let (source, library) = (path("resolver.c"), path("resolver.so"));
    fs::write(&source, "#include <unistd.h>\nint getaddrinfo() { for (;;) pause(); }\n").unwrap();
    let mut cc = Command::new("cc");
    let built = cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().await.unwrap();
    assert!(built.success());
    library
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[tokio::test]
async fn a_resolver_that_does_not_answer_holds_up_neither_a_signal_nor_the_last_try() {
    let resolver = dead_resolver().await;
    for command in ["listen", "send"] {
        let args = [command, "ws://dead.example", "--dialect", "raw", "--open-timeout"];
        let mut child = everwire(&[&args[..], &["60s"]].concat()).env("LD_PRELOAD", &resolver).spawn().unwrap();
        told(&mut child, "connecting to").await;
        signal(&child, INTERRUPT);
        assert_eq!(ended(child).await.code(), Some(0), "{command}");
        let mut command = everwire(&[&args[..], &["200ms", "--no-reconnect"]].concat());
        command.env("LD_PRELOAD", &resolver);
        let run = finish(command).await;
        assert_eq!(run.code(), Some(4), "{run:?}");
        assert!(run.stderr.ends_with("the connection could not be opened in time\n"), "{run:?}");
    }
}

// Until the program has read what it needs, a signal has the effect that it has on any program.
#[tokio::test]
async fn a_signal_ends_a_program_that_waits_for_a_pipe() {
    let dialect = path("pipe.json");
    for args in [
        &["listen", "ws://127.0.0.1:9", "--config"][..],
        &["listen", "ws://127.0.0.1:9", "--dialect"],
        &["listen", "ws://127.0.0.1:9", "--dialect", "raw", "--ca"],
        &[
            "listen",
            "ws://127.0.0.1:9",
            "--dialect",
            "everwire",
            "--param",
            "user_id=a",
            "--token",
            "t",
            "--resume-file",
        ],
        &["send", "ws://127.0.0.1:9", "--dialect", "raw", "--binary"],
        &["serve", "--dev", "--port", "0", "--rate", "1", "--events"],
        &["demo", "--port", "0", "--events"],
    ] {
        let _ = fs::remove_file(&dialect);
        assert!(Command::new("mkfifo").arg(&dialect).status().await.unwrap().success());
        let child = everwire(args).arg(&dialect).spawn().unwrap();
        // Opening it succeeds once the program does so, too.
        let write = fs::OpenOptions::new();
        let pipe = soon(tokio::task::spawn_blocking({
            let (mut write, dialect) = (write, dialect.clone());
            move || write.write(true).open(dialect)
        }))
        .await
        .unwrap()
        .unwrap();
        signal(&child, INTERRUPT);
        let run = ended(child).await;
        assert_eq!(run.status.signal(), Some(2), "{args:?}: {run:?}");
        drop(pipe);
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_neither_the_first_signal_nor_the_second() {
    for signals in [1, 2] {
        let far_end = FarEnd::new().await;
        let args = ["listen", &far_end.url, "--dialect", "raw", "--close-timeout", "200ms"];
        let child = everwire(&args).spawn().unwrap();
        let mut socket = far_end.accept().await;
        // More than all buffers hold: it reads no more.
        let flood = frame(TEXT, &[b'x'; 1000]).repeat(1000);
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_secs(1), socket.0.write_all(&flood)).await.is_ok() {
            sent += 1;
            assert!(sent < 1000, "the server is not slowed down");
        }
        for _ in 0..signals {
            signal(&child, INTERRUPT);
        }
        let mut child = child;
        // Its output is still not read.
        let status = soon(child.wait()).await.unwrap();
        if signals == 1 {
            let run = ended(child).await;
            assert_eq!(run.code(), Some(5), "{run:?}");
            assert!(run.stderr.contains("events are lost"), "{run:?}");
        } else {
            assert!(matches!(status.code(), Some(5 | 130)), "{status}");
        }
    }
}

#[tokio::test]
async fn a_log_that_is_not_read_does_not_stop_the_server() {
    let mut child = everwire(&["serve", "--dev", "--port", "0"]).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon(log.next_line()).await.unwrap().unwrap();
    let url = line.rsplit_once(' ').unwrap().1.to_owned();
    // From here on nobody reads it: each message makes a line of 200 characters.
    for _ in 0..3 {
        let run = ended(send_to_server(&url, 1000)).await;
        assert_eq!(run.code(), Some(0), "{run:?}");
    }
    // A reader that goes on is told how much is missing.
    let missing =
        async { while !log.next_line().await.unwrap().expect("a line").contains("lines are missing here") {} };
    let more = async {
        loop {
            ended(send_to_server(&url, 1)).await;
        }
    };
    tokio::select! {
        () = soon(missing) => {}
        () = more => {}
    }
    signal(&child, TERMINATE);
    let rest = async { while log.next_line().await.unwrap().is_some() {} };
    let (status, ()) = tokio::join!(soon(child.wait()), soon(rest));
    assert_eq!(status.unwrap().code(), Some(0));
}

fn send_to_server(url: &str, messages: usize) -> tokio::process::Child {
    let message = format!(r#"{{"type":"note","text":"{}"}}"#, "x".repeat(150));
    let mut command = everwire(&["send", url, "--param", "api_key=demo", "--param", "user_id=a", "--token", "t", "-q"]);
    command.args(std::iter::repeat_n(["-m", &message], messages).flatten());
    command.spawn().unwrap()
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_a_local_error() {
    let far_end = FarEnd::new().await;
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let args = ["listen", &far_end.url, "--dialect", "raw", "-q", "--close-timeout", "200ms"];
    let child = everwire(&args).stdout(full).spawn().unwrap();
    let mut socket = far_end.accept().await;
    socket.text("one").await;
    let closes = async {
        // It notices with the next event at the latest.
        while socket.0.write_all(&frame(TEXT, b"more")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (run, ()) = tokio::join!(ended(child), closes);
    assert_eq!(run.code(), Some(1), "{run:?}");
    assert!(run.stderr.contains("stdout"), "{run:?}");
}
