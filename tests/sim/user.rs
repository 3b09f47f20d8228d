//! What the user wants: messages, requests, channels, and that some of it be forgotten.

use super::{
    seen::Seen,
    world::{Event, POLICIES, World},
};
use everwire::{Message, SendOptions, proto::Input};
use std::{sync::Arc, time::Duration};

const CHANNELS: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    pub(crate) fn user_wants(&mut self, seen: &mut Seen) {
        match self.random.below(10) {
            0..5 => {
                let most = if self.random.chance(20) { 9 } else { 3 };
                for _ in 0..1 + self.random.below(most) {
                    self.sends(seen);
                }
            }
            5..7 => {
                for _ in 0..1 + self.random.below(2) {
                    self.requests(seen);
                }
            }
            7 => {
                let draw = self.random.below(64);
                if let Some(id) = self.rules.book.any_open(draw) {
                    seen.withdrawn += 1;
                    self.rules.book.withdraws(id);
                    self.give(Input::Withdraw { id }, seen);
                }
            }
            _ => {
                for _ in 0..1 + self.random.below(3) {
                    self.turns_to_a_channel(seen);
                }
            }
        }
    }

    fn sends(&mut self, seen: &mut Seen) {
        let mut options = SendOptions::new();
        if self.random.chance(20) {
            options = options.ttl(Duration::from_millis(1 + self.random.below(20_000)));
        }
        if self.random.chance(30) {
            options = options.when_full(self.random.pick(&POLICIES));
        }
        let expires = options.ttl.or(self.rules.book.outbox.ttl).map(|ttl| self.now + ttl);
        let id = self.rules.book.gives(expires, None);
        let message = Message::Text(self.text(id));
        let size = message.len();
        self.submit(id, size, Input::Send { id, message, options }, seen);
    }

    fn requests(&mut self, seen: &mut Seen) {
        let timeout = Duration::from_millis(500 + self.random.below(20_000));
        let expires = self.rules.book.outbox.ttl.map(|ttl| self.now + ttl);
        let id = self.rules.book.gives(expires, Some(self.now + timeout));
        let message = Message::Text(self.text(id));
        // Its id is still to be added.
        let size = message.len() + 16;
        self.submit(id, size, Input::Request { id, message, timeout }, seen);
    }

    fn text(&mut self, id: u64) -> String {
        let pad = "x".repeat(self.random.below(40) as usize);
        format!(r#"{{"type":"mine","mine":{id},"pad":"{pad}"}}"#)
    }

    fn submit(&mut self, id: u64, size: usize, input: Input<Event>, seen: &mut Seen) {
        let hopeful = self.rules.hopeful(self.served().is_some());
        let stats = self.session.stats();
        let outbox = self.rules.book.outbox;
        let tight = match outbox.messages {
            // Nothing can wait, but a message must not overtake a subscription.
            0 => self.served().is_some_and(|wire| !self.rules.book.told_is_wanted(wire)),
            capacity => {
                stats.outbox_messages >= capacity as u64
                    || stats.outbox_bytes as usize + size > outbox.bytes
                    || self.rules.book.anybody_else_waits(id)
            }
        };
        match self.give(input, seen) {
            true => self.rules.check(hopeful, "(4) a message is taken without hope"),
            false => {
                seen.refused += 1;
                let verdict = self.rules.book.refused(id, self.refusal, hopeful, tight);
                self.rules.holds(verdict);
                self.counts();
            }
        }
    }

    fn turns_to_a_channel(&mut self, seen: &mut Seen) {
        let name = self.random.pick(&CHANNELS);
        let channel = Arc::from(name);
        if self.random.chance(60) {
            self.rules.book.wanted.insert(name);
            self.give(Input::Subscribe { channel }, seen);
        } else {
            self.rules.book.wanted.remove(name);
            self.give(Input::Unsubscribe { channel }, seen);
        }
    }
}
