//! What a dialect says about numbers, gaps, acknowledgements and how a lost connection goes on.

use super::super::{
    fields::{Fields, Mistake},
    json::Json,
};
use serde::Serialize;

/// How a lost connection goes on without losing events (S2-6, S2-7, N-9).
///
/// `${session}` and `${last_sequence}` stand for the session and the number of the last event in the first frame, in the
/// query, and in the frames below; both are missing as long as there is nothing to go on with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResumeRule {
    /// The member of an event that is its number: a whole number, or a string of digits.
    pub sequence: Option<String>,
    /// Whether each number is one more than the one before, so that a leap is a gap. Default true. What comes after the gap in
    /// its place was told is too late: it is dropped, and counted as a duplicate.
    pub contiguous: bool,
    /// The member of an event that is its id, where events have no number: the same id again is a duplicate.
    pub message_id: Option<String>,
    /// How many of the latest ids are remembered; and how far behind the last number an event may be and still be an old one,
    /// which is dropped, rather than the first of a server that counts anew. Default 100.
    pub dedup_window: u64,
    /// The member of the hello that is the session. Numbers of another session begin anew.
    pub session: Option<String>,
    /// A frame to send after the hello where there is something to go on with; for servers that want no part of it in the
    /// first frame.
    pub request: Option<Json>,
    /// The member of the hello that says, being true, that the session goes on.
    pub resumed: Option<String>,
    /// The member of the hello that is the number of the newest event: the replay ends with it.
    pub until: Option<String>,
    /// How the server says that events are gone.
    pub gap: Option<GapRule>,
    /// How the client says what has arrived.
    pub ack: Option<AckRule>,
    /// How messages of the client are numbered, so that the server takes each once.
    pub sends: Option<SendsRule>,
}

/// How the server says that events are gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GapRule {
    /// The types that say so.
    pub types: Vec<String>,
    /// The member that is the first lost number.
    pub from: String,
    /// The member that is the last lost number.
    pub to: String,
}

/// How the client says what has arrived.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AckRule {
    /// The frame; `${last_sequence}` is the number of the last event.
    pub frame: Json,
    /// After this many events. Default 64.
    pub every: u64,
    /// Or this long after the first event that is not acknowledged, whichever comes first. Default 1000 ms.
    pub after_ms: u64,
}

/// How messages of the client are numbered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SendsRule {
    /// The top-level member that is added to a message, which must be a JSON object; any other goes without a number.
    pub sequence: String,
    /// The type of the frame by which the server says what it has taken.
    pub received: String,
    /// The member of that frame that is the number up to which it has.
    pub up_to: String,
    /// The member of the hello that says the same.
    pub hello: String,
    /// How many messages are kept until the server has taken them; one more is refused. Default 1000.
    pub max_messages: u64,
    /// How many bytes they may have. Default 1 MiB.
    pub max_bytes: u64,
}

impl Default for ResumeRule {
    fn default() -> Self {
        Self::PLAIN
    }
}

impl ResumeRule {
    /// Numbers that follow one another, and nothing more.
    pub(super) const PLAIN: Self = Self {
        sequence: None,
        contiguous: true,
        message_id: None,
        dedup_window: 100,
        session: None,
        request: None,
        resumed: None,
        until: None,
        gap: None,
        ack: None,
        sends: None,
    };

    pub(in crate::proto) fn read(&mut self, fields: &mut Fields<'_>) {
        fields.text("sequence", &mut self.sequence);
        fields.flag("contiguous", &mut self.contiguous);
        fields.text("message_id", &mut self.message_id);
        fields.count("dedup_window", &mut self.dedup_window);
        fields.text("session", &mut self.session);
        fields.json("request", &mut self.request);
        fields.text("resumed", &mut self.resumed);
        fields.text("until", &mut self.until);
        if fields.enter("gap") {
            let rule = self.gap.insert(GapRule { types: Vec::new(), from: String::new(), to: String::new() });
            fields.texts("types", &mut rule.types);
            fields.needed_text("from", &mut rule.from);
            fields.needed_text("to", &mut rule.to);
            fields.leave();
        }
        if fields.enter("ack") {
            let rule = self.ack.insert(AckRule { frame: Json::Null, every: 64, after_ms: 1_000 });
            fields.needed_json("frame", &mut rule.frame);
            fields.count("every", &mut rule.every);
            fields.count("after_ms", &mut rule.after_ms);
            fields.leave();
        }
        if fields.enter("sends") {
            let rule = self.sends.insert(SendsRule {
                sequence: String::new(),
                received: String::new(),
                up_to: String::new(),
                hello: String::new(),
                max_messages: 1_000,
                max_bytes: 1 << 20,
            });
            fields.needed_text("sequence", &mut rule.sequence);
            fields.needed_text("received", &mut rule.received);
            fields.needed_text("up_to", &mut rule.up_to);
            fields.needed_text("hello", &mut rule.hello);
            fields.count("max_messages", &mut rule.max_messages);
            fields.count("max_bytes", &mut rule.max_bytes);
            fields.leave();
        }
        fields.leave();
    }

    pub(in crate::proto) fn check(&self, mistake: &Mistake) {
        let both = self.sequence.is_some() && self.message_id.is_some();
        mistake.when(both, "resume.message_id", "an event is known by its number or by its id, not by both");
        let outside = !(1..=MAX_WINDOW).contains(&self.dedup_window);
        mistake.when(outside, "resume.dedup_window", "must be from 1 to 10000");
        if let Some(gap) = &self.gap {
            mistake.when(gap.types.is_empty(), "resume.gap.types", "at least one type is needed");
        }
        if let Some(ack) = &self.ack {
            let never = ack.every == 0 || ack.after_ms == 0;
            mistake.when(never, "resume.ack", "`every` and `after_ms` must be more than 0");
        }
        if let Some(sends) = &self.sends {
            let none = sends.max_messages == 0 || sends.max_bytes == 0;
            mistake.when(none, "resume.sends", "`max_messages` and `max_bytes` must be more than 0");
        }
    }
}

/// Each id of the window is kept, and compared with that of each event.
const MAX_WINDOW: u64 = 10_000;
