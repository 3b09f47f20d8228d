//! What a client does, told to the ecosystem: spans and events of `tracing`, counters, gauges and histograms of `metrics`. Each is
//! behind the feature of its name, and native only; without them there is nothing here.

#[cfg(all(native, feature = "metrics"))]
mod meters;
#[cfg(all(native, feature = "tracing"))]
mod trace;

use crate::proto::{Lifecycle, Settings, Stats};

/// Watches one client on its driver's own task.
pub(crate) struct Observer {
    #[cfg(all(native, feature = "tracing"))]
    trace: trace::Trace,
    #[cfg(all(native, feature = "metrics"))]
    meters: meters::Meters,
}

#[cfg_attr(not(all(native, any(feature = "tracing", feature = "metrics"))), allow(unused_variables))]
impl Observer {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            #[cfg(all(native, feature = "tracing"))]
            trace: trace::Trace::new(settings),
            #[cfg(all(native, feature = "metrics"))]
            meters: meters::Meters::new(settings),
        }
    }

    /// A step in the life of the client.
    pub(crate) fn step(&mut self, step: &Lifecycle, stats: &Stats) {
        #[cfg(all(native, feature = "tracing"))]
        self.trace.step(step);
        #[cfg(all(native, feature = "metrics"))]
        self.meters.step(step, stats);
    }

    /// What was counted since the last time.
    pub(crate) fn counts(&mut self, stats: &Stats) {
        #[cfg(all(native, feature = "metrics"))]
        self.meters.counts(stats);
    }
}
