//! Settings from the environment and from presets, and the pings they ask for.

use super::peer::{Server, soon};
use everwire::{Cause, Client, ClientBuilder, Dialect, ErrorKind, OutboxRule, Preset, WhenFull};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn raw() -> ClientBuilder {
    Client::builder(Dialect::raw()).url("ws://localhost")
}

fn vars<'a>(vars: &'a [(&'a str, &'a str)]) -> impl FnMut(&str) -> Option<String> + 'a {
    |name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

// S1-1 to S1-11: names and defaults.
#[tokio::test]
async fn the_environment_has_its_own_defaults() {
    let client = ClientBuilder::from_env(Dialect::raw()).url("ws://localhost").build().unwrap();
    let config = client.config();
    assert_eq!((config.open_timeout, config.close_timeout), (10 * SECOND, 10 * SECOND));
    assert_eq!((config.ping_interval, config.ping_timeout), (Some(20 * SECOND), 20 * SECOND));
    assert_eq!((config.max_message_size, config.event_capacity), (1 << 20, 16));
    assert_eq!((config.reconnect, config.backoff.max_attempts), (true, 5));
    assert_eq!((config.backoff.base, config.backoff.cap), (SECOND, 60 * SECOND));
    assert_eq!(config.backoff.jitter, 0.1);
}

// S1-1 to S1-12: each variable sets its own, and the environment is one source among others.
#[tokio::test]
async fn each_variable_sets_its_own_and_what_is_not_set_stays() {
    let set = [
        ("WS_OPEN_TIMEOUT", "2.5"),
        ("WS_CLOSE_TIMEOUT", "3"),
        ("WS_PING_INTERVAL", " 7 "),
        ("WS_PING_TIMEOUT", "4"),
        ("WS_MAX_MESSAGE_SIZE", "2048"),
        ("WS_MAX_QUEUE_SIZE", "99"),
        ("WS_RECONNECT_ENABLED", "False"),
        ("WS_RECONNECT_MAX_ATTEMPTS", "0"),
        ("WS_RECONNECT_BACKOFF_BASE", "0.5"),
        ("WS_RECONNECT_BACKOFF_MAX", "9"),
        ("WS_RECONNECT_JITTER", "1"),
    ];
    let client = raw().vars(vars(&set)).build().unwrap();
    let config = client.config();
    assert_eq!((config.open_timeout, config.close_timeout), (Duration::from_millis(2_500), 3 * SECOND));
    assert_eq!((config.ping_interval, config.ping_timeout), (Some(7 * SECOND), 4 * SECOND));
    assert_eq!((config.max_message_size, config.event_capacity), (2048, 99));
    assert_eq!((config.reconnect, config.backoff.max_attempts), (false, 0));
    assert_eq!((config.backoff.base, config.backoff.cap), (Duration::from_millis(500), 9 * SECOND));
    assert_eq!(config.backoff.jitter, 1.0);

    let builder = || raw().ping(SECOND, SECOND).event_capacity(5);
    let client = builder().vars(vars(&[("WS_PING_INTERVAL", "none"), ("WS_OPEN_TIMEOUT", "")])).build().unwrap();
    assert_eq!((client.config().ping_interval, client.config().event_capacity), (None, 5));
    assert_eq!(builder().vars(|_| None).build().unwrap().config(), builder().build().unwrap().config());
}

// N-6: so does each of the outbox.
#[tokio::test]
async fn the_outbox_can_be_set_by_variables() {
    let built = |set: &[(&str, &str)], builder: ClientBuilder| builder.vars(vars(set)).build().unwrap().config().outbox;
    let set = [
        ("WS_OUTBOX_MESSAGES", "7"),
        ("WS_OUTBOX_BYTES", "2048"),
        ("WS_OUTBOX_TTL", "2.5"),
        ("WS_OUTBOX_POLICY", "Drop_Oldest"),
    ];
    let ttl = Some(Duration::from_millis(2_500));
    let rule = OutboxRule { messages: 7, bytes: 2048, ttl, when_full: WhenFull::DropOldest };
    assert_eq!(built(&set, raw()), rule);
    assert_eq!(built(&[], raw().outbox(rule)), rule);
    assert_eq!(built(&[("WS_OUTBOX_TTL", "none")], raw().outbox(rule)), OutboxRule { ttl: None, ..rule });
    assert_eq!(built(&[], raw()), OutboxRule::default());
    for (name, value) in [("WS_OUTBOX_MESSAGES", "-1"), ("WS_OUTBOX_TTL", "0"), ("WS_OUTBOX_POLICY", "later")] {
        let error = raw().vars(vars(&[(name, value)])).build().unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some(name)), "{value}");
    }
}

