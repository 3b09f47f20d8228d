//! Channels (S2-13): many streams over one connection. What the server is to know of them is brought about anew on every
//! connection.

use super::{
    fields::{Fields, Mistake},
    json::Json,
};
use serde::Serialize;
use std::sync::Arc;

/// How a server multiplexes, as a part of a [`Dialect`](super::Dialect).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChannelRule {
    /// Where the name of the channel stands in an event.
    pub field: String,
    /// The frame that subscribes to `${channel}`.
    pub subscribe: Json,
    /// The frame that unsubscribes. Without it, events of a channel that nobody wants any more go on until the connection
    /// ends.
    pub unsubscribe: Option<Json>,
}

impl ChannelRule {
    pub(super) fn read(fields: &mut Fields<'_>, rule: &mut Option<Self>) {
        let rule = rule.insert(Self { field: String::new(), subscribe: Json::Null, unsubscribe: None });
        fields.needed_text("field", &mut rule.field);
        fields.needed_json("subscribe", &mut rule.subscribe);
        fields.json("unsubscribe", &mut rule.unsubscribe);
        fields.leave();
    }

    pub(super) fn check(&self, mistake: &Mistake) {
        mistake.unless_path(&self.field, "channels.field");
    }
}

#[derive(Debug)]
struct Channel {
    name: Arc<str>,
    wanted: bool,
    /// Whether the server was told to send it, on this connection.
    told: bool,
}

/// The channels that are wanted or known to the server, in the order in which they were asked for. A list: they are looked
/// through when one is asked for, and never for an event.
#[derive(Debug, Default)]
pub(super) struct Channels {
    all: Vec<Channel>,
    /// Whether there is a connection.
    up: bool,
    /// Those before this place are as the server knows them, and the one at it is not: whether there is work is asked often.
    settled: usize,
}

/// What the server is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
}

impl Channels {
    fn find(&self, name: &str) -> Option<usize> {
        self.all.iter().position(|channel| *channel.name == *name)
    }

    /// Passes over what the server knows, from this place on.
    fn settle(&mut self, mut place: usize) {
        while self.all.get(place).is_some_and(|channel| channel.wanted == channel.told) {
            place += 1;
        }
        self.settled = place;
    }

    pub(super) fn want(&mut self, name: Arc<str>) {
        match self.find(&name) {
            Some(place) => {
                self.all[place].wanted = true;
                self.settle(self.settled.min(place));
            }
            None => self.all.push(Channel { name, wanted: true, told: false }),
        }
    }

    pub(super) fn drop(&mut self, name: &str) {
        let Some(place) = self.find(name) else { return };
        self.all[place].wanted = false;
        self.tidy();
    }

    /// Forgets what nobody wants and the server does not know.
    fn tidy(&mut self) {
        self.all.retain(|channel| channel.wanted || channel.told);
        self.settle(0);
    }

    /// A new connection knows nothing: all that is wanted is to be told, in the order in which it was asked for.
    pub(super) fn connected(&mut self) {
        self.disconnected();
        self.up = true;
    }

    pub(super) fn disconnected(&mut self) {
        self.up = false;
        self.all.iter_mut().for_each(|channel| channel.told = false);
        self.tidy();
    }

    pub(super) fn has_work(&self) -> bool {
        self.up && self.settled < self.all.len()
    }

    /// The next thing to tell the server.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        let channel = self.all.get_mut(self.settled).filter(|_| self.up)?;
        channel.told = channel.wanted;
        let name = channel.name.clone();
        let step = match channel.wanted {
            true => Step::Subscribe(name),
            false => {
                self.all.remove(self.settled);
                Step::Unsubscribe(name)
            }
        };
        self.settle(self.settled);
        Some(step)
    }
}
