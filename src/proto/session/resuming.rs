//! Follows the numbers of events, and lets a new connection go on where the old one broke.

use super::super::{
    dialect::member,
    error::{Error, ErrorKind},
    json::Json,
    lifecycle::{Cause, Lifecycle, ReplayMode},
    message::{Class, Message, Payload},
    resume::{self, Place, Resume, ResumeMode, ResumePoint, Sequence, Unacknowledged, Welcome},
    timers::Timer,
};
use super::{Link, Output, Session, Settings, incoming::Role};
use std::time::Duration;

const SESSION_GONE: &str = "the session is gone: messages may not have reached the server";

impl<P: Payload> Session<P> {
    /// Finds the number of an event by a function instead of by the dialect's path. Without a rule in the dialect, numbers
    /// follow one another without a hole.
    pub fn set_sequence(&mut self, sequence: Sequence<P>) {
        if P::PARTS.resume {
            self.sequence = Some(sequence);
            self.follow_numbers();
        }
    }

    pub(super) fn follow_numbers(&mut self) {
        let Settings { dialect, resume, resume_from, .. } = &self.settings;
        self.resume = Some(Box::new(Resume::new(dialect.clone(), *resume, resume_from.as_ref())));
    }

    /// Where a connection that begins now would go on; nothing in it where there is nothing to go on with.
    pub fn resume_point(&self) -> Option<ResumePoint> {
        if !P::PARTS.resume {
            return None;
        }
        self.resume.as_ref().map(|resume| resume.point())
    }

    /// Brings a point up to date, for a driver that shows it.
    pub(crate) fn note_point(&self, point: &mut ResumePoint) {
        if let Some(resume) = self.resume.as_ref().filter(|_| P::PARTS.resume) {
            resume.note_point(point);
        }
    }

    /// Takes a message where numbers are followed. The order is that of the wire: what is known to be missing is told before
    /// the event, and the acknowledgement goes after it.
    pub(super) fn follow(&mut self, class: Class, payload: P) -> Option<P> {
        let Some(resume) = &mut self.resume else { return self.sort(class, payload) };
        let is_document = match class {
            // A frame about numbers has none of its own, whatever its members are called.
            Class::Control(_) | Class::Event | Class::Untyped => !self.roles.of(class).is(Role::GAP | Role::RECEIVED),
            _ => false,
        };
        if !is_document {
            return self.sort(class, payload);
        }
        let rule = resume.rule();
        let number = match (&self.sequence, &rule.sequence) {
            (Some(sequence), _) => sequence.number(&payload),
            (None, Some(path)) => payload.number(path),
            (None, None) => None,
        };
        let Some(number) = number else {
            let id = rule.message_id.as_deref().and_then(|path| payload.string(path));
            if id.is_some_and(|id| !resume.take_id(&id)) {
                self.stats.duplicates += 1;
                return None;
            }
            return self.sort(class, payload);
        };
        match resume.take_number(number) {
            Place::Duplicate => {
                self.stats.duplicates += 1;
                // Whoever sends it again has not heard that it arrived.
                if self.count_event() {
                    self.note();
                }
                return None;
            }
            Place::After(from) => self.gap(from, Some(number - 1)),
            Place::Anew => self.gap(number, None),
            Place::Next => {}
        }
        let event = self.sort(class, payload);
        // What it brought about may have ended the connection.
        if self.link != Link::Up {
            return event;
        }
        let noteworthy = self.count_event();
        if !noteworthy && self.outputs.is_empty() {
            return event;
        }
        if let Some(event) = event {
            self.outputs.push(Output::Event(event));
        }
        if noteworthy {
            self.note();
        }
        None
    }

    /// Counts an event that wants an acknowledgement; whether more follows from it.
    fn count_event(&mut self) -> bool {
        let Some(resume) = &mut self.resume else { return false };
        if let Some(ack) = &resume.rule().ack {
            let after = Duration::from_millis(ack.after_ms);
            if resume.count() {
                self.timers.set(Timer::Ack, self.now + after);
            }
        }
        resume.is_ack_due() || resume.replay().is_some()
    }

    /// Says what follows from the last event: that a replay is over, that an acknowledgement is due.
    fn note(&mut self) {
        let Some(resume) = &mut self.resume else { return };
        if let Some(replay) = resume.take_replay() {
            let duration = self.now - replay.since;
            self.tell(Lifecycle::ReplayCompleted { mode: ReplayMode::Sequence, count: replay.count, duration });
        }
        if self.resume.as_ref().is_some_and(|resume| resume.is_ack_due()) {
            self.acknowledge();
        }
    }

    /// Tells the server what has arrived.
    pub(super) fn acknowledge(&mut self) {
        self.timers.stop(Timer::Ack);
        if !self.resume.as_mut().is_some_and(|resume| resume.take_unacknowledged()) {
            return;
        }
        let Some(resume) = &self.resume else { return };
        let Some(ack) = &resume.rule().ack else { return };
        let mut point = resume.point();
        point.last_sequence = resume.last();
        self.write_filled(self.params(Some(&point)).frame(&ack.frame));
    }

    fn gap(&mut self, from: u64, to: Option<u64>) {
        self.stats.gaps += 1;
        self.tell(Lifecycle::Gap { from, to });
    }

