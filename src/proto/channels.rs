//! Channels (S2-13): many streams over one connection. What the server is to know of them is brought about anew on every
//! connection.

use super::{
    error::{Error, ErrorKind},
    fields::Fields,
    json::Json,
    template,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

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
    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let rule = Self {
            field: fields.needed_text("field"),
            subscribe: fields.needed("subscribe"),
            unsubscribe: fields.value("unsubscribe"),
        };
        fields.end();
        rule
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.field.split('.').any(str::is_empty) {
            return Err(Error::new(ErrorKind::Config, "must be a path such as `a.b`").with_path("channels.field"));
        }
        template::check(&self.subscribe, "channels.subscribe")?;
        self.unsubscribe.iter().try_for_each(|frame| template::check(frame, "channels.unsubscribe"))
    }
}

#[derive(Debug)]
struct Channel {
    /// Its place among those that were asked for.
    order: u64,
    wanted: bool,
    /// Whether the server was told to send it, on this connection.
    told: bool,
    /// Whether it is in `work`.
    pending: bool,
}

/// The channels that are wanted, and what the server still has to be told of them.
#[derive(Debug, Default)]
pub(super) struct Channels {
    all: BTreeMap<Arc<str>, Channel>,
    last: u64,
    /// Whether there is a connection.
    up: bool,
    work: VecDeque<Arc<str>>,
}

/// What the server is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
}

impl Channels {
    pub(super) fn want(&mut self, name: Arc<str>) {
        self.last += 1;
        let new = Channel { order: self.last, wanted: false, told: false, pending: false };
        let channel = self.all.entry(name.clone()).or_insert(new);
        channel.wanted = true;
        self.plan(name);
    }

    pub(super) fn drop(&mut self, name: Arc<str>) {
        let Some(channel) = self.all.get_mut(&name) else { return };
        channel.wanted = false;
        if channel.told || channel.pending {
            self.plan(name);
        } else {
            self.all.remove(&name);
        }
    }

    fn plan(&mut self, name: Arc<str>) {
        if let Some(channel) = self.all.get_mut(&name).filter(|channel| self.up && !channel.pending) {
            channel.pending = true;
            self.work.push_back(name);
        }
    }

    /// A new connection knows nothing: all that is wanted is to be told, in the order in which it was asked for.
    pub(super) fn connected(&mut self) {
        self.disconnected();
        self.up = true;
        let mut wanted: Vec<_> = self.all.iter().map(|(name, channel)| (channel.order, name.clone())).collect();
        wanted.sort_unstable();
        wanted.into_iter().for_each(|(_, name)| self.plan(name));
    }

    pub(super) fn disconnected(&mut self) {
        self.up = false;
        self.work.clear();
        self.all.retain(|_, channel| {
            (channel.told, channel.pending) = (false, false);
            channel.wanted
        });
    }

    pub(super) fn has_work(&self) -> bool {
        !self.work.is_empty()
    }

    /// The next thing to tell the server. What has come to nothing is passed over.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        while let Some(name) = self.work.pop_front() {
            let Some(channel) = self.all.get_mut(&name) else { continue };
            channel.pending = false;
            match (channel.wanted, channel.told) {
                (true, false) => {
                    channel.told = true;
                    return Some(Step::Subscribe(name));
                }
                (false, told) => {
                    self.all.remove(&name);
                    if told {
                        return Some(Step::Unsubscribe(name));
                    }
                }
                (true, true) => {}
            }
        }
        None
    }
}
