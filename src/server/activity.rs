//! What the server tells its owner: an activity as it happens, and the counts.

use super::{protocol::Protocol, refusal::Refusal};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Something that happened on a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Activity<'a> {
    /// A client was let in.
    Connected {
        /// The connection.
        connection_id: &'a str,
        /// Its user.
        user_id: &'a str,
        /// The dialect it speaks.
        protocol: Protocol,
    },
    /// A client sent a JSON message that is no health check.
    Message {
        /// The connection.
        connection_id: &'a str,
        /// Its user.
        user_id: &'a str,
        /// The message as it came.
        text: &'a str,
    },
    /// A client was turned away, or thrown out, with this error.
    Refused {
        /// The connection.
        connection_id: &'a str,
        /// Its user, if it had been let in.
        user_id: Option<&'a str>,
        /// What it was told.
        refusal: &'a Refusal,
    },
    /// A connection ended.
    Disconnected {
        /// The connection.
        connection_id: &'a str,
        /// Its user, if it had been let in.
        user_id: Option<&'a str>,
        /// How it ended.
        end: &'a End,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The client closed it.
    ByClient {
        /// The code of its close frame; `None` if the frame had none.
        code: Option<u16>,
        /// The reason of its close frame.
        reason: String,
    },
    /// The server closed it.
    ByServer {
        /// The code of the close frame.
        code: u16,
        /// The reason of the close frame.
        reason: String,
    },
    /// The socket broke, or was dropped, without a close frame.
    Broken,
}

/// Counts of a server, as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Clients that are connected now, after their hello.
    pub connections: usize,
    /// Clients that were let in.
    pub accepted: u64,
    /// Clients that were told an error, by its code.
    pub refused: BTreeMap<i64, u64>,
    /// Connections that the client closed, by the code of its close frame (1005: it had none).
    pub closed_by_client: BTreeMap<u16, u64>,
    /// Connections that the server closed, by the code of its close frame.
    pub closed_by_server: BTreeMap<u16, u64>,
    /// Connections that ended without a close frame.
    pub broken: u64,
    /// Connections closed because the client read too slowly.
    pub slow_clients: u64,
    /// Health checks received, and answered.
    pub health_checks: u64,
    /// Messages received from clients, health checks left out.
    pub messages_received: u64,
    /// Messages received that were not JSON objects or arrays.
    pub malformed: u64,
    /// Sessions of the everwire protocol, connected or not.
    pub sessions: usize,
    /// Connections that went on with a session.
    pub resumed: u64,
    /// Numbered messages that came again, and were dropped.
    pub duplicates: u64,
    /// Events published.
    pub published: u64,
    /// Messages written to sockets, of all kinds.
    pub messages_sent: u64,
    /// The bytes of those messages.
    pub bytes_sent: u64,
}

/// The counts as they run.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) broken: Counter,
    pub(super) slow_clients: Counter,
    pub(super) health_checks: Counter,
    pub(super) messages_received: Counter,
    pub(super) malformed: Counter,
    pub(super) resumed: Counter,
    pub(super) duplicates: Counter,
    pub(super) published: Counter,
    pub(super) messages_sent: Counter,
    pub(super) bytes_sent: Counter,
    refused: Mutex<BTreeMap<i64, u64>>,
    closed_by_client: Mutex<BTreeMap<u16, u64>>,
    closed_by_server: Mutex<BTreeMap<u16, u64>>,
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn refused(&self, code: i64) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(super) fn ended(&self, end: &End) {
        let (codes, code) = match end {
            End::ByClient { code, .. } => (&self.closed_by_client, code.unwrap_or(1005)),
            End::ByServer { code, .. } => (&self.closed_by_server, *code),
            End::Broken => return self.broken.add(1),
        };
        *codes.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(super) fn snapshot(&self, connections: usize, sessions: usize) -> Stats {
        fn copy<K: Clone + Ord>(codes: &Mutex<BTreeMap<K, u64>>) -> BTreeMap<K, u64> {
            codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
        Stats {
            connections,
            accepted: self.accepted.get(),
            refused: copy(&self.refused),
            closed_by_client: copy(&self.closed_by_client),
            closed_by_server: copy(&self.closed_by_server),
            broken: self.broken.get(),
            slow_clients: self.slow_clients.get(),
            health_checks: self.health_checks.get(),
            messages_received: self.messages_received.get(),
            malformed: self.malformed.get(),
            sessions,
            resumed: self.resumed.get(),
            duplicates: self.duplicates.get(),
            published: self.published.get(),
            messages_sent: self.messages_sent.get(),
            bytes_sent: self.bytes_sent.get(),
        }
    }
}
