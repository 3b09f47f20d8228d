//! The server of the dialect `everwire`, as `docs/PROTOCOL.md` has it: it numbers, keeps, replays, and says what is gone.

use std::collections::{BTreeSet, VecDeque};

/// How many events it keeps.
const RETENTION: u64 = 25;

/// One user's session.
#[derive(Default)]
pub(crate) struct Keeper {
    /// Which session this is; 0 before the first.
    pub(crate) epoch: u64,
    /// The first event that is kept, and the newest one.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// What is kept, from `first` on.
    log: VecDeque<String>,
    /// The highest number of a client's message that was taken.
    received: u64,
    /// The socket of the session, and the last event written to it.
    socket: Option<(u64, u64)>,
    /// Events that the retention had no room for.
    dropped: BTreeSet<(u64, u64)>,
}

impl Keeper {
    /// The server has lost the session, or makes another.
    pub(crate) fn begin(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        *self = Self { epoch: self.epoch + 1, first: 1, dropped, ..Self::default() };
    }

    /// Something for the session; `body` is its members, `shape` how they are laid out.
    pub(crate) fn publish(&mut self, body: &str, shape: u64) {
        if self.epoch == 0 {
            return;
        }
        self.last += 1;
        let (epoch, seq) = (self.epoch, self.last);
        self.log.push_back(match shape % 3 {
            0 => format!(r#"{{{body},"epoch":{epoch},"seq":{seq}}}"#),
            1 => format!(r#"{{"seq":{seq},{body},"epoch":{epoch}}}"#),
            _ => format!(r#"{{"epoch":{epoch},"seq":{seq},{body}}}"#),
        });
        if self.last - self.first >= RETENTION {
            self.dropped.insert((self.epoch, self.first));
            self.forget_to(self.first);
        }
    }

    fn forget_to(&mut self, seq: u64) {
        while self.first <= seq.min(self.last) {
            self.log.pop_front();
            self.first += 1;
        }
    }

    /// The first frame of a client. Gives the hello, and the socket that the session had.
    pub(crate) fn welcome(&mut self, wire: u64, session: Option<u64>, last: u64) -> (String, Option<u64>) {
        let resumed = self.epoch > 0 && session == Some(self.epoch) && last <= self.last;
        if !resumed {
            self.begin();
        }
        let last = if resumed { last } else { 0 };
        self.forget_to(last);
        let old = self.socket.replace((wire, last)).map(|(old, _)| old);
        let Self { epoch, last, received, .. } = self;
        let hello = format!(
            r#"{{"type":"wire.hello","version":1,"session":"s{epoch}-","connection_id":"c-{wire}","resumed":{resumed},"last":{last},"received":{received}}}"#
        );
        (hello, old)
    }

    /// Whether this is the session's socket: nothing is taken from another.
    pub(crate) fn is_on(&self, wire: u64) -> bool {
        self.socket.is_some_and(|(socket, _)| socket == wire)
    }

    pub(crate) fn socket(&self) -> Option<u64> {
        self.socket.map(|(socket, _)| socket)
    }

    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
    }

    /// An acknowledgement; false if it is beyond what was written.
    pub(crate) fn acknowledged(&mut self, seq: u64) -> bool {
        self.forget_to(seq);
        self.socket.is_some_and(|(_, written)| seq <= written)
    }

    /// A message with this number: whether it is new, and `None` where one before it was left out.
    pub(crate) fn takes(&mut self, seq: u64) -> Option<bool> {
        let new = seq > self.received;
        if new && seq != self.received + 1 {
            return None;
        }
        self.received = self.received.max(seq);
        Some(new)
    }

    pub(crate) fn received(&self) -> String {
        format!(r#"{{"type":"wire.received","up_to":{}}}"#, self.received)
    }

    /// The one writer: from the cursor on, whatever there is.
    pub(crate) fn next(&mut self) -> Option<(u64, String)> {
        let (wire, cursor) = self.socket?;
        if cursor >= self.last {
            return None;
        }
        let (frame, cursor) = if cursor + 1 < self.first {
            let to = self.first - 1;
            (format!(r#"{{"type":"wire.gap","from":{},"to":{to}}}"#, cursor + 1), to)
        } else {
            (self.log[(cursor + 1 - self.first) as usize].clone(), cursor + 1)
        };
        self.socket = Some((wire, cursor));
        Some((wire, frame))
    }

    pub(crate) fn has_dropped(&self, epoch: u64, seq: u64) -> bool {
        self.dropped.contains(&(epoch, seq))
    }
}
