//! What a dialect says about numbers, gaps, acknowledgements and how a lost connection goes on.

use super::super::{
    error::{Error, ErrorKind},
    fields::Fields,
    json::Json,
    template,
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
        Self {
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
        }
    }
}

impl ResumeRule {
    pub(in crate::proto) fn read(mut fields: Fields<'_>) -> Self {
        let rule = Self {
            sequence: fields.text("sequence"),
            contiguous: fields.flag("contiguous").unwrap_or(true),
            message_id: fields.text("message_id"),
            dedup_window: fields.number("dedup_window", i64::MAX).unwrap_or(100),
            session: fields.text("session"),
            request: fields.value("request"),
            resumed: fields.text("resumed"),
            until: fields.text("until"),
            gap: fields.fields("gap").map(gap),
            ack: fields.fields("ack").map(ack),
            sends: fields.fields("sends").map(sends),
        };
        fields.end();
        rule
    }

    pub(in crate::proto) fn check(&self) -> Result<(), Error> {
        let wrong = |path: &'static str, message: &'static str| {
            Err(Error::new(ErrorKind::Config, message).with_path(["resume.", path].concat()))
        };
        if self.sequence.is_some() && self.message_id.is_some() {
            return wrong("message_id", "an event is known by its number or by its id, not by both");
        }
        if !(1..=MAX_WINDOW).contains(&self.dedup_window) {
            return wrong("dedup_window", "must be from 1 to 10000");
        }
        if let Some(gap) = &self.gap
            && gap.types.is_empty()
        {
            return wrong("gap.types", "at least one type is needed");
        }
        if let Some(ack) = &self.ack {
            if ack.every == 0 || ack.after_ms == 0 {
                return wrong("ack", "`every` and `after_ms` must be more than 0");
            }
            template::check(&ack.frame, "resume.ack.frame")?;
        }
        if let Some(sends) = &self.sends
            && (sends.max_messages == 0 || sends.max_bytes == 0)
        {
            return wrong("sends", "`max_messages` and `max_bytes` must be more than 0");
        }
        self.request.iter().try_for_each(|frame| template::check(frame, "resume.request"))
    }
}

/// Each id of the window is kept, and compared with that of each event.
const MAX_WINDOW: u64 = 10_000;

fn gap(mut fields: Fields<'_>) -> GapRule {
    let rule = GapRule { types: fields.texts("types"), from: fields.needed_text("from"), to: fields.needed_text("to") };
    fields.end();
    rule
}

fn ack(mut fields: Fields<'_>) -> AckRule {
    let rule = AckRule {
        frame: fields.needed("frame"),
        every: fields.number("every", i64::MAX).unwrap_or(64),
        after_ms: fields.number("after_ms", i64::MAX).unwrap_or(1_000),
    };
    fields.end();
    rule
}

fn sends(mut fields: Fields<'_>) -> SendsRule {
    let rule = SendsRule {
        sequence: fields.needed_text("sequence"),
        received: fields.needed_text("received"),
        up_to: fields.needed_text("up_to"),
        hello: fields.needed_text("hello"),
        max_messages: fields.number("max_messages", i64::MAX).unwrap_or(1_000),
        max_bytes: fields.number("max_bytes", i64::MAX).unwrap_or(1 << 20),
    };
    fields.end();
    rule
}
