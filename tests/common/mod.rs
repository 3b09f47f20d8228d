//! Programs that the tests start: found where the set-up puts them, read line by line, and ended with the test.

#![allow(dead_code)] // each test file uses its part

use serde_json::Value;
use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

/// How long a program may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program of the Python environment that `scripts/setup test` makes.
pub(crate) fn python_program(name: &str) -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").expect("a home")).join(".cache"));
    let tools = env::var_os("EVERWIRE_TOOLS").map_or_else(|| cache.join("everwire"), PathBuf::from);
    let program = tools.join("python/bin").join(name);
    assert!(program.exists(), "{} is missing: run `scripts/setup test`", program.display());
    program
}

/// A file of this repository.
pub(crate) fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A running program. It is killed when this is dropped.
pub(crate) struct Peer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(crate) fn start(mut command: Command) -> Self {
        command.env("PYTHONUNBUFFERED", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let name = command.get_program().to_owned();
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name:?} does not start ({error}): run `scripts/setup test`"));
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) {
        timeout(PATIENCE, self.child.wait()).await.expect("an end in time").expect("an end");
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.expect("text").expect("the program is still there")
    }

    /// The next line that holds this.
    pub(crate) async fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The next JSON line that has this member: what it holds.
    pub(crate) async fn told(&mut self, member: &str) -> Value {
        loop {
            let line = self.line().await;
            let mut told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if let Some(value) = told.get_mut(member) {
                return value.take();
            }
        }
    }
}
