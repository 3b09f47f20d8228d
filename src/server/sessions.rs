//! The sessions of the everwire protocol: each a log of numbered events, kept until they are acknowledged, and one cursor
//! that writes them. See `docs/PROTOCOL.md`.

use super::{
    builder::Limits,
    registry::{Order, Peer, random_id},
};
use crate::{platform::Clock, proto::Timestamp};
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The close code that tells a socket that another one has its session now.
const TAKEN_OVER: u16 = 4409;

/// How much is kept, and for how long.
#[derive(Clone)]
pub(super) struct Retention {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) time: Duration,
    pub(super) max_sessions: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { messages: 1_000, bytes: 1 << 20, time: Duration::from_secs(120), max_sessions: 10_000 }
    }
}

/// All sessions of a server.
pub(super) struct Sessions {
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    clock: Clock,
}

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

/// What a client asks to go on with.
pub(super) struct Point<'a> {
    pub(super) session: &'a str,
    pub(super) last: u64,
}

/// How a client was welcomed.
pub(super) struct Welcome {
    pub(super) attached: Attached,
    pub(super) resumed: bool,
    /// The newest event, and the highest number of a message that was taken.
    pub(super) last: u64,
    pub(super) received: u64,
}

/// There are as many sessions as there may be, each with a socket.
#[derive(Debug)]
pub(super) struct Full;

