//! Circuit breaker, retry budget, maximum age, and what is not worth another try.

use super::{bed::*, test};
use everwire::{
    BreakerRule, BreakerState, Dialect, NetworkChange, State,
    proto::{Input, Session, Settings},
};
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(60);
const STABLE: Duration = Duration::from_secs(60);

fn with_breaker(max_attempts: u32) -> Settings {
    let mut settings = Settings { breaker: Some(BreakerRule::default()), ..raw() };
    settings.backoff.max_attempts = max_attempts;
    settings
}

fn network(bed: &mut Bed, change: NetworkChange) -> Vec<Did> {
    bed.give(Input::Network(change));
    bed.drain()
}

/// Fails tries until the breaker opens; gives the generation of the last one.
fn trip(bed: &mut Bed) -> u64 {
    bed.give(Input::Connect);
    let mut did = bed.drain();
    let mut generation = dialled(&did);
    for _ in 0..4 {
        did.extend(bed.lost_dial(generation));
        let next = bed.next_timer();
        generation = dialled(&next);
        did.extend(next);
    }
    assert!(!did.iter().any(|did| matches!(did, Did::Breaker(..))), "{did:?}");
    generation
}

fn opens(did: &[Did]) {
    let Some(Did::Breaker(BreakerState::Open, Some(wait))) = did.iter().find(|did| matches!(did, Did::Breaker(..)))
    else {
        panic!("{did:?}")
    };
    assert!(*wait >= PAUSE && *wait <= PAUSE + Duration::from_millis(250), "{wait:?}");
    assert_eq!(backed_off(did), Some(*wait));
}

// S3-3: the original's half-open breaker let every try through, and its open breaker ended the loop for good.
#[test]
fn a_breaker_opens_after_five_failures_and_lets_exactly_one_try_through() {
    let mut bed = Bed::new(with_breaker(0));
    let mut generation = trip(&mut bed);
    // However often the one try fails, it is one a minute, and never the end.
    for _ in 0..10 {
        opens(&bed.lost_dial(generation));
        assert_eq!(bed.pass(PAUSE - Duration::from_millis(1)), []);
        let did = bed.next_timer();
        assert!(did.contains(&Did::Breaker(BreakerState::HalfOpen, None)), "{did:?}");
        generation = dialled(&did);
    }
    // A connection that ends at once is no success, and opens it again.
    bed.give(Input::Opened { generation });
    bed.drain();
    opens(&bed.lost(generation, Some(1011)));
    generation = dialled(&bed.pass(PAUSE + Duration::from_millis(250)));
    // One that lasts closes it, and five failures are allowed again.
    bed.give(Input::Opened { generation });
    bed.drain();
    assert_eq!(bed.pass(STABLE - Duration::from_millis(1)), []);
    assert_eq!(bed.next_timer(), [Did::Breaker(BreakerState::Closed, None)]);
    bed.lost(generation, None);
    generation = dialled(&bed.next_timer());
    for _ in 0..4 {
        assert!(backed_off(&bed.lost_dial(generation)).unwrap() <= Duration::from_secs(5));
        generation = dialled(&bed.next_timer());
    }
    opens(&bed.lost_dial(generation));
}

#[test]
fn an_open_breaker_cannot_be_talked_round() {
    let mut bed = Bed::new(with_breaker(0));
    let generation = trip(&mut bed);
    bed.lost_dial(generation);
    // Not by the network.
    network(&mut bed, NetworkChange::Offline);
    assert_eq!(bed.session.next_timeout(), None);
    network(&mut bed, NetworkChange::Online);
    assert_eq!(bed.pass(PAUSE - Duration::from_secs(1)), []);
    // Not by the user.
    bed.close();
    bed.give(Input::Connect);
    let did = bed.drain();
    assert!(backed_off(&did).is_some() && bed.session.state() == State::BackingOff, "{did:?}");
    assert_eq!(bed.last_error.as_ref().map(ToString::to_string).as_deref(), Some("the circuit breaker is open"));
    // A try that the network spoilt decides nothing: there is another one.
    let generation = dialled(&bed.next_timer());
    network(&mut bed, NetworkChange::Offline);
    bed.lost_dial(generation);
    network(&mut bed, NetworkChange::Online);
    let did = bed.next_timer();
    assert!(did.contains(&Did::Breaker(BreakerState::HalfOpen, None)), "{did:?}");
    dialled(&did);
}

