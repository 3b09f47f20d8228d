//! The everwire protocol over real sockets, as `docs/PROTOCOL.md` has it (N-9).

use super::*;

async fn dial_wire(running: &Running, session: Option<(&Value, u64)>) -> (Socket, Value) {
    let mut socket = dial(running, "/everwire/v1").await;
    socket.send(connect_frame(&token(running), session)).await.unwrap();
    let hello = next_json(&mut socket).await;
    assert_eq!((&hello["type"], &hello["version"]), (&json!("wire.hello"), &json!(1)), "{hello}");
    (socket, hello)
}

fn connect_frame(token: &str, session: Option<(&Value, u64)>) -> Message {
    let mut frame =
        json!({"type": "wire.connect", "version": 1, "token": token, "user": {"id": "alice"}, "api_key": KEY});
    if let Some((session, last)) = session {
        frame["session"] = session.clone();
        frame["last"] = last.into();
    }
    Message::text(frame.to_string())
}

fn publish(running: &Running, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        running.server().publish(&json!({"type": "tick", "n": number})).unwrap();
    }
}

async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

#[tokio::test]
async fn a_session_goes_on_over_a_new_socket_from_the_last_event() {
    let running = start(builder()).await;
    let (mut socket, hello) = dial_wire(&running, None).await;
    assert_eq!((&hello["resumed"], &hello["last"], &hello["received"]), (&json!(false), &json!(0), &json!(0)));
    assert_eq!(hello["user"]["id"], "alice");
    publish(&running, 1..=4);
    for number in 1..=3 {
        assert_eq!(next_json(&mut socket).await, json!({"type": "tick", "n": number, "seq": number}));
    }
    drop(socket);
    eventually("the server notices", || running.server().connections() == 0).await;
    // What is published while nobody is connected is kept too.
    publish(&running, 5..=6);
    let (mut socket, again) = dial_wire(&running, Some((&hello["session"], 3))).await;
    assert_eq!((&again["resumed"], &again["last"]), (&json!(true), &json!(6)));
    assert_eq!(again["session"], hello["session"]);
    assert_ne!(again["connection_id"], hello["connection_id"]);
    publish(&running, 7..=7);
    for number in 4..=7 {
        assert_eq!(next_json(&mut socket).await["seq"], number);
    }
    let stats = running.server().stats();
    assert_eq!((stats.sessions, stats.resumed, stats.connections), (1, 1, 1));
}

#[tokio::test]
async fn past_the_retention_there_is_a_gap_and_acknowledgements_free_it() {
    let running = start(builder().retention(3, 1 << 20)).await;
    let (mut socket, hello) = dial_wire(&running, None).await;
    drop(socket);
    eventually("the server notices", || running.server().connections() == 0).await;
    publish(&running, 1..=5);
    (socket, _) = dial_wire(&running, Some((&hello["session"], 0))).await;
    assert_eq!(next_json(&mut socket).await, json!({"type": "wire.gap", "from": 1, "to": 2}));
    for number in 3..=5 {
        assert_eq!(next_json(&mut socket).await["seq"], number);
    }
    say(&mut socket, json!({"type": "wire.ack", "up_to": 5})).await;
    say(&mut socket, json!({"type": "wire.ping"})).await;
    assert_eq!(next_json(&mut socket).await["type"], "wire.pong");
    // There is room for three again.
    drop(socket);
    eventually("the server notices", || running.server().connections() == 0).await;
    publish(&running, 6..=8);
    (socket, _) = dial_wire(&running, Some((&hello["session"], 5))).await;
    assert_eq!(next_json(&mut socket).await["seq"], 6);
}

