//! What follows a loss: waits, tries, tokens, the end.

use super::{bed::*, test};
use everwire::{
    Error, ErrorKind, State,
    proto::{CloseInfo, Input, Settings},
};
use serde_json::json;
use std::time::Duration;

// S0-10, N-8: five tries, then a typed end; the original gave up without an event.
#[test]
fn five_tries_and_then_one_typed_end() {
    for first_connect in [true, false] {
        let mut bed = if first_connect { Bed::new(with_static_token()) } else { Bed::connected(with_static_token()) };
        let mut generation = if first_connect {
            bed.give(Input::Connect);
            dialled(&bed.drain())
        } else {
            bed.pass(Duration::from_secs(6));
            bed.lost(1, None);
            dialled(&bed.next_timer())
        };
        for (number, ceiling) in [250, 500, 1000, 2000].into_iter().enumerate() {
            let did = bed.lost_dial(generation);
            let ceiling = Duration::from_millis(ceiling << u32::from(!first_connect));
            let delay = backed_off(&did).expect("another try");
            assert!(delay <= ceiling && delay >= Duration::from_millis(50), "{number}: {delay:?} of {ceiling:?}");
            assert_eq!(bed.session.state(), State::BackingOff);
            generation = dialled(&bed.next_timer());
            assert_eq!(bed.session.state(), State::Reconnecting);
        }
        let did = bed.lost_dial(generation);
        assert_eq!(did, [Did::State(State::Failed), Did::Closed("exhausted", Some("refused".into()))]);
        assert_eq!(bed.session.next_timeout(), None);
        // A new `connect` has all its tries again.
        bed.give(Input::Connect);
        let generation = dialled(&bed.drain());
        assert!(backed_off(&bed.lost_dial(generation)).is_some());
    }
}

#[test]
fn no_limit_means_no_end() {
    let mut settings = with_static_token();
    settings.backoff.max_attempts = 0;
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let mut generation = dialled(&bed.drain());
    for _ in 0..1_000 {
        let did = bed.lost_dial(generation);
        assert!(backed_off(&did).unwrap() <= Duration::from_secs(5));
        generation = dialled(&bed.next_timer());
    }
}

// S0-11
#[test]
fn close_1000_by_the_server_is_the_end_and_any_other_reconnects() {
    let mut bed = Bed::connected(with_static_token());
    let did = bed.lost(1, Some(1000));
    assert_eq!(ended(&did), Some("by-server"));
    assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::Closed, None));
    assert_eq!(bed.last_error.as_ref().unwrap().close_code(), Some(1000));
    for code in [None, Some(1001), Some(1006), Some(1008), Some(1011), Some(4000)] {
        let mut bed = Bed::connected(with_static_token());
        let did = bed.lost(1, code);
        assert!(backed_off(&did).is_some(), "{code:?}");
        assert_eq!(dialled(&bed.next_timer()), 2);
    }
    // A wrong path is closed with 1000 at once: waiters fail with the cause.
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    assert_eq!(ended(&bed.lost(1, Some(1000))), Some("by-server"));
    assert_eq!(bed.session.state(), State::Failed);
}

// S0-12: on the first connect (where the original failed), and in the middle of the stream.
#[test]
fn an_expired_token_is_replaced_within_the_backoff_loop() {
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    assert_eq!(bed.drain().last(), Some(&Did::FetchToken(1)));
    let did = bed.token(1, "old");
    assert_eq!(dialled(&did), 1);
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(sent(&bed.drain())[0]["token"], json!("old"));
    let did = bed.error(1, 40);
    assert!(did.contains(&Did::Abort(1)) && backed_off(&did).is_some(), "{did:?}");
    let did = bed.next_timer();
    assert_eq!(did.last(), Some(&Did::FetchToken(2)));
    bed.token(2, "new");
    bed.give(Input::Opened { generation: 2 });
    assert_eq!(sent(&bed.drain())[0]["token"], json!("new"));
    bed.text(2, HELLO);
    assert_eq!(bed.session.state(), State::Connected);

    let did = bed.error(2, 40);
    assert_eq!(did[0], Did::Event("connection.error".into()));
    assert!(backed_off(&did).is_some());
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(3)));
}

