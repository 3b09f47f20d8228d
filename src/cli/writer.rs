//! Lines for stdout or stderr, written by a thread of their own: a reader that stops reading holds up neither the connection
//! nor the end of the program.

use crate::exit::Failure;
use std::{
    io::{self, BufWriter, ErrorKind, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use tokio::sync::{mpsc, oneshot};

/// How many lines may wait to be written.
const WAITING: usize = 64;

enum Job {
    Line(String),
    /// Answered once everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Why nothing more can be written.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The reader has left, as `| head` does.
    NoReader,
    Failed(Failure),
}

/// Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Writer {
    name: &'static str,
    jobs: mpsc::Sender<Job>,
    /// What ended the thread.
    error: Arc<OnceLock<io::Error>>,
    /// Lines that found no room and are not told of yet.
    dropped: Arc<AtomicU64>,
}

/// Room for one line.
pub(crate) struct Room<'a>(mpsc::Permit<'a, Job>);

impl Room<'_> {
    pub(crate) fn write(self, line: String) {
        self.0.send(Job::Line(line));
    }
}

impl Writer {
    /// Starts the thread. Nothing waits for its end.
    pub(crate) fn start(name: &'static str, target: impl Write + Send + 'static) -> Result<Self, Failure> {
        let (jobs, mut waiting) = mpsc::channel(WAITING);
        let error = Arc::new(OnceLock::new());
        let kept = error.clone();
        let run = move || {
            if let Err(error) = write_all(&mut waiting, BufWriter::new(target)) {
                // Before the channel is gone: those who notice that ask why.
                let _ = kept.set(error);
            }
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        started.map_err(|error| Failure::local(format!("cannot start a thread: {error}")))?;
        Ok(Self { name, jobs, error, dropped: Arc::default() })
    }

    /// Waits for room. Dropping the future loses nothing.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Stopped> {
        self.jobs.reserve().await.map(Room).map_err(|_| self.stopped())
    }

    /// Writes a line if there is room now, else drops it. `missing` is the line that tells how many were dropped before.
    pub(crate) fn offer(&self, line: String, missing: impl FnOnce(u64) -> String) {
        // Room for the line, and for the one about those that are missing.
        let Ok(mut room) = self.jobs.try_reserve_many(2) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let missing = (dropped > 0).then(|| missing(dropped));
        for (permit, line) in room.by_ref().zip(missing.into_iter().chain([line])) {
            permit.send(Job::Line(line));
        }
    }

    /// Waits until everything is written.
    pub(crate) async fn flush(&self) -> Result<(), Stopped> {
        let (written, answer) = oneshot::channel();
        // If the thread has ended, the answer fails.
        let _ = self.jobs.send(Job::Flush(written)).await;
        answer.await.map_err(|_| self.stopped())
    }

    fn stopped(&self) -> Stopped {
        match self.error.get() {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Stopped::Failed(Failure::local(format!("cannot write to {}: {error}", self.name)))
            }
            _ => Stopped::NoReader,
        }
    }
}

/// Writes until that fails. Lines that wait together are written together.
fn write_all(waiting: &mut mpsc::Receiver<Job>, mut target: impl Write) -> io::Result<()> {
    while let Some(mut job) = waiting.blocking_recv() {
        loop {
            match job {
                Job::Line(line) => {
                    target.write_all(line.as_bytes())?;
                    target.write_all(b"\n")?;
                }
                Job::Flush(written) => {
                    target.flush()?;
                    let _ = written.send(());
                }
            }
            match waiting.try_recv() {
                Ok(next) => job = next,
                Err(_) => break,
            }
        }
        target.flush()?;
    }
    Ok(())
}
