//! The headers of WebSocket frames (RFC 6455, 5.2), as far as the bytes of them are there.

/// How long this header is, once two bytes of it are there.
pub(super) fn header_len(header: &[u8]) -> Option<usize> {
    let second = header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    Some(2 + longer(*second) + mask)
}

/// How long the payload is that follows this header, which is complete.
pub(super) fn payload_len(header: &[u8]) -> u64 {
    match &header[2..2 + longer(header[1])] {
        [] => u64::from(header[1] & 0x7f),
        longer => longer.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    }
}

/// How many bytes of a longer length follow the first two.
fn longer(second: u8) -> usize {
    match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}
