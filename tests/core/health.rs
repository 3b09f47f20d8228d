//! Health checks, silence, probes.

use super::{bed::*, test};
use everwire::{
    State,
    proto::{Dialect, Input, NetworkChange, Passed, Settings},
};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const TRIP: Duration = Duration::from_millis(80);

// S0-8: array-wrapped, every 25 s, the first one armed by the hello.
#[test]
fn health_checks_are_armed_by_the_hello() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.pass(3 * SECOND);
    bed.give(Input::Opened { generation });
    bed.drain();
    bed.pass(4 * SECOND);
    bed.text(generation, HELLO);
    assert_eq!(bed.pass(25 * SECOND - Duration::from_millis(1)), []);
    let wanted = [json!([{"type": "health.check", "client_id": "c-1"}])];
    assert_eq!(sent(&bed.pass(Duration::from_millis(1))), wanted);
    bed.pass(Duration::from_millis(80));
    bed.text(generation, r#"{"type":"health.check","connection_id":"c-1"}"#);
    assert_eq!(bed.session.stats().latency, Some(Duration::from_millis(80)));
    assert_eq!(sent(&bed.pass(25 * SECOND)), wanted);
    assert_eq!(bed.session.stats().health_checks, 2);
}

// S0-9: detected at 35 s, not up to 25 s later.
#[test]
fn silence_is_noticed_when_it_is_35_seconds_old() {
    let mut bed = Bed::connected(with_static_token());
    bed.pass(10 * SECOND);
    bed.text(1, r#"{"type":"message.new"}"#);
    let did = bed.pass(35 * SECOND - Duration::from_millis(1));
    assert!(ended(&did).is_none() && backed_off(&did).is_none());
    let did = bed.pass(Duration::from_millis(1));
    assert_eq!(did[..3], [Did::Abort(1), Did::State(State::Disconnected), Did::Disconnected]);
    assert!(bed.last_error.as_ref().unwrap().is_timeout());
}

// S0-9: a frame of any kind is a sign of life, protocol pings included.
#[test]
fn any_frame_is_a_sign_of_life() {
    let mut bed = Bed::connected(with_static_token());
    for round in 0..10 {
        bed.pass(34 * SECOND);
        match round % 3 {
            0 => bed.give(Input::Alive { generation: 1 }),
            1 => drop(bed.text(1, "nonsense")),
            _ => drop(bed.text(1, r#"{"type":"health.check"}"#)),
        }
        bed.drain();
        assert_eq!(bed.session.state(), State::Connected, "round {round}");
    }
    // Pitfall 13: the state of the watchdog does not carry over to the next socket.
    bed.lost(1, None);
    bed.next_timer();
    bed.give(Input::Opened { generation: 2 });
    bed.drain();
    bed.text(2, HELLO);
    let did = bed.pass(35 * SECOND - Duration::from_millis(1));
    assert!(backed_off(&did).is_none(), "{did:?}");
}

// S0-9, N-11: what goes to its listeners without the session is a sign of life, as old as it is, and counted.
#[test]
fn events_that_pass_the_session_by_are_a_sign_of_life() {
    let mut bed = Bed::connected(with_static_token());
    assert!(bed.session.lets_pass());
    bed.pass(24 * SECOND);
    let before = *bed.session.stats();
    let passed = Passed { messages: 3, bytes: 90, since: 4 * SECOND };
    bed.give(Input::Passed { generation: 1, passed });
    assert_eq!(bed.drain(), []);
    let stats = *bed.session.stats();
    assert_eq!((stats.messages_in, stats.events), (before.messages_in + 3, before.events + 3));
    assert_eq!((stats.bytes_in, stats.last_message_at), (before.bytes_in + 90, Some(bed.now - 4 * SECOND)));
    // An older one does not take back what is known.
    bed.give(Input::Passed { generation: 1, passed: Passed { since: 20 * SECOND, ..passed } });
    let did = bed.pass(31 * SECOND - Duration::from_millis(1));
    assert!(backed_off(&did).is_none(), "{did:?}");
    let did = bed.pass(Duration::from_millis(1));
    assert_eq!(did[..3], [Did::Abort(1), Did::State(State::Disconnected), Did::Disconnected]);
    // What passed an old connection by says nothing of the new one.
    bed.next_timer();
    bed.give(Input::Opened { generation: 2 });
    bed.drain();
    bed.text(2, HELLO);
    bed.pass(10 * SECOND);
    bed.give(Input::Passed { generation: 1, passed: Passed { since: Duration::ZERO, ..passed } });
    assert!(backed_off(&bed.pass(25 * SECOND)).is_some());
}

// N-11: before the hello, and from the close on, every message is the session's.
#[test]
fn events_pass_an_open_connection_alone() {
    let mut bed = Bed::new(with_static_token());
    assert!(!bed.session.lets_pass());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    bed.drain();
    assert!(!bed.session.lets_pass());
    bed.text(generation, HELLO);
    assert!(bed.session.lets_pass());
    bed.close();
    assert!(!bed.session.lets_pass());
}

// Stream: an interval over 25 s or a grace under 1 s makes a healthy socket kill itself.
#[test]
fn settings_that_would_kill_a_healthy_connection_are_clamped_and_reported() {
    let settings = Settings { health_interval: Some(60 * SECOND), silence: Some(25 * SECOND), ..with_static_token() };
    // It is told with the first connect: before it nobody can listen, in JavaScript.
    let mut bed = Bed::new(settings);
    assert_eq!(bed.drain(), []);
    bed.give(Input::Connect);
    let did = bed.drain();
    assert_eq!(
        did[..2],
        [
            Did::Clamped("health_check_interval", 60 * SECOND, 25 * SECOND),
            Did::Clamped("silence_timeout", 25 * SECOND, 26 * SECOND)
        ]
    );
    let generation = dialled(&did);
    bed.give(Input::Opened { generation });
    bed.text(generation, HELLO);
    assert_eq!(sent(&bed.pass(25 * SECOND)).len(), 1);
    assert!(backed_off(&bed.pass(SECOND)).is_some());
    let quick = Settings { health_interval: Some(5 * SECOND), silence: Some(7 * SECOND), ..with_static_token() };
    assert_eq!(clamped(quick), []);
    // A dialect without a maximum lets the interval grow, and the silence with it.
    let long =
        Settings { dialect: Dialect::envelope().into(), health_interval: Some(60 * SECOND), ..with_static_token() };
    assert_eq!(clamped(long), [Did::Clamped("silence_timeout", 40 * SECOND, 61 * SECOND)]);
}

fn clamped(settings: Settings) -> Vec<Did> {
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let mut did = bed.drain();
    did.retain(|did| matches!(did, Did::Clamped(..)));
    did
}

// S0-9 without a health check: a server's own pings may be the only sign of life.
#[test]
fn silence_can_be_watched_where_the_dialect_has_no_health_check() {
    let mut bed = Bed::new(Settings { silence: Some(10 * SECOND), ..raw() });
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    bed.drain();
    bed.pass(9 * SECOND);
    bed.give(Input::Alive { generation });
    assert_eq!(bed.pass(10 * SECOND - Duration::from_millis(1)), []);
    assert!(backed_off(&bed.pass(Duration::from_millis(1))).is_some());
}

// Pitfall 2: an open socket is probed when the network changed, and replaced only if it stays silent.
#[test]
fn a_network_change_probes_an_open_connection() {
    let mut bed = Bed::connected(with_static_token());
    bed.pass(SECOND);
    bed.give(Input::Network(NetworkChange::Changed));
    assert_eq!(sent(&bed.drain()).len(), 1);
    bed.pass(Duration::from_millis(50));
    bed.text(1, r#"{"type":"health.check"}"#);
    assert!(backed_off(&bed.pass(6 * SECOND)).is_none());
    bed.give(Input::Network(NetworkChange::Online));
    assert_eq!(sent(&bed.drain()).len(), 1);
    let did = bed.pass(5 * SECOND);
    assert!(did.contains(&Did::Abort(1)) && backed_off(&did).is_some(), "{did:?}");
}

// Pitfall 6: time offline spends no tries.
#[test]
fn no_try_is_made_while_offline_and_none_is_spent() {
    let mut bed = Bed::connected(with_static_token());
    bed.give(Input::Network(NetworkChange::Offline));
    assert_eq!(bed.drain(), []);
    bed.lost(1, None);
    assert_eq!(bed.session.state(), State::BackingOff);
    assert_eq!(bed.pass(Duration::from_secs(3600)), []);
    bed.give(Input::Network(NetworkChange::Online));
    let did = bed.pass(Duration::from_millis(500));
    let generation = dialled(&did);
    bed.give(Input::Opened { generation });
    bed.drain();
    bed.text(generation, HELLO);
    assert_eq!((bed.session.state(), bed.session.stats().dials), (State::Connected, 2));
    // Going offline during a wait stops it.
    bed.lost(generation, None);
    bed.give(Input::Network(NetworkChange::Offline));
    assert_eq!(bed.session.next_timeout(), None);
}

const REPLY: &str = r#"{"type":"health.check","connection_id":"c-1"}"#;

// S2-11: a server answers each check, in order, however late.
#[test]
fn a_round_trip_longer_than_the_interval_is_told_as_long_as_it_is() {
    let mut bed = Bed::connected(with_static_token());
    bed.pass(25 * SECOND);
    // The replies are behind more and more of other traffic.
    bed.text(1, r#"{"type":"message.new"}"#);
    bed.pass(20 * SECOND);
    bed.text(1, REPLY);
    assert_eq!(bed.session.stats().latency, Some(20 * SECOND));
    bed.pass(10 * SECOND);
    for _ in 0..3 {
        bed.text(1, r#"{"type":"message.new"}"#);
        bed.pass(25 * SECOND);
        bed.text(1, REPLY);
        assert_eq!(bed.session.stats().latency, Some(30 * SECOND));
    }
    assert_eq!(bed.session.stats().health_checks, 5);
    // One that nobody asked for says nothing.
    for _ in 0..3 {
        bed.text(1, REPLY);
    }
    let told = bed.session.stats().latency;
    bed.pass(SECOND);
    bed.text(1, REPLY);
    assert_eq!(bed.session.stats().latency, told);
}

// S2-11: a check that is never answered does not make each round trip after it longer by the time between two checks; not
// even the first one, before which only the time of the hello is known.
#[test]
fn one_reply_that_never_comes_spoils_no_round_trip() {
    for before in [0, 3] {
        let mut bed = Bed::connected(with_static_token());
        let round = |bed: &mut Bed| {
            bed.pass(25 * SECOND - TRIP);
            bed.text(1, r#"{"type":"message.new"}"#);
            bed.pass(TRIP);
        };
        bed.pass(TRIP);
        for number in 0..6 {
            round(&mut bed);
            if number != before {
                bed.text(1, REPLY);
                assert_eq!(bed.session.stats().latency, Some(TRIP), "{before} {number}");
            }
        }
        assert_eq!(bed.session.stats().health_checks, 6);
    }
}

// A server that owes many replies gives none: what it says then is not measured against the first check.
#[test]
fn checks_that_are_never_answered_are_forgotten() {
    let mut bed = Bed::connected(with_static_token());
    for _ in 0..17 {
        bed.pass(25 * SECOND);
        bed.text(1, r#"{"type":"message.new"}"#);
    }
    bed.pass(SECOND);
    bed.text(1, REPLY);
    assert_eq!(bed.session.stats().latency, Some(SECOND));
}

// Pitfall 2: a probe that was answered is answered, whatever was asked after it.
#[test]
fn a_check_after_a_probe_does_not_take_its_place() {
    let settings = Settings { health_interval: Some(2 * SECOND), silence: Some(35 * SECOND), ..with_static_token() };
    let mut bed = Bed::connected(settings);
    bed.give(Input::Network(NetworkChange::Changed));
    bed.pass(Duration::from_millis(50));
    bed.text(1, REPLY);
    // From now on replies take more than a second.
    assert!(backed_off(&bed.pass(6 * SECOND)).is_none());
}
