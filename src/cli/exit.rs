//! How the program ends: one exit code for each kind of failure, and its message on stderr.

use crate::{problem, summary::printable};
use everwire::{Cause, Error, ErrorKind};
use serde_json::{Map, Value};
use std::{
    io::{self, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long an end that was asked for waits for readers of stdout and stderr that do not read.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The lines of the help about exit codes.
macro_rules! exit_codes {
    ($done:literal $(, $code:ident)*) => {
        concat!("Exit codes:\n  0    ", $done $(, "\n  ", exit_codes!(@ $code))*)
    };
    (@ local) => { "1    local error: a file, an address, the output" };
    (@ usage) => { "2    wrong usage or setting" };
    (@ rejected) => { "3    authentication rejected, or no token to be had" };
    (@ lost) => { "4    no connection, or it is lost for good" };
    (@ late) => { "4    no connection, or it is lost for good; a reply did not come in time" };
    (@ unprinted) => { "5    events were received and not printed: the output was not read" };
    (@ signal) => { "130  ended at once by a second Ctrl-C (143: by a second SIGTERM)" };
}

/// What the help of each command says: the codes that it has, and no others.
pub(crate) const OF_PROGRAM: &str =
    exit_codes!("done, or ended by the user (Ctrl-C, SIGTERM)", local, usage, rejected, lost, unprinted, signal);
pub(crate) const OF_SERVE: &str = exit_codes!("ended by the user (Ctrl-C, SIGTERM)", local, usage, signal);
pub(crate) const OF_DEMO: &str =
    exit_codes!("ended by the user (Ctrl-C, SIGTERM), or done (--seconds)", local, usage, lost, unprinted, signal);
pub(crate) const OF_LISTEN: &str = exit_codes!(
    "ended by the user (Ctrl-C, SIGTERM), or done (--count, --seconds)",
    local,
    usage,
    rejected,
    lost,
    unprinted,
    signal
);
pub(crate) const OF_SEND: &str = exit_codes!(
    "everything is sent and every reply printed, or ended by the user (Ctrl-C, SIGTERM)",
    local,
    usage,
    rejected,
    late,
    unprinted,
    signal
);
pub(crate) const OF_PRINTING: &str = exit_codes!("printed", local, usage);

/// A failure that ends the program.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    /// What programs are told (`--json`).
    members: Map<String, Value>,
}

impl Failure {
    fn new(code: u8, message: String) -> Self {
        let members = [("error".to_owned(), Value::from(message.as_str()))].into_iter().collect();
        Self { code, message, members }
    }

    /// Something on this machine cannot be used.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self::new(1, message.into())
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message.into())
    }

    /// Events were received that could not be printed.
    pub(crate) fn unprinted(message: impl Into<String>) -> Self {
        Self::new(5, message.into())
    }

    /// The client ended for this cause. `Ok` if that was what the user wanted.
    pub(crate) fn of_cause(cause: &Cause) -> Result<(), Self> {
        let Some(error) = cause.error() else { return Ok(()) };
        let code = match cause {
            Cause::Refused(_) | Cause::TokenExpired(_) | Cause::SignedOut(_) => 3,
            Cause::ByServer(_) => 4,
            _ => code(error),
        };
        let mut members = problem::members(error);
        members.insert("cause".to_owned(), cause.as_str().into());
        Err(Self { code, message: problem::of_cause(cause), members })
    }

    /// Tells it on stderr, for people or as JSON.
    pub(crate) fn report(mut self, json: bool) -> ExitCode {
        let line = if json {
            self.members.insert("exit_code".to_owned(), self.code.into());
            Value::from(self.members).to_string()
        } else {
            format!("error: {}", printable(&self.message, usize::MAX))
        };
        let (written, done) = mpsc::channel();
        thread::spawn(move || {
            let _ = writeln!(io::stderr().lock(), "{line}");
            let _ = written.send(());
        });
        // When nobody reads stderr there is nobody to tell.
        let _ = done.recv_timeout(PATIENCE);
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: code(&error), message: problem::text(&error), members: problem::members(&error) }
    }
}

fn code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config | ErrorKind::InvalidInput | ErrorKind::Unsupported => 2,
        ErrorKind::Auth | ErrorKind::Token | ErrorKind::SignedOut => 3,
        ErrorKind::Handshake if matches!(error.status(), Some(401 | 403)) => 3,
        _ => 4,
    }
}
