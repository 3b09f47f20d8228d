//! How the program ends: one exit code for each kind of failure, and its message on stderr.

use everwire::{Cause, Error, ErrorKind};
use std::{fmt, process::ExitCode};

/// What the help of the program says about exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  closed by the user (Ctrl-C), or done (--count, --seconds)
  1  the machine is in the way: address in use, file missing
  2  wrong usage or setting
  3  refused: the token, or who we are
  4  the connection is lost for good";

/// A failure that ends the program.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Something on this machine is in the way.
    pub(crate) fn machine(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// The client ended for this cause. `Ok` if that was what the user wanted.
    pub(crate) fn of_cause(cause: &Cause) -> Result<(), Self> {
        let code = match cause {
            Cause::ByUser | Cause::Dropped => return Ok(()),
            Cause::Refused(_) | Cause::TokenExpired(_) => 3,
            Cause::ByServer(_) => 4,
            other => other.error().map_or(4, code),
        };
        Err(Self { code, message: cause.to_string() })
    }

    /// Says it on stderr.
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("error: {}", self.message);
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The source often says what a user can do something about.
        let message = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self { code: code(&error), message }
    }
}

fn code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config | ErrorKind::InvalidInput | ErrorKind::Unsupported => 2,
        ErrorKind::Auth | ErrorKind::Token => 3,
        ErrorKind::Handshake if matches!(error.status(), Some(401 | 403)) => 3,
        _ => 4,
    }
}
