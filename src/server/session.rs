//! One session of the everwire protocol: a log of numbered events, kept until they are acknowledged, and one cursor that
//! writes them.

use super::{
    registry::{Order, Peer},
    sessions::Retention,
};
use crate::proto::Timestamp;
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The close code that tells a socket that another one has its session now.
const TAKEN_OVER: u16 = 4409;

/// One session.
pub(super) struct Session {
    id: String,
    user_id: String,
    log: Mutex<Log>,
    /// Told of everything there may be to write.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Log {
    /// What is kept, as it was published; the first has the number `first`.
    events: VecDeque<Utf8Bytes>,
    bytes: usize,
    first: u64,
    /// The newest event, and the last one that was written to the socket of now.
    last: u64,
    written: u64,
    /// The highest number of a message of the client, and the one that the client was told.
    received: u64,
    told: u64,
    /// Which socket of its sockets this is, counted from 1.
    socket: u64,
    peer: Option<Arc<Peer>>,
    left_at: Timestamp,
}

/// How a client was welcomed.
pub(super) struct Welcome {
    pub(super) attached: Attached,
    pub(super) resumed: bool,
    /// The newest event, and the highest number of a message that was taken.
    pub(super) last: u64,
    pub(super) received: u64,
}

impl Session {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session, with its first socket.
    pub(super) fn begin(id: String, peer: &Arc<Peer>, user_id: &str) -> (Arc<Self>, Welcome) {
        let log = Log { first: 1, socket: 1, peer: Some(peer.clone()), ..Log::default() };
        let session =
            Arc::new(Self { id, user_id: user_id.to_owned(), log: Mutex::new(log), changed: watch::Sender::new(()) });
        let attached = Attached::new(session.clone(), 1, 0);
        (session, Welcome { attached, resumed: false, last: 0, received: 0 })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_of(&self, user_id: &str) -> bool {
        self.user_id == user_id
    }

    /// Since when it has no socket; `None` while it has one.
    pub(super) fn left_at(&self) -> Option<Timestamp> {
        let log = self.log();
        (!log.is_attached()).then_some(log.left_at)
    }

    /// Drops its socket, if it has one.
    pub(super) fn drop_socket(&self) {
        if let Some(peer) = &self.log().peer {
            peer.order(Order::Drop);
        }
    }

    /// Gives the session to another socket, if the number can be one of it.
    pub(super) fn resume(self: &Arc<Self>, peer: &Arc<Peer>, last: u64) -> Option<Welcome> {
        let mut log = self.log();
        if last > log.last {
            return None;
        }
        if let Some(old) = log.peer.replace(peer.clone()) {
            old.order(Order::close(TAKEN_OVER, "another socket has taken over this session"));
        }
        // From here on the reader and the messages of the old socket are strangers.
        log.socket += 1;
        log.written = last;
        log.acknowledge(last);
        let (newest, received) = (log.last, log.received);
        log.told = received; // the hello tells it
        let attached = Attached::new(self.clone(), log.socket, last);
        Some(Welcome { attached, resumed: true, last: newest, received })
    }

    /// Numbers and keeps an event; whether there is a socket to write it to.
    pub(super) fn keep(&self, text: &Utf8Bytes, retention: &Retention) -> bool {
        let mut log = self.log();
        log.last += 1;
        log.bytes += text.len();
        log.events.push_back(text.clone());
        // One that alone is larger than the bound is kept alone, or it could never be written.
        while log.events.len() > retention.messages || log.bytes > retention.bytes && log.events.len() > 1 {
            log.forget_first();
        }
        self.changed.send_replace(());
        log.is_attached()
    }
}

impl Log {
    fn is_attached(&self) -> bool {
        self.peer.is_some()
    }

    fn forget_first(&mut self) {
        if let Some(text) = self.events.pop_front() {
            self.bytes -= text.len();
            self.first += 1;
        }
    }

