//! A listener that is on, and how it is turned off.

use super::registry::{Entry, Registry};
use crate::platform::{MaybeSend, MaybeSync};
use std::{fmt, sync::Arc};

/// A listener that is on. Dropping it turns the listener off.
#[must_use = "the listener is removed when this is dropped; `detach` keeps it"]
pub struct Subscription(Option<Box<dyn Off>>);

impl Subscription {
    pub(super) fn new<L>(registry: Arc<Registry<L>>, entry: Arc<Entry<L>>) -> Self
    where
        Listening<L, fn(&L)>: Off + 'static,
    {
        Self::with_end(registry, entry, |_| ())
    }

    /// Calls this when the listener is turned off.
    pub(super) fn with_end<L, E>(registry: Arc<Registry<L>>, entry: Arc<Entry<L>>, end: E) -> Self
    where
        E: Fn(&L),
        Listening<L, E>: Off + 'static,
    {
        Self(Some(Box::new(Listening { registry, entry, end })))
    }

    /// Turns the listener off, and tells whether it was still on. It is not called any more, not even for an event that is
    /// being dispatched.
    pub fn off(mut self) -> bool {
        self.0.take().is_some_and(|listening| listening.off())
    }

    /// Keeps the listener for as long as the client lives.
    pub fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listening) = self.0.take() {
            listening.off();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

/// A listener and where it is registered, whatever it listens to.
pub(super) struct Listening<L, E> {
    registry: Arc<Registry<L>>,
    entry: Arc<Entry<L>>,
    end: E,
}

pub(super) trait Off: MaybeSend + MaybeSync {
    fn off(&self) -> bool;
}

impl<L, E: Fn(&L)> Off for Listening<L, E>
where
    Self: MaybeSend + MaybeSync,
{
    fn off(&self) -> bool {
        let was_on = self.registry.remove(&self.entry);
        (self.end)(&self.entry.listener);
        was_on
    }
}
