//! A queue of little code: a page downloads each kind of it.

/// First in, first out. What came last is in one list, and what is to go first in another, from its end on.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    first: Vec<T>,
    last: Vec<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: Vec::new(), last: Vec::new() }
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.last.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&mut self, item: T) {
        self.last.push(item);
    }

    /// The one that goes next.
    pub(crate) fn front(&self) -> Option<&T> {
        self.first.last().or(self.last.first())
    }

    /// Takes the one that goes next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.first.is_empty() {
            // One alone need not be turned over.
            while self.last.len() > 1 {
                self.first.extend(self.last.pop());
            }
            return self.last.pop();
        }
        let item = self.first.pop();
        if self.first.is_empty() {
            // An idle connection keeps no room for a burst.
            self.first = Vec::new();
        }
        item
    }

    /// Takes the one that is wanted, wherever it stands.
    pub(crate) fn take(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        for items in [&mut self.first, &mut self.last] {
            if let Some(place) = items.iter().position(&is_it) {
                return Some(items.remove(place));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::random::Random, test};
    use std::collections::VecDeque;

    #[test]
    fn does_what_the_standard_library_does() {
        let (mut random, mut queue, mut wanted) = (Random::new(1), Queue::default(), VecDeque::new());
        for item in 0..10_000_u64 {
            match random.below(5) {
                0..=1 => {
                    queue.push(item);
                    wanted.push_back(item);
                }
                2..=3 => assert_eq!(queue.pop(), wanted.pop_front()),
                _ => {
                    let one = item.saturating_sub(random.below(8));
                    let place = wanted.iter().position(|other| *other == one);
                    assert_eq!(queue.take(|other| *other == one), place.and_then(|place| wanted.remove(place)));
                }
            }
            assert_eq!((queue.len(), queue.is_empty()), (wanted.len(), wanted.is_empty()));
            assert_eq!(queue.front(), wanted.front());
        }
    }
}
