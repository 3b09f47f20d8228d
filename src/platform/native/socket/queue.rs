//! The messages that wait to be written to a native socket: bounded in number and in bytes.

use crate::proto::{Error, ErrorKind, Message};
use std::collections::VecDeque;
use tokio_tungstenite::tungstenite;

/// How many messages may wait.
const MAX_MESSAGES: usize = 1024;

/// How many bytes may wait. One message alone may be larger.
const MAX_BYTES: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<tungstenite::Message>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, message: Message) -> Result<(), Error> {
        let full = self.messages.len() >= MAX_MESSAGES || self.bytes.saturating_add(message.len()) > MAX_BYTES;
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
        queue.push(vec![0; MAX_BYTES + 1].into()).expect("alone it may be large");
        assert_eq!(queue.push("x".into()).unwrap_err().kind(), ErrorKind::Overflow);
        queue.pop().expect("there is a message");
        queue.push("x".into()).expect("there is room again");
    }
}
