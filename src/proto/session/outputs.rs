//! What a session wants done, in order.

use super::Output;

/// A queue that is always emptied before long, so that it needs no ring: places are given back when the last one is taken.
pub(super) struct Outputs<P> {
    all: Vec<Option<Output<P>>>,
    /// Those before this place are taken.
    taken: usize,
}

impl<P> Outputs<P> {
    pub(super) fn new() -> Self {
        Self { all: Vec::new(), taken: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn push(&mut self, output: Output<P>) {
        self.all.push(Some(output));
    }

    /// Takes the first one.
    pub(super) fn pop(&mut self) -> Option<Output<P>> {
        let output = self.all.get_mut(self.taken)?.take();
        self.taken += 1;
        if self.taken == self.all.len() {
            self.all.clear();
            self.taken = 0;
        }
        output
    }
}
