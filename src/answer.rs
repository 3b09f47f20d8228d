//! A question to the driver, and its answer. It always comes: a driver that goes away answers too.

use crate::{handle::gone, platform::Told, proto::Error};
use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// What comes of a question.
pub(crate) type Outcome = Result<(), Error>;

/// Where the answer is put.
enum Place {
    /// Nobody has looked yet.
    Open,
    /// A task waits for it.
    Waits(Waker),
    /// A function is told of it.
    #[allow(dead_code, reason = "the edge to JavaScript asks so")]
    Tells(Told),
    Answered(Outcome),
    /// It was taken, or nobody waits any more.
    Gone,
}

impl Place {
    fn is_open(&self) -> bool {
        matches!(self, Place::Open | Place::Waits(_) | Place::Tells(_))
    }
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The side of a question that owes the answer.
pub(crate) struct Asked(Arc<Mutex<Place>>);

impl Asked {
    /// Answers; gives the answer back if nobody waits for it.
    pub(crate) fn send(self, outcome: Outcome) -> Result<(), Outcome> {
        let mut place = lock(&self.0);
        match mem::replace(&mut *place, Place::Gone) {
            Place::Gone => return Err(outcome),
            Place::Tells(tell) => {
                drop(place);
                tell(outcome);
            }
            before => {
                *place = Place::Answered(outcome);
                drop(place);
                // Whoever is woken may look at once.
                if let Place::Waits(waker) = before {
                    waker.wake();
                }
            }
        }
        Ok(())
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_canceled(&self) -> bool {
        !lock(&self.0).is_open()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_canceled() {
            let _ = Asked(self.0.clone()).send(Err(gone()));
        }
    }
}

/// The answer to come.
pub(crate) struct Answer(Arc<Mutex<Place>>);

impl Answer {
    /// A question and its answer.
    pub(crate) fn channel() -> (Asked, Self) {
        let place = Arc::new(Mutex::new(Place::Open));
        (Asked(place.clone()), Self(place))
    }

    pub(crate) fn at_once(error: Error) -> Self {
        Self(Arc::new(Mutex::new(Place::Answered(Err(error)))))
    }

    /// Whether the answer is still to come.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.0).is_open()
    }

    /// Has a function told of it, now if it is there.
    #[allow(dead_code, reason = "the edge to JavaScript asks so")]
    pub(crate) fn tell(self, tell: Told) {
        let mut place = lock(&self.0);
        match mem::replace(&mut *place, Place::Gone) {
            Place::Answered(outcome) => {
                drop(place);
                tell(outcome);
            }
            _ => *place = Place::Tells(tell),
        }
    }
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut place = lock(&self.0);
        match mem::replace(&mut *place, Place::Gone) {
            Place::Answered(outcome) => Poll::Ready(outcome),
            Place::Gone => Poll::Ready(Err(gone())),
            _ => {
                *place = Place::Waits(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut place = lock(&self.0);
        if !matches!(*place, Place::Tells(_)) {
            *place = Place::Gone;
        }
    }
}
