//! What frames become, wherever the reads break them, and what is refused (RFC 6455, 5 and 7).

use super::{
    super::script::{Script, frame},
    *,
};
use std::task::Waker;

const LIMIT: usize = 1 << 20;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;
/// The same without the bit that tells the last fragment; and what follows them.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<(u16, String)>),
    /// The connection is over.
    Refused(String),
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

fn refused(error: impl Into<Error>) -> Got {
    Got::Refused(error.into().to_string())
}

/// Everything that can be read now.
fn read(reader: &mut Reader, wire: &mut Script) -> Vec<Got> {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        all.push(match reader.poll_next(wire, cx) {
            Poll::Pending if reader.has_paused() => continue,
            Poll::Pending => return all,
            Poll::Ready(Ok(Received::Text(text))) => Got::Text(text.as_str().to_owned()),
            Poll::Ready(Ok(Received::Binary(bytes))) => Got::Binary(bytes.to_vec()),
            Poll::Ready(Ok(Received::Ping(bytes))) => Got::Ping(bytes.to_vec()),
            Poll::Ready(Ok(Received::Pong)) => Got::Pong,
            Poll::Ready(Ok(Received::Close(frame))) => {
                Got::Close(frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned())))
            }
            Poll::Ready(Err(error)) => {
                all.push(refused(error));
                return all;
            }
        });
    }
}

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Got> {
    read(&mut Reader::new(None, LIMIT), &mut Script::of(pieces))
}

/// The same comes of it as a whole, byte by byte, and broken in two anywhere.
#[track_caller]
fn becomes(bytes: &[u8], wanted: &[Got]) {
    assert_eq!(read_pieces([bytes]), wanted, "as a whole");
    assert_eq!(read_pieces(bytes.chunks(1)), wanted, "byte by byte");
    for place in 1..bytes.len() {
        let (start, end) = bytes.split_at(place);
        assert_eq!(read_pieces([start, end]), wanted, "broken at {place}");
    }
}

#[test]
fn frames_are_the_same_wherever_the_reads_break() {
    let long = "ü".repeat(150);
    let bytes = [
        frame(TEXT, "grüße".as_bytes()),
        frame(TEXT, b""),
        frame(BINARY, &[0, 255]),
        frame(TEXT, long.as_bytes()),
        frame(PING, b"are you there?"),
        frame(PONG, b""),
        frame(CLOSE, b"\x0f\xa1bye"),
    ];
    let wanted = [
        text("grüße"),
        text(""),
        Got::Binary(vec![0, 255]),
        text(&long),
        Got::Ping(b"are you there?".to_vec()),
        Got::Pong,
        Got::Close(Some((4001, "bye".to_owned()))),
    ];
    becomes(&bytes.concat(), &wanted);
}

#[test]
fn fragments_become_one_message_and_control_frames_between_them_come_first() {
    let bytes = [
        frame(TEXT_BEGINS, b"gr"),
        frame(PING, b"1"),
        frame(GOES_ON, b""),
        frame(PONG, b"2"),
        frame(GOES_ON, "üß".as_bytes()),
        frame(ENDS, b"e"),
        frame(BINARY_BEGINS, &[1]),
        frame(ENDS, &[2]),
        frame(TEXT_BEGINS, b""),
        frame(ENDS, b""),
        frame(TEXT, b"whole"),
        // A message that is never finished says nothing, and a close may come in the middle of it.
        frame(BINARY_BEGINS, b"never"),
        frame(CLOSE, b""),
    ];
    let wanted = [
        Got::Ping(b"1".to_vec()),
        Got::Pong,
        text("grüße"),
        Got::Binary(vec![1, 2]),
        text(""),
        text("whole"),
        Got::Close(None),
    ];
    becomes(&bytes.concat(), &wanted);
}

