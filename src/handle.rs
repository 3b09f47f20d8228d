//! The handle on a running driver: commands to it, and answers from it.

use crate::{
    answer::{Answer, Asked},
    proto::{Cause, Error, Message, Reconnect, ResumePoint, SendOptions, State, Stats, close_code::check_close},
    sending::Sending,
    shared::{Command, Outgoing, Shared, Surroundings},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// A handle on a running driver. When the last one is dropped, the driver closes the connection and ends.
#[derive(Clone)]
pub(crate) struct Handle(Arc<HandleEnd>);

struct HandleEnd(Arc<Shared>);

impl Drop for HandleEnd {
    fn drop(&mut self) {
        self.0.orphan();
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(HandleEnd(shared)))
    }

    /// Wakes the driver, and does not keep it alive.
    pub(crate) fn waker(&self) -> Waker {
        Waker(self.0.0.clone())
    }

    /// The same handle, without keeping the driver alive.
    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.0))
    }

    /// Starts to connect.
    pub(crate) fn connect(&self) -> Result<(), Error> {
        self.0.0.connect(self.state())
    }

    /// Waits for the hello, or for the end.
    pub(crate) fn ready(&self) -> Answer {
        self.ask(Command::Ready)
    }

    /// Waits until the message is handed to the socket of an authenticated connection.
    #[allow(dead_code, reason = "the edge to JavaScript calls it: a promise cannot be dropped")]
    pub(crate) fn send(&self, message: Message, options: SendOptions) -> (u64, Answer) {
        self.send_by(message, options, None)
    }

    /// Takes back a message that is not written yet, or waits for a reply no more.
    #[allow(dead_code, reason = "the edge to JavaScript calls it")]
    pub(crate) fn withdraw(&self, id: u64) {
        self.0.0.withdraw(id);
    }

    /// The same with a future that withdraws the message when it is dropped.
    pub(crate) fn send_with(&self, message: Message, options: SendOptions) -> Sending {
        let (accepted, place) = Answer::channel();
        let (id, written) = self.send_by(message, options, Some(accepted));
        Sending::new(id, self.0.0.clone(), place, written)
    }

    /// Wants the events of a channel.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn subscribe(&self, channel: Arc<str>) -> Result<(), Error> {
        self.push(Command::Subscribe(channel))
    }

    /// Wants them no more. It always finds room: there is one for each subscription.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn unsubscribe(&self, channel: Arc<str>) {
        self.0.0.push_anyway(Command::Unsubscribe(channel));
    }

    /// Asks the server. Whoever waits for the reply is registered by the number of the request, before there can be one.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn request(
        &self,
        message: Message,
        timeout: Duration,
        register: impl FnOnce(u64),
    ) -> Result<Requesting, Error> {
        let mut inbox = self.0.0.inbox();
        let id = inbox.next_number();
        register(id);
        self.0.0.push(inbox, Command::Request { id, message, timeout })?;
        Ok(Requesting { id, shared: Some(self.0.0.clone()) })
    }

    fn send_by(&self, message: Message, options: SendOptions, accepted: Option<Asked>) -> (u64, Answer) {
        let (written, answer) = Answer::channel();
        let mut inbox = self.0.0.inbox();
        let id = inbox.next_number();
        let refused = match self.0.0.push(inbox, Command::Send(Outgoing { id, message, options, accepted, written })) {
            Ok(()) => return (id, answer),
            Err(error) => error,
        };
        (id, Answer::at_once(refused))
    }

    /// Closes and waits for the end.
    pub(crate) fn close(&self, code: u16, reason: &str) -> Answer {
        match check_close(code, reason) {
            Ok(()) => self.ask(|done| Command::Close { code, reason: reason.to_owned(), done }),
            Err(error) => Answer::at_once(error),
        }
    }

    /// Waits for the end; [`cause`](Self::cause) is there then.
    pub(crate) fn closed(&self) -> Answer {
        self.ask(Command::Closed)
    }

    /// Why the driver ended last; of one that is gone without a word, its handles must be.
    pub(crate) fn cause(&self) -> Cause {
        self.0.0.snapshot().cause.clone().unwrap_or(Cause::Dropped)
    }

    /// Tells the driver what happened around it.
    pub(crate) fn tell(&self, change: Surroundings) {
        self.0.0.tell(change);
    }

    pub(crate) fn state(&self) -> State {
        let state = self.0.0.snapshot().state;
        if self.0.0.is_closing() && !state.is_end() { State::Disconnecting } else { state }
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.0.0.snapshot().stats;
        stats.at = self.0.0.now();
        stats
    }

    pub(crate) fn reconnect_log(&self) -> Vec<Reconnect> {
        self.0.0.snapshot().log.clone()
    }

    #[cfg_attr(feature = "npm", allow(dead_code))] // the edge has none
    pub(crate) fn resume_point(&self) -> Option<ResumePoint> {
        Some(self.0.0.snapshot().resume_point.clone()).filter(|point| !point.is_none())
    }

    pub(crate) fn connection_id(&self) -> Option<Arc<str>> {
        self.0.0.snapshot().connection_id.clone()
    }

    fn ask(&self, command: impl FnOnce(Asked) -> Command) -> Answer {
        let (asked, answer) = Answer::channel();
        match self.push(command(asked)) {
            Ok(()) => answer,
            Err(error) => Answer::at_once(error),
        }
    }

    fn push(&self, command: Command) -> Result<(), Error> {
        self.0.0.push(self.0.0.inbox(), command)
    }
}

/// See [`Handle::waker`].
pub(crate) struct Waker(Arc<Shared>);

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.call();
    }
}

/// See [`Handle::downgrade`].
pub(crate) struct WeakHandle(Weak<HandleEnd>);

impl WeakHandle {
    /// The handle, unless the last one is gone.
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
    }
}

/// A request under way. Dropping it withdraws it, or lets its reply be an event as any other.
pub(crate) struct Requesting {
    id: u64,
    shared: Option<Arc<Shared>>,
}

impl Requesting {
    /// It is answered: there is nothing left to withdraw.
    pub(crate) fn done(mut self) {
        self.shared = None;
    }
}

impl Drop for Requesting {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.withdraw(self.id);
        }
    }
}
