//! The page that a session lives in, and time that was lost.

use super::{bed::*, resume::everwire, test};
use everwire::{
    Side, State,
    proto::{Input, Lifecycle, PageChange, Reason, Settings},
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const GLANCE: Duration = Duration::from_millis(100);

fn page(bed: &mut Bed, change: PageChange) -> Vec<Did> {
    bed.give(Input::Page(change));
    bed.drain()
}

// N-4, pitfall 3: never before the first connect, never after a deliberate close.
#[test]
fn a_page_that_comes_and_goes_begins_no_connection_by_itself() {
    use PageChange::*;
    let mut bed = Bed::new(with_static_token());
    for change in [Hidden, Shown, Left, Back] {
        assert_eq!(page(&mut bed, change), []);
    }
    assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::Idle, None));
    let mut bed = Bed::connected(with_static_token());
    bed.close();
    bed.lost(1, Some(1000));
    assert_eq!(bed.session.state(), State::Closed);
    for change in [Left, Back, Hidden, Shown] {
        assert_eq!(page(&mut bed, change), []);
    }
    assert_eq!(bed.session.next_timeout(), None);
}

// N-4: a close for good would end the session that the next connection is to go on with. Where there is none, it is said.
#[test]
fn a_page_that_is_left_keeps_a_session_and_ends_what_has_none() {
    let code = |bed: &mut Bed| {
        page(bed, PageChange::Left);
        match bed.steps.last() {
            Some(Lifecycle::Closing { code, by: Side::Client, .. }) => *code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code(&mut Bed::connected(with_static_token())), 1000);
    let mut bed = Bed::new(everwire());
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, r#"{"type":"wire.hello","session":"s1","connection_id":"c","resumed":false,"last":0,"received":0}"#);
    assert_eq!(code(&mut bed), 4000);
}

// N-4, pitfall 6: no dial while hidden, and no try is spent.
#[test]
fn a_hidden_page_makes_no_tries_and_spends_none() {
    let mut bed = Bed::connected(with_static_token());
    assert_eq!(page(&mut bed, PageChange::Hidden), []);
    let did = bed.lost(1, None);
    assert_eq!(bed.session.state(), State::BackingOff, "{did:?}");
    assert_eq!(bed.pass(HOUR), []);
    for round in 2..50 {
        assert_eq!(page(&mut bed, PageChange::Shown), []);
        let generation = dialled(&bed.pass(GLANCE));
        assert_eq!(generation, round);
        // Hidden in the middle of a try: what becomes of that says nothing of the server.
        page(&mut bed, PageChange::Hidden);
        let did = bed.lost_dial(generation);
        assert!(did.iter().any(|did| matches!(did, Did::BackingOff(1, _))), "{did:?}");
        assert_eq!(bed.session.next_timeout(), None);
    }
    // During a wait it stops, and goes on.
    page(&mut bed, PageChange::Shown);
    assert!(bed.session.next_timeout().is_some());
    page(&mut bed, PageChange::Hidden);
    assert_eq!(bed.session.next_timeout(), None);
}

// N-4: whoever asks for a connection gets it, though nobody looks.
#[test]
fn a_page_that_is_opened_in_the_background_connects() {
    let mut bed = Bed::new(with_static_token());
    page(&mut bed, PageChange::Hidden);
    bed.give(Input::Connect);
    let generation = bed.bring_up();
    assert_eq!((generation, bed.session.state()), (1, State::Connected));
}

// N-4, pitfall 2: on return the connection is probed, and replaced only if it stays silent.
#[test]
fn a_page_that_is_seen_again_probes_its_connection() {
    let mut bed = Bed::connected(with_static_token());
    page(&mut bed, PageChange::Hidden);
    bed.pass(Duration::from_secs(10));
    assert_eq!(sent(&page(&mut bed, PageChange::Shown)).len(), 1);
    bed.text(1, r#"{"type":"health.check"}"#);
    assert!(backed_off(&bed.pass(Duration::from_secs(6))).is_none());
    page(&mut bed, PageChange::Hidden);
    assert_eq!(sent(&page(&mut bed, PageChange::Shown)).len(), 1);
    let did = bed.pass(Duration::from_secs(5));
    assert!(did.contains(&Did::Abort(1)) && backed_off(&did).is_some(), "{did:?}");
    // Where there is no health check, there is no question.
    let mut bed = Bed::connected(raw());
    page(&mut bed, PageChange::Hidden);
    assert_eq!(page(&mut bed, PageChange::Shown), []);
}

// N-4: the page stays eligible for the back/forward cache.
#[test]
fn a_page_that_is_left_closes_its_socket_and_makes_another_when_it_is_back() {
    let mut bed = Bed::connected(with_static_token());
    page(&mut bed, PageChange::Hidden);
    let did = page(&mut bed, PageChange::Left);
    assert!(did.contains(&Did::Abort(1)) && did.contains(&Did::Disconnected), "{did:?}");
    assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::BackingOff, None));
    assert_eq!(bed.session.reconnect_log().last().map(|entry| entry.reason), Some(Reason::Page));
    assert_eq!(bed.pass(HOUR), []);
    page(&mut bed, PageChange::Back);
    assert_eq!(bed.pass(HOUR), [], "it is still hidden");
    page(&mut bed, PageChange::Shown);
    let generation = dialled(&bed.pass(GLANCE));
    bed.give(Input::Opened { generation });
    bed.drain();
    bed.text(generation, HELLO);
    assert_eq!((bed.session.state(), bed.session.stats().reconnects), (State::Connected, 1));
    // In the middle of a try it is the same, and costs nothing but what the loss did.
    bed.lost(generation, None);
    for _ in 0..20 {
        let generation = dialled(&bed.next_timer());
        let did = page(&mut bed, PageChange::Left);
        assert!(did.contains(&Did::Abort(generation)), "{did:?}");
        assert!(did.iter().any(|did| matches!(did, Did::BackingOff(2, _))), "{did:?}");
        page(&mut bed, PageChange::Back);
    }
}

