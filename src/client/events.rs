//! The ways to hear of events: listeners of all kinds, and streams.

use super::{
    Client, Event, EventStream, StreamOptions, StreamPolicy, Subscription,
    dispatch::{Call, Sink},
    stream::Queue,
    task::Task,
};
use crate::{
    codec::{Codec, Json},
    driver::as_error,
    platform::{MaybeSend, MaybeSync},
    proto::{Error, ErrorKind, Lifecycle, State},
};
use serde::de::DeserializeOwned;
use std::{collections::VecDeque, future::poll_fn, sync::Arc};

impl Client {
    /// Calls a listener for every event of a type: `message.new`, or a pattern such as `message.*` (one level),
    /// `call.**` (one or more levels) or `*` (everything).
    ///
    /// Listeners are called in the order in which they were added, on the client's own task: one that blocks holds up the
    /// stream. One that panics is reported as a [`Lifecycle::Error`] and goes on being called. On the web a panic cannot be
    /// caught: it ends the program. Listeners may be added and removed inside listeners: one that is removed is not called
    /// any more, one that is added hears the next event.
    ///
    /// The listener is removed when the subscription is dropped; [`Subscription::detach`] keeps it.
    ///
    /// # Panics
    /// If the pattern makes no sense (empty, or with a star that is not alone in its level): that is a mistake in the
    /// program. Use [`try_on`](Self::try_on) for patterns that come from outside.
    #[track_caller]
    pub fn on(&self, pattern: &str, listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        self.try_on(pattern, listener).unwrap_or_else(|error| panic!("{pattern:?}: {error}"))
    }

    /// Like [`on`](Self::on), for patterns that come from outside.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense.
    pub fn try_on(
        &self,
        pattern: &str,
        listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static,
    ) -> Result<Subscription, Error> {
        self.add(pattern, always(listener), false)
    }

    /// Like [`on`](Self::on), for the first event alone. [`next_event`](Self::next_event) waits for it instead.
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn once(&self, pattern: &str, listener: impl Fn(&Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        self.add(pattern, always(listener), true).unwrap_or_else(|error| panic!("{pattern:?}: {error}"))
    }

    /// Calls a listener for every event, with its type.
    pub fn on_any(&self, listener: impl Fn(&str, &Event) + MaybeSend + MaybeSync + 'static) -> Subscription {
        self.on("*", move |event| listener(event.event_type(), event))
    }

    /// Calls a listener with the decoded document of every event of a type or pattern. An event that does not fit is
    /// reported as a [`Lifecycle::Error`] of kind [`Decode`](crate::ErrorKind::Decode) and counted
    /// ([`Stats::decode_failures`](crate::Stats::decode_failures)); the listener is not called.
    ///
    /// With `*` and an enum the type of the event chooses the variant:
    ///
    /// ```no_run
    /// # fn run(client: &everwire::Client) {
    /// #[derive(serde::Deserialize)]
    /// #[serde(tag = "type")]
    /// enum Chat {
    ///     #[serde(rename = "message.new")]
    ///     Message { text: String },
    ///     #[serde(rename = "typing.start")]
    ///     Typing,
    ///     /// Types that this program does not know.
    ///     #[serde(other)]
    ///     Other,
    /// }
    ///
    /// let all = client.on_typed("*", |event: Chat| match event {
    ///     Chat::Message { text } => println!("{text}"),
    ///     Chat::Typing => println!("…"),
    ///     Chat::Other => {}
    /// });
    /// # drop(all) }
    /// ```
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn on_typed<T: DeserializeOwned + 'static>(
        &self,
        pattern: &str,
        listener: impl Fn(T) + MaybeSend + MaybeSync + 'static,
    ) -> Subscription {
        self.on_decoded::<Json, T>(pattern, listener)
    }

    /// Like [`on_typed`](Self::on_typed), with a codec of one's choice.
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn on_decoded<C: Codec + 'static, T: DeserializeOwned + 'static>(
        &self,
        pattern: &str,
        listener: impl Fn(T) + MaybeSend + MaybeSync + 'static,
    ) -> Subscription {
        let decode = move |event: &Event| C::decode(event).map(&listener);
        self.add(pattern, decode, false).unwrap_or_else(|error| panic!("{pattern:?}: {error}"))
    }

