//! What the buffer does with its memory: nothing that a reader holds is written over, and nothing small keeps much alive.

use super::{
    super::{
        reader::{Reader, Received},
        script::{Script, frame},
    },
    *,
};
use std::task::Waker;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// The next binary message; `None` if nothing more comes now.
fn next(reader: &mut Reader, wire: &mut Script) -> Option<Bytes> {
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        match reader.poll_next(wire, cx) {
            Poll::Ready(Ok(Received::Binary(bytes))) => return Some(bytes),
            Poll::Ready(Ok(_)) => panic!("only binary messages were sent"),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending if reader.has_paused() => {}
            Poll::Pending => return None,
        }
    }
}

/// A message that tells its number in each byte.
fn message(number: usize, length: usize) -> Vec<u8> {
    frame(BINARY, &vec![number as u8; length])
}

/// A reader to which much comes, and what is still to be read of it.
fn flooded() -> (Reader, Script) {
    let mut reader = Reader::new(None, 1 << 20);
    let mut wire = Script::of([]);
    wire.add((0..400).flat_map(|number| message(number, 100)).collect());
    while next(&mut reader, &mut wire).is_some() {}
    assert!(reader.buffer().is_large());
    (reader, wire)
}

// Pitfall 19
#[test]
fn small_messages_that_are_kept_keep_no_buffer() {
    let mut reader = Reader::new(None, 1 << 20);
    let mut wire = Script::of([&message(1, 100)[..], &message(2, 100), &message(3, 100)]);
    let mut kept = Vec::new();
    while let Some(bytes) = next(&mut reader, &mut wire) {
        assert!(bytes.is_unique(), "a copy: the buffer is not its own");
        kept.push(bytes);
    }
    assert_eq!(kept.len(), 3);
    assert!(reader.buffer().is_gone(), "nothing comes, and there is no buffer");
    for (number, bytes) in (1..).zip(kept) {
        assert_eq!(bytes, vec![number; 100]);
    }
}

#[test]
fn what_readers_hold_is_never_written_over() {
    for chosen in [None, Some(8 * 1024)] {
        let mut reader = Reader::new(chosen, 1 << 20);
        let mut wire = Script::of([]);
        let lengths = [90, 3, 700, 2500, 20_000];
        for number in 0..3_000 {
            wire.add(message(number, lengths[number % 5]));
        }
        // Many messages a read, as in a flood.
        let mut all = Script::of([]);
        all.add((0..3_000).flat_map(|number| message(number, lengths[number % 5])).collect());
        for mut wire in [wire, all] {
            let mut kept = Vec::new();
            while let Some(bytes) = next(&mut reader, &mut wire) {
                // Some are dropped at once, some later, some never.
                match kept.len() % 7 {
                    0..3 => kept.push((kept.len(), Some(bytes))),
                    3..5 => kept.push((kept.len(), None)),
                    _ => {
                        kept.push((kept.len(), Some(bytes)));
                        let place = kept.len() - 4;
                        kept[place].1 = None;
                    }
                }
            }
            assert_eq!(kept.len(), 3_000);
            for (number, bytes) in kept {
                let intact = bytes.is_none_or(|bytes| bytes == vec![number as u8; lengths[number % 5]]);
                assert!(intact, "message {number} was written over");
            }
        }
    }
}

#[test]
fn in_a_flood_messages_are_slices_and_the_buffer_is_used_again() {
    let (mut reader, mut wire) = flooded();
    let mut places = std::collections::BTreeSet::new();
    for _ in 0..50 {
        wire.add((0..400).flat_map(|number| message(number, 100)).collect());
        let mut slices = 0;
        while let Some(bytes) = next(&mut reader, &mut wire) {
            slices += usize::from(!bytes.is_unique());
            places.insert(bytes.as_ptr() as usize / (2 * FLOOD));
        }
        assert!(slices >= 399, "{slices}: the last one may be alone in its buffer");
    }
    assert!(places.len() <= 4, "one buffer serves them all: {places:?}");
}

#[test]
fn messages_that_are_kept_in_a_flood_cost_a_pause_and_then_copies_for_a_while() {
    let (mut reader, mut wire) = flooded();
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut kept, mut pauses) = (Vec::new(), 0);
    wire.add((0..10_000).flat_map(|number| message(number, 100)).collect());
    loop {
        match reader.poll_next(&mut wire, cx) {
            Poll::Ready(Ok(Received::Binary(bytes))) => kept.push(bytes),
            Poll::Pending if reader.has_paused() => pauses += 1,
            Poll::Pending => break,
            _ => panic!("only binary messages were sent"),
        }
    }
    assert_eq!((kept.len(), pauses), (10_000, 1));
    let copies = kept.iter().filter(|bytes| bytes.is_unique()).count();
    assert!(copies > 5_000, "{copies}");
    // Nothing is kept any more: after a while they are slices again.
    drop(kept);
    let mut slices = 0;
    for _ in 0..3 * WARY {
        wire.add((0..400).flat_map(|number| message(number, 100)).collect());
        slices = 0;
        while let Some(bytes) = next(&mut reader, &mut wire) {
            slices += usize::from(!bytes.is_unique());
        }
    }
    assert!(slices >= 399, "{slices}");
}

#[test]
fn a_message_gets_no_more_room_than_has_come_of_it() {
    let mut reader = Reader::new(None, 1 << 30);
    let announced = [&[BINARY, 127][..], &(1_u64 << 29).to_be_bytes()].concat();
    let mut wire = Script::of([&announced[..]]);
    assert_eq!(next(&mut reader, &mut wire), None);
    assert!(reader.buffer().bytes.capacity() <= 2 * CALM);
    for size in [1_000, 50_000, 500_000] {
        wire.add(vec![7; size]);
        assert_eq!(next(&mut reader, &mut wire), None);
        let (came, room) = (reader.buffer().bytes.len(), reader.buffer().bytes.capacity());
        assert!(room <= 2 * came + 2 * FLOOD, "{room} for {came}");
    }
}

#[test]
fn a_long_message_is_read_into_its_place_and_not_copied_out_of_it() {
    let mut reader = Reader::new(None, 1 << 20);
    let mut wire = Script::of([&message(5, 100_000)[..], &frame(TEXT, b"")]);
    let bytes = next(&mut reader, &mut wire).expect("a message");
    assert_eq!(bytes, vec![5; 100_000]);
    assert!(!bytes.is_unique(), "a slice of the buffer");
}

#[test]
fn a_flood_that_is_over_leaves_no_buffer() {
    let (mut reader, mut wire) = flooded();
    for number in 0..usize::from(FEW) {
        assert!(!reader.buffer().is_gone(), "{number}: it may go on");
        wire.add(message(number, 10));
        while next(&mut reader, &mut wire).is_some() {}
    }
    assert!(reader.buffer().is_gone() && !reader.buffer().is_large());
}
