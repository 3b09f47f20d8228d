//! Events out, messages in.

use super::*;

#[tokio::test]
async fn a_client_authenticates_with_its_first_message_and_gets_events() {
    let running = start(builder()).await;
    let (mut socket, hello) = connect(&running).await;
    assert_eq!(hello["me"], json!({"id": "alice", "name": "Alice"}));
    assert!(!hello["connection_id"].as_str().unwrap().is_empty());
    assert!(hello["created_at"].as_str().unwrap().ends_with('Z'));
    eventually("one is connected", || running.server().connections() == 1).await;

    assert_eq!(running.server().publish(&json!({"type": "greeting", "n": 1})).unwrap(), 1);
    assert_eq!(next_json(&mut socket).await, json!({"type": "greeting", "n": 1}));
    socket.close(None).await.unwrap();
    eventually("nobody is connected", || running.server().connections() == 0).await;
    running.shutdown().await;
}

#[tokio::test]
async fn health_checks_come_only_in_reply() {
    let running = start(builder()).await;
    let (mut socket, hello) = connect(&running).await;
    for check in [json!([{"type": "health.check", "client_id": "c"}]), json!({"type": "health.check", "cid": "*"})] {
        socket.send(Message::text(check.to_string())).await.unwrap();
        let reply = next_json(&mut socket).await;
        assert_eq!(reply["type"], "health.check");
        assert_eq!(reply["connection_id"], hello["connection_id"]);
    }
    // Whatever else is sent is not answered: what comes next is the reply to the check after it.
    for text in [r#"{"type":"typing.start"}"#, "not json", "[]"] {
        socket.send(Message::text(text)).await.unwrap();
    }
    socket.send(Message::binary(vec![0])).await.unwrap();
    running.server().publish(&json!({"type": "between"})).unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "between");
    socket.send(Message::text(r#"{"type":"health.check"}"#)).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    assert!(timeout(Duration::from_millis(200), socket.next()).await.is_err(), "nothing comes unasked");
    let stats = running.server().stats();
    assert_eq!((stats.health_checks, stats.messages_received, stats.malformed), (3, 2, 2));
}

#[tokio::test]
async fn activity_is_told_in_order_and_without_a_token() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let running = start(builder().on_activity(move |activity| {
        let line = match activity {
            Activity::Connected { user_id, protocol, .. } => format!("connected {user_id} {}", protocol.name()),
            Activity::Message { user_id, text, .. } => format!("message {user_id} {text}"),
            Activity::Refused { user_id, refusal, .. } => format!("refused {user_id:?} {}", refusal.code()),
            Activity::Disconnected { user_id, end, .. } => format!("disconnected {user_id:?} {end:?}"),
            _ => String::new(),
        };
        log.lock().unwrap().push(line);
    }))
    .await;
    let (mut socket, _) = connect(&running).await;
    socket.send(Message::text(r#"{"type":"typing.start"}"#)).await.unwrap();
    let frame = CloseFrame { code: 4000.into(), reason: "bye".into() };
    socket.close(Some(frame)).await.unwrap();
    assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Close(_)))));
    eventually("it is told", || seen.lock().unwrap().len() == 3).await;
    let end = End::ByClient { code: Some(4000), reason: "bye".to_owned() };
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "connected alice stream".to_owned(),
            r#"message alice {"type":"typing.start"}"#.to_owned(),
            format!("disconnected Some(\"alice\") {end:?}"),
        ]
    );
}

#[tokio::test]
async fn real_events_are_replayed_in_order() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED_EVENTS);
    let recorded = Recorded::load(path).unwrap();
    let replay = running.server().replay(recorded.clone(), 1000.0).unwrap();
    for index in 0..20 {
        let want: Value = serde_json::from_str(&recorded.message(index).unwrap()).unwrap();
        let mut event = next_json(&mut socket).await;
        event["created_at"] = want["created_at"].clone();
        assert_eq!(event, want);
    }
    drop(replay);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(running.server().replay(recorded.clone(), rate).is_err(), "{rate}");
    }
}

#[tokio::test]
async fn an_event_must_be_an_object() {
    let running = start(builder()).await;
    assert!(running.server().publish(&json!([1])).is_err());
    assert!(running.server().publish(&"text").is_err());
}