#[test]
fn each_form_of_a_length_is_understood_up_to_its_bounds() {
    for length in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, 200_000] {
        let payload: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let bytes = frame(BINARY, &payload);
        assert_eq!(
            bytes.len() - payload.len(),
            if length < 126 {
                2
            } else if length < 0x1_0000 {
                4
            } else {
                10
            }
        );
        let wanted = [Got::Binary(payload), text("next")];
        let all = [&bytes[..], &frame(TEXT, b"next")].concat();
        assert_eq!(read_pieces([&all[..]]), wanted, "{length}");
        for place in 1..12.min(all.len()) {
            assert_eq!(read_pieces([&all[..place], &all[place..]]), wanted, "{length}, broken at {place}");
        }
        assert_eq!(read_pieces(all.chunks(1000)), wanted, "{length}, in pieces");
    }
    // A longer form than is needed is no reason to refuse what is understood.
    becomes(b"\x81\x7f\0\0\0\0\0\0\0\x02hi", &[text("hi")]);
    becomes(b"\x81\x7e\0\x02hi", &[text("hi")]);
}

/// Each is refused for its header alone, after what came before it.
#[test]
fn what_a_server_may_not_send_is_refused_before_its_payload_has_come() {
    let open = [frame(TEXT, b"before"), frame(TEXT_BEGINS, b"part")].concat();
    let mut cases: Vec<(&[u8], [u8; 2], ProtocolError)> = vec![
        (b"", [TEXT, 0x85], ProtocolError::MaskedFrameFromServer),
        (b"", [PING, 0x80], ProtocolError::MaskedFrameFromServer),
        (b"", [GOES_ON, 5], ProtocolError::UnexpectedContinueFrame),
        (b"", [ENDS, 0], ProtocolError::UnexpectedContinueFrame),
        (&open, [TEXT, 5], ProtocolError::ExpectedFragment(Data::Text)),
        (&open, [BINARY_BEGINS, 5], ProtocolError::ExpectedFragment(Data::Binary)),
        (&open, [ENDS, 0x85], ProtocolError::MaskedFrameFromServer),
    ];
    for reserved in [0x40, 0x20, 0x10, 0x70] {
        cases.push((b"", [TEXT | reserved, 5], ProtocolError::NonZeroReservedBits));
        cases.push((&open, [PING | reserved, 0], ProtocolError::NonZeroReservedBits));
    }
    for opcode in 3..8 {
        cases.push((b"", [0x80 | opcode, 5], ProtocolError::UnknownDataFrameType(opcode)));
    }
    for opcode in 11..16 {
        cases.push((b"", [0x80 | opcode, 0], ProtocolError::UnknownControlFrameType(opcode)));
    }
    for opcode in 8..11 {
        cases.push((&open, [opcode, 0], ProtocolError::FragmentedControlFrame));
    }
    for (before, header, error) in cases {
        let mut wanted: Vec<Got> = before.first().map(|_| text("before")).into_iter().collect();
        wanted.push(refused(error));
        let mask: &[u8] = if header[1] & 0x80 == 0 { b"" } else { b"mask" };
        becomes(&[before, &header, mask].concat(), &wanted);
    }
    // Those whose length takes more than the first two bytes.
    for first in [PING, PONG, CLOSE] {
        becomes(&[first, 126, 0, 126], &[refused(ProtocolError::ControlFrameTooBig)]);
    }
}

#[test]
fn a_message_over_the_limit_is_refused_as_soon_as_it_is_announced() {
    let too_long = |size| refused(CapacityError::MessageTooLong { size, max_size: 100 });
    let read = |bytes: &[u8]| read(&mut Reader::new(None, 100), &mut Script::of([bytes]));
    assert_eq!(read(&frame(TEXT, &[b'x'; 100])), [text(&"x".repeat(100))]);
    assert_eq!(read(&[TEXT, 101]), [too_long(101)]);
    assert_eq!(read(&[BINARY_BEGINS, 127, 0, 0, 0, 1, 0, 0, 0, 0]), [too_long(1 << 32)]);
    assert_eq!(read(&[[TEXT, 127].as_slice(), &[0xff; 8]].concat()), [too_long(usize::MAX)]);
    // Fragments count together, and a length beyond every number does not go round to a small one.
    let part = frame(BINARY_BEGINS, &[7; 60]);
    assert_eq!(
        read(&[&part[..], &frame(ENDS, &[8; 40])].concat()),
        [Got::Binary([[7; 60].as_slice(), &[8; 40]].concat())]
    );
    assert_eq!(read(&[&part[..], &[GOES_ON, 41]].concat()), [too_long(101)]);
    assert_eq!(read(&[&part[..], &[ENDS, 127], &[0xff; 8]].concat()), [too_long(usize::MAX)]);
    // A control frame between them does not count.
    let pinged = [&part[..], &frame(PING, &[1; 125]), &frame(ENDS, &[])].concat();
    assert_eq!(read(&pinged), [Got::Ping(vec![1; 125]), Got::Binary(vec![7; 60])]);
}

