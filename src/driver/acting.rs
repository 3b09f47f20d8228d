//! Does what the session says: the half of the driver that writes to sockets, calls listeners and answers whoever waits.

use super::{Dispatch, Driver};
use crate::{
    proto::{Error, ErrorKind, Input, Lifecycle, Message, Output, Payload},
    transport::{Connector, Transport},
};

impl<C: Connector, D: Dispatch<C::Payload>> Driver<C, D> {
    pub(super) fn act(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Event(payload) => self.event(payload),
                Output::Send { generation, message, id } => self.write(generation, message, id),
                Output::Accepted { id } => self.tickets.accept(id),
                Output::Settled { id, error } => self.settle(id, Err(error)),
                Output::Reply { id, reply } => {
                    // Whoever asked may have gone meanwhile: then it is an event as any other.
                    if let Some(Ok(payload)) = self.dispatch.reply(id, reply) {
                        self.event(payload);
                    }
                }
                Output::Dial { generation, request } => {
                    self.dial = Some((generation, Box::pin(self.connector.dial(request))));
                }
                Output::FetchToken { generation } => self.fetch_token(generation),
                Output::Ping { generation } => {
                    if let Some((_, socket)) = self.socket.as_mut().filter(|(open, _)| *open == generation) {
                        socket.ping();
                    }
                }
                Output::Close { generation, code, reason } => {
                    if let Some((_, socket)) = self.socket.as_mut().filter(|(open, _)| *open == generation) {
                        socket.close(code, &reason);
                    }
                }
                Output::Abort { generation, code, reason } => self.abort(generation, code, reason),
                Output::Lifecycle(step) => self.lifecycle(&step),
            }
        }
    }

    pub(super) fn event(&mut self, payload: C::Payload) {
        self.dispatch.event(payload, &mut self.failures);
        self.tell_failures();
    }

    pub(super) fn tell_failures(&mut self) {
        if self.failures.is_empty() {
            return;
        }
        for error in self.failures.drain(..) {
            self.listener_failures += u64::from(error.kind() == ErrorKind::Listener);
            let step = Lifecycle::Error(error);
            self.observer.step(&step, self.session.stats());
            self.dispatch.lifecycle(&step);
        }
    }

    fn write(&mut self, generation: u64, message: Message, id: Option<u64>) {
        let mut sockets = self.socket.iter_mut().chain(&mut self.successor);
        let result = match sockets.find(|(open, _)| *open == generation) {
            Some((_, socket)) => socket.send(message),
            None => Err(Error::new(ErrorKind::Closed, "the connection has ended")),
        };
        match (id, result) {
            (Some(id), result) => {
                if result.is_err() {
                    self.session.not_written();
                    if C::Payload::PARTS.requests {
                        // If it is a request, there will be no reply.
                        self.feed(Input::Withdraw { id });
                    }
                }
                self.settle(id, result);
            }
            (None, Err(error)) => self.report(error),
            (None, Ok(())) => {}
        }
    }

    /// Tells the sender of a message what became of it; of a loss that he does not wait for, everybody.
    pub(super) fn settle(&mut self, id: u64, result: Result<(), Error>) {
        let result = match result {
            Err(error) if C::Payload::PARTS.requests => match self.dispatch.reply(id, Err(error)) {
                Some(Err(error)) => Err(error),
                _ => return,
            },
            result => result,
        };
        if let Err(unheard) = self.tickets.settle(id, result) {
            self.report(unheard);
        }
    }

    pub(super) fn report(&mut self, error: Error) {
        let step = Lifecycle::Error(error);
        self.observer.step(&step, self.session.stats());
        self.dispatch.lifecycle(&step);
    }

    fn fetch_token(&mut self, generation: u64) {
        self.token = self.provider.as_ref().map(|provider| (generation, provider()));
    }

    fn abort(&mut self, generation: u64, code: u16, reason: &str) {
        self.dial.take_if(|(under_way, _)| *under_way == generation);
        self.token.take_if(|(under_way, _)| *under_way == generation);
        if let Some((_, socket)) = self.successor.take_if(|(open, _)| *open == generation) {
            socket.abort(code, reason);
        }
        if let Some((_, socket)) = self.socket.take_if(|(open, _)| *open == generation) {
            socket.abort(code, reason);
            self.socket = self.successor.take();
        }
    }

    fn lifecycle(&mut self, step: &Lifecycle) {
        // Whoever is told, or was waiting, finds the new state when he looks.
        self.publish();
        self.observer.step(step, self.session.stats());
        if C::Payload::PARTS.records
            && matches!(step, Lifecycle::BackingOff { .. } | Lifecycle::Renewing { .. } | Lifecycle::Closed(_))
        {
            self.shared.0.snapshot().log = self.session.reconnect_log().cloned().collect();
        }
        if let Lifecycle::Closed(cause) = step {
            self.shared.0.snapshot().cause = Some(cause.clone());
        }
        self.dispatch.lifecycle(step);
        match step {
            Lifecycle::Connected { .. } => self.waiting.settle_ready(&Ok(())),
            Lifecycle::Closed(cause) => {
                (self.socket, self.successor) = (None, None);
                // A renewal that took too long was given up, and nobody replaced it.
                self.token = None;
                self.waiting.settle_closed(cause);
            }
            _ => {}
        }
    }

    pub(super) fn publish(&mut self) {
        let mut snapshot = self.shared.0.snapshot();
        snapshot.state = self.session.state();
        if snapshot.connection_id.as_ref() != self.session.connection_id() {
            snapshot.connection_id = self.session.connection_id().cloned();
        }
        if C::Payload::PARTS.resume {
            self.session.note_point(&mut snapshot.resume_point);
        }
        snapshot.stats = *self.session.stats();
        snapshot.stats.listener_failures = self.listener_failures;
        self.observer.counts(&snapshot.stats);
    }
}
