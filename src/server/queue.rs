//! What waits to be written to one client: bounded in messages and in bytes, never waited for.

use super::session::Attached;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The queue is full: the client reads too slowly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The end that the server writes to.
pub(super) struct Outgoing {
    messages: mpsc::Sender<Utf8Bytes>,
    bytes: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// The end that the connection reads from.
pub(super) struct Pending {
    messages: mpsc::Receiver<Utf8Bytes>,
    bytes: Arc<AtomicUsize>,
    /// Where numbered events come from, after what is in the queue.
    session: Option<Attached>,
}

pub(super) fn bounded(max_messages: usize, max_bytes: usize) -> (Outgoing, Pending) {
    let (sender, receiver) = mpsc::channel(max_messages);
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        Outgoing { messages: sender, bytes: bytes.clone(), max_bytes },
        Pending { messages: receiver, bytes, session: None },
    )
}

impl Outgoing {
    /// Takes a message, which is shared and not copied. One that alone is larger than the limit passes when nothing
    /// else waits, or it could never be sent. For a connection that has ended it is dropped.
    pub(super) fn push(&self, text: Utf8Bytes) -> Result<(), Full> {
        let size = text.len();
        let before = self.bytes.fetch_add(size, Ordering::AcqRel);
        let fits = before == 0 || before.saturating_add(size) <= self.max_bytes;
        let pushed = if fits { self.messages.try_send(text) } else { Err(mpsc::error::TrySendError::Full(text)) };
        match pushed {
            Ok(()) => Ok(()),
            Err(refused) => {
                self.bytes.fetch_sub(size, Ordering::AcqRel);
                if matches!(refused, mpsc::error::TrySendError::Full(_)) { Err(Full) } else { Ok(()) }
            }
        }
    }

    /// Whether the connection has ended, so that nothing is read any more.
    pub(super) fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }
}

impl Pending {
    /// Events come from this session too.
    pub(super) fn follow(&mut self, session: Attached) {
        self.session = Some(session);
    }

    /// The next message, if one waits.
    pub(super) fn try_next(&mut self) -> Option<Utf8Bytes> {
        let Ok(text) = self.messages.try_recv() else { return self.session.as_mut()?.try_next() };
        self.bytes.fetch_sub(text.len(), Ordering::AcqRel);
        Some(text)
    }

    /// The next message; never, once nobody can push any more. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Utf8Bytes {
        let event = async {
            match &mut self.session {
                Some(session) => session.next().await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            biased;
            message = self.messages.recv() => message,
            event = event => return event,
        };
        match message {
            Some(text) => {
                self.bytes.fetch_sub(text.len(), Ordering::AcqRel);
                text
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded() {
        let (outgoing, mut pending) = bounded(2, 100);
        assert_eq!(outgoing.push("a".into()), Ok(()));
        assert_eq!(outgoing.push("b".into()), Ok(()));
        assert_eq!(outgoing.push("c".into()), Err(Full));
        assert_eq!(pending.try_next().as_deref(), Some("a"));
        assert_eq!(outgoing.push("d".into()), Ok(()));
        assert_eq!(pending.try_next().as_deref(), Some("b"));
        assert_eq!(pending.try_next().as_deref(), Some("d"));
        assert_eq!(pending.try_next(), None);
    }

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let (outgoing, mut pending) = bounded(10, 5);
        assert_eq!(outgoing.push("aaa".into()), Ok(()));
        assert_eq!(outgoing.push("bbb".into()), Err(Full));
        assert_eq!(outgoing.push("bb".into()), Ok(()));
        assert!(pending.try_next().is_some());
        assert_eq!(outgoing.push("ccc".into()), Ok(()));
    }

    #[test]
    fn a_message_over_the_limit_passes_alone() {
        let (outgoing, mut pending) = bounded(10, 5);
        assert_eq!(outgoing.push("0123456789".into()), Ok(()));
        assert_eq!(outgoing.push("a".into()), Err(Full));
        assert!(pending.try_next().is_some());
        assert_eq!(outgoing.push("a".into()), Ok(()));
    }

    #[test]
    fn pushing_to_a_connection_that_ended_is_no_failure() {
        let (outgoing, pending) = bounded(1, 5);
        drop(pending);
        assert_eq!(outgoing.push("a".into()), Ok(()));
        assert_eq!(outgoing.push("b".into()), Ok(()));
    }
}
