//! A message on its way through the driver: who waits for it, and the future by which he does.

use crate::{
    answer::{Answer, Asked},
    proto::Error,
    shared::Shared,
};
use futures::FutureExt;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Those who wait for their messages, in the order of the numbers: no more than the outbox holds, and mostly few.
#[derive(Default)]
pub(crate) struct Tickets(Vec<Ticket>);

struct Ticket {
    id: u64,
    accepted: Option<Asked>,
    written: Asked,
}

impl Tickets {
    pub(crate) fn add(&mut self, id: u64, accepted: Option<Asked>, written: Asked) {
        self.0.push(Ticket { id, accepted, written });
    }

    fn find(&self, id: u64) -> Option<usize> {
        // Numbers are given in order; mostly it is the first.
        self.0.binary_search_by_key(&id, |ticket| ticket.id).ok()
    }

    /// The outbox has a place for the message.
    pub(crate) fn accept(&mut self, id: u64) {
        let ticket = self.find(id).and_then(|place| self.0.get_mut(place));
        if let Some(accepted) = ticket.and_then(|ticket| ticket.accepted.take()) {
            // Whoever has stopped waiting needs no answer.
            let _ = accepted.send(Ok(()));
        }
    }

    /// Tells what became of a message. A failure that nobody waits to hear comes back.
    pub(crate) fn settle(&mut self, id: u64, result: Result<(), Error>) -> Result<(), Error> {
        let Some(ticket) = self.find(id).map(|place| self.0.remove(place)) else { return result };
        if let Some(accepted) = ticket.accepted {
            let _ = accepted.send(result.clone());
        }
        ticket.written.send(result).err().unwrap_or(Ok(()))
    }

    /// Forgets a message whose sender does not want it any more.
    pub(crate) fn forget(&mut self, id: u64) {
        if let Some(place) = self.find(id) {
            self.0.remove(place);
        }
    }
}

/// A message that is being sent, made by [`Client::send_with`](crate::Client::send_with). As a future it settles once the
/// message is written to the socket of an authenticated connection, or will not be.
///
/// Dropping it withdraws the message if it is not written yet; [`detach`](Self::detach) leaves it on its way.
#[must_use = "the message is withdrawn when this is dropped; `detach` leaves it on its way"]
pub struct Sending {
    id: u64,
    shared: Arc<Shared>,
    accepted: Option<Answer>,
    /// Gone when there is nothing left to withdraw.
    written: Option<Answer>,
}

impl Sending {
    pub(crate) fn new(id: u64, shared: Arc<Shared>, accepted: Answer, written: Answer) -> Self {
        Self { id, shared, accepted: Some(accepted), written: Some(written) }
    }

    /// Waits until the outbox has a place for the message, or refuses it. Settles at once if that is known already.
    ///
    /// # Errors
    /// As those of the future itself.
    pub async fn accepted(&mut self) -> Result<(), Error> {
        let Some(answer) = &mut self.accepted else { return Ok(()) };
        let result = answer.await;
        // An answer comes once; a refusal is told again by the future.
        self.accepted = None;
        result
    }

    /// Leaves the message on its way. If it is lost, that is counted, and told as a
    /// [`Lifecycle::Error`](crate::Lifecycle::Error).
    pub fn detach(mut self) {
        self.written = None;
    }
}

impl Future for Sending {
    type Output = Result<(), Error>;

    /// # Panics
    /// When polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let answer = self.written.as_mut().expect("a future is not polled after it was ready");
        let result = answer.poll_unpin(cx);
        if result.is_ready() {
            self.written = None;
        }
        result
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.written.take().is_some_and(|answer| answer.is_open()) {
            self.shared.withdraw(self.id);
        }
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}
