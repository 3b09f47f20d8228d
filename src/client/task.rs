//! Async listeners (S2-3): each on a task of its own, behind a bounded queue, one event after the other.

use super::{Event, dispatch, stream::Queue};
use crate::{
    handle::Waker,
    platform::{self, BoxFuture, MaybeSend},
    proto::{Error, ErrorKind},
};
use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

/// The task of one async listener.
pub(super) struct Task<F> {
    pub(super) queue: Arc<Queue>,
    pub(super) listener: F,
    pub(super) shared: Arc<dispatch::Shared>,
    pub(super) driver: Waker,
    pub(super) taken: VecDeque<Event>,
    /// What the listener is doing, and for an event of which type.
    pub(super) under_way: Option<(String, BoxFuture<()>)>,
}

impl<F, Fut> Task<F>
where
    F: Fn(Event) -> Fut,
    Fut: Future<Output = ()> + MaybeSend + 'static,
{
    /// Ready when the listener was turned off or the client is gone; what waits and what is under way is dropped then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(why) = self.queue.poll_end(cx) {
                if why.kind() == ErrorKind::Overflow {
                    self.report(Error::new(ErrorKind::Overflow, "an async listener was too slow, and is off"));
                }
                return Poll::Ready(());
            }
            if let Some((name, call)) = &mut self.under_way {
                match platform::isolate(|| call.as_mut().poll(cx)) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(())) => {}
                    Err(panic) => {
                        let what = format!("an async listener of `{name}` panicked: {panic}");
                        self.report(Error::new(ErrorKind::Listener, what));
                    }
                }
                self.under_way = None;
            }
            match self.taken.pop_front() {
                Some(event) => self.begin(event),
                None if self.queue.poll_take(cx, &mut self.taken).is_pending() => return Poll::Pending,
                None => {}
            }
        }
    }

    fn begin(&mut self, event: Event) {
        let name = event.event_type().to_owned();
        match platform::isolate(|| (self.listener)(event)) {
            Ok(call) => self.under_way = Some((name, Box::pin(call))),
            Err(panic) => {
                let what = format!("an async listener of `{name}` panicked: {panic}");
                self.report(Error::new(ErrorKind::Listener, what));
            }
        }
    }

    fn report(&self, error: Error) {
        self.shared.report(error);
        self.driver.wake();
    }
}
