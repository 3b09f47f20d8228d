//! The events that are to be printed.

use crate::exit::Failure;
use everwire::{Client, Event, Subscription};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::block_in_place,
};

/// The events that match a filter, each once and in order, however many filters it matches.
///
/// As many may wait as the client's `event_capacity` says. Then the client stops reading until there is room, so that a slow
/// output slows the server down and loses nothing. It must be read, or [closed](Self::close).
pub(crate) struct Tap {
    events: mpsc::Receiver<Event>,
    _subscriptions: Vec<Subscription>,
}

impl Tap {
    pub(crate) fn new(client: &Client, filters: &[String]) -> Result<Self, Failure> {
        let (sender, events) = mpsc::channel(client.config().event_capacity);
        let everything = ["*".to_owned()];
        let filters = if filters.is_empty() { &everything } else { filters };
        // Listeners are called in the order in which they were added: the first one marks each event as new, and the
        // first filter that matches takes the mark away.
        let is_new = Arc::new(AtomicBool::new(false));
        let mark = is_new.clone();
        let mut subscriptions = vec![client.on("*", move |_| mark.store(true, Ordering::Relaxed))];
        for filter in filters {
            let (sender, is_new) = (sender.clone(), is_new.clone());
            let take = move |event: &Event| {
                if is_new.swap(false, Ordering::Relaxed)
                    && let Err(TrySendError::Full(event)) = sender.try_send(event.clone())
                {
                    // It fails when the tap is closed: then nobody wants the event.
                    let _ = block_in_place(|| sender.blocking_send(event));
                }
            };
            let subscription =
                client.try_on(filter, take).map_err(|error| Failure::usage(format!("--filter {filter:?}: {error}")))?;
            subscriptions.push(subscription);
        }
        Ok(Self { events, _subscriptions: subscriptions })
    }

    /// The next event; `None` once it is closed and empty. Dropping the future loses none.
    pub(crate) async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Takes no more events, and holds the client up no longer. What waits can still be read.
    pub(crate) fn close(&mut self) {
        self.events.close();
    }
}