impl Sessions {
    pub(super) fn new() -> Self {
        Self { sessions: Mutex::default(), clock: Clock::start() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with a session, or begins one. The socket that had it is told to close.
    pub(super) fn welcome(
        &self,
        peer: &Arc<Peer>,
        user_id: &str,
        point: Option<Point<'_>>,
        limits: &Limits,
    ) -> Result<Welcome, Full> {
        let mut sessions = self.lock();
        self.forget_old(&mut sessions, limits.retention.time);
        if let Some(point) = point
            && let Some(session) = sessions.get(point.session).filter(|session| session.user_id == user_id)
            && let Some(welcome) = session.resume(peer, point.last)
        {
            return Ok(welcome);
        }
        if sessions.len() >= limits.retention.max_sessions {
            let longest = sessions.values().filter(|session| !session.log().is_attached());
            let longest = longest.min_by_key(|session| session.log().left_at).ok_or(Full)?.id.clone();
            sessions.remove(&longest);
        }
        let log = Log { first: 1, socket: 1, peer: Some(peer.clone()), ..Log::default() };
        let session = Session {
            id: random_id(),
            user_id: user_id.to_owned(),
            log: Mutex::new(log),
            changed: watch::Sender::new(()),
        };
        let session = Arc::new(session);
        sessions.insert(session.id.clone(), session.clone());
        Ok(Welcome { attached: Attached::new(session, 1, 0), resumed: false, last: 0, received: 0 })
    }

    /// Numbers and keeps an event for every session, and gives how many of them are connected.
    pub(super) fn publish(&self, text: &Utf8Bytes, limits: &Limits) -> usize {
        let mut sessions = self.lock();
        self.forget_old(&mut sessions, limits.retention.time);
        sessions.values().filter(|session| session.keep(text, &limits.retention)).count()
    }

    fn forget_old(&self, sessions: &mut HashMap<String, Arc<Session>>, time: Duration) {
        let now = self.clock.now();
        sessions.retain(|_, session| {
            let log = session.log();
            log.is_attached() || now - log.left_at < time
        });
    }

    /// How many sessions there are, with a socket or without.
    pub(super) fn count(&self, limits: &Limits) -> usize {
        let mut sessions = self.lock();
        self.forget_old(&mut sessions, limits.retention.time);
        sessions.len()
    }

    /// Forgets every session, and drops the sockets of those that have one.
    pub(super) fn forget_all(&self) -> usize {
        let sessions = std::mem::take(&mut *self.lock());
        for session in sessions.values() {
            if let Some(peer) = &session.log().peer {
                peer.order(Order::Drop);
            }
        }
        sessions.len()
    }

    /// The socket has ended; `for_good` if the client wants nothing any more.
    pub(super) fn leave(&self, attached: &Attached, for_good: bool) {
        let mut sessions = self.lock();
        let mut log = attached.session.log();
        if log.socket != attached.socket {
            return; // another socket has the session
        }
        log.peer = None;
        log.left_at = self.clock.now();
        drop(log);
        if for_good {
            sessions.remove(&attached.session.id);
        }
    }
}

impl Session {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the session to another socket, if the number can be one of it.
    fn resume(self: &Arc<Self>, peer: &Arc<Peer>, last: u64) -> Option<Welcome> {
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
    fn keep(&self, text: &Utf8Bytes, retention: &Retention) -> bool {
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
    use crate::server::registry::Registry;

    fn text(number: u64) -> Utf8Bytes {
        format!(r#"{{"n":{number}}}"#).into()
    }

    fn limits(messages: usize) -> Limits {
        let retention = Retention { messages, ..Retention::default() };
        Limits { retention, ..Limits::default() }
    }

    fn peer(limits: &Limits) -> Arc<Peer> {
        Registry::join(&Registry::new(), limits).0.peer().clone()
    }

    fn welcome(sessions: &Sessions, point: Option<(&str, u64)>, limits: &Limits) -> Welcome {
        let point = point.map(|(session, last)| Point { session, last });
        sessions.welcome(&peer(limits), "alice", point, limits).unwrap()
    }

    fn publish(sessions: &Sessions, numbers: std::ops::RangeInclusive<u64>, limits: &Limits) {
        for number in numbers {
            sessions.publish(&text(number), limits);
        }
    }

    fn written(attached: &mut Attached) -> Vec<String> {
        std::iter::from_fn(|| attached.try_next().map(|text| text.to_string())).collect()
    }

    // SignalR: an acknowledgement during the resend loop lost messages.
    #[test]
    fn an_acknowledgement_in_the_middle_of_a_replay_loses_nothing() {
        let (sessions, limits) = (Sessions::new(), limits(1_000));
        let first = welcome(&sessions, None, &limits);
        let id = first.attached.id().to_owned();
        publish(&sessions, 1..=9, &limits);
        let mut second = welcome(&sessions, Some((&id, 3)), &limits);
        assert!(second.resumed && second.last == 9);
        let mut all = Vec::new();
        while let Some(frame) = second.attached.try_next() {
            all.push(frame.to_string());
            second.attached.acknowledge(3 + all.len() as u64);
            // Beyond what was written: it cannot have arrived.
            second.attached.acknowledge(1_000);
            if all.len() == 3 {
                sessions.publish(&text(10), &limits);
            }
        }
        let wanted: Vec<String> = (4..=10).map(|number| format!(r#"{{"n":{number},"seq":{number}}}"#)).collect();
        assert_eq!(all, wanted);
        assert!(second.attached.log().unwrap().events.is_empty());
    }

    // SignalR: all messages were dropped after two resumes at once.
    #[test]
    fn two_resumes_at_once_leave_one_socket_with_everything() {
        let (sessions, limits) = (Sessions::new(), limits(1_000));
        let mut first = welcome(&sessions, None, &limits).attached;
        let id = first.id().to_owned();
        publish(&sessions, 1..=3, &limits);
        assert!(first.try_next().is_some());
        let mut second = welcome(&sessions, Some((&id, 1)), &limits).attached;
        assert!(second.try_next().is_some());
        let mut third = welcome(&sessions, Some((&id, 1)), &limits).attached;
        // Whatever the others do now is done by strangers, late ends of their sockets included.
        second.acknowledge(3);
        assert!(!second.take(1) && first.try_next().is_none() && second.try_next().is_none());
        sessions.leave(&second, true);
        sessions.leave(&first, false);
        assert_eq!(written(&mut third), [r#"{"n":2,"seq":2}"#, r#"{"n":3,"seq":3}"#]);
        assert_eq!(sessions.count(&limits), 1);
    }

    // SignalR: what a backplane published while nobody was connected was not kept.
    #[test]
    fn what_is_published_meanwhile_is_kept_within_the_retention_and_named_beyond_it() {
        let (sessions, limits) = (Sessions::new(), limits(3));
        let attached = welcome(&sessions, None, &limits).attached;
        let id = attached.id().to_owned();
        sessions.leave(&attached, false);
        (1..=5).for_each(|number| assert_eq!(sessions.publish(&text(number), &limits), 0));
        let mut again = welcome(&sessions, Some((&id, 0)), &limits).attached;
        assert_eq!(written(&mut again)[..2], [r#"{"from":1,"to":2,"type":"wire.gap"}"#, r#"{"n":3,"seq":3}"#]);
        // A client that reads too slowly has a gap too, and goes on.
        publish(&sessions, 6..=10, &limits);
        assert_eq!(written(&mut again)[..2], [r#"{"from":6,"to":7,"type":"wire.gap"}"#, r#"{"n":8,"seq":8}"#]);
        let log = again.log().unwrap();
        assert_eq!((log.events.len(), log.bytes), (3, text(8).len() + text(9).len() + text(10).len()));
    }

    #[test]
    fn a_session_is_bounded_in_bytes() {
        let (sessions, mut limits) = (Sessions::new(), limits(1_000));
        limits.retention.bytes = 20;
        let mut attached = welcome(&sessions, None, &limits).attached;
        let long = Utf8Bytes::from(format!(r#"{{"x":"{}"}}"#, "x".repeat(100)));
        publish(&sessions, 1..=3, &limits);
        sessions.publish(&long, &limits);
        assert_eq!(written(&mut attached).len(), 2, "a gap, and the one that is larger than the bound");
    }

    #[test]
    fn only_its_own_user_may_go_on_with_a_session() {
        let (sessions, limits) = (Sessions::new(), limits(3));
        let id = welcome(&sessions, None, &limits).attached.id().to_owned();
        sessions.publish(&text(1), &limits);
        let point = || Some(Point { session: &id, last: 0 });
        assert!(!sessions.welcome(&peer(&limits), "mallory", point(), &limits).unwrap().resumed);
        assert!(!welcome(&sessions, Some(("unknown", 0)), &limits).resumed);
        assert!(!welcome(&sessions, Some((&id, 2)), &limits).resumed, "a number beyond the newest event");
        assert!(welcome(&sessions, Some((&id, 1)), &limits).resumed);
    }

    #[test]
    fn sessions_are_bounded_and_the_one_left_for_longest_makes_room() {
        let (sessions, mut limits) = (Sessions::new(), limits(3));
        limits.retention.max_sessions = 2;
        let first = welcome(&sessions, None, &limits).attached;
        let second = welcome(&sessions, None, &limits).attached;
        assert!(sessions.welcome(&peer(&limits), "alice", None, &limits).is_err());
        sessions.leave(&second, false);
        sessions.leave(&first, false);
        welcome(&sessions, None, &limits);
        assert!(!welcome(&sessions, Some((second.id(), 0)), &limits).resumed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_without_a_socket_is_forgotten_after_a_while() {
        let (sessions, limits) = (Sessions::new(), limits(3));
        let attached = welcome(&sessions, None, &limits).attached;
        tokio::time::advance(Duration::from_secs(1_000)).await;
        sessions.leave(&attached, false);
        tokio::time::advance(Duration::from_secs(119)).await;
        assert_eq!(sessions.count(&limits), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sessions.count(&limits), 0);
    }

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
