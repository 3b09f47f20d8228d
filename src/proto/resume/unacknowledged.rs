//! Numbered messages that the server has not taken yet, kept to be sent again.

use super::super::{
    decimal::decimal,
    error::{Error, ErrorKind},
    message::Message,
};
use super::SendsRule;

/// The messages, in their order, bounded.
pub(in crate::proto) struct Unacknowledged {
    /// The member that is the number.
    sequence: String,
    max_messages: u64,
    max_bytes: u64,
    /// The number of the last message.
    last: u64,
    /// The last ones as they were given, in their order: the number of each is one more than that of the one before.
    kept: Vec<String>,
    bytes: u64,
    /// Whether the last message that was given is the last one that is kept.
    is_last_kept: bool,
}

impl Unacknowledged {
    pub(super) fn new(rule: &SendsRule) -> Self {
        let &SendsRule { ref sequence, max_messages, max_bytes, .. } = rule;
        let sequence = sequence.clone();
        Self { sequence, max_messages, max_bytes, last: 0, kept: Vec::new(), bytes: 0, is_last_kept: false }
    }

    /// Whether there is room for a message of this size.
    pub(in crate::proto) fn has_room(&self, size: usize) -> bool {
        // One that is larger than the bound passes when nothing else waits, or it could never be sent.
        let fits = self.bytes == 0 || self.bytes.saturating_add(size as u64) <= self.max_bytes;
        fits && (self.kept.len() as u64) < self.max_messages
    }

    /// The refusal of a message for which there is no room.
    pub(in crate::proto) fn full() -> Error {
        Error::new(ErrorKind::Overflow, "too many messages wait until the server has taken them")
    }

    /// Gives a message its number and keeps it. What is no JSON object goes as it is.
    pub(in crate::proto) fn number(&mut self, message: Message) -> Message {
        self.is_last_kept = false;
        let Message::Text(text) = message else { return message };
        let number = self.last.saturating_add(1);
        let Some(numbered) = with_member(&text, &self.sequence, number) else { return Message::Text(text) };
        self.last = number;
        self.bytes += text.len() as u64;
        self.kept.push(text);
        self.is_last_kept = true;
        Message::Text(numbered)
    }

    /// The last message that was given was not written, and its sender knows: it has no number, and is not sent again.
    pub(in crate::proto) fn withdraw(&mut self) {
        if std::mem::take(&mut self.is_last_kept)
            && let Some(text) = self.kept.pop()
        {
            self.last -= 1;
            self.bytes -= text.len() as u64;
        }
    }

    /// The server has taken the messages up to this number.
    pub(in crate::proto) fn received(&mut self, up_to: u64) {
        let stay = self.last.saturating_sub(up_to).min(self.kept.len() as u64);
        for text in self.kept.drain(..self.kept.len() - stay as usize) {
            self.bytes -= text.len() as u64;
        }
    }

    /// The session goes on, and the server has taken the messages up to this number. Where they were those of another program,
    /// which left only the session, the next one follows them.
    pub(in crate::proto) fn resume(&mut self, up_to: u64) {
        if self.last == 0 {
            self.last = up_to;
        }
        self.received(up_to);
    }

    /// How many messages are kept.
    pub(in crate::proto) fn len(&self) -> usize {
        self.kept.len()
    }

    /// A message to send again, by its place among them.
    pub(in crate::proto) fn again(&self, place: usize) -> Option<Message> {
        let number = self.last - self.kept.len() as u64 + place as u64 + 1;
        with_member(self.kept.get(place)?, &self.sequence, number).map(Message::Text)
    }

    /// In a new session numbers begin anew. Gives how many messages were kept; with `keep` they stay, under new numbers.
    pub(in crate::proto) fn restart(&mut self, keep: bool) -> usize {
        let count = self.kept.len();
        if !keep {
            self.kept.clear();
            self.bytes = 0;
        }
        self.last = self.kept.len() as u64;
        count
    }
}

/// Adds a member at the end of an object, where it is found without reading the document.
fn with_member(text: &str, name: &str, number: u64) -> Option<String> {
    let members = text.trim_ascii().strip_prefix("{")?.strip_suffix("}")?.trim_ascii();
    let comma = if members.is_empty() { "" } else { "," };
    Some(["{", members, comma, "\"", name, "\":", &decimal(number), "}"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    fn messages() -> Unacknowledged {
        Unacknowledged::new(&SendsRule {
            sequence: "seq".into(),
            received: "received".into(),
            up_to: "seq".into(),
            hello: "received".into(),
            max_messages: 3,
            max_bytes: 100,
        })
    }

    fn again(messages: &Unacknowledged) -> Vec<String> {
        let again = (0..messages.len()).filter_map(|place| messages.again(place));
        again.map(|message| if let Message::Text(text) = message { text } else { unreachable!() }).collect()
    }

    // N-9
    #[test]
    fn messages_are_numbered_and_kept_until_they_are_taken() {
        let mut messages = messages();
        for text in [r#"{"type":"a"}"#, "{ } ", r#" {"b":[1]} "#] {
            assert!(messages.has_room(text.len()));
            messages.number(text.into());
        }
        assert!(!messages.has_room(1));
        assert_eq!(again(&messages), [r#"{"type":"a","seq":1}"#, r#"{"seq":2}"#, r#"{"b":[1],"seq":3}"#]);
        messages.received(2);
        assert_eq!(again(&messages), [r#"{"b":[1],"seq":3}"#]);
        for plain in ["[1]", "text", "}"] {
            assert_eq!(messages.number(plain.into()), Message::from(plain));
        }
        // Nothing to withdraw: the last one has no number.
        messages.withdraw();
        assert_eq!(again(&messages), [r#"{"b":[1],"seq":3}"#]);
        assert!(messages.has_room(70) && !messages.has_room(90));
        messages.number(r#"{"c":1}"#.into());
        messages.withdraw();
        messages.number("{}".into());
        assert_eq!(messages.restart(true), 2);
        assert_eq!(again(&messages), [r#"{"b":[1],"seq":1}"#, r#"{"seq":2}"#]);
        assert_eq!(messages.restart(false), 2);
        assert!(again(&messages).is_empty() && messages.has_room(1_000_000));
    }
}
