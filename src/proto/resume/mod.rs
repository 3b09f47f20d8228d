//! How far the events have come, and what has to be said so that a new connection goes on where the old one broke
//! (S2-6, S2-7, N-9).

mod numbers;
mod rule;
mod unacknowledged;

pub(super) use numbers::Place;
pub use rule::{AckRule, GapRule, ResumeRule, SendsRule};
pub(super) use unacknowledged::Unacknowledged;

use super::{
    decimal,
    dialect::{Dialect, member},
    json::Json,
    message::Message,
    time::Timestamp,
};
use numbers::{Ids, Numbers};
use std::{fmt, sync::Arc};

/// What a new connection does about what was under way on the old one (S2-7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResumeMode {
    /// Nothing: each connection begins anew. Duplicates are dropped and gaps told all the same.
    None,
    /// It asks for the events after the last one. Messages that the server has not taken are sent again if the session goes
    /// on, and reported if not.
    #[default]
    SequenceId,
    /// The same, but those messages are sent again in a new session too: the server may get one twice.
    FullBuffer,
}

impl ResumeMode {
    /// The mode as a word: `none`, `sequence_id`, `full_buffer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResumeMode::None => "none",
            ResumeMode::SequenceId => "sequence_id",
            ResumeMode::FullBuffer => "full_buffer",
        }
    }
}

/// Where a new connection goes on. `Debug` does not show the session: whoever has it may resume.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResumePoint {
    /// The session, where the dialect has sessions.
    pub session: Option<Arc<str>>,
    /// The number of the last event.
    pub last_sequence: Option<u64>,
}

impl ResumePoint {
    /// A point that was kept somewhere else, to go on with in another program.
    pub fn new(session: Option<&str>, last_sequence: Option<u64>) -> Self {
        Self { session: session.map(Arc::from), last_sequence }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.session.is_none() && self.last_sequence.is_none()
    }
}

impl fmt::Debug for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumePoint").field("last_sequence", &self.last_sequence).finish_non_exhaustive()
    }
}

/// Makes the frame that asks a server for the events after the last one, see
/// [`ClientBuilder::on_resume`](crate::ClientBuilder::on_resume).
#[derive(Clone)]
pub struct OnResume(Arc<Ask>);

type Ask = dyn Fn(&ResumePoint) -> Option<Message> + Send + Sync;

impl OnResume {
    /// From a function.
    pub fn new(ask: impl Fn(&ResumePoint) -> Option<Message> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) fn frame(&self, point: &ResumePoint) -> Option<Message> {
        (self.0)(point)
    }
}

impl fmt::Debug for OnResume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnResume")
    }
}

/// Finds the number of an event; see [`ClientBuilder::sequence`](crate::ClientBuilder::sequence).
pub struct Sequence<P>(Box<Number<P>>);

type Number<P> = dyn Fn(&P) -> Option<u64> + Send + Sync;

impl<P> Sequence<P> {
    /// From a function.
    pub fn new(number: impl Fn(&P) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Box::new(number))
    }

    pub(super) fn number(&self, payload: &P) -> Option<u64> {
        (self.0)(payload)
    }
}

/// A replay that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    /// The number of its last event.
    until: u64,
    /// How many events it has.
    pub(super) count: u64,
    pub(super) since: Timestamp,
}

/// What the hello says about the session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Welcome {
    /// There was nothing to go on with.
    First,
    /// The session goes on.
    Resumed,
    /// It does not: what came after this number is lost.
    Lost(u64),
}

static PLAIN: ResumeRule = ResumeRule::PLAIN;

fn rule(dialect: &Dialect) -> &ResumeRule {
    dialect.resume.as_ref().unwrap_or(&PLAIN)
}

/// How far a session has come.
pub(super) struct Resume {
    mode: ResumeMode,
    /// Has the rule. Where it has none, that of [`PLAIN`] holds.
    dialect: Arc<Dialect>,
    session: Option<Arc<str>>,
    numbers: Numbers,
    ids: Ids,
    /// Events since the last acknowledgement.
    unacknowledged: u64,
    replay: Option<Replay>,
    pub(super) sends: Option<Unacknowledged>,
}

impl Resume {
    pub(super) fn new(dialect: Arc<Dialect>, mode: ResumeMode, from: Option<&ResumePoint>) -> Self {
        let rule = rule(&dialect);
        let in_session = rule.session.is_some();
        let mut resume = Self {
            mode,
            session: None,
            // Where numbers belong to a session, one that is behind is never a new beginning.
            numbers: Numbers::new(rule.dedup_window, rule.contiguous, in_session),
            ids: Ids::new(rule.dedup_window),
            unacknowledged: 0,
            replay: None,
            sends: rule.sends.as_ref().map(Unacknowledged::new),
            dialect,
        };
        // Numbers of no known session mean nothing where they belong to one.
        if let Some(from) = from
            && mode != ResumeMode::None
            && (!in_session || from.session.is_some())
        {
            resume.session.clone_from(&from.session);
            resume.numbers.restart(from.last_sequence);
        }
        resume
    }