fn is_utf8_error(got: &[Got]) -> bool {
    matches!(got, [Got::Refused(what)] if what.contains("UTF-8"))
}

#[test]
fn text_is_utf8_whatever_it_is_broken_into() {
    let all = "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}z";
    // Characters may be broken by fragments and by reads alike.
    for place in 0..=all.len() {
        let (start, end) = all.as_bytes().split_at(place);
        let bytes = [frame(TEXT_BEGINS, start), frame(GOES_ON, b""), frame(ENDS, end)].concat();
        assert_eq!(read_pieces([&bytes[..]]), [text(all)], "{place}");
        assert_eq!(read_pieces(bytes.chunks(1)), [text(all)], "{place}, byte by byte");
    }
    let single: Vec<u8> =
        all.bytes().enumerate().flat_map(|(index, byte)| frame(if index == 0 { 1 } else { 0 }, &[byte])).collect();
    becomes(&[single, frame(ENDS, b"")].concat(), &[text(all)]);
}

#[test]
fn text_that_is_not_utf8_is_refused_where_that_shows() {
    // Overlong, a surrogate, beyond the last character, a continuation alone, and a character that is cut off.
    for bad in [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xff", b"ok\xe2\x82"] {
        for bytes in [frame(TEXT, bad), [frame(TEXT_BEGINS, bad), frame(ENDS, b"")].concat()] {
            assert!(is_utf8_error(&read_pieces([&bytes[..]])), "{bad:?}");
            assert!(is_utf8_error(&read_pieces(bytes.chunks(1))), "{bad:?}, byte by byte");
        }
        for place in 0..bad.len() {
            let (start, end) = bad.split_at(place);
            let bytes = [frame(TEXT_BEGINS, start), frame(ENDS, end)].concat();
            assert!(is_utf8_error(&read_pieces([&bytes[..]])), "{bad:?} in fragments");
        }
        assert_eq!(read_pieces([&frame(BINARY, bad)[..]]), [Got::Binary(bad.to_vec())]);
    }
    // What can become nothing right any more is refused before the message is whole.
    assert!(is_utf8_error(&read_pieces([&frame(TEXT_BEGINS, b"\xf4\x90")[..]])));
    assert_eq!(read_pieces([&frame(TEXT_BEGINS, b"\xf4\x8f")[..]]), []);
}

#[test]
fn a_close_frame_tells_code_and_reason_or_is_wrong() {
    let close = |payload: &[u8]| read_pieces([&frame(CLOSE, payload)[..]]);
    let told = |code, reason: &str| [Got::Close(Some((code, reason.to_owned())))];
    assert_eq!(close(b""), [Got::Close(None)]);
    assert_eq!(close(b"\x03\xe8"), told(1000, ""));
    assert_eq!(close("\u{3}".as_bytes()), [refused(ProtocolError::InvalidCloseSequence)]);
    assert_eq!(close(&[b"\x0f\xa0", [b'x'; 123].as_slice()].concat()), told(4000, &"x".repeat(123)));
    assert!(is_utf8_error(&close(b"\x03\xe8\xff")));
    // Whether the code may be sent is not asked here: what was sent is told.
    for code in 0..=u16::MAX {
        assert_eq!(close(&code.to_be_bytes()), told(code, ""), "{code}");
    }
}

