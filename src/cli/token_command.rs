//! The command that prints a token (`--token-command`). It does not outlive the program, however that ends.

use everwire::{Error, ErrorKind};
use std::{
    process::{ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{self, AsyncReadExt},
    process::{Child, Command},
};

/// The most that is read of what the command prints, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;

/// How a command ends that has no token because the user is signed out: "permission denied" of `sysexits.h`.
const SIGNED_OUT: i32 = 77;

/// Runs the command. Its stderr is the user's to read; its stdout is never shown; its stdin is empty, as the program's own may be
/// full of messages.
pub(crate) async fn run(command: String) -> Result<String, Error> {
    let mut sh = Command::new("sh");
    sh.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let grouped = running::group(&mut sh);
    let mut child = sh.spawn().map_err(|error| failed(format!("the token command cannot be run: {error}")))?;
    let running = running::Running::new(child.id(), grouped);
    let mut output = Vec::new();
    let status = read(&mut child, &mut output).await;
    let status = status.map_err(|error| failed(format!("the token command cannot be read: {error}")))?;
    let Some(status) = status else {
        return Err(failed(format!("the token command printed more than {MAX_OUTPUT} bytes")));
    };
    running.has_ended();
    if status.code() == Some(SIGNED_OUT) {
        return Err(Error::signed_out(format!("the token command ended with {status}")));
    }
    if !status.success() {
        return Err(failed(format!("the token command failed: {status}")));
    }
    let token =
        String::from_utf8(output).map_err(|_| failed("the token command printed what is not UTF-8".to_owned()))?;
    match token.trim() {
        "" => Err(failed("the token command printed nothing".to_owned())),
        token => Ok(token.to_owned()),
    }
}

/// What the command prints, and how it ended; `None` if it prints too much.
async fn read(child: &mut Child, output: &mut Vec<u8>) -> io::Result<Option<ExitStatus>> {
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_OUTPUT + 1).read_to_end(output).await?;
    }
    if output.len() as u64 > MAX_OUTPUT { Ok(None) } else { child.wait().await.map(Some) }
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::Token, message)
}

pub(crate) use running::kill_all;

/// The commands that run, so that they can be killed with all that they started.
#[cfg(unix)]
mod running {
    use super::*;
    use std::fs::File;

    /// What `kill` is to be told of each: the number of its group, negated, or of its process.
    static RUNNING: Mutex<Vec<i64>> = Mutex::new(Vec::new());

    /// Puts the command into a process group of its own, unless there is a terminal: a command that asks for a password there must
    /// be in the foreground, where Ctrl-C reaches it too.
    pub(super) fn group(command: &mut Command) -> bool {
        let grouped = File::open("/dev/tty").is_err();
        if grouped {
            command.process_group(0);
        }
        grouped
    }

    /// A command that runs. Dropping this kills it.
    pub(super) struct Running(Option<i64>);

    impl Running {
        pub(super) fn new(id: Option<u32>, grouped: bool) -> Self {
            let target = id.map(|id| if grouped { -i64::from(id) } else { i64::from(id) });
            lock().extend(target);
            Self(target)
        }

        /// Its number is no longer its own.
        pub(super) fn has_ended(mut self) {
            if let Some(target) = self.0.take() {
                forget(target);
            }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            if let Some(target) = self.0.take() {
                kill(&[target]);
                forget(target);
            }
        }
    }

    /// Kills every command that runs: for an end that drops nothing.
    pub(crate) fn kill_all() {
        let running = std::mem::take(&mut *lock());
        if !running.is_empty() {
            kill(&running);
        }
    }

    /// The shell's own `kill`: it is there wherever the command was run.
    fn kill(targets: &[i64]) {
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", "kill -s KILL -- \"$@\"", "sh"]).args(targets.iter().map(i64::to_string));
        // One that has ended meanwhile is no trouble.
        let _ = sh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    fn forget(target: i64) {
        lock().retain(|running| *running != target);
    }

    fn lock() -> MutexGuard<'static, Vec<i64>> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Elsewhere the child alone is killed, when it is dropped.
#[cfg(not(unix))]
mod running {
    pub(super) fn group(_: &mut super::Command) -> bool {
        false
    }

    pub(super) struct Running;

    impl Running {
        pub(super) fn new(_: Option<u32>, _: bool) -> Self {
            Self
        }

        pub(super) fn has_ended(self) {}
    }

    pub(crate) fn kill_all() {}
}
