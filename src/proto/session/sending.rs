//! What the user sends: it waits in the outbox for the hello and for room in the socket, and settles exactly once.

use super::super::{
    error::{Error, ErrorKind},
    json::Json,
    lifecycle::{Cause, Lifecycle},
    message::{Class, Message, Payload},
    outbox::{Fate, OutboxRule, SendOptions},
    state::State,
};
use super::{Link, Output, Session, incoming::Role};
use std::time::Duration;

impl<P: Payload> Session<P> {
    pub(super) fn send_by_user(&mut self, id: u64, message: Message, options: SendOptions) -> Result<(), Error> {
        let waits = P::PARTS.outbox && self.outbox.is_on();
        // Before the first `connect` it waits as it does without a connection; after an end there is nothing to wait for.
        let hopeless = matches!(self.state, State::Disconnecting | State::Closed | State::Failed);
        if hopeless || (!waits && self.link != Link::Up) {
            return Err(Error::new(ErrorKind::Closed, ["cannot send: the client is ", self.state.as_str()].concat()));
        }
        if !waits {
            if self.has_subscriptions() {
                self.stats.outbox_overflows += 1;
                return Err(Error::new(ErrorKind::Overflow, "cannot send: subscriptions wait for room"));
            }
            if P::PARTS.resume {
                self.may_send(message.len())?;
            }
            self.write_for_user(id, message);
            return Ok(());
        }
        let when_full = options.when_full.unwrap_or(self.settings.outbox.when_full);
        let before = self.stats.outbox_overflows;
        let OutboxRule { messages, bytes, .. } = self.settings.outbox;
        let (queue, capacity) =
            if self.outbox.is_short_of_bytes() { ("outbox-bytes", bytes) } else { ("outbox", messages) };
        let result = self.outbox.push(self.now, id, message, when_full, options.ttl);
        self.tell_fates();
        self.stats.outbox_overflows += u64::from(result.is_err());
        let dropped = self.stats.outbox_overflows - before;
        if dropped > 0 {
            self.tell(Lifecycle::Overflow { queue, capacity, dropped, policy: when_full.as_str() });
        }
        result
    }

    /// Whether there is something to write as soon as the socket has room: then the driver says so with
    /// [`Input::Room`](super::Input::Room). What the session itself has to say comes before, and asks for no room.
    pub fn wants_room(&self) -> bool {
        let may_be_written = |size| !P::PARTS.resume || self.may_send(size).is_ok();
        let has_message =
            P::PARTS.outbox && self.link == Link::Up && self.outbox.next_size().is_some_and(may_be_written);
        has_message || self.has_subscriptions()
    }

    /// Writes the next thing that waits, if it may be written to this socket; tells whether there was one.
    pub(super) fn room(&mut self, generation: u64) -> bool {
        if !(P::PARTS.outbox || P::PARTS.channels) || !self.is_current(generation, &[Link::Up]) {
            return false;
        }
        self.expire();
        if P::PARTS.channels && self.write_subscription() {
            return true;
        }
        let entry = if self.wants_room() { self.outbox.pop() } else { None };
        let Some(entry) = entry else { return false };
        self.tell_fates();
        self.write_for_user(entry.id, entry.message);
        true
    }

    fn write_for_user(&mut self, id: u64, message: Message) {
        if P::PARTS.requests {
            self.requests.written(id);
        }
        let message = if P::PARTS.resume { self.numbered(message) } else { message };
        self.write(message, Some(id));
    }

