//! Those who wait for a driver's connection, or for its end.

use super::{Dispatch, Driver};
use crate::{
    answer::Asked,
    proto::{Cause, Error, ErrorKind, State},
    shared::gone,
    transport::Connector,
};

/// Those who wait for a change.
#[derive(Default)]
pub(super) struct Waiting {
    ready: Vec<Asked>,
    closed: Vec<Asked>,
}

impl Waiting {
    pub(super) fn settle_ready(&mut self, result: &Result<(), Error>) {
        for waiter in self.ready.drain(..) {
            // Whoever has stopped waiting needs no answer.
            let _ = waiter.send(result.clone());
        }
    }

    pub(super) fn settle_closed(&mut self, cause: &Cause) {
        self.settle_ready(&Err(as_error(cause)));
        for waiter in self.closed.drain(..) {
            let _ = waiter.send(Ok(()));
        }
    }
}

/// The cause of an end, to those who waited for something else.
pub(crate) fn as_error(cause: &Cause) -> Error {
    cause.error().cloned().unwrap_or_else(|| Error::new(ErrorKind::Closed, cause.text()))
}

/// Adds a waiter, and forgets those who have gone: a list of them does not grow without end.
fn wait(waiters: &mut Vec<Asked>, waiter: Asked) {
    waiters.retain(|waiter| !waiter.is_canceled());
    waiters.push(waiter);
}

impl<C: Connector, D: Dispatch<C::Payload>> Driver<C, D> {
    pub(super) fn closed(&mut self, asked: Asked) {
        match self.session.state() {
            State::Closed | State::Failed => drop(asked.send(Ok(()))),
            _ => wait(&mut self.waiting.closed, asked),
        }
    }

    pub(super) fn ready(&mut self, waiter: Asked) {
        let answer = match self.session.state() {
            State::Connected => Ok(()),
            State::Idle => Err(Error::new(ErrorKind::InvalidState, "`connect` was not called")),
            State::Closed | State::Failed => Err(self.shared.0.snapshot().cause.as_ref().map_or_else(gone, as_error)),
            _ => return wait(&mut self.waiting.ready, waiter),
        };
        let _ = waiter.send(answer);
    }
}