// S1-12: what is wrong is named by its variable.
#[tokio::test]
async fn a_wrong_variable_is_named() {
    for (name, value) in [
        ("WS_OPEN_TIMEOUT", "soon"),
        ("WS_CLOSE_TIMEOUT", "-1"),
        ("WS_PING_INTERVAL", "0"),
        ("WS_PING_TIMEOUT", "none"),
        ("WS_MAX_MESSAGE_SIZE", "1.5"),
        ("WS_MAX_QUEUE_SIZE", "0"),
        ("WS_RECONNECT_ENABLED", "maybe"),
        ("WS_RECONNECT_MAX_ATTEMPTS", "many"),
        ("WS_RECONNECT_BACKOFF_BASE", "NaN"),
        ("WS_RECONNECT_BACKOFF_MAX", "inf"),
        ("WS_RECONNECT_JITTER", "1.1"),
    ] {
        let error = raw().vars(vars(&[(name, value)])).build().unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some(name)), "{value}");
    }
}

// S2-15
#[tokio::test]
async fn presets_set_what_they_name_and_what_is_set_afterwards_wins() {
    for preset in Preset::ALL {
        assert_eq!(preset.as_str().parse::<Preset>().unwrap(), preset);
        raw().preset(preset).build().unwrap();
    }
    assert_eq!("quiet".parse::<Preset>().unwrap_err().path(), Some("preset"));
    let trading = raw().preset(Preset::Trading).build().unwrap();
    let config = trading.config();
    assert_eq!((config.backoff.base, config.backoff.max_attempts), (Duration::from_millis(100), 0));
    assert_eq!((config.ping_interval, config.ping_timeout), (Some(10 * SECOND), 5 * SECOND));
    assert_eq!((config.event_capacity, config.max_connection_age), (10_000, Some(23 * 3600 * SECOND)));
    let llm = raw().preset(Preset::LlmStream).max_message_size(1).build().unwrap();
    assert_eq!((llm.config().max_message_size, llm.config().ping_interval), (1, Some(30 * SECOND)));
    assert_eq!(raw().preset(Preset::Dashboard).build().unwrap().config().event_capacity, 256);
    let minimal = raw().preset(Preset::Minimal).build().unwrap();
    assert_eq!((minimal.config().reconnect, minimal.config().ping_interval), (false, None));
}

// S1-3, S1-14: a ping on the wire is answered by any server, and its round trip is the latency.
#[tokio::test]
async fn a_ping_on_the_wire_tells_the_latency() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder().ping(Duration::from_millis(20), 5 * SECOND)).await;
    let (answers, mut told) = futures::channel::mpsc::unbounded();
    let _watching = client.on_lifecycle(move |step| {
        if let everwire::Lifecycle::Pong { latency } = step {
            let _ = answers.unbounded_send(*latency);
        }
    });
    let latency = soon(async {
        tokio::select! {
            latency = futures::StreamExt::next(&mut told) => latency.unwrap(),
            () = async { while peer.next().await.is_some() {} } => panic!("the client left"),
        }
    })
    .await;
    assert_eq!(client.latency(), Some(latency));
}

// S2-5, pitfall 2: a peer that takes bytes and never answers is noticed.
#[tokio::test]
async fn a_peer_that_answers_no_ping_is_given_up() {
    let server = Server::start().await;
    let builder = server.builder().ping(Duration::from_millis(20), Duration::from_millis(50)).reconnect(false);
    // The peer does not read, so it does not answer.
    let (client, _peer) = server.connect(builder).await;
    match soon(client.closed()).await {
        Cause::Exhausted(error) => assert!(error.is_timeout(), "{error:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(soon(client.next_event("a")).await.unwrap_err().kind(), ErrorKind::Timeout);
}