// N-4: who wants no second try gets none.
#[test]
fn a_page_that_is_left_ends_a_client_that_does_not_reconnect() {
    let mut bed = Bed::connected(Settings { reconnect: false, ..with_static_token() });
    assert_eq!(ended(&page(&mut bed, PageChange::Left)), Some("exhausted"));
    assert_eq!(page(&mut bed, PageChange::Back), []);
}

// N-5, pitfall 1: a timer that was held back is forgiven once; the deadline itself is not forgotten.
#[test]
fn lost_time_is_forgiven_once() {
    let mut bed = Bed::connected(with_static_token());
    // The machine slept: the silence is long past its limit when the timer fires.
    bed.now = bed.now + HOUR;
    bed.give(Input::Timeout);
    let did = bed.drain();
    assert!(backed_off(&did).is_none() && !sent(&did).is_empty(), "{did:?}");
    // What the server had sent is read now, and all is well.
    bed.text(1, r#"{"type":"health.check"}"#);
    assert!(backed_off(&bed.pass(Duration::from_secs(20))).is_none());
    // If nothing comes, the connection is dead, and seen to be so within the time of a probe.
    bed.now = bed.now + HOUR;
    bed.give(Input::Timeout);
    assert!(backed_off(&bed.drain()).is_none());
    let did = bed.pass(Duration::from_secs(5));
    assert!(did.contains(&Did::Abort(1)) && backed_off(&did).is_some(), "{did:?}");
}

// N-5: where every timer is late, as in a page that is throttled, silence is still noticed.
#[test]
fn timers_that_are_always_late_are_not_forgiven_again() {
    let mut bed = Bed::connected(with_static_token());
    let minute = Duration::from_secs(60);
    let mut lost_after = None;
    for round in 1..6 {
        bed.now = bed.now + minute;
        bed.give(Input::Timeout);
        if backed_off(&bed.drain()).is_some() {
            lost_after = lost_after.or(Some(round));
        }
    }
    assert_eq!(lost_after, Some(2));
}

// N-5: a hello that waits behind a timer that is late is heard.
#[test]
fn a_late_hello_timer_waits_for_what_is_on_its_way() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    bed.drain();
    bed.now = bed.now + HOUR;
    bed.give(Input::Timeout);
    assert_eq!(bed.drain(), []);
    bed.text(generation, HELLO);
    assert_eq!(bed.session.state(), State::Connected);
}
