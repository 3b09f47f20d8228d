//! Pings of the protocol, and a client that does not reconnect.

use super::{
    bed::{Bed, backed_off, ended, raw, with_static_token},
    test,
};
use everwire::proto::{Input, Lifecycle, Output, Settings, Timestamp};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Lets time pass; tells when pings were sent, what latencies were told, and whether the connection was given up.
fn pass(bed: &mut Bed, time: Duration) -> (Vec<Timestamp>, Vec<Duration>, bool) {
    let (mut pings, mut latencies, mut lost) = (Vec::new(), Vec::new(), false);
    let until = bed.now + time;
    loop {
        while let Some(output) = bed.session.poll() {
            match output {
                Output::Ping { generation: 1 } => pings.push(bed.now),
                Output::Lifecycle(Lifecycle::Pong { latency }) => latencies.push(latency),
                Output::Lifecycle(Lifecycle::Disconnected { error }) => lost = error.is_timeout(),
                _ => {}
            }
        }
        match bed.session.next_timeout().filter(|due| !lost && *due <= until) {
            Some(due) => {
                bed.now = bed.now.max(due);
                bed.give(Input::Timeout);
            }
            None => break,
        }
    }
    bed.now = until;
    (pings, latencies, lost)
}

fn pinging() -> Settings {
    Settings { ping_interval: Some(20 * SECOND), ping_timeout: 5 * SECOND, ..with_static_token() }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::after_start(Duration::from_secs(seconds))
}

// S1-3, S2-5: an interval, an answer in time, and the round trip.
#[test]
fn pings_are_sent_at_their_interval_and_answers_tell_the_latency() {
    let mut bed = Bed::connected(pinging());
    let start = bed.now;
    let (pings, ..) = pass(&mut bed, 20 * SECOND);
    assert_eq!(pings, [start + 20 * SECOND]);
    pass(&mut bed, Duration::from_millis(80));
    bed.give(Input::Pong { generation: 1 });
    let (pings, latencies, lost) = pass(&mut bed, 24 * SECOND);
    assert_eq!((pings, latencies), (vec![at(40)], vec![Duration::from_millis(80)]));
    assert_eq!(bed.session.stats().latency, Some(Duration::from_millis(80)));
    assert!(!lost);
}

// S2-11: pings overlap where a round trip takes longer than the time between two of them.
#[test]
fn a_pong_that_comes_after_the_next_ping_is_measured_against_its_own() {
    let mut bed = Bed::connected(Settings { ping_interval: Some(20 * SECOND), ping_timeout: 60 * SECOND, ..raw() });
    pass(&mut bed, 38 * SECOND);
    bed.give(Input::Pong { generation: 1 });
    assert_eq!(pass(&mut bed, 7 * SECOND).1, [18 * SECOND]);
    // The second one was sent at 40 s, the third at 60 s.
    for _ in 0..5 {
        pass(&mut bed, 20 * SECOND);
        bed.give(Input::Pong { generation: 1 });
        assert_eq!(bed.session.stats().latency, Some(25 * SECOND));
    }
}

// S2-11
#[test]
fn a_pong_that_never_comes_spoils_no_round_trip() {
    let mut bed = Bed::connected(Settings { ping_interval: Some(20 * SECOND), ping_timeout: 60 * SECOND, ..raw() });
    let trip = Duration::from_millis(80);
    pass(&mut bed, trip);
    for number in 0..5 {
        pass(&mut bed, 20 * SECOND);
        if number != 1 {
            bed.give(Input::Pong { generation: 1 });
            assert_eq!(bed.session.stats().latency, Some(trip));
        }
    }
}

// S2-5, pitfall 2: a half-open connection is noticed by the ping that nothing follows.
#[test]
fn a_ping_that_nothing_follows_ends_the_connection() {
    let mut bed = Bed::connected(pinging());
    let (pings, _, lost) = pass(&mut bed, 25 * SECOND);
    assert!(lost && pings.len() == 1);
    // Nothing of it is carried over to the next connection (pitfall 13): a late answer is stale.
    bed.give(Input::Pong { generation: 1 });
    assert_eq!(bed.session.stats().stale_dropped, 1);
    assert_eq!(bed.session.stats().latency, None);
}

// Pitfall 13: an answer may be behind a long message: any sign of life will do.
#[test]
fn traffic_after_a_ping_is_a_sign_of_life() {
    let mut bed = Bed::connected(pinging());
    pass(&mut bed, 21 * SECOND);
    bed.text(1, r#"{"type":"a"}"#);
    let (_, _, lost) = pass(&mut bed, 18 * SECOND);
    assert!(!lost);
    // The ping after that gets none.
    let (pings, _, lost) = pass(&mut bed, 6 * SECOND);
    assert!(lost && pings.len() == 1);
}

// S1-3: `none` disables.
#[test]
fn without_an_interval_no_ping_is_sent() {
    let mut bed = Bed::new(raw());
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(pass(&mut bed, 3600 * SECOND), (Vec::new(), Vec::new(), false));
}

// S1-7
#[test]
fn a_client_that_may_not_reconnect_ends_with_the_first_failure() {
    let mut bed = Bed::connected(Settings { reconnect: false, ..with_static_token() });
    let did = bed.lost(1, None);
    assert_eq!((ended(&did), backed_off(&did)), (Some("exhausted"), None));
}