#[test]
fn a_breaker_that_would_never_open_is_refused() {
    let refused = |settings| Session::<Event>::new(settings).err().and_then(|error| error.path().map(str::to_owned));
    assert_eq!(refused(with_breaker(5)).as_deref(), Some("breaker.failures"));
    assert_eq!(refused(with_breaker(6)), None);
    for (rule, path) in [
        (BreakerRule { failures: 0, ..Default::default() }, "breaker.failures"),
        (BreakerRule { pause: Duration::ZERO, ..Default::default() }, "breaker.pause"),
    ] {
        assert_eq!(refused(Settings { breaker: Some(rule), ..with_breaker(0) }).as_deref(), Some(path));
    }
    assert_eq!(refused(Settings { max_age: Some(Duration::ZERO), ..raw() }).as_deref(), Some("max_age"));
}

// Pitfall 6
#[test]
fn tries_without_a_network_cost_nothing() {
    let mut bed = Bed::new(raw());
    bed.give(Input::Connect);
    let mut generation = dialled(&bed.drain());
    for _ in 0..50 {
        network(&mut bed, NetworkChange::Offline);
        let did = bed.lost_dial(generation);
        assert!(matches!(did.last(), Some(Did::BackingOff(1, _))), "{did:?}");
        assert_eq!(bed.session.next_timeout(), None);
        assert_eq!(bed.pass(Duration::from_secs(3600)), []);
        network(&mut bed, NetworkChange::Online);
        let due = bed.session.next_timeout().unwrap() - bed.now;
        assert!(due <= Duration::from_millis(500), "{due:?}");
        generation = dialled(&bed.next_timer());
    }
    // With a network the budget is what it was, and so are the waits.
    for ceiling in [250, 500, 1000, 2000] {
        assert!(backed_off(&bed.lost_dial(generation)).unwrap() <= Duration::from_millis(ceiling));
        generation = dialled(&bed.next_timer());
    }
    assert_eq!(ended(&bed.lost_dial(generation)), Some("exhausted"));
    // Without one nothing is even tried.
    network(&mut bed, NetworkChange::Offline);
    bed.give(Input::Connect);
    let did = bed.drain();
    assert!(!did.iter().any(|did| matches!(did, Did::Dial(_))), "{did:?}");
    assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::BackingOff, None));
    network(&mut bed, NetworkChange::Online);
    dialled(&bed.next_timer());
}

// S2-8
#[test]
fn a_connection_is_replaced_at_its_maximum_age_without_a_wait() {
    let day = Duration::from_secs(86_400);
    let mut settings = Settings { max_age: Some(day), ..raw() };
    settings.backoff.max_attempts = 1;
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let mut generation = dialled(&bed.drain());
    let mut ages = Vec::new();
    for _ in 0..5 {
        bed.give(Input::Opened { generation });
        bed.drain();
        bed.pass(Duration::from_secs(60));
        // The next timer is the age, and the new dial belongs to the same moment.
        let did = bed.next_timer();
        let [Did::Renewing(age), Did::Abort(old), Did::State(State::Disconnected), Did::Disconnected, ..] = did[..]
        else {
            panic!("{did:?}")
        };
        assert!(old == generation && age <= day && age >= day / 10 * 9, "{age:?}");
        generation = dialled(&did);
        assert_eq!((backed_off(&did), bed.session.state()), (None, State::Reconnecting));
        ages.push(age);
    }
    ages.dedup();
    assert_eq!(ages.len(), 5, "connections that began together must not end together");
    assert_eq!(bed.session.stats().reconnects, 4);
    // Without a network an old connection is better than none.
    bed.give(Input::Opened { generation });
    bed.drain();
    network(&mut bed, NetworkChange::Offline);
    assert_eq!(bed.pass(day), []);
    network(&mut bed, NetworkChange::Online);
    dialled(&bed.pass(Duration::from_secs(60)));
}

// S2-10, in the dialects of those who close like this; Stream's 1008 is worth another try.
#[test]
fn close_codes_that_refuse_are_the_end() {
    for (dialect, fatal) in [(Dialect::raw(), true), (Dialect::envelope(), true), (Dialect::stream(), false)] {
        for code in [1008, 4401, 4403] {
            let mut bed = Bed::connected(Settings { dialect: dialect.clone().into(), ..with_static_token() });
            let did = bed.lost(1, Some(code));
            assert_eq!(ended(&did), fatal.then_some("by-server"), "{} {code}: {did:?}", dialect.name);
        }
    }
}
