//! CPU time of this process from the hello to the last event, and the core it runs on.

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::resource::{UsageWho, getrusage},
    sys::time::TimeValLike,
    unistd::Pid,
};
use std::{cell::Cell, str::FromStr};

/// What a client counted, and what it cost.
pub struct Measured {
    pub events: u64,
    /// Events that its queue had no room for.
    pub dropped: u64,
    pub cpu_us: i64,
}

impl FromStr for Measured {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Vec<i64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [events, dropped, cpu_us] => Ok(Self { events: events as u64, dropped: dropped as u64, cpu_us }),
            _ => Err(format!("not a result: {line:?}")),
        }
    }
}

#[derive(Default)]
pub struct Meter(Cell<i64>);

impl Meter {
    pub fn start(&self) {
        self.0.set(cpu_us());
    }

    /// Prints the result and ends the process.
    pub fn finish(&self, events: u64, dropped: u64) -> ! {
        println!("{events} {dropped} {}", cpu_us() - self.0.get());
        std::process::exit(0)
    }
}

/// The processor time that this process took, in microseconds.
pub fn cpu_us() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel tells");
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

/// Keeps this process on one core: the server has the first it may use, the clients the last.
pub fn pin(server: bool) {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("the kernel tells");
    let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
    let core = if server { cores.next() } else { cores.next_back() }.expect("a core");
    let mut one = CpuSet::new();
    one.set(core).expect("a core");
    sched_setaffinity(this, &one).expect("pinned");
}