// Pitfall 11: a fresh token survives failed dials.
#[test]
fn a_token_is_kept_until_the_server_refuses_it() {
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    bed.drain();
    bed.token(1, "good");
    for generation in 1..4 {
        bed.lost_dial(generation);
        assert_eq!(dialled(&bed.next_timer()), generation + 1);
    }
    bed.give(Input::Opened { generation: 4 });
    assert_eq!(sent(&bed.drain())[0]["token"], json!("good"));
    bed.text(4, HELLO);
    bed.lost(4, None);
    assert_eq!(dialled(&bed.next_timer()), 5);
    assert_eq!(bed.session.stats().token_fetches, 1);
}

// S0-13
#[test]
fn a_static_token_is_never_refreshed() {
    for up in [false, true] {
        let mut bed = if up { Bed::connected(with_static_token()) } else { Bed::new(with_static_token()) };
        if !up {
            bed.give(Input::Connect);
            bed.drain();
            bed.give(Input::Opened { generation: 1 });
            bed.drain();
        }
        let did = bed.error(1, 40);
        assert_eq!(ended(&did), Some("token-expired"), "{did:?}");
        assert_eq!(bed.session.state(), State::Failed);
        assert_eq!(bed.last_error.as_ref().unwrap().code(), Some(40));
        assert_eq!(bed.session.stats().token_fetches, 0);
    }
}

#[test]
fn clock_skew_is_worth_one_refresh() {
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    bed.drain();
    bed.token(1, "a");
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    assert!(backed_off(&bed.error(1, 41)).is_some());
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)));
    bed.token(2, "b");
    bed.give(Input::Opened { generation: 2 });
    bed.drain();
    assert_eq!(ended(&bed.error(2, 42)), Some("refused"));
}

#[test]
fn a_token_provider_that_fails_or_hangs_is_asked_again() {
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Token { generation: 1, result: Err(Error::new(ErrorKind::Token, "no network")) });
    assert!(backed_off(&bed.drain()).is_some());
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)));
    let did = bed.pass(Duration::from_secs(10));
    assert!(did.contains(&Did::Abort(2)) && bed.last_error.as_ref().unwrap().is_timeout());
    assert_eq!(bed.token(2, "late"), []);
    if bed.session.state() == State::BackingOff {
        bed.next_timer();
    }
    let did = bed.token(3, "good");
    assert_eq!(dialled(&did), 3);
    // One that says it is no use asking again is believed.
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Token { generation: 1, result: Err(Error::new(ErrorKind::Auth, "logged out")) });
    assert_eq!(ended(&bed.drain()), Some("refused"));
}

// S0-15
#[test]
fn two_failures_in_the_same_tick_start_one_reconnect() {
    let mut bed = Bed::connected(with_static_token());
    bed.pass(Duration::from_secs(35) - Duration::from_millis(1));
    bed.now = bed.now + Duration::from_millis(1);
    bed.give(Input::Closed { generation: 1, info: Default::default() });
    bed.give(Input::Timeout);
    bed.give(Input::Closed { generation: 1, info: Default::default() });
    let did = bed.drain();
    assert_eq!(did.iter().filter(|did| matches!(did, Did::BackingOff(..))).count(), 1, "{did:?}");
    dialled(&bed.next_timer());
}

