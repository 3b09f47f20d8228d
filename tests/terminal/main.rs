//! The program as it behaves in a terminal and in a pipe: how it ends, what it prints, what its errors and its help say. The far ends
//! are made by hand.
#![cfg(all(native, unix, feature = "cli"))]
#![allow(clippy::disallowed_methods)] // the rule is for the crate

#[path = "../common/certificates.rs"]
mod certificates;
mod ends;
mod errors;
mod far_end;
mod help;
mod installed;
mod json;
mod replies;

use std::{
    fs,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// How long anything may take. Timeouts of the program that must not count here are longer.
const SOON: Duration = Duration::from_secs(30);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

/// The program with these arguments: no variable of the environment counts, stdin is empty.
fn everwire(args: &[&str]) -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_everwire")), args)
}

/// The same without a terminal to control it.
fn without_terminal(args: &[&str]) -> Command {
    let mut command = Command::new("setsid");
    command.arg(env!("CARGO_BIN_EXE_everwire"));
    clean(command, args)
}

fn clean(mut command: Command, args: &[&str]) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EVERWIRE_") || name == "DEMO_SECONDS" || name == "RUST_BACKTRACE" {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What came of a run.
#[derive(Debug)]
struct Run {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Run {
    fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Runs the program to its end.
async fn finish(mut command: Command) -> Run {
    ended(command.spawn().expect("it starts")).await
}

/// Waits for the end of a program.
async fn ended(child: Child) -> Run {
    let output = soon(child.wait_with_output()).await.expect("it ends");
    Run {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Reads the stderr of a program until this is in it.
async fn told(child: &mut Child, part: &str) -> String {
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut text = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&text).contains(part) {
            let mut piece = [0; 256];
            let size = stderr.read(&mut piece).await.expect("a pipe");
            assert!(size > 0, "{part:?} is not told: {}", String::from_utf8_lossy(&text));
            text.extend(&piece[..size]);
        }
    };
    soon(read).await;
    String::from_utf8_lossy(&text).into_owned()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args([name, &pid]).status().expect("kill");
    assert!(sent.success());
}

const INTERRUPT: &str = "-INT";
const TERMINATE: &str = "-TERM";

/// A path of this test alone.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("everwire-terminal-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}