#[test]
fn a_client_masks_its_frames_and_is_refused_if_it_does_not() {
    let masked = |first: u8, payload: &[u8], mask: [u8; 4]| {
        let plain = frame(first, payload);
        let (header, payload) = plain.split_at(plain.len() - payload.len());
        let hidden: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let header = [&[header[0], header[1] | 0x80], &header[2..]].concat();
        [header, mask.to_vec(), hidden].concat()
    };
    let long = "grüße ".repeat(20_000);
    for mask in [[0; 4], [0xff; 4], [0x12, 0x34, 0x56, 0x78]] {
        for length in [0, 1, 2, 3, 4, 5, 7, 8, 100, 120, 130, 4_000, 70_000] {
            let payload = &long.as_bytes()[..long.floor_char_boundary(length)];
            let text = Got::Text(str::from_utf8(payload).expect("text").to_owned());
            let bytes = [
                masked(TEXT, payload, mask),
                masked(TEXT_BEGINS, &payload[..payload.len() / 2], mask),
                masked(PING, b"p", mask),
                masked(ENDS, &payload[payload.len() / 2..], [9, 8, 7, 6]),
                masked(CLOSE, b"\x03\xe8bye", mask),
            ];
            let wanted = [text.clone(), Got::Ping(b"p".to_vec()), text, Got::Close(Some((1000, "bye".to_owned())))];
            for pieces in [1, 3, 13, 1 << 20] {
                let bytes = bytes.concat();
                let mut wire = Script::of(bytes.chunks(pieces));
                assert_eq!(read(&mut Reader::of_client(LIMIT), &mut wire), wanted, "{length} in pieces of {pieces}");
            }
        }
    }
    for first in [TEXT, PING, CLOSE] {
        let mut wire = Script::of([&frame(first, b"")[..]]);
        let got = read(&mut Reader::of_client(LIMIT), &mut wire);
        assert_eq!(got, [refused(ProtocolError::UnmaskedFrameFromClient)]);
    }
}

#[test]
fn the_end_of_the_stream_is_told_after_all_that_was_whole() {
    let gone = refused(ProtocolError::ResetWithoutClosingHandshake);
    let bytes = [frame(TEXT, b"whole"), frame(TEXT, b"cut off")].concat();
    for length in 0..bytes.len() {
        let mut wire = Script::of([&bytes[..length]]);
        wire.ends = true;
        let mut wanted = vec![gone.clone()];
        if length >= 7 {
            wanted.insert(0, text("whole"));
        }
        assert_eq!(read(&mut Reader::new(None, LIMIT), &mut wire), wanted, "{length}");
    }
}

/// Pieces of any length, buffers of any size: the same messages in the same order.
#[test]
fn a_long_stream_in_random_pieces_is_read_whole() {
    let mut state = 7_u64;
    let mut dice = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for chosen in [None, Some(512), Some(4096), Some(64 * 1024)] {
        let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let length = [3, 40, 125, 200, 5_000, 70_000][dice(6)];
            let payload: String = (0..length / 2).map(|index| if index % 7 == 0 { 'ü' } else { 'x' }).collect();
            match dice(5) {
                0 => {
                    let (start, end) = payload.as_bytes().split_at(dice(payload.len()));
                    bytes.extend([frame(TEXT_BEGINS, start), frame(PING, b"?"), frame(ENDS, end)].concat());
                    wanted.extend([Got::Ping(b"?".to_vec()), text(&payload)]);
                }
                1 => {
                    bytes.extend(frame(BINARY, payload.as_bytes()));
                    wanted.push(Got::Binary(payload.into_bytes()));
                }
                _ => {
                    bytes.extend(frame(TEXT, payload.as_bytes()));
                    wanted.push(text(&payload));
                }
            }
        }
        let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let most = [1, 20, 3_000, 100_000][dice(4)];
            let (piece, more) = rest.split_at((1 + dice(most)).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let got = read(&mut Reader::new(chosen, LIMIT), &mut Script::of(pieces));
        assert!(got == wanted, "{chosen:?}: {} of {}", got.len(), wanted.len());
    }
}
