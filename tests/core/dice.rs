//! Seeded chance for random schedules.

use std::ops::Range;

pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x0d1c_e5ee)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// The seeds to run: `EVERWIRE_SEED` one, `EVERWIRE_SEEDS=0..1000` a range, else as many as said.
pub(crate) fn seeds(count: u64) -> Range<u64> {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    #[cfg(native)]
    if let Ok(seed) = std::env::var("EVERWIRE_SEED") {
        return number(&seed)..number(&seed) + 1;
    }
    let range = if cfg!(native) { std::env::var("EVERWIRE_SEEDS").ok() } else { None };
    range.map_or(0..count, |range| {
        let (first, end) = range.split_once("..").expect("a range such as 0..100000");
        number(first)..number(end)
    })
}
