//! Requests: a message, and the reply to it.

use super::{Client, Event};
use crate::{
    proto::{Error, Message},
    shared::gone,
};
use futures::channel::oneshot;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Those who wait for a reply, by the number of their request.
#[derive(Default)]
pub(crate) struct Replies(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    replies: BTreeMap<u64, oneshot::Sender<Result<Event, Error>>>,
    /// The driver is gone: nobody is left to answer.
    ended: bool,
}

impl Replies {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u64, waiter: oneshot::Sender<Result<Event, Error>>) {
        let mut waiting = self.lock();
        if !waiting.ended {
            waiting.replies.insert(id, waiter);
        }
    }

    /// Gives a reply to whoever waits for it. What nobody waits for comes back.
    pub(super) fn give(&self, id: u64, reply: Result<Event, Error>) -> Option<Result<Event, Error>> {
        let waiter = self.lock().replies.remove(&id);
        match waiter {
            Some(waiter) => waiter.send(reply).err(),
            None => Some(reply),
        }
    }

    /// Nobody will be answered any more.
    pub(super) fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        let unanswered = std::mem::take(&mut waiting.replies);
        drop(waiting);
        // Dropped outside the lock: an answer may wake somebody who asks again.
        drop(unanswered);
    }
}

/// Forgets whoever has stopped waiting.
struct Forget<'a>(&'a Replies, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.lock().replies.remove(&self.1);
    }
}

impl Client {
    /// Sends a request, a JSON object, and waits for its reply; the dialect says where the id of both stands
    /// ([`Dialect::requests`](crate::Dialect)), and an id is put in where there is none. The reply goes to the caller alone,
    /// not to the listeners; one that comes too late is an event as any other.
    ///
    /// A request waits in the outbox as any other message. One that was written when the connection is lost fails, unless
    /// the dialect resumes and sends it again. Dropping the future withdraws the request, and leaks nothing.
    ///
    /// ```no_run
    /// # async fn run(client: everwire::Client) -> Result<(), everwire::Error> {
    /// use serde_json::json;
    /// use std::time::Duration;
    ///
    /// let reply = client.request(json!({"method": "time"}), Duration::from_secs(5)).await?;
    /// println!("{}", reply.json::<serde_json::Value>()?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Server`](crate::ErrorKind::Server) with the server's answer if that is an error, `Timeout`, `Closed`
    /// (retryable) when the connection is lost before the reply came, and after the end, `Overflow` when
    /// too many requests wait ([`ClientBuilder::max_requests`](crate::ClientBuilder::max_requests)) or the outbox is full,
    /// `Unsupported` if the dialect knows no requests, `InvalidInput` for what is no JSON object or an id that is in use.
    pub async fn request(&self, message: impl Into<Message>, timeout: Duration) -> Result<Event, Error> {
        let replies = &self.listeners.shared.replies;
        let (waiter, reply) = oneshot::channel();
        let mut forget = None;
        let requesting = self.handle.request(message.into(), timeout, |id| {
            replies.add(id, waiter);
            forget = Some(Forget(replies, id));
        })?;
        let reply = reply.await.unwrap_or_else(|_| Err(gone()));
        requesting.done();
        reply
    }
}