// S2-4: the waits start anew after a stable time, and only then: a server that says hello and drops is not hammered.
#[test]
fn waits_start_anew_only_after_a_stable_connection() {
    let mut settings = with_static_token();
    settings.backoff.jitter = f64::MIN_POSITIVE;
    let mut bed = Bed::connected(settings);
    let mut generation = 1;
    for wanted in [250, 500, 1000, 2000, 4000, 5000, 5000] {
        for _ in 0..2 {
            bed.pass(Duration::from_millis(29_900));
            bed.text(generation, r#"{"type":"x"}"#);
        }
        let did = bed.lost(generation, None);
        assert_eq!(backed_off(&did), Some(Duration::from_millis(wanted)));
        generation = dialled(&bed.next_timer());
        bed.give(Input::Opened { generation });
        bed.text(generation, HELLO);
    }
    for _ in 0..3 {
        bed.pass(Duration::from_secs(30));
        bed.text(generation, r#"{"type":"x"}"#);
    }
    assert_eq!(backed_off(&bed.lost(generation, None)), Some(Duration::from_millis(250)));
}

/// Has a server say hello to each dial and end the connection after this time; gives how many there were until the end.
fn hellos(settings: Settings, lasts: Duration, end: impl Fn(&mut Bed, u64) -> Vec<Did>) -> (u32, Option<&'static str>) {
    let mut bed = Bed::connected(settings);
    let mut generation = 1;
    for hellos in 1..=50 {
        bed.pass(lasts);
        let did = end(&mut bed, generation);
        if let Some(cause) = ended(&did) {
            assert_eq!(bed.session.next_timeout(), None);
            return (hellos, Some(cause));
        }
        backed_off(&did).expect("another try");
        bed.next_timer();
        generation = u64::from(hellos) + 1;
        if bed.session.stats().dials <= u64::from(hellos) {
            bed.token(generation, "another");
        }
        bed.give(Input::Opened { generation });
        bed.drain();
        if bed.session.state() != State::Connected {
            bed.text(generation, HELLO);
        }
    }
    (50, None)
}

fn too_large(bed: &mut Bed, generation: u64) -> Vec<Did> {
    let error = Error::new(ErrorKind::TooLarge, "a message was larger than the limit");
    bed.give(Input::Closed { generation, info: CloseInfo { error: Some(error), ..Default::default() } });
    bed.drain()
}

// S0-10: a hello is no success yet. A server that says hello and ends the connection is not dialled for ever.
#[test]
fn a_connection_that_its_peer_ends_before_it_is_stable_is_a_failed_try() {
    let (at_once, later, stable) = (Duration::ZERO, Duration::from_secs(30), Duration::from_secs(60));
    let closed = |bed: &mut Bed, generation| bed.lost(generation, Some(1011));
    let broke = |bed: &mut Bed, generation| bed.lost(generation, None);
    let busy = |bed: &mut Bed, generation| bed.error(generation, 9);
    let expired = |bed: &mut Bed, generation| bed.error(generation, 40);
    for settings in [with_static_token(), settings(), raw()] {
        let what = settings.dialect.name.clone();
        for lasts in [at_once, later] {
            assert_eq!(hellos(settings.clone(), lasts, too_large), (5, Some("exhausted")), "{what}");
            assert_eq!(hellos(settings.clone(), lasts, closed), (5, Some("exhausted")), "{what}");
        }
        assert_eq!(hellos(settings.clone(), at_once, broke), (5, Some("exhausted")), "{what}");
        // Lines break, and that says nothing of the server.
        assert_eq!(hellos(settings.clone(), Duration::from_secs(5), broke), (50, None), "{what}");
    }
    assert_eq!(hellos(with_static_token(), later, busy), (5, Some("exhausted")));
    // Tokens run out: but one that is refused right after each hello is asked for no more.
    assert_eq!(hellos(settings(), at_once, expired), (5, Some("exhausted")));
    assert_eq!(hellos(settings(), later, expired), (50, None));
    // What was stable has earned all its tries.
    let health = Duration::from_secs(25);
    let mut settings = with_static_token();
    settings.silence = Some(2 * stable);
    settings.health_interval = Some(health);
    assert_eq!(hellos(settings.clone(), stable, too_large), (50, None));
    assert_eq!(hellos(settings.clone(), stable, closed), (50, None));
    // And who wants no end has none.
    settings.backoff.max_attempts = 0;
    assert_eq!(hellos(settings, at_once, too_large), (50, None));
}

#[test]
fn a_busy_server_is_given_a_longer_wait() {
    for code in [-1, 9, 23, 60, 71] {
        let mut bed = Bed::connected(with_static_token());
        let delay = backed_off(&bed.error(1, code)).unwrap();
        assert!((2.5..=5.0).contains(&delay.as_secs_f64()), "{delay:?}");
    }
}

#[test]
fn an_error_without_a_type_counts_too() {
    let mut bed = Bed::connected(settings());
    let did = bed.text(1, r#"{"error":{"code":40,"message":"expired"}}"#);
    assert_eq!(did[0], Did::Event("unknown".into()));
    assert!(backed_off(&did).is_some());
    // A request error is an event and nothing more.
    let mut bed = Bed::connected(settings());
    assert_eq!(bed.error(1, 4), [Did::Event("connection.error".into())]);
}

// S2-10
#[test]
fn a_handshake_that_trying_again_would_not_mend_is_the_end() {
    let everwire_error = |status: u16| {
        // Only the crate makes errors with a status; a dial that fails natively is tested over a real socket.
        let mut bed = Bed::new(Settings { ..with_static_token() });
        bed.give(Input::Connect);
        bed.drain();
        let error = Error::new(if status == 0 { ErrorKind::Unsupported } else { ErrorKind::Connect }, "no");
        bed.give(Input::DialFailed { generation: 1, error });
        let did = bed.drain();
        (ended(&did), backed_off(&did).is_some())
    };
    assert_eq!(everwire_error(0), (Some("fatal"), false));
    assert_eq!(everwire_error(1), (None, true));
}
