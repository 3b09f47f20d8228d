//! The sessions of the everwire protocol: who goes on with which, and when one is forgotten. See `docs/PROTOCOL.md`.

use super::{
    builder::Limits,
    ids,
    registry::Peer,
    session::{Attached, Session, Welcome},
};
use crate::platform::Clock;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

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

/// What a client asks to go on with.
pub(super) struct Point<'a> {
    pub(super) session: &'a str,
    pub(super) last: u64,
}

/// Why no session can begin.
#[derive(Debug)]
pub(super) enum NoSession {
    /// There are as many as there may be, each with a socket.
    Full,
    /// There is no randomness for its id.
    NoId,
}

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
    ) -> Result<Welcome, NoSession> {
        let mut sessions = self.lock();
        self.forget_old(&mut sessions, limits.retention.time);
        if let Some(point) = point
            && let Some(session) = sessions.get(point.session).filter(|session| session.is_of(user_id))
            && let Some(welcome) = session.resume(peer, point.last)
        {
            return Ok(welcome);
        }
        if sessions.len() >= limits.retention.max_sessions {
            let left = sessions.values().filter_map(|session| Some((session.left_at()?, session.id())));
            let longest = left.min_by_key(|(at, _)| *at).ok_or(NoSession::Full)?.1.to_owned();
            sessions.remove(&longest);
        }
        let id = ids::session().map_err(|_| NoSession::NoId)?;
        let (session, welcome) = Session::begin(id, peer, user_id);
        sessions.insert(session.id().to_owned(), session);
        Ok(welcome)
    }

    /// Numbers and keeps an event for every session, and gives how many of them are connected.
    pub(super) fn publish(&self, text: &Utf8Bytes, limits: &Limits) -> usize {
        let mut sessions = self.lock();
        self.forget_old(&mut sessions, limits.retention.time);
        sessions.values().filter(|session| session.keep(text, &limits.retention)).count()
    }

    fn forget_old(&self, sessions: &mut HashMap<String, Arc<Session>>, time: Duration) {
        let now = self.clock.now();
        sessions.retain(|_, session| session.left_at().is_none_or(|at| now - at < time));
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
        sessions.values().for_each(|session| session.drop_socket());
        sessions.len()
    }

    /// The socket has ended; `for_good` if the client wants nothing any more.
    pub(super) fn leave(&self, attached: &Attached, for_good: bool) {
        let mut sessions = self.lock();
        if attached.leave(self.clock.now()) && for_good {
            sessions.remove(attached.id());
        }
    }
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
        assert_eq!(second.attached.kept().0, 0);
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
        assert_eq!(again.kept(), (3, text(8).len() + text(9).len() + text(10).len()));
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
}
