//! Presets (S2-15): settings that belong together.

use super::ClientBuilder;
use crate::proto::Error;
use std::{fmt, str::FromStr, time::Duration};

/// Settings for a kind of use, for [`ClientBuilder::preset`]. What a preset does not name stays as it was.
///
/// | | `Trading` | `LlmStream` | `Dashboard` | `Minimal` |
/// |---|---|---|---|---|
/// | waits before reconnects | 0.1 s, up to 5 s | 0.5 s, up to 30 s | 1 s, up to 60 s | none: no reconnect |
/// | tries in a row | no end | 5 | no end | 1 |
/// | stable after | 30 s | 60 s | 60 s | – |
/// | connections are renewed at the age of | 23 h | – | – | – |
/// | open timeout | 5 s | 20 s | 10 s | 10 s |
/// | pings, answered within | 10 s, 5 s | 30 s, 10 s | 30 s, 10 s | none |
/// | largest message | 4 MiB | 16 MiB | 1 MiB | 1 MiB |
/// | events that may wait | 10,000 | 4,096 | 256 | 16 |
/// | buffers | as much comes | as much comes | as much comes | small |
///
/// In a browser, which sends no pings, there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Market data: back at once, a dead connection is noticed within seconds, bursts fit.
    Trading,
    /// Answers of a language model: large messages, long pauses, and no end of tries would only hide that it is over.
    LlmStream,
    /// A page of figures that stays open for days: patient, and only the newest events count.
    Dashboard,
    /// A script: one connection, and an error if it ends.
    Minimal,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 4] = [Preset::Trading, Preset::LlmStream, Preset::Dashboard, Preset::Minimal];

    /// The name: `trading`, `llm_stream`, `dashboard`, `minimal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Preset::Trading => "trading",
            Preset::LlmStream => "llm_stream",
            Preset::Dashboard => "dashboard",
            Preset::Minimal => "minimal",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = Error;

    /// The preset of this name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Preset::ALL.into_iter().find(|preset| preset.as_str() == name);
        known.ok_or_else(|| Error::wrong("preset", "must be trading, llm_stream, dashboard or minimal"))
    }
}

impl ClientBuilder {
    /// Takes the settings of a preset; what is set afterwards wins.
    pub fn preset(self, preset: Preset) -> Self {
        let (ms, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let pings = |seconds: u32| cfg!(native).then_some(seconds * second);
        let mib = 1 << 20;
        match preset {
            Preset::Trading => self
                .backoff(100 * ms, 5 * second)
                .max_attempts(0)
                .stable_after(30 * second)
                .max_connection_age(23 * 3600 * second)
                .open_timeout(5 * second)
                .ping(pings(10), 5 * second)
                .max_message_size(4 * mib)
                .event_capacity(10_000),
            Preset::LlmStream => self
                .backoff(500 * ms, 30 * second)
                .max_attempts(5)
                .stable_after(60 * second)
                .open_timeout(20 * second)
                .ping(pings(30), 10 * second)
                .max_message_size(16 * mib)
                .event_capacity(4_096),
            Preset::Dashboard => self
                .backoff(second, 60 * second)
                .max_attempts(0)
                .stable_after(60 * second)
                .open_timeout(10 * second)
                .ping(pings(30), 10 * second)
                .max_message_size(mib)
                .event_capacity(256),
            Preset::Minimal => if cfg!(native) { self.small_buffers() } else { self }
                .reconnect(false)
                .open_timeout(10 * second)
                .ping(None, 10 * second)
                .max_message_size(mib)
                .event_capacity(16),
        }
    }
}
