//! A generator of its own, so that the world does not share its draws with the session.

use std::time::Duration;

pub(crate) struct Random(u64);

impl Random {
    /// Neighbouring seeds give unrelated draws.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
        random.below(2);
        random
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn up_to(&mut self, time: Duration) -> Duration {
        Duration::from_micros(self.below(time.as_micros() as u64 + 1))
    }

    /// A number in `0.0..1.0`.
    #[cfg(native)]
    pub(crate) fn fraction(&mut self) -> f64 {
        self.below(1 << 31) as f64 / (1_u64 << 31) as f64
    }

    pub(crate) fn seconds(&mut self, most: u64) -> Duration {
        self.up_to(Duration::from_secs(most))
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
