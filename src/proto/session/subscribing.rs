//! Tells the server which channels are wanted (S2-13): at once, and again on every new connection, before anything that
//! waits in the outbox.

use super::super::{
    channels::Step,
    error::{Error, ErrorKind},
    message::Payload,
    template::Params,
};
use super::{Link, Session};
use std::sync::Arc;

impl<P: Payload> Session<P> {
    pub(super) fn subscribe(&mut self, name: Arc<str>) -> Result<(), Error> {
        if !P::PARTS.channels || self.settings.dialect.channels.is_none() {
            return Err(Error::new(ErrorKind::Unsupported, "the dialect knows no channels").with_path("channels"));
        }
        self.channels.want(name);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, name: Arc<str>) {
        if P::PARTS.channels {
            self.channels.drop(&name);
        }
    }

    /// Whether the server is still to be told of a channel.
    pub(super) fn has_subscriptions(&self) -> bool {
        P::PARTS.channels && self.link == Link::Up && self.channels.has_work()
    }

    /// Writes the next subscription; false if there is none.
    pub(super) fn write_subscription(&mut self) -> bool {
        while self.has_subscriptions() {
            let frame = self.next_subscription();
            let written = matches!(frame, Ok(Some(_)));
            self.write_filled(frame);
            if written {
                return true;
            }
        }
        false
    }

    fn next_subscription(&mut self) -> Result<Option<String>, Error> {
        let Some(rule) = &self.settings.dialect.channels else { return Ok(None) };
        let (name, template) = match self.channels.next_step() {
            Some(Step::Subscribe(name)) => (name, Some(&rule.subscribe)),
            Some(Step::Unsubscribe(name)) => (name, rule.unsubscribe.as_ref()),
            None => return Ok(None),
        };
        let Some(template) = template else { return Ok(None) };
        let point = self.resume_point();
        Params { channel: Some(&name), ..self.params(point.as_ref()) }.frame(template)
    }
}
