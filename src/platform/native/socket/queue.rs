//! The messages that wait to be written to a native socket: bounded in number and in bytes.

use crate::proto::{Error, ErrorKind, Message};
use std::collections::VecDeque;
use tokio_tungstenite::tungstenite;

/// How many messages may wait.
const MAX_MESSAGES: usize = 1024;

/// How many bytes may wait. One message alone may be larger; small ones, such as health checks, count by number alone.
const MAX_BYTES: usize = 4 << 20;
const SMALL: usize = 4096;

/// Below this there is room for the user's messages. What waits here is lost with the socket, and what waits in the
/// outbox is not: so it is not much more than keeps the socket busy.
const ROOM_MESSAGES: usize = 256;
const ROOM_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<tungstenite::Message>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, message: Message) -> Result<(), Error> {
        let too_large = message.len() > SMALL && self.bytes.saturating_add(message.len()) > MAX_BYTES;
        let full = self.messages.len() >= MAX_MESSAGES || too_large;
        if full && !self.messages.is_empty() {
            return Err(Error::new(ErrorKind::Overflow, "too many messages wait to be written"));
        }
        self.bytes += message.len();
        self.messages.push_back(match message {
            Message::Text(text) => tungstenite::Message::text(text),
            Message::Binary(bytes) => tungstenite::Message::binary(bytes),
        });
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<tungstenite::Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    pub(super) fn has_room(&self) -> bool {
        self.messages.len() < ROOM_MESSAGES && self.bytes < ROOM_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_too_much_and_takes_more_after_some_was_written() {
        let mut queue = Queue::default();
        for _ in 0..MAX_MESSAGES {
            queue.push("x".into()).expect("there is room");
        }
        assert_eq!(queue.push("x".into()).unwrap_err().kind(), ErrorKind::Overflow);
        queue.pop().expect("there are messages");
        queue.push("x".into()).expect("there is room again");
    }

    #[test]
    fn counts_bytes_but_takes_one_large_message_alone() {
        let mut queue = Queue::default();
        assert!(queue.has_room());
        queue.push(vec![0; MAX_BYTES + 1].into()).expect("alone it may be large");
        assert!(!queue.has_room());
        assert_eq!(queue.push(vec![0; SMALL + 1].into()).unwrap_err().kind(), ErrorKind::Overflow);
        queue.push("a health check".into()).expect("it is not starved");
        queue.pop().expect("there is a message");
        queue.push("x".into()).expect("there is room again");
    }
}
