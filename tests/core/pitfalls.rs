//! What users of other clients reported, where no other test shows it: see `docs/PITFALLS.md`.

use super::{
    bed::{Bed, Did, HELLO, dialled, sent, settings, with_static_token},
    test,
};
use everwire::{
    State,
    proto::{Input, NetworkChange},
};
use std::time::Duration;

// Pitfall 3: news of the network is no wish for a connection.
#[test]
fn nothing_but_the_user_starts_a_connection() {
    let news = |bed: &mut Bed, when: &str| {
        let state = bed.session.state();
        for change in [NetworkChange::Offline, NetworkChange::Online, NetworkChange::Changed] {
            bed.give(Input::Network(change));
            bed.give(Input::Timeout);
            assert_eq!(bed.drain(), [], "{change:?} {when}");
        }
        bed.pass(Duration::from_secs(600));
        assert_eq!((bed.drain(), bed.session.state()), (vec![], state), "{when}");
    };
    let mut bed = Bed::new(with_static_token());
    news(&mut bed, "before the first connect");
    let mut bed = Bed::connected(with_static_token());
    bed.close();
    bed.lost(1, Some(1000));
    news(&mut bed, "after a close");
    let mut bed = Bed::connected(with_static_token());
    bed.error(1, 43);
    assert_eq!(bed.session.state(), State::Failed);
    news(&mut bed, "after a failure");
}

// Pitfall 8: whatever ended it.
#[test]
fn after_every_end_the_user_may_connect_again() {
    type End = (&'static str, fn(&mut Bed));
    let ends: [End; 5] = [
        ("a close", |bed| {
            bed.close();
            bed.lost(1, Some(1000));
        }),
        ("a close that nobody answers", |bed| {
            bed.close();
            bed.next_timer();
        }),
        ("a server that wants no more", |bed| drop(bed.lost(1, Some(1000)))),
        ("a refusal", |bed| drop(bed.error(1, 43))),
        ("tries that are spent", |bed| {
            bed.lost(1, None);
            while !bed.session.state().is_end() {
                bed.next_timer();
            }
        }),
    ];
    for (what, end) in ends {
        let mut bed = Bed::connected(with_static_token());
        end(&mut bed);
        assert!(bed.session.state().is_end(), "{what}");
        bed.give(Input::Connect);
        bed.bring_up();
        assert_eq!(bed.session.state(), State::Connected, "{what}");
    }
}

// Pitfall 13: the server counts what it hears, not what it says.
#[test]
fn traffic_does_not_starve_the_health_check() {
    let mut bed = Bed::connected(with_static_token());
    bed.drain();
    let mut checks = 0;
    for _ in 0..100 {
        let did = bed.pass(Duration::from_secs(1));
        checks += sent(&did).len();
        bed.text(1, r#"{"type":"message.new"}"#);
    }
    assert_eq!(checks, 4);
}

// S1: the reconnect goes another way than the first connect, and forgets half of the settings.
#[test]
fn a_reconnect_goes_by_the_same_settings_as_the_first_connect() {
    let mut settings = with_static_token();
    settings.headers.push(("x-mine".to_owned(), "1".to_owned()));
    settings.protocols.push("mine".to_owned());
    settings.hello_timeout = Some(Duration::from_secs(3));
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let mut did = bed.drain();
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let generation = dialled(&did);
        bed.give(Input::Opened { generation });
        firsts.push(sent(&bed.drain()));
        // The hello does not come, on any of them.
        let began = bed.now;
        assert!(bed.next_timer().contains(&Did::Abort(generation)));
        assert_eq!(bed.now - began, Duration::from_secs(3));
        did = bed.next_timer();
    }
    assert!(firsts.iter().all(|first| first.len() == 1 && *first == firsts[0]));
    assert!(bed.requests.iter().all(|request| *request == bed.requests[0]));
}

// S2: the old socket stayed open, and its loop alive.
#[test]
fn a_connection_that_fell_silent_is_closed_before_the_next_dial() {
    let mut bed = Bed::connected(settings());
    let mut did = bed.pass(Duration::from_secs(60));
    did.retain(|did| matches!(did, Did::Abort(_) | Did::Dial(_)));
    assert_eq!(did[..2], [Did::Abort(1), Did::Dial(2)]);
    // What it still says is stale.
    assert_eq!(bed.text(1, HELLO), []);
}