    pub(super) fn mode(&self) -> ResumeMode {
        self.mode
    }

    pub(super) fn rule(&self) -> &ResumeRule {
        rule(&self.dialect)
    }

    /// Where a connection that begins now goes on; nothing in it where it does not.
    pub(super) fn point(&self) -> ResumePoint {
        let mut point = ResumePoint::default();
        self.note_point(&mut point);
        point
    }

    /// Whether there is something that a connection that begins now could go on with.
    fn goes_on(&self) -> bool {
        self.mode != ResumeMode::None && (self.session.is_some() || self.rule().session.is_none())
    }

    /// Brings a point up to date without making another.
    pub(super) fn note_point(&self, point: &mut ResumePoint) {
        if !self.goes_on() {
            *point = ResumePoint::default();
            return;
        }
        if point.session != self.session {
            point.session.clone_from(&self.session);
        }
        point.last_sequence = self.numbers.last();
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.numbers.last()
    }

    /// Forgets the session: the next connection begins anew. Gives how many messages the server has not taken.
    pub(super) fn forget(&mut self) -> usize {
        self.session = None;
        self.numbers.restart(None);
        self.replay = None;
        self.unacknowledged = 0;
        self.sends.as_mut().map_or(0, |sends| sends.restart(false))
    }

    /// Reads the hello.
    pub(super) fn welcome(&mut self, hello: &Json, now: Timestamp) -> Welcome {
        let rule = rule(&self.dialect);
        let at = |path: &Option<String>| member(hello, path.as_deref()?);
        let last = self.numbers.last();
        let session = at(&rule.session).and_then(Json::as_str);
        let said_so = match &rule.resumed {
            Some(_) => at(&rule.resumed).is_some_and(|resumed| resumed.is(true)),
            // A server that does not say so is believed as long as it names no other session.
            None => rule.session.is_none() || session == self.session.as_deref(),
        };
        let resumed = said_so && self.goes_on() && (self.session.is_some() || last.is_some());
        let until = at(&rule.until).and_then(number);
        if let Some(session) = session {
            self.session = Some(Arc::from(session));
        }
        self.unacknowledged = 0;
        self.replay = None;
        if resumed {
            let last = last.unwrap_or_default();
            self.replay = until.map(|until| Replay { until, count: until.saturating_sub(last), since: now });
            return Welcome::Resumed;
        }
        if rule.session.is_some() {
            self.numbers.restart(until);
        }
        match last {
            Some(last) if rule.session.is_some() => Welcome::Lost(last),
            _ => Welcome::First,
        }
    }

    /// The replay that the hello promised.
    pub(super) fn replay(&self) -> Option<Replay> {
        self.replay
    }

    /// The replay, if all of it has come.
    pub(super) fn take_replay(&mut self) -> Option<Replay> {
        let last = self.numbers.last().unwrap_or_default();
        self.replay.take_if(|replay| last >= replay.until)
    }

    /// Takes the number of an event.
    pub(super) fn take_number(&mut self, number: u64) -> Place {
        self.numbers.take(number)
    }

    /// Takes the id of an event; false for a duplicate.
    pub(super) fn take_id(&mut self, id: &str) -> bool {
        self.ids.take(id)
    }

    /// The server says that these are gone. Gives the first number that is missed by that.
    pub(super) fn skip_to(&mut self, number: u64) -> Option<u64> {
        self.numbers.skip_to(number)
    }

    /// Counts an event that wants an acknowledgement; true for the first since the last one.
    pub(super) fn count(&mut self) -> bool {
        self.unacknowledged += 1;
        self.unacknowledged == 1
    }

    /// Whether an acknowledgement is due by count.
    pub(super) fn is_ack_due(&self) -> bool {
        self.rule().ack.as_ref().is_some_and(|ack| self.unacknowledged >= ack.every)
    }

    /// Whether there is anything to acknowledge; from now on there is not.
    pub(super) fn take_unacknowledged(&mut self) -> bool {
        std::mem::take(&mut self.unacknowledged) > 0
    }
}

/// A whole number that is not negative, also one written as a string.
pub(super) fn number(value: &Json) -> Option<u64> {
    decimal::read(value.whole().or_else(|| value.as_str())?.as_bytes())
}
