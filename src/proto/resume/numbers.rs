//! Which events have come: by number, or by id where they have none.

/// What the number of an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proto) enum Place {
    /// It is the next one, or the first of all.
    Next,
    /// It came before, or too late: what follows it has been delivered, and the gap in its place was told.
    Duplicate,
    /// Those from this one up to the one before it have not come.
    After(u64),
    /// It is far behind all that is remembered: the server counts anew.
    Anew,
}

/// The numbers that have come. They are delivered in order, so that the last one says it all.
#[derive(Clone, Debug)]
pub(in crate::proto) struct Numbers {
    last: Option<u64>,
    window: u64,
    contiguous: bool,
    /// Whether a number that is far behind can only be an old event.
    strict: bool,
}

impl Numbers {
    pub(super) fn new(window: u64, contiguous: bool, strict: bool) -> Self {
        Self { last: None, window, contiguous, strict }
    }

    /// The highest number that has come.
    pub(in crate::proto) fn last(&self) -> Option<u64> {
        self.last
    }

    /// Begins anew after this number; with `None` any number is the first.
    pub(super) fn restart(&mut self, last: Option<u64>) {
        self.last = last;
    }

    /// Takes the number of an event that came.
    pub(super) fn take(&mut self, number: u64) -> Place {
        let Some(last) = self.last else {
            self.last = Some(number);
            return Place::Next;
        };
        if number <= last {
            if self.strict || last - number < self.window {
                return Place::Duplicate;
            }
            self.restart(Some(number));
            return Place::Anew;
        }
        self.last = Some(number);
        if number == last + 1 || !self.contiguous {
            return Place::Next;
        }
        Place::After(last + 1)
    }

    /// The server says that the numbers up to this one will not come. Gives the first that is missed by that.
    pub(super) fn skip_to(&mut self, number: u64) -> Option<u64> {
        let from = self.last.map_or(0, |last| last.saturating_add(1));
        if self.last.is_some_and(|last| number <= last) {
            return None;
        }
        self.restart(Some(number));
        Some(from)
    }
}

/// The ids that came last.
#[derive(Clone, Debug)]
pub(in crate::proto) struct Ids {
    seen: Vec<String>,
    window: usize,
    /// Where the oldest one stands, once there are as many as are remembered.
    oldest: usize,
}

/// A longer id is remembered by its beginning: what is kept must be bounded.
const MAX_ID: usize = 128;

impl Ids {
    pub(super) fn new(window: u64) -> Self {
        Self { seen: Vec::new(), window: window as usize, oldest: 0 }
    }

    /// Takes the id of an event that came; false for one that came before.
    pub(super) fn take(&mut self, id: &str) -> bool {
        let id = &id[..id.floor_char_boundary(MAX_ID)];
        if self.seen.iter().any(|seen| seen == id) {
            return false;
        }
        if self.seen.len() < self.window {
            self.seen.push(id.to_owned());
        } else {
            // The room of the oldest one is used again.
            let room = &mut self.seen[self.oldest];
            room.clear();
            room.push_str(id);
            self.oldest = (self.oldest + 1) % self.window;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    // S2-6
    #[test]
    fn a_number_is_taken_once_and_a_leap_is_a_gap() {
        let mut numbers = Numbers::new(100, true, false);
        for (number, place) in [
            (7, Place::Next),
            (8, Place::Next),
            (8, Place::Duplicate),
            (7, Place::Duplicate),
            (11, Place::After(9)),
            // Too late: 11 was delivered, and the gap was told.
            (10, Place::Duplicate),
            (9, Place::Duplicate),
            (12, Place::Next),
            (6, Place::Duplicate),
        ] {
            assert_eq!(numbers.take(number), place, "{number}");
        }
        assert_eq!(numbers.last(), Some(12));
        // A server that counts anew is not taken for one that repeats itself.
        assert_eq!(numbers.take(1_000), Place::After(13));
        assert_eq!(numbers.take(1), Place::Anew);
        assert_eq!(numbers.take(2), Place::Next);
        assert_eq!((numbers.skip_to(5), numbers.skip_to(4), numbers.last()), (Some(3), None, Some(5)));
    }

    #[test]
    fn numbers_with_holes_of_their_own_are_no_gaps() {
        let mut numbers = Numbers::new(100, false, false);
        assert_eq!([10, 25, 25, 90].map(|number| numbers.take(number)), {
            [Place::Next, Place::Next, Place::Duplicate, Place::Next]
        });
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut numbers = Numbers::new(100, true, false);
        for number in (0..1_000_000).step_by(999) {
            numbers.take(number);
        }
        assert_eq!(numbers.take(u64::MAX), Place::After(1_000_000));
        assert_eq!(numbers.take(u64::MAX), Place::Duplicate);
        let mut ids = Ids::new(3);
        assert_eq!(["a", "b", "a", "c", "d", "b", "a"].map(|id| ids.take(id)), {
            [true, true, false, true, true, false, true]
        });
        assert!(ids.take(&"é".repeat(500)) && ids.seen.iter().all(|id| id.len() <= MAX_ID));
    }
}