    /// Calls an async listener for every event of a type or pattern, on a task of its own: one event after the other, in
    /// order, while the client goes on reading. [`event_capacity`](crate::ClientBuilder::event_capacity) events may wait;
    /// then the oldest is dropped and counted. A panic in it is reported, and the next event is its next.
    ///
    /// It stops with its subscription and with the client: what waits and what is under way is dropped.
    ///
    /// # Panics
    /// If the pattern makes no sense.
    #[track_caller]
    pub fn on_async<F, Fut>(&self, pattern: &str, listener: F) -> Subscription
    where
        F: Fn(Event) -> Fut + MaybeSend + 'static,
        Fut: Future<Output = ()> + MaybeSend + 'static,
    {
        self.on_async_with(StreamOptions::new().pattern(pattern), listener)
            .unwrap_or_else(|error| panic!("{pattern:?}: {error}"))
    }

    /// Like [`on_async`](Self::on_async), with a capacity and a policy. With [`StreamPolicy::Error`] a listener that is too
    /// slow is turned off, and that is reported.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense or the capacity is 0.
    pub fn on_async_with<F, Fut>(&self, options: StreamOptions, listener: F) -> Result<Subscription, Error>
    where
        F: Fn(Event) -> Fut + MaybeSend + 'static,
        Fut: Future<Output = ()> + MaybeSend + 'static,
    {
        let (queue, subscription) = self.queue(&options)?;
        let mut task = Task {
            queue,
            listener,
            shared: self.listeners.shared.clone(),
            driver: self.handle.waker(),
            taken: VecDeque::new(),
            under_way: None,
        };
        self.spawner.spawn(async move { poll_fn(|cx| task.poll(cx)).await });
        Ok(subscription)
    }

    /// Waits for the next event of a type or pattern.
    ///
    /// # Errors
    /// The cause of the client's end, if that comes first or has come already;
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense.
    pub async fn next_event(&self, pattern: &str) -> Result<Event, Error> {
        let options = StreamOptions::new().capacity(1).policy(StreamPolicy::DropNewest).pattern(pattern);
        let mut stream = self.events_with(options)?;
        if matches!(self.state(), State::Closed | State::Failed) {
            return Err(as_error(&self.handle.cause()));
        }
        stream.recv().await
    }

    /// Calls a listener for every step in the life of the client: states, tries, errors, the end.
    pub fn on_lifecycle(&self, listener: impl Fn(&Lifecycle) + MaybeSend + MaybeSync + 'static) -> Subscription {
        let entry = self.listeners.lifecycle.add("*", Box::new(listener), false).expect("the pattern is right");
        Subscription::new(self.listeners.lifecycle.clone(), entry)
    }

    /// All events from now on as a stream, which holds up to [`event_capacity`](crate::ClientBuilder::event_capacity) for a
    /// reader that is busy; then the oldest is dropped and counted ([`EventStream::dropped`]). It ends with the client's last
    /// handle or its end, whichever comes first.
    pub fn events(&self) -> EventStream {
        self.events_with(StreamOptions::new()).expect("the defaults are right")
    }

    /// Like [`events`](Self::events), with a capacity, a policy and a pattern.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the pattern makes no sense or the capacity is 0.
    pub fn events_with(&self, options: StreamOptions) -> Result<EventStream, Error> {
        let (queue, subscription) = self.queue(&options)?;
        let ends = queue.clone();
        let ending = self.on_lifecycle(move |step| {
            if let Lifecycle::Closed(cause) = step {
                ends.end(as_error(cause));
            }
        });
        Ok(EventStream::new(queue, [subscription, ending]))
    }

    fn queue(&self, options: &StreamOptions) -> Result<(Arc<Queue>, Subscription), Error> {
        let capacity = options.capacity.unwrap_or(self.config.event_capacity);
        if capacity == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "must be more than 0").with_path("capacity"));
        }
        let queue = Arc::new(Queue::new(capacity, options.policy, self.listeners.shared.overflows.clone()));
        let entry = self.listeners.events.add(&options.pattern, Sink::Queue(queue.clone()), false)?;
        let end = |listener: &Sink| {
            if let Sink::Queue(queue) = listener {
                queue.abandon();
            }
        };
        Ok((queue, Subscription::with_end(self.listeners.events.clone(), entry, end)))
    }

    fn add(&self, pattern: &str, listener: impl Call + 'static, once: bool) -> Result<Subscription, Error> {
        let entry = self.listeners.events.add(pattern, Sink::Call(Box::new(listener)), once)?;
        Ok(Subscription::new(self.listeners.events.clone(), entry))
    }
}

/// A listener that has nothing to complain of.
fn always(listener: impl Fn(&Event) + MaybeSend + MaybeSync) -> impl Fn(&Event) -> Result<(), Error> {
    move |event| {
        listener(event);
        Ok(())
    }
}
