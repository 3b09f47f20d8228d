//! Ctrl-C, and the polite signal that a supervisor sends: the first asks for the end, the second ends the program at once.

use crate::{exit::Failure, token_command};
use std::{process, thread};
use tokio::{runtime, sync::watch};

/// The exit code of a program that this signal ends: 128 and its number, as shells have it.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;
#[cfg(unix)]
const TERMINATED: i32 = 143;

/// Whether the user, or the system, wants the program to end. Clones wait for the same signal.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on the first signal does not end the program.
    ///
    /// Signals are waited for on a thread of its own, which nothing holds up: the second one counts whatever the program is
    /// busy with.
    pub(crate) fn new() -> Result<Self, Failure> {
        let failed = |error| Failure::local(format!("cannot wait for signals: {error}"));
        let runtime = runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let mut signals = {
            let _in_it = runtime.enter();
            Signals::new().map_err(failed)?
        };
        let (asked, interrupt) = watch::channel(false);
        let wait = async move {
            signals.next().await;
            asked.send_replace(true);
            let code = signals.next().await;
            token_command::kill_all();
            process::exit(code);
        };
        let thread = thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(wait)).map_err(failed)?;
        Ok(Self(interrupt))
    }

    /// Waits for the first signal; ready at once if it has come already.
    pub(crate) async fn wait(&mut self) {
        // It fails only without the thread, which ends with the program.
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal, as an exit code.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATED,
            _ = self.interrupt.recv() => INTERRUPTED,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    /// The next Ctrl-C, as the exit code that the system gives a program that it ends.
    async fn next(&mut self) -> i32 {
        self.0.recv().await;
        0xC000_013A_u32 as i32
    }
}
