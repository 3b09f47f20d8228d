//! `send --replies` and `listen` lose nothing: what comes is printed while more is sent, and a slow reader slows the server down.

use super::{
    ended, everwire,
    far_end::{FarEnd, Socket, TEXT, frame},
    finish, soon,
};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

/// Says everything back until the client closes.
async fn echo(mut socket: Socket) {
    loop {
        let (opcode, payload) = socket.next().await;
        socket.send(opcode, &payload).await;
        if opcode != TEXT {
            return;
        }
    }
}

fn numbered(count: usize, size: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:0>size$}")).collect()
}

fn send(url: &str, replies: usize) -> Command {
    let mut command = everwire(&["send", url, "--dialect", "raw", "--json", "-q", "--replies"]);
    command.arg(replies.to_string()).stdin(Stdio::piped());
    command
}

#[tokio::test]
async fn every_reply_to_a_flood_of_lines_is_printed() {
    const COUNT: usize = 3_000;
    let far_end = FarEnd::new().await;
    let mut child = send(&far_end.url, COUNT).spawn().unwrap();
    let lines = numbered(COUNT, 100);
    let mut stdin = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let write = async move {
        stdin.write_all(text.as_bytes()).await.unwrap();
    };
    let serve = async { echo(far_end.accept().await).await };
    let (run, (), ()) = tokio::join!(ended(child), write, serve);
    assert_eq!(run.code(), Some(0), "{}", run.stderr);
    // Each is a number: JSON as it came, but for the zeros, which make it text.
    let printed: Vec<_> = run.stdout.lines().collect();
    let wanted: Vec<_> = lines.iter().map(|line| format!(r#"{{"text":"{line}","type":"unknown"}}"#)).collect();
    assert_eq!(printed.len(), COUNT);
    assert!(printed.iter().zip(&wanted).all(|(printed, wanted)| printed == wanted));
}

#[tokio::test]
async fn replies_are_printed_while_more_is_sent() {
    let far_end = FarEnd::new().await;
    let mut child = send(&far_end.url, 2).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut socket = far_end.accept().await;
    for line in ["one", "two", "three"] {
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        assert_eq!(socket.next().await, (TEXT, line.into()));
        socket.text(line).await;
        // The third is one more than was asked for.
        if line != "three" {
            let printed = soon(stdout.next_line()).await.unwrap().unwrap();
            assert!(printed.contains(line), "{printed}");
        }
    }
    drop(stdin);
    assert_eq!(socket.close_code().await, 1000);
    drop(socket);
    assert_eq!(ended(child).await.code(), Some(0));
    assert_eq!(soon(stdout.next_line()).await.unwrap(), None);
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    const COUNT: usize = 3_000;
    let far_end = FarEnd::new().await;
    let count = COUNT.to_string();
    let args = ["listen", &far_end.url, "--dialect", "raw", "-q", "--count", &count, "--event-capacity", "10"];
    let mut child = everwire(&args).spawn().unwrap();
    let mut socket = far_end.accept().await;
    let lines = numbered(COUNT, 1_000);
    let flood: Vec<u8> = lines.iter().flat_map(|line| frame(TEXT, line.as_bytes())).collect();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let serve = async { socket.0.write_all(&flood).await.unwrap() };
    let read = async {
        for line in &lines {
            // Others have their turn: this is slower than the server.
            tokio::task::yield_now().await;
            let printed = soon(stdout.next_line()).await.unwrap().expect("a line");
            assert!(printed.contains(&line[..100]) && line.starts_with(&printed[33..100]), "{printed}");
        }
    };
    tokio::join!(serve, read);
    assert_eq!(socket.close_code().await, 1000);
    drop(socket);
    assert_eq!(ended(child).await.code(), Some(0));
}

#[tokio::test]
async fn what_the_server_says_instead_of_a_reply_counts_more_than_the_time() {
    let far_end = FarEnd::new().await;
    let args = ["send", &far_end.url, "--dialect", "raw", "-m", "x", "--replies", "2", "--reply-timeout", "60s"];
    let child = everwire(&args).spawn().unwrap();
    let mut socket = far_end.accept().await;
    socket.next().await;
    socket.text("one").await;
    socket.close(1008, "you ask too much").await;
    let run = ended(child).await;
    assert_eq!((run.code(), run.stdout.lines().count()), (Some(4), 1), "{run:?}");
    assert!(run.stderr.contains("(close 1008 \"you ask too much\")") && !run.stderr.contains("in time"), "{run:?}");
    // With the last reply everything is there, whatever the server says then.
    let child = everwire(&args[..7]).args(["1"]).spawn().unwrap();
    let mut socket = far_end.accept().await;
    socket.next().await;
    socket.text("one").await;
    socket.close(1008, "you ask too much").await;
    let run = ended(child).await;
    assert_eq!((run.code(), run.stdout.lines().count()), (Some(0), 1), "{run:?}");
}

#[tokio::test]
async fn a_reply_that_is_late_is_told_with_what_happened_to_the_connection() {
    let far_end = FarEnd::new().await;
    let args = ["send", &far_end.url, "--dialect", "raw", "-m", "x", "--replies", "3", "--reply-timeout", "2s"];
    let (run, ()) = tokio::join!(finish(everwire(&args)), async {
        let mut socket = far_end.accept().await;
        socket.next().await;
        socket.text("one").await;
        socket.close(1013, "a moment please").await;
        drop(socket);
        let mut socket = far_end.accept().await;
        assert_eq!(socket.close_code().await, 1000);
    });
    assert_eq!(run.code(), Some(4), "{run:?}");
    let error = run.stderr.lines().last().unwrap();
    assert!(error.starts_with("error: reply 2 of 3 did not come in 2s: "), "{error}");
    assert!(error.ends_with("(close 1013 \"a moment please\")"), "{error}");
}
