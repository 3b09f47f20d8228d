//! The events that are to be printed.

use crate::exit::Failure;
use everwire::{Client, Event, Subscription};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// How many events may wait to be printed.
const WAITING: usize = 1024;

/// The events that match a filter, each once and in order, however many filters it matches.
pub(crate) struct Tap {
    events: mpsc::Receiver<Event>,
    dropped: Arc<AtomicU64>,
    _subscriptions: Vec<Subscription>,
}

impl Tap {
    pub(crate) fn new(client: &Client, filters: &[String]) -> Result<Self, Failure> {
        let (sender, events) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let everything = ["*".to_owned()];
        let filters = if filters.is_empty() { &everything } else { filters };
        // Listeners are called in the order in which they were added: the first one marks each event as new, and the
        // first filter that matches takes the mark away.
        let is_new = Arc::new(AtomicBool::new(false));
        let mark = is_new.clone();
        let mut subscriptions = vec![client.on("*", move |_| mark.store(true, Ordering::Relaxed))];
        for filter in filters {
            let (sender, dropped, is_new) = (sender.clone(), dropped.clone(), is_new.clone());
            let take = move |event: &Event| {
                if is_new.swap(false, Ordering::Relaxed) && sender.try_send(event.clone()).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            };
            let subscription =
                client.try_on(filter, take).map_err(|error| Failure::usage(format!("--filter {filter:?}: {error}")))?;
            subscriptions.push(subscription);
        }
        Ok(Self { events, dropped, _subscriptions: subscriptions })
    }

    /// How many events there was no room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event, if it is there already.
    pub(crate) fn try_recv(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}
