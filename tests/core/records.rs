//! What a session tells and remembers: lifecycle steps, figures, and why connections were lost.

use super::{bed::*, test};
use everwire::{
    Lifecycle, NetworkChange, Reason, Side,
    proto::{CloseInfo, Error, ErrorKind, Input, Settings},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The last entry of the log: its reason, the try and the words.
#[track_caller]
fn last(bed: &Bed) -> (Reason, u32, String) {
    let entry = bed.session.reconnect_log().last().expect("an entry");
    assert_eq!(entry.at, bed.now);
    (entry.reason, entry.attempt, entry.to_string())
}

// N-12: each cause by its right name, with its try.
#[test]
fn the_reconnect_log_names_the_cause() {
    let up = || Bed::connected(with_static_token());
    let mut bed = up();
    bed.pass(35 * SECOND);
    let silence = "nothing came from the server for too long";
    assert_eq!(last(&bed), (Reason::Silence, 0, silence.to_owned()));

    let mut bed = up();
    bed.pass(SECOND);
    bed.give(Input::Network(NetworkChange::Changed));
    bed.pass(5 * SECOND);
    assert_eq!(last(&bed).0, Reason::Probe);

    let mut bed = up();
    bed.lost(1, None);
    assert_eq!(last(&bed).0, Reason::Broken);

    let mut bed = up();
    bed.give(Input::Closed {
        generation: 1,
        info: CloseInfo { code: Some(1012), reason: "restart".into(), error: None },
    });
    assert_eq!(
        last(&bed),
        (Reason::Closed, 0, "the server closed the connection: the server closed (close 1012 \"restart\")".to_owned())
    );

    let mut bed = up();
    bed.error(1, 9);
    assert_eq!((last(&bed).0, last(&bed).2.contains("(code 9)")), (Reason::Server, true));
    bed.next_timer();
    bed.give(Input::DialFailed { generation: 2, error: Error::new(ErrorKind::Connect, "refused") });
    assert_eq!(last(&bed), (Reason::Unreachable, 2, "the server could not be reached: refused".to_owned()));
    bed.drain();
    bed.next_timer();
    bed.pass(10 * SECOND);
    assert_eq!((last(&bed).0, last(&bed).1), (Reason::OpenTimeout, 3));
    bed.drain();
    let generation = dialled(&bed.next_timer());
    bed.give(Input::Opened { generation });
    bed.pass(15 * SECOND);
    assert_eq!((last(&bed).0, last(&bed).1), (Reason::HelloTimeout, 4));
    let attempts: Vec<u32> = bed.session.reconnect_log().map(|entry| entry.attempt).collect();
    // The connection that was lost at once was the first failed try.
    assert_eq!(attempts, [0, 2, 3, 4]);

    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    bed.drain();
    bed.pass(10 * SECOND);
    assert_eq!(last(&bed).0, Reason::TokenTimeout);

    let mut bed = Bed::connected(Settings { max_age: Some(60 * SECOND), ..raw() });
    bed.next_timer();
    assert_eq!(last(&bed).0, Reason::Age);
}

#[test]
fn the_reconnect_log_is_bounded_and_knows_the_date() {
    let mut settings = raw();
    settings.backoff.max_attempts = 0;
    let mut bed = Bed::new(settings);
    bed.give(Input::Clock { unix: Duration::from_secs(1_700_000_000) });
    bed.give(Input::Connect);
    let mut generation = dialled(&bed.drain());
    for _ in 0..100 {
        bed.give(Input::DialFailed { generation, error: Error::new(ErrorKind::Connect, "refused") });
        bed.drain();
        generation = dialled(&bed.next_timer());
    }
    let log: Vec<_> = bed.session.reconnect_log().collect();
    assert_eq!((log.len(), log[0].attempt, log[15].attempt), (16, 85, 100));
    for entry in log {
        let unix = entry.unix.expect("a date");
        assert_eq!(unix.as_secs(), (Duration::from_secs(1_700_000_000) + entry.at.since_start()).as_secs());
    }
}

// S2-2: pings, pongs, and closings with who began.
#[test]
fn pings_and_closings_are_told() {
    let mut bed = Bed::connected(with_static_token());
    bed.pass(25 * SECOND);
    assert!(
        matches!(&bed.steps[..], [Lifecycle::Ping { payload }] if payload.contains("health.check")),
        "{:?}",
        bed.steps
    );
    bed.pass(Duration::from_millis(40));
    bed.text(1, r#"{"type":"health.check"}"#);
    assert!(matches!(bed.steps[1], Lifecycle::Pong { latency } if latency == Duration::from_millis(40)));
    bed.steps.clear();
    bed.give(Input::Closed { generation: 1, info: CloseInfo { code: Some(1012), reason: "bye".into(), error: None } });
    bed.drain();
    assert!(
        matches!(&bed.steps[..], [Lifecycle::Closing { code: 1012, reason, by: Side::Server }] if &**reason == "bye"),
        "{:?}",
        bed.steps
    );
    let mut bed = Bed::connected(with_static_token());
    bed.close();
    assert!(
        matches!(&bed.steps[..], [Lifecycle::Closing { code: 1000, reason, by: Side::Client }] if reason.contains("client")),
        "{:?}",
        bed.steps
    );
    // Nobody begins to close what breaks by itself; what is given up is closed by the client.
    let mut bed = Bed::connected(with_static_token());
    bed.lost(1, None);
    assert!(bed.steps.is_empty());
    let mut bed = Bed::connected(with_static_token());
    bed.pass(35 * SECOND);
    assert!(matches!(bed.steps.last(), Some(Lifecycle::Closing { code: 4000, by: Side::Client, .. })));
}

// S2-11
#[test]
fn times_are_measured() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    bed.drain();
    assert_eq!(bed.session.stats().connection_age(), None);
    bed.pass(3 * SECOND);
    bed.give(Input::Opened { generation: 1 });
    bed.pass(2 * SECOND);
    bed.text(1, HELLO);
    let at = |bed: &Bed| {
        let mut stats = *bed.session.stats();
        stats.at = bed.now;
        stats
    };
    assert_eq!((at(&bed).dial_time, at(&bed).hello_time), (Some(3 * SECOND), Some(5 * SECOND)));
    bed.pass(10 * SECOND);
    let stats = at(&bed);
    assert_eq!((stats.connection_age(), stats.uptime()), (Some(10 * SECOND), 10 * SECOND));
    assert_eq!((stats.since_last_message(), stats.since_last_reconnect()), (Some(10 * SECOND), None));
    bed.lost(1, None);
    let lost = bed.now;
    let generation = dialled(&bed.next_timer());
    assert_eq!((at(&bed).connection_age(), at(&bed).uptime()), (None, 10 * SECOND));
    bed.give(Input::Opened { generation });
    bed.text(generation, HELLO);
    let back = bed.now;
    bed.pass(5 * SECOND);
    let stats = at(&bed);
    assert_eq!((stats.uptime(), stats.since_last_reconnect()), (15 * SECOND, Some(5 * SECOND)));
    assert!(back > lost && stats.state == everwire::State::Connected);
    bed.close();
    bed.pass(5 * SECOND);
    assert_eq!((at(&bed).uptime(), at(&bed).connection_age()), (15 * SECOND, None));
}
