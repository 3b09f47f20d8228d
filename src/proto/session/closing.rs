//! The end at the user's word: what is under way is closed, in good order where there is a connection.

use super::super::{
    close_code::check_close,
    error::Error,
    lifecycle::{Cause, Lifecycle, Side},
    message::Payload,
    state::State,
    timers::Timer,
};
use super::{Link, Output, Session};
use std::sync::Arc;

impl<P: Payload> Session<P> {
    /// Ends for good, whatever is under way (S0-21).
    pub(super) fn close(&mut self, code: u16, reason: String, dropped: bool) -> Result<(), Error> {
        check_close(code, &reason)?;
        self.closing = if dropped { Cause::Dropped } else { Cause::ByUser };
        if matches!(self.state, State::Closed | State::Failed | State::Disconnecting) {
            return Ok(());
        }
        self.for_good = dropped || code == 1000;
        match self.state {
            State::Idle | State::BackingOff => {
                self.end(self.closing.clone());
                return Ok(());
            }
            _ => self.set_state(State::Disconnecting),
        }
        self.drop_successor();
        self.timers.stop_all();
        match self.link {
            Link::Hello | Link::Up => {
                if P::PARTS.channels {
                    self.channels.disconnected();
                }
                self.write_all();
                self.link = Link::Closing;
                self.connection_id = None;
                self.count_connected();
                self.arm(Timer::Close, self.settings.close_timeout);
                self.tell_closing(code, &reason, Side::Client);
                self.outputs.push(Output::Close { generation: self.generation, code, reason });
            }
            _ => {
                self.abort(1000, "client disconnect");
                self.end(self.closing.clone());
            }
        }
        Ok(())
    }

    pub(super) fn tell_closing(&mut self, code: u16, reason: &str, by: Side) {
        if P::PARTS.records {
            self.tell(Lifecycle::Closing { code, reason: Arc::from(reason), by });
        }
    }
}