// SignalR: two resumes at once. The second takes over, whole, and the first is told.
#[tokio::test]
async fn one_socket_has_the_session_and_the_other_is_told() {
    let running = start(builder()).await;
    let (mut first, hello) = dial_wire(&running, None).await;
    publish(&running, 1..=2);
    assert_eq!(next_json(&mut first).await["seq"], 1);
    let (mut second, again) = dial_wire(&running, Some((&hello["session"], 0))).await;
    assert_eq!(again["resumed"], true);
    let (code, _) = loop {
        match soon(first.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => break (u16::from(frame.code), frame.reason),
            Some(Ok(_)) => {} // written before
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 4409);
    publish(&running, 3..=3);
    for number in 1..=3 {
        assert_eq!(next_json(&mut second).await["seq"], number);
    }
    drop(first);
    eventually("the first is gone", || running.server().connections() == 1).await;
    publish(&running, 4..=4);
    assert_eq!(next_json(&mut second).await["seq"], 4);
}

#[tokio::test]
async fn messages_are_taken_once_by_their_number() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = taken.clone();
    let running = start(builder().on_activity(move |activity| {
        if let Activity::Message { text, .. } = activity {
            seen.lock().unwrap().push(serde_json::from_str::<Value>(text).unwrap()["n"].as_u64());
        }
    }))
    .await;
    let (mut socket, hello) = dial_wire(&running, None).await;
    for number in [1, 2, 2, 1] {
        say(&mut socket, json!({"type": "order", "n": number, "seq": number})).await;
    }
    say(&mut socket, json!({"type": "chat", "n": 9})).await;
    say(&mut socket, json!({"type": "wire.ping"})).await;
    while next_json(&mut socket).await["type"] != "wire.pong" {}
    drop(socket);
    let (mut socket, again) = dial_wire(&running, Some((&hello["session"], 0))).await;
    assert_eq!(again["received"], 2);
    say(&mut socket, json!({"type": "order", "n": 2, "seq": 2})).await;
    assert_eq!(next_json(&mut socket).await, json!({"type": "wire.received", "up_to": 2}));
    say(&mut socket, json!({"type": "order", "n": 3, "seq": 3})).await;
    assert_eq!(next_json(&mut socket).await, json!({"type": "wire.received", "up_to": 3}));
    assert_eq!(*taken.lock().unwrap(), [Some(1), Some(2), Some(9), Some(3)]);
    assert_eq!(running.server().stats().duplicates, 3);
}

#[tokio::test]
async fn a_client_that_closes_for_good_leaves_no_session() {
    let running = start(builder()).await;
    let (mut socket, _) = dial_wire(&running, None).await;
    let frame = CloseFrame { code: 1000.into(), reason: "client disconnect".into() };
    socket.close(Some(frame)).await.unwrap();
    eventually("the session is gone", || running.server().stats().sessions == 0).await;
}

// S0-12 and the code table of the protocol.
#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let running = start(builder().max_sessions(1)).await;
    let expired = sign(&json!({"user_id": "alice", "exp": 1}), SECRET);
    let good = token(&running);
    let (_kept, _) = dial_wire(&running, None).await;
    for (first, want) in [
        (connect_frame(&expired, None), (40, 401, 3000)),
        (connect_frame(&sign(&json!({"user_id": "alice"}), "other"), None), (43, 401, 1000)),
        (Message::text(r#"{"type":"hello"}"#), (4, 400, 1000)),
        (Message::text(r#"{"type":"wire.connect","version":2,"user":{"id":"alice"},"api_key":"key"}"#), (4, 400, 1000)),
        (Message::text(r#"{"type":"wire.connect","version":1,"user":{"id":"alice"}}"#), (2, 401, 1000)),
        (connect_frame(&good, None), (71, 429, 1013)),
    ] {
        let mut socket = dial(&running, "/everwire/v1").await;
        socket.send(first).await.unwrap();
        let error = next_json(&mut socket).await;
        assert_eq!(error["type"], "wire.error");
        let (close, _) = next_close(&mut socket).await;
        assert_eq!((error["code"].as_i64().unwrap(), error["status"].as_u64().unwrap(), close), want, "{error}");
    }
}

// All three protocols have what is published.
#[tokio::test]
async fn clients_of_all_protocols_have_what_is_published() {
    let running = start(builder()).await;
    let (mut plain, _) = connect(&running).await;
    let (mut wire, _) = dial_wire(&running, None).await;
    eventually("both are in", || running.server().connections() == 2).await;
    assert_eq!(running.server().publish(&json!({"type": "tick"})).unwrap(), 2);
    assert_eq!(next_json(&mut plain).await, json!({"type": "tick"}));
    assert_eq!(next_json(&mut wire).await, json!({"type": "tick", "seq": 1}));
}