    /// A frame that says that events are gone, or which messages the server has taken.
    pub(super) fn resume_control(&mut self, role: Role, payload: &P) {
        let Some(resume) = &mut self.resume else { return };
        if let (true, Some(rule)) = (role.is(Role::GAP), &resume.rule().gap)
            && let Some(to) = payload.number(&rule.to)
            && let Some(from) = resume.skip_to(to)
        {
            self.gap(from, Some(to));
            self.count_event();
            self.note();
        } else if let (true, Some(sends)) = (role.is(Role::RECEIVED), &resume.rule().sends)
            && let Some(up_to) = payload.number(&sends.up_to)
            && let Some(kept) = &mut resume.sends
        {
            kept.received(up_to);
        }
    }

    /// The hello came, and the connection is up: what was under way on the old one goes on before anything new.
    pub(super) fn resume_after_hello(&mut self, hello: Option<&Json>) {
        let nothing = Json::Null;
        let hello = hello.unwrap_or(&nothing);
        let Some(resume) = &mut self.resume else { return };
        let point = resume.point();
        let welcome = resume.welcome(hello, self.now);
        if point.last_sequence.is_some() && welcome == Welcome::Resumed {
            self.stats.resumes += 1;
        }
        match (&welcome, resume.replay(), point.last_sequence) {
            (Welcome::Lost(last), ..) => {
                let from = last.saturating_add(1);
                self.gap(from, None);
            }
            (Welcome::Resumed, Some(replay), last) => {
                let (mode, count) = (ReplayMode::Sequence, Some(replay.count));
                self.tell(Lifecycle::ReplayStarted { mode, last, count });
            }
            _ => {}
        }
        if point.last_sequence.is_some() {
            self.ask_to_resume(&point);
        }
        self.send_again(hello, welcome == Welcome::Resumed);
        self.note();
    }

    /// Asks for what is missing, where the first frame did not.
    fn ask_to_resume(&mut self, point: &resume::ResumePoint) {
        if let Some(frame) = self.settings.on_resume.as_ref().and_then(|ask| ask.frame(point)) {
            self.write(frame, None);
        }
        let Some(request) = self.resume.as_ref().and_then(|resume| resume.rule().request.as_ref()) else { return };
        self.write_filled(self.params(Some(point)).frame(request));
    }

    /// Writes again what the server has not taken.
    fn send_again(&mut self, hello: &Json, resumed: bool) {
        let Some(resume) = &mut self.resume else { return };
        let mode = resume.mode();
        let up_to = resume.rule().sends.as_ref().and_then(|rule| member(hello, &rule.hello)).and_then(resume::number);
        let Some(kept) = &mut resume.sends else { return };
        if resumed {
            kept.resume(up_to.unwrap_or_default());
        } else if kept.restart(mode == ResumeMode::FullBuffer) > 0 && mode != ResumeMode::FullBuffer {
            self.report(Error::new(ErrorKind::Closed, SESSION_GONE));
            return;
        }
        let count = kept.len();
        if count == 0 {
            return;
        }
        let mode = ReplayMode::FullBuffer;
        self.tell(Lifecycle::ReplayStarted { mode, last: None, count: Some(count as u64) });
        for place in 0..count {
            if let Some(message) = self.kept().and_then(|kept| kept.again(place)) {
                self.write(message, None);
            }
        }
        self.tell(Lifecycle::ReplayCompleted { mode, count: count as u64, duration: Duration::ZERO });
    }

    /// Whether a connection that begins now goes on after the last event.
    pub(super) fn resumes(&self) -> bool {
        let Some(resume) = &self.resume else { return false };
        let rule = resume.rule();
        let asks = rule.session.is_some() || rule.request.is_some() || self.settings.on_resume.is_some();
        asks && resume.point().last_sequence.is_some()
    }

    /// The end. One that may be mended by a new `connect` keeps the session; after any other the server has no use for it.
    pub(super) fn leave_session(&mut self, cause: &Cause) {
        let is_over = match cause {
            Cause::ByUser => self.for_good,
            Cause::Dropped | Cause::ByServer(_) | Cause::SignedOut(_) => true,
            _ => false,
        };
        if let Some(resume) = self.resume.as_mut().filter(|_| is_over)
            && resume.forget() > 0
        {
            self.report(Error::new(ErrorKind::Closed, SESSION_GONE));
        }
    }

    /// What the server has not taken yet, where messages are numbered.
    fn kept(&mut self) -> Option<&mut Unacknowledged> {
        self.resume.as_mut()?.sends.as_mut()
    }

    /// Whether a message of the user's may be written, as far as those matter that the server has not taken yet.
    pub(super) fn may_send(&self, size: usize) -> Result<(), Error> {
        let kept = self.resume.as_ref().and_then(|resume| resume.sends.as_ref());
        if kept.is_none_or(|kept| kept.has_room(size)) { Ok(()) } else { Err(Unacknowledged::full()) }
    }

    /// The socket did not take the last message of the user's, who is told: it must not be sent again.
    pub(crate) fn not_written(&mut self) {
        if P::PARTS.resume
            && let Some(kept) = self.kept()
        {
            kept.withdraw();
        }
    }

    /// Numbers a message of the user's, and keeps it until the server has taken it.
    pub(super) fn numbered(&mut self, message: Message) -> Message {
        match self.kept() {
            Some(kept) => kept.number(message),
            None => message,
        }
    }
}
