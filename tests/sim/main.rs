//! The simulated world: sessions against a model of the link, the servers, the token provider and the user, on virtual time.
//! Everything is drawn from a seed, and what must always hold (`rules`) is checked at every step.
//!
//! A failure prints its seed: `EVERWIRE_SEED=<seed> cargo test --test sim` replays it step by step.
//! `EVERWIRE_SEEDS=<first>..<end>` runs a range of one's own, as `make sim SEEDS=…` does.

#[cfg(web)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// The target's own test attribute.
#[cfg(native)]
pub(crate) use core::prelude::v1::test;
#[cfg(web)]
pub(crate) use wasm_bindgen_test::wasm_bindgen_test as test;

mod book;
mod driver;
mod happenings;
#[cfg(native)]
mod herd;
mod keeper;
mod link;
mod random;
mod rules;
mod seen;
mod server;
mod session;
mod user;
mod whims;
mod world;

use seen::Seen;
use std::ops::Range;
use world::World;

/// How many schedules a plain `cargo test` drives; `make test` drives 100,000.
const SCHEDULES: u64 = 10_000;

#[test]
fn the_rules_hold_on_random_schedules() {
    let seeds = seeds();
    let seen = drive(seeds.clone());
    if std::env::var_os("EVERWIRE_SEEDS").is_some() {
        println!("{seen:?}");
    }
    if seeds.end - seeds.start >= SCHEDULES {
        // A world without trouble proves nothing.
        seen.check(SCHEDULES);
    }
}

/// Drives a range of schedules; natively all cores take part.
#[cfg(native)]
fn drive(seeds: Range<u64>) -> Seen {
    use std::sync::atomic::{AtomicU64, Ordering};
    let trace = seeds.end - seeds.start == 1;
    let next = AtomicU64::new(seeds.start);
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let work = || {
        let mut seen = Seen::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return seen;
            }
            let _named = Named(seed);
            World::new(seed, trace).run(&mut seen);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(seeds.end - seeds.start)).map(|_| scope.spawn(work)).collect();
        let mut seen = Seen::default();
        for thread in threads {
            match thread.join() {
                Ok(part) => seen.add(part),
                Err(panic) => {
                    // The others need not go on.
                    next.store(seeds.end, Ordering::Relaxed);
                    std::panic::resume_unwind(panic);
                }
            }
        }
        seen
    })
}

#[cfg(web)]
fn drive(seeds: Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let mut part = Seen::default();
        World::new(seed, false).run(&mut part);
        seen.add(part);
    }
    seen
}

/// Says which schedule it was, whatever panicked in it.
#[cfg(native)]
struct Named(u64);

#[cfg(native)]
impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {0} failed; replay it with EVERWIRE_SEED={0} cargo test --test sim", self.0);
        }
    }
}

#[cfg(native)]
fn seeds() -> Range<u64> {
    if let Ok(seed) = std::env::var("EVERWIRE_SEED") {
        let seed = seed.parse().expect("a number");
        return seed..seed + 1;
    }
    let range = std::env::var("EVERWIRE_SEEDS").ok();
    range.map_or(0..SCHEDULES, |range| {
        let (first, end) = range.split_once("..").expect("a range such as 0..1000000");
        first.parse().expect("a number")..end.parse().expect("a number")
    })
}

#[cfg(web)]
fn seeds() -> Range<u64> {
    0..SCHEDULES
}
