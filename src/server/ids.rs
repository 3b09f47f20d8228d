//! The ids of connections and sessions, from the operating system's randomness. The id of a session is a secret: with it, and a
//! token of its user, the session can be taken over.

use crate::{platform, proto::Error};
use std::fmt::Write;

/// An id for a connection: a UUID of version 4.
pub(super) fn connection() -> Result<String, Error> {
    let mut bytes: [u8; 16] = platform::random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// An id for a session: 128 random bits.
pub(super) fn session() -> Result<String, Error> {
    Ok(hex(&platform::random::<16>()?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn connection_ids_are_uuids_and_differ() {
        let ids: HashSet<String> = (0..1000).map(|_| connection().expect("an id")).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }

    // 128 bits, each of them random: every one of the 32 places takes every one of the 16 digits, none more often than chance
    // allows, and neither halves nor quarters of an id come twice, on one thread or on many.
    #[test]
    fn session_ids_have_128_random_bits() {
        const IDS: usize = 8_000;
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..IDS / 4).map(|_| session().expect("an id")).collect::<Vec<_>>()))
            .collect();
        let ids: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect();
        for half in [0..16, 16..32, 8..24] {
            let parts: HashSet<&str> = ids.iter().map(|id| &id[half.clone()]).collect();
            assert_eq!(parts.len(), IDS, "{half:?}");
        }
        let mut counts = [[0_u32; 16]; 32];
        for id in &ids {
            assert_eq!(id.len(), 32, "{id}");
            for (place, digit) in id.chars().enumerate() {
                counts[place][digit.to_digit(16).expect("a hex digit") as usize] += 1;
            }
        }
        // 500 of each are expected, with a standard deviation of 22.
        assert!(counts.iter().flatten().all(|count| (325..675).contains(count)), "{counts:?}");
    }
}
