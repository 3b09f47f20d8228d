//! What the schedules brought about: a world without trouble proves nothing.

use super::server::Kind;
use std::collections::BTreeMap;

/// What the schedules brought about, all together.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connected: BTreeMap<&'static str, u64>,
    pub(crate) events: u64,
    /// Those that passed the session by.
    pub(crate) passed: u64,
    pub(crate) stale: u64,
    pub(crate) written: u64,
    pub(crate) timeouts: u64,
    pub(crate) fetches: u64,
    pub(crate) breaks: u64,
    pub(crate) renewals: u64,
    /// Connections that were dialled while another was up.
    pub(crate) overlaps: u64,
    pub(crate) resumes: u64,
    pub(crate) duplicates: u64,
    pub(crate) gaps: u64,
    /// Messages that were written again.
    pub(crate) again: u64,
    /// Frames about channels.
    pub(crate) told: u64,
    pub(crate) replies: u64,
    pub(crate) overflows: u64,
    pub(crate) withdrawn: u64,
    pub(crate) refused: u64,
    /// Messages and requests that were given up, by the kind of the error.
    pub(crate) settled: BTreeMap<&'static str, u64>,
    pub(crate) ends: BTreeMap<&'static str, u64>,
    /// How the waits below the cap lie between nothing and their ceiling, in tenths.
    pub(crate) waits: [u64; 10],
}

impl Seen {
    pub(crate) fn add(&mut self, other: Seen) {
        for (kind, count) in other.connected {
            *self.connected.entry(kind).or_default() += count;
        }
        for (cause, count) in other.ends {
            *self.ends.entry(cause).or_default() += count;
        }
        for (sum, count) in self.waits.iter_mut().zip(other.waits) {
            *sum += count;
        }
        self.events += other.events;
        self.passed += other.passed;
        self.stale += other.stale;
        self.written += other.written;
        self.timeouts += other.timeouts;
        self.fetches += other.fetches;
        self.breaks += other.breaks;
        self.renewals += other.renewals;
        self.overlaps += other.overlaps;
        self.resumes += other.resumes;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.again += other.again;
        self.told += other.told;
        self.replies += other.replies;
        self.overflows += other.overflows;
        self.withdrawn += other.withdrawn;
        self.refused += other.refused;
        for (kind, count) in other.settled {
            *self.settled.entry(kind).or_default() += count;
        }
    }

    /// Whether there was trouble of every kind, and the waits were spread (rule 6).
    pub(crate) fn check(&self, schedules: u64) {
        assert!(self.connected.len() == Kind::ALL.len(), "{self:?}");
        assert!(self.connected.values().all(|count| *count > schedules / 2), "{self:?}");
        assert!(self.events > schedules * 10 && self.stale > schedules && self.written > schedules, "{self:?}");
        assert!(self.passed > schedules * 5, "{self:?}");
        assert!(self.timeouts > schedules / 10 && self.fetches > schedules / 5, "{self:?}");
        assert!(self.breaks > schedules / 10 && self.renewals > schedules / 20, "{self:?}");
        assert!(self.overlaps > schedules / 20 && self.resumes > schedules / 4, "{self:?}");
        assert!(
            self.duplicates > schedules / 10 && self.gaps > schedules / 5 && self.again > schedules / 20,
            "{self:?}"
        );
        assert!(self.told > schedules * 2 && self.replies > schedules && self.withdrawn > schedules / 20, "{self:?}");
        assert!(self.overflows > schedules / 2 && self.refused > schedules / 2, "{self:?}");
        let settled = ["closed", "overflow", "timeout"];
        assert!(
            settled.iter().all(|kind| self.settled.get(kind).is_some_and(|count| *count > schedules / 5)),
            "{self:?}"
        );
        let wanted =
            ["by-user", "dropped", "by-server", "refused", "token-expired", "signed-out", "exhausted", "fatal"];
        assert!(
            wanted.iter().all(|cause| self.ends.get(cause).is_some_and(|count| *count > schedules / 1_000)),
            "{self:?}"
        );
        let waits: u64 = self.waits.iter().sum();
        assert!(self.waits.iter().all(|tenth| *tenth > waits / 20), "no jitter: {self:?}");
    }
}
