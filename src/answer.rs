//! A question to the driver, and its answer. It always comes: a driver that goes away answers too.

use crate::{platform::Told, proto::Error, shared::gone};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::ErrorKind, test};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(Mutex<u32>);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    fn poll(answer: &mut Answer, woken: &Arc<Woken>) -> Poll<Outcome> {
        Pin::new(answer).poll(&mut Context::from_waker(&woken.clone().into()))
    }

    #[test]
    fn whoever_waits_is_woken_and_finds_the_answer_once() {
        let (asked, mut answer) = Answer::channel();
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut answer, &woken).is_pending() && answer.is_open());
        assert!(asked.send(Ok(())).is_ok());
        assert_eq!(*woken.0.lock().unwrap(), 1);
        assert!(!answer.is_open());
        assert!(matches!(poll(&mut answer, &woken), Poll::Ready(Ok(()))));
    }

    #[test]
    fn one_that_is_dropped_answers_too_and_what_nobody_waits_for_comes_back() {
        let (asked, mut answer) = Answer::channel();
        drop(asked);
        let Poll::Ready(Err(error)) = poll(&mut answer, &Arc::default()) else { panic!("no answer") };
        assert_eq!(error.kind(), ErrorKind::Closed);
        let (asked, answer) = Answer::channel();
        assert!(!asked.is_canceled());
        drop(answer);
        assert!(asked.is_canceled());
        assert!(matches!(asked.send(Ok(())), Err(Ok(()))));
    }

    #[test]
    fn a_function_is_told_once_whether_the_answer_was_there_or_comes_later() {
        for early in [true, false] {
            let told = Arc::new(Mutex::new(Vec::new()));
            let place = told.clone();
            let (asked, answer) = Answer::channel();
            let mut asked = Some(asked);
            if early {
                drop(asked.take());
            }
            answer.tell(Box::new(move |outcome| place.lock().unwrap().push(outcome.is_ok())));
            assert_eq!(told.lock().unwrap().len(), usize::from(early));
            drop(asked);
            assert_eq!(*told.lock().unwrap(), [false]);
        }
    }
}