    fn acknowledge(&mut self, up_to: u64) {
        while self.first <= up_to && !self.events.is_empty() {
            self.forget_first();
        }
    }
}

/// A session as the socket sees it that has it, until another one does.
#[derive(Clone)]
pub(super) struct Attached {
    session: Arc<Session>,
    socket: u64,
    cursor: u64,
    changed: watch::Receiver<()>,
}

impl Attached {
    fn new(session: Arc<Session>, socket: u64, cursor: u64) -> Self {
        let changed = session.changed.subscribe();
        Self { session, socket, cursor, changed }
    }

    pub(super) fn id(&self) -> &str {
        &self.session.id
    }

    /// The socket has ended; false if another one has the session.
    pub(super) fn leave(&self, now: Timestamp) -> bool {
        let Some(mut log) = self.log() else { return false };
        log.peer = None;
        log.left_at = now;
        true
    }

    /// The log, if this socket still has the session.
    fn log(&self) -> Option<MutexGuard<'_, Log>> {
        Some(self.session.log()).filter(|log| log.socket == self.socket)
    }

    /// The next frame to write. This is the only place that writes events: a replay and what is new cannot overtake each
    /// other, and an acknowledgement in the middle only shortens the log behind the cursor.
    pub(super) fn try_next(&mut self) -> Option<Utf8Bytes> {
        let mut log = self.session.log();
        if log.socket != self.socket {
            return None;
        }
        if log.told < log.received {
            log.told = log.received;
            return Some(json!({"type": "wire.received", "up_to": log.received}).to_string().into());
        }
        if self.cursor >= log.last {
            return None;
        }
        if self.cursor + 1 < log.first {
            let (from, to) = (self.cursor + 1, log.first - 1);
            (self.cursor, log.written) = (to, to);
            return Some(json!({"type": "wire.gap", "from": from, "to": to}).to_string().into());
        }
        let text = log.events[(self.cursor + 1 - log.first) as usize].clone();
        self.cursor += 1;
        log.written = self.cursor;
        Some(numbered(&text, self.cursor).into())
    }

    /// The next frame to write, as soon as there is one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Utf8Bytes {
        loop {
            self.changed.mark_unchanged();
            if let Some(frame) = self.try_next() {
                return frame;
            }
            self.changed.changed().await.expect("the sender is in self");
        }
    }

    /// The client has the events up to this one. What was not written to it cannot have arrived.
    pub(super) fn acknowledge(&self, up_to: u64) {
        if let Some(mut log) = self.log().filter(|log| up_to <= log.written) {
            log.acknowledge(up_to);
        }
    }

    /// Takes a numbered message: false for one that came before, or that came on a socket which lost the session.
    pub(super) fn take(&self, number: u64) -> bool {
        let Some(mut log) = self.log() else { return false };
        let is_new = number > log.received;
        log.received = log.received.max(number);
        log.told = log.told.min(number.saturating_sub(1)); // a duplicate is answered too
        drop(log);
        self.session.changed.send_replace(());
        is_new
    }

    /// How many events are kept, and how long they are.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        let log = self.session.log();
        (log.events.len(), log.bytes)
    }
}

/// An event with its number at the end, where it is found without reading the document.
fn numbered(text: &str, number: u64) -> String {
    let number = number.to_string();
    let trimmed = text.trim_ascii();
    let Some(members) = trimmed.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        // What `publish_text` was given is not looked at; this keeps the numbers whole.
        return ["{\"data\":", text, ",\"seq\":", &number, "}"].concat();
    };
    let comma = if members.trim_ascii().is_empty() { "" } else { "," };
    ["{", members, comma, "\"seq\":", &number, "}"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_numbered_at_its_end() {
        for (text, wanted) in [
            (r#"{"type":"a"}"#, r#"{"type":"a","seq":7}"#),
            ("{ }", r#"{ "seq":7}"#),
            (" {\"a\":{}} \n", r#"{"a":{},"seq":7}"#),
            ("[1]", r#"{"data":[1],"seq":7}"#),
        ] {
            assert_eq!(numbered(text, 7), wanted);
        }
    }
}
