//! `tracing` and `metrics` over a real connection, with a real subscriber and a real recorder (S2-11, N-12).
#![cfg(all(native, feature = "tracing", feature = "metrics"))]

#[allow(dead_code)] // this test uses its part
#[path = "client/peer.rs"]
mod peer;

use everwire::{Cause, ErrorKind};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use peer::{Server, soon};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the subscriber wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_life_is_told_to_the_subscriber_and_the_recorder() {
    let (log, recorder) = (Log::default(), DebuggingRecorder::new());
    let (writer, snapshots) = (log.clone(), recorder.snapshotter());
    recorder.install().expect("the only recorder");
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).expect("the only subscriber");

    let server = Server::start().await;
    let builder = server.builder().health_check_interval(Duration::from_millis(50));
    let (client, mut peer) = server.connect(builder).await;
    assert!(peer.text().await.contains("health.check"));
    peer.send(r#"{"type":"health.check"}"#).await;
    peer.event("a", 1).await;
    let error = r#"{"type":"connection.error","error":{"code":9,"message":"the-token is busy"}}"#;
    peer.send(error).await;
    let (_peer, _) = server.greet().await;
    soon(client.ready()).await.unwrap();
    client.close().await;
    assert!(matches!(client.closed().await, Cause::ByUser));
    drop(client);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for part in [
        r#"everwire{dialect="stream" host="127.0.0.1"#,
        "connecting url=ws://127.0.0.1",
        "INFO",
        r#"connected connection_id="c-1" attempt=1"#,
        "pong latency=",
        "WARN",
        "disconnected error=*** is busy (code 9)",
        // The connection that the server ended at once was the first failed try.
        "backing-off attempt=2 delay=",
        "downtime=",
        "closed cause=closed by the user",
    ] {
        assert!(log.contains(part), "{part} is missing: {log}");
    }
    assert!(!log.contains("the-token"), "{log}");

    let mut found = BTreeMap::new();
    for (key, _, _, value) in snapshots.snapshot().into_vec() {
        let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        assert_eq!(labels[0], "dialect=stream");
        found.insert(format!("{} {}", key.key().name(), labels[1..].join(" ")).trim_end().to_owned(), value);
    }
    let count = |name: &str| match found.get(name) {
        Some(DebugValue::Counter(count)) => *count,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((count("everwire_dials_total"), count("everwire_connects_total")), (2, 2));
    assert_eq!(count("everwire_reconnects_total"), 1);
    assert!(count("everwire_messages_received_total") >= 5 && count("everwire_received_bytes_total") > 100);
    assert!(count("everwire_messages_sent_total") >= 3 && count("everwire_events_total") >= 4);
    assert_eq!(count(&format!("everwire_disconnects_total kind={}", ErrorKind::Server.as_str())), 1);
    assert!(matches!(found["everwire_connected"], DebugValue::Gauge(connected) if connected.0 == 0.0));
    for histogram in ["round_trip", "dial", "hello", "downtime", "backoff"] {
        let Some(DebugValue::Histogram(values)) = found.get(&format!("everwire_{histogram}_seconds")) else {
            panic!("{histogram}: {found:?}")
        };
        assert!(!values.is_empty() && values.iter().all(|value| value.0 >= 0.0), "{histogram}");
    }
}
