//! The places of a dialect where a template may stand, and what is known there.

use super::{
    super::{message::Payload, template, text::indexed},
    Dialect, Json, Object,
};

/// When a template is filled in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::proto) enum Place {
    /// For the dial, or right after it: before the hello.
    Dial,
    /// After the hello; an answer before it too.
    Up,
    /// With a token that was renewed.
    Renewal,
    /// For a channel.
    Channel,
    /// Where there is something to go on with.
    Resuming,
    /// Where a template asks for the parameter that it stands for.
    Default,
}

impl Dialect {
    /// Visits every template: its path, what it is, and where it stands.
    pub(in crate::proto) fn templates<P: Payload>(&self, visit: &mut dyn FnMut(&str, &Json, Place)) {
        let mut members = |path: &str, members: &Object, place| {
            for (name, template) in members.iter() {
                visit(&[path, ".", name].concat(), template, place);
            }
        };
        members("url.query", &self.url.query, Place::Dial);
        members("headers", &self.headers, Place::Dial);
        members("defaults", &self.defaults, Place::Default);
        for (index, protocol) in self.protocols.iter().enumerate() {
            visit(&indexed("protocols", index, ""), &Json::from(protocol.as_str()), Place::Dial);
        }
        for (index, rule) in self.answers.iter().enumerate() {
            visit(&indexed("answers", index, ".frame"), &rule.frame, Place::Up);
        }
        let mut frame = |path, frame: Option<&Json>, place| {
            if let Some(frame) = frame {
                visit(path, frame, place);
            }
        };
        frame("first_frame", self.first_frame.as_ref(), Place::Dial);
        frame("health_check.frame", self.health_check.as_ref().map(|rule| &rule.frame), Place::Up);
        if P::PARTS.renewal {
            frame("token_refresh.frame", self.token_refresh.as_ref().map(|rule| &rule.frame), Place::Renewal);
        }
        if let Some(rule) = self.channels.as_ref().filter(|_| P::PARTS.channels) {
            frame("channels.subscribe", Some(&rule.subscribe), Place::Channel);
            frame("channels.unsubscribe", rule.unsubscribe.as_ref(), Place::Channel);
        }
        if let Some(rule) = self.resume.as_ref().filter(|_| P::PARTS.resume) {
            frame("resume.request", rule.request.as_ref(), Place::Resuming);
            frame("resume.ack.frame", rule.ack.as_ref().map(|rule| &rule.frame), Place::Resuming);
        }
    }

    /// Whether anything in it asks for the token.
    pub(in crate::proto) fn needs_token<P: Payload>(&self) -> bool {
        let mut needs = false;
        self.templates::<P>(&mut |_, template, _| needs |= template::asks_for(template, Some("token")));
        needs
    }
}
