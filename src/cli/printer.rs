//! Prints events as they come, up to a count.

use crate::{output::Output, tap::Tap, writer::Stopped};
use std::time::Duration;
use tokio::time::timeout;

/// Prints what comes out of a tap.
pub(crate) struct Printer {
    output: Output,
    tap: Tap,
    /// How many are still wanted; `None`: all.
    left: Option<u64>,
    /// Types that are not printed and do not count.
    ignored: Vec<String>,
    printed: u64,
}

impl Printer {
    pub(crate) fn new(output: &Output, tap: Tap, count: Option<u64>, ignored: Vec<String>) -> Self {
        Self { output: output.clone(), tap, left: count, ignored, printed: 0 }
    }

    /// How many were printed.
    pub(crate) fn printed(&self) -> u64 {
        self.printed
    }

    /// Whether all that were wanted are printed.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Prints the next event; `false` if none came in this time, or none will come. Dropping the future loses none.
    pub(crate) async fn next(&mut self, within: Duration) -> Result<bool, Stopped> {
        // Room first: an event that was taken is printed at once, and the time does not count while the output is slow.
        let room = self.output.room().await?;
        let ignored = &self.ignored;
        let next = async {
            loop {
                match self.tap.recv().await {
                    Some(event) if ignored.iter().any(|name| name == event.event_type()) => {}
                    event => return event,
                }
            }
        };
        let Ok(Some(event)) = timeout(within, next).await else { return Ok(false) };
        room.write(self.output.event(&event));
        self.printed += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(true)
    }

    /// Prints until the count is complete, and takes no more then.
    pub(crate) async fn run(&mut self) -> Result<(), Stopped> {
        let result = async {
            while !self.is_complete() && self.next(Duration::MAX).await? {}
            Ok(())
        };
        let result = result.await;
        self.tap.close();
        result
    }

    /// Takes no more events.
    pub(crate) fn close(&mut self) {
        self.tap.close();
    }
}