    /// Takes a message whose reply is awaited. It waits in the outbox as any other.
    pub(super) fn request(&mut self, id: u64, message: Message, timeout: Duration) -> Result<(), Error> {
        let Some(rule) = self.settings.dialect.requests.as_ref().filter(|_| P::PARTS.requests) else {
            return Err(Error::new(ErrorKind::Unsupported, "the dialect knows no requests").with_path("requests"));
        };
        if self.requests.len() >= self.settings.max_requests {
            return Err(Error::new(ErrorKind::Overflow, "too many requests wait for their reply"));
        }
        let document = match &message {
            Message::Text(text) => Json::parse(text),
            Message::Binary(_) => None,
        };
        let document = document.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "a request is a JSON object, nested at most 128 levels deep")
        })?;
        let text = self.requests.add(rule, id, document, self.now + timeout)?;
        self.stats.requests += 1;
        let result = self.send_by_user(id, Message::Text(text), SendOptions::default());
        if result.is_err() {
            self.requests.remove(id);
        }
        result
    }

    /// Finds out whether a message is the reply to a request. Any other comes back.
    pub(super) fn reply(&mut self, class: Class, payload: P) -> Option<P> {
        let Some(rule) = &self.settings.dialect.requests else { return Some(payload) };
        let may_be_one = match class {
            Class::Control(_) | Class::Event | Class::Untyped => {
                rule.reply_types.is_empty() || self.roles.of(class).is(Role::SETTLES)
            }
            _ => false,
        };
        let document = if may_be_one { payload.json() } else { None };
        let Some((id, error)) = document.and_then(|document| self.requests.take_reply(rule, &document)) else {
            return Some(payload);
        };
        self.stats.replies += 1;
        let reply = error.map_or(Ok(payload), |error| Err(self.redacted(error)));
        self.outputs.push(Output::Reply { id, reply });
        None
    }

    /// The connection is lost, and with it the replies that were to come over it; unless the requests are sent again to the
    /// same session of the server.
    pub(super) fn lose_replies(&mut self) {
        let sent_again = P::PARTS.resume && self.resume.as_ref().is_some_and(|resume| resume.sends.is_some());
        while P::PARTS.requests
            && !sent_again
            && let Some(id) = self.requests.take_written()
        {
            self.settle(id, Error::new(ErrorKind::Closed, "the connection was lost before the reply came"));
        }
    }

    fn settle(&mut self, id: u64, error: Error) {
        if P::PARTS.requests {
            self.requests.remove(id);
        }
        self.outputs.push(Output::Settled { id, error });
    }

    pub(super) fn withdraw(&mut self, id: u64) {
        if P::PARTS.requests {
            self.requests.remove(id);
        }
        if P::PARTS.outbox {
            self.outbox.withdraw(id);
            self.tell_fates();
        }
    }

    pub(super) fn expire(&mut self) {
        while P::PARTS.requests
            && let Some(id) = self.requests.take_due(self.now)
        {
            self.withdraw(id);
            self.settle(id, Error::new(ErrorKind::Timeout, "the reply did not come in time"));
        }
        if P::PARTS.outbox && self.outbox.deadline() <= self.now {
            self.outbox.expire(self.now);
            self.tell_fates();
        }
    }

    /// The user closes: what was accepted goes out first, for the socket takes it before the close frame.
    pub(super) fn write_all(&mut self) {
        while self.wants_room() && self.room(self.generation) {}
    }

    /// Nothing more will be written.
    pub(super) fn give_up_sending(&mut self, cause: &Cause) {
        if P::PARTS.outbox {
            while let Some(entry) = self.outbox.take_any() {
                self.settle(entry.id, because(cause, "the client ended before the message was written"));
            }
            self.tell_fates();
        }
        while P::PARTS.requests
            && let Some(id) = self.requests.take_any()
        {
            self.settle(id, because(cause, "the client ended before the reply came"));
        }
    }

    fn tell_fates(&mut self) {
        for place in 0..self.outbox.fates.len() {
            let (id, fate) = self.outbox.fates[place];
            match fate {
                Fate::Accepted => self.outputs.push(Output::Accepted { id }),
                Fate::Expired => {
                    self.stats.outbox_expired += 1;
                    self.settle(id, Error::new(ErrorKind::Timeout, "the message could not be written in time"));
                }
                Fate::Dropped => {
                    self.stats.outbox_overflows += 1;
                    self.settle(id, Error::new(ErrorKind::Overflow, "the outbox is full: this message was dropped"));
                }
            }
        }
        self.outbox.fates.clear();
        self.stats.outbox_messages = self.outbox.len() as u64;
        self.stats.outbox_bytes = self.outbox.bytes() as u64;
    }
}

fn because(cause: &Cause, what: &'static str) -> Error {
    let error = Error::new(ErrorKind::Closed, what);
    match cause.error() {
        Some(source) => error.with_source(source.clone()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        proto::{Dialect, Event, Input, Settings, Timestamp, UrlParts},
        test,
    };

    // A driver that writes to a socket the session does not mean must not turn for ever.
    #[test]
    fn a_step_that_writes_nothing_says_so() {
        let url = UrlParts {
            scheme: "wss".into(),
            has_credentials: false,
            authority: "example.com".into(),
            path: "/".into(),
            query: None,
        };
        let mut session = Session::<Event<String, Vec<u8>>>::new(Settings::new(Dialect::raw(), url)).expect("right");
        let now = Timestamp::default();
        session.handle(now, Input::Connect).expect("idle");
        for id in 1..=2 {
            let send = Input::Send { id, message: "text".into(), options: SendOptions::new() };
            session.handle(now, send).expect("connecting");
        }
        assert!(!session.wants_room() && !session.write_next(now, 1));
        session.handle(now, Input::Opened { generation: 1 }).expect("dialling");
        assert!(session.wants_room() && !session.write_next(now, 2) && session.wants_room());
        assert!(session.write_next(now, 1) && session.write_next(now, 1));
        assert!(!session.wants_room() && !session.write_next(now, 1));
    }
}
