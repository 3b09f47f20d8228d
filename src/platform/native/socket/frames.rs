//! Follows WebSocket frames as their bytes pass, to know where a message ends. It judges nothing: that is for the
//! WebSocket layer.

/// The longest header: two bytes, a length of eight, a mask of four.
const LONGEST: usize = 14;

/// Where in the stream of frames one is.
#[derive(Default)]
pub(super) struct Frames {
    /// What has passed of a header.
    header: [u8; LONGEST],
    len: usize,
    /// How much of a frame's payload has to come.
    left: u64,
    /// Whether a message has begun of which more frames have to come.
    within: bool,
}

impl Frames {
    /// These bytes pass.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len() as u64);
                self.left -= passed;
                // No more than the length of `bytes`.
                bytes = &bytes[passed as usize..];
                continue;
            }
            self.header[self.len] = *first;
            self.len += 1;
            bytes = rest;
            if self.header_missing() == 0 {
                self.begin();
            }
        }
    }

    /// Whether whole messages have passed, and nothing of another.
    pub(super) fn is_between_messages(&self) -> bool {
        self.left == 0 && self.len == 0 && !self.within
    }

    /// How many bytes can pass without going beyond the end of the message.
    pub(super) fn missing(&self) -> usize {
        match self.left {
            0 => self.header_missing(),
            left => usize::try_from(left).unwrap_or(usize::MAX),
        }
    }

    /// How much of the header has to come, as far as it is known.
    fn header_missing(&self) -> usize {
        Self::header_len(&self.header[..self.len]).unwrap_or(2) - self.len
    }

    /// How long this header is, once two bytes of it are there.
    pub(super) fn header_len(header: &[u8]) -> Option<usize> {
        let second = header.get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        Some(2 + Self::longer(*second) + mask)
    }

    /// How long the payload is that follows this header, which is complete.
    pub(super) fn payload_len(header: &[u8]) -> u64 {
        match &header[2..2 + Self::longer(header[1])] {
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

    /// The header is complete.
    fn begin(&mut self) {
        self.left = Self::payload_len(&self.header);
        let (is_last, is_control) = (self.header[0] & 0x80 != 0, self.header[0] & 0x08 != 0);
        if !is_control {
            self.within = !is_last;
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(len as u8),
            126..65536 => frame.extend([&[126][..], &(len as u16).to_be_bytes()].concat()),
            _ => frame.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
        }
        frame.extend(vec![0x81; len]);
        frame
    }

    #[test]
    fn the_ends_of_messages_are_found_however_the_bytes_are_cut() {
        // Whole messages, one in three fragments with a ping between them, and an empty one.
        let messages = [
            frame(0x81, 5),
            [frame(0x02, 200), frame(0x89, 3), frame(0x00, 0), frame(0x80, 70_000)].concat(),
            frame(0x82, 126),
            frame(0x81, 0),
            frame(0x8a, 125),
        ];
        let bytes = messages.concat();
        let mut ends: Vec<_> = messages
            .iter()
            .scan(0, |end, message| {
                *end += message.len();
                Some(*end)
            })
            .collect();
        ends.insert(0, 0);
        for size in [1, 2, 3, 7, 1000, 100_000] {
            let (mut frames, mut at) = (Frames::default(), 0);
            for piece in bytes.chunks(size) {
                frames.pass(piece);
                at += piece.len();
                assert_eq!(frames.is_between_messages(), ends.contains(&at), "{at} in pieces of {size}");
            }
        }
        // Never more than what is missing leads to each end in turn.
        let (mut frames, mut at, mut found) = (Frames::default(), 0, vec![0]);
        while at < bytes.len() {
            let most = frames.missing().min(bytes.len() - at);
            frames.pass(&bytes[at..at + most]);
            at += most;
            if frames.is_between_messages() {
                found.push(at);
            }
        }
        assert_eq!(found, ends);
    }

    #[test]
    fn a_mask_and_a_length_beyond_all_bounds_are_followed() {
        let mut frames = Frames::default();
        frames.pass(&[0x81, 0x82, 1, 2, 3, 4, b'h']);
        assert_eq!(frames.missing(), 1);
        frames.pass(b"i");
        assert!(frames.is_between_messages());
        frames.pass(&[0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(!frames.is_between_messages());
        assert_eq!(frames.missing(), usize::MAX);
    }
}
