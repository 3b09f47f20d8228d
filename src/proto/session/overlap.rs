//! Replaces a connection without a moment in which there is none (S2-8): the old one goes on delivering until the new one
//! has said hello. Only where the new one goes on after the last event; any other is closed first.

use super::super::{
    error::Error,
    message::{Message, Payload},
    time::part,
    timers::Timer,
};
use super::{Link, Session, TokenSource};
use std::time::Duration;

/// How long the old connection stays at least when a successor did not come about.
const RETRY: Duration = Duration::from_secs(5);

const RENEWS: &str = "client renews the connection";

/// A connection that is to take the place of the current one.
pub(super) struct Successor {
    pub(super) generation: u64,
    /// `Dialing` or `Hello`.
    pub(super) link: Link,
}

impl<P: Payload> Session<P> {
    pub(super) fn is_successor(&self, generation: u64) -> bool {
        P::PARTS.resume && self.successor.as_ref().is_some_and(|successor| successor.generation == generation)
    }

    /// Dials the successor of this connection; false where it could not go on after the last event.
    pub(super) fn begin_overlap(&mut self) -> bool {
        let has_token = !matches!(self.settings.token, TokenSource::Provider)
            || !self.settings.dialect.needs_token::<P>()
            || self.tokens.is_usable(self.now);
        if self.link != Link::Up || self.settings.dialect.hello.is_none() || !self.resumes() || !has_token {
            return false;
        }
        let Ok(request) = self.dial_request() else { return false };
        let generation = self.new_generation();
        self.successor = Some(Successor { generation, link: Link::Dialing });
        self.begin_dial(generation, 1, request);
        true
    }

    /// Its socket is open. The first frame asks for what comes after the last event of now.
    pub(super) fn successor_opened(&mut self) {
        let Some(successor) = &mut self.successor else { return };
        successor.link = Link::Hello;
        self.taken_over = true;
        let generation = successor.generation;
        self.timers.stop(Timer::Open);
        self.arm_hello();
        match self.first_frame() {
            Ok(Some(frame)) => self.write_to(generation, Message::Text(frame), None),
            Ok(None) => {}
            Err(error) => self.successor_failed(error),
        }
    }

    /// It did not come about. The old connection stays, and another is tried later.
    pub(super) fn successor_failed(&mut self, error: Error) {
        self.drop_successor();
        let error = self.redacted(error);
        self.report(error);
        let wait = RETRY + part(RETRY, self.random.fraction());
        self.arm(Timer::Age, wait);
    }

    /// The server ended the successor, or its dial failed.
    pub(super) fn successor_closed(&mut self, error: Error) {
        if let Some(successor) = &mut self.successor {
            successor.link = Link::None;
        }
        self.successor_failed(error);
    }

    /// Whatever is left of it is closed.
    pub(super) fn drop_successor(&mut self) {
        self.timers.stop(Timer::Open);
        self.timers.stop(Timer::Hello);
        if let Some(successor) = self.successor.take().filter(|successor| successor.link != Link::None) {
            self.push_abort(successor.generation, 4000, "client gives up on this connection");
        }
    }

    /// Its hello has come: it is the connection now, and from here on nothing of the old one is delivered.
    pub(super) fn promote(&mut self) {
        self.push_abort(self.generation, 4000, RENEWS);
        self.adopt();
    }

    /// The old connection has ended while its successor waits for the hello: that is how some servers answer a resume.
    /// There is a successor to go on with, so nobody is told.
    pub(super) fn outlived_by_successor(&mut self) -> bool {
        let waits = self.successor.as_ref().is_some_and(|successor| successor.link == Link::Hello);
        if waits {
            if self.fetching {
                self.push_abort(self.generation, 1000, RENEWS);
            }
            self.adopt();
        }
        waits
    }

    fn adopt(&mut self) {
        let Some(successor) = self.successor.take() else { return };
        self.generation = successor.generation;
        self.link = Link::Hello;
        // A renewal of the token ends with the connection it was for; the next one begins its own.
        self.fetching = false;
        self.attempt = 1;
        self.lost_at = Some(self.now);
        self.health.begin_anew();
        self.lose_replies();
        self.timers.stop_all();
        self.arm_hello();
    }
}
