//! Refusals, the circuit breaker and the maximum age over real sockets.

use super::peer::{Diary, Server, soon};
use everwire::{BreakerRule, BreakerState, Cause, Client, ClientBuilder, Dialect, ErrorKind, Lifecycle, Reason};
use futures::{StreamExt, channel::mpsc};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn raw(server: &Server) -> ClientBuilder {
    let builder = Client::builder(Dialect::raw()).url(server.url());
    builder.backoff(Duration::from_millis(5), Duration::from_millis(20)).max_attempts(0)
}

// S2-10: over HTTP, where trying again would not mend it; everything else is tried again.
#[tokio::test]
async fn a_refused_handshake_is_the_end_or_another_try() {
    for status in [401, 403, 404, 410] {
        let server = Server::start().await;
        let client = raw(&server).build().unwrap();
        client.connect().unwrap();
        server.refuse(status, "").await;
        let cause = soon(client.closed()).await;
        assert!(matches!(&cause, Cause::Fatal(error) if error.status() == Some(status)), "{cause}");
        assert_eq!(client.stats().dials, 1);
    }
    for status in [429, 500, 503] {
        let server = Server::start().await;
        let client = raw(&server).build().unwrap();
        client.connect().unwrap();
        server.refuse(status, "").await;
        let _peer = server.accept().await;
        soon(client.ready()).await.unwrap();
    }
}

// A server need not hang up after its words, nor say how long they are: the dial must not time out for that. What it says may
// hold what it was sent.
#[tokio::test]
async fn a_refusal_without_an_end_is_told_in_time_and_without_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialect = Dialect::from_json(r#"{"name":"b","headers":{"authorization":"Bearer ${token}"}}"#).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client =
        Client::builder(dialect).url(url).token("t0ken").open_timeout(Duration::from_millis(800)).build().unwrap();
    client.connect().unwrap();
    let (mut tcp, _) = soon(listener.accept()).await.unwrap();
    let read = tcp.read(&mut [0; 4096]).await.unwrap();
    assert!(read > 0);
    tcp.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
    tcp.write_all(b"t0ken is not known").await.unwrap();
    let cause = soon(client.closed()).await;
    let Cause::Fatal(error) = &cause else { panic!("{cause}") };
    assert_eq!((error.status(), error.response()), (Some(403), Some("*** is not known")));
}

// S2-10
#[tokio::test]
async fn a_close_that_refuses_is_the_end() {
    for code in [1008, 4401, 4403] {
        let server = Server::start().await;
        let client = raw(&server).build().unwrap();
        client.connect().unwrap();
        server.accept().await.close(code, "no").await;
        let cause = soon(client.closed()).await;
        assert!(matches!(&cause, Cause::ByServer(error) if error.close_code() == Some(code)), "{cause}");
    }
}

#[tokio::test]
async fn a_rule_fits_every_code_that_may_be_sent_and_any_other_code_is_a_violation_that_names_it() {
    let rules = r#"{"name":"x","close":[{"from":1000,"to":4999,"action":"fatal"}],"close_default":"retry"}"#;
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 4999]) {
        let server = Server::start().await;
        let client = Client::builder(Dialect::from_json(rules).unwrap()).url(server.url()).build().unwrap();
        client.connect().unwrap();
        server.accept().await.close(code, "why").await;
        let cause = soon(client.closed()).await;
        let Cause::ByServer(error) = &cause else { panic!("{code}: {cause}") };
        assert_eq!((error.close_code(), error.close_reason()), (Some(code), Some("why")));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let server = Server::start().await;
        let client =
            Client::builder(Dialect::from_json(rules).unwrap()).url(server.url()).max_attempts(1).build().unwrap();
        client.connect().unwrap();
        server.accept().await.close(code, "never said").await;
        let cause = soon(client.closed()).await;
        let Cause::Exhausted(error) = &cause else { panic!("{code}: {cause}") };
        assert_eq!((error.kind(), error.close_code()), (ErrorKind::Protocol, None), "{code}");
        assert!(error.message().contains(&format!("close code {code},")), "{error}");
        assert!(!error.to_string().contains("never said"), "{error}");
    }
}

// S3-3
#[tokio::test]
async fn a_breaker_opens_and_lets_one_try_through() {
    let server = Server::start().await;
    let rule = BreakerRule { failures: 2, pause: Duration::from_millis(300) };
    let client = raw(&server).breaker(rule).stable_after(Duration::from_millis(50)).build().unwrap();
    let (sender, mut states) = mpsc::unbounded();
    client
        .on_lifecycle(move |step| {
            if let Lifecycle::Breaker { state, .. } = step {
                let _ = sender.unbounded_send(*state);
            }
        })
        .detach();
    client.connect().unwrap();
    server.refuse(500, "").await;
    server.refuse(500, "").await;
    assert_eq!(soon(states.next()).await, Some(BreakerState::Open));
    server.refuse(500, "").await;
    let _peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    let states: Vec<_> = states.take(4).collect().await;
    assert_eq!(states, [BreakerState::HalfOpen, BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
}

// S2-8
#[tokio::test]
async fn a_connection_is_replaced_at_its_maximum_age() {
    let server = Server::start().await;
    let client = raw(&server).max_connection_age(Duration::from_millis(200)).build().unwrap();
    let diary = Diary::of(&client);
    client.connect().unwrap();
    let mut peer = server.accept().await;
    assert_eq!(peer.close_frame().await, Some((1000, "client renews the connection".into())));
    let _peer = server.accept().await;
    diary.until("reconnecting").await;
    soon(client.ready()).await.unwrap();
    assert!(!diary.words().contains(&"backing-off".to_owned()), "{:?}", diary.words());
}

// S2-10: `Retry-After` is respected, and the log tells why (N-12).
#[tokio::test]
async fn a_server_that_asks_for_time_is_given_it() {
    let server = Server::start().await;
    let client = raw(&server).build().unwrap();
    let (sender, mut delays) = mpsc::unbounded();
    client
        .on_lifecycle(move |step| {
            if let Lifecycle::BackingOff { delay, .. } = step {
                let _ = sender.unbounded_send(*delay);
            }
        })
        .detach();
    client.connect().unwrap();
    server.refuse(503, "retry-after: 1\r\n").await;
    let delay = soon(delays.next()).await.unwrap();
    assert!(delay > Duration::from_secs(1) && delay <= Duration::from_millis(1_020), "{delay:?}");
    let _peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    let log = client.reconnect_log();
    assert_eq!((log.len(), log[0].reason, log[0].attempt), (1, Reason::Handshake, 1));
    assert_eq!(log[0].error.status(), Some(503));
    assert!(log[0].unix.is_some_and(|unix| unix.as_secs() > 1_700_000_000));
    // S2-11
    let stats = client.stats();
    assert!(stats.hello_time >= stats.dial_time && stats.dial_time.is_some() && stats.connection_age().is_some());
    assert!(stats.uptime() <= stats.at.since_start() && stats.state == everwire::State::Connected);
}
