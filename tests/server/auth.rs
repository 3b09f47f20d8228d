//! Who is let in, and what the others are told.

use super::*;

#[tokio::test]
async fn the_older_dialect_authenticates_in_the_query() {
    let running = start(builder()).await;
    // {"user_id":"alice","user_details":{"id":"alice"},"server_determines_connection_id":true}
    let json = "%7B%22user_id%22%3A%22alice%22%2C%22user_details%22%3A%7B%22id%22%3A%22alice%22%7D%2C\
                %22server_determines_connection_id%22%3Atrue%7D";
    let query = format!("/connect?json={json}&api_key=key&authorization={}&stream-auth-type=jwt", token(&running));
    let mut socket = dial(&running, &query).await;
    let hello = next_json(&mut socket).await;
    assert_eq!(hello["type"], "health.check");
    assert_eq!(hello["me"]["id"], "alice");
    assert!(!hello["connection_id"].as_str().unwrap().is_empty());

    let mut refused = dial(&running, &format!("/connect?json={json}&api_key=key&authorization=nonsense")).await;
    assert_eq!(next_refusal(&mut refused).await, (5, 401, 1000));
    let mut refused = dial(&running, "/connect?api_key=key&authorization=x").await;
    assert_eq!(next_refusal(&mut refused).await, (4, 400, 1000));
}

// S0-12
#[tokio::test]
async fn every_wrong_token_has_its_code_and_close() {
    let running = start(builder()).await;
    let far = 4_000_000_000_u64;
    for (token, want) in [
        (sign(&json!({"user_id": "alice", "exp": 1}), SECRET), (40, 401, 3000)),
        (sign(&json!({"user_id": "alice", "nbf": far}), SECRET), (41, 401, 3000)),
        (sign(&json!({"user_id": "alice", "iat": far}), SECRET), (42, 401, 3000)),
        (sign(&json!({"user_id": "alice"}), "another secret"), (43, 401, 1000)),
        (sign(&json!({"user_id": "bob"}), SECRET), (5, 401, 1000)),
        ("no token at all".to_owned(), (5, 401, 1000)),
        (String::new(), (5, 401, 1000)),
    ] {
        let mut socket = dial_v2(&running).await;
        socket.send(first_message(&token)).await.unwrap();
        assert_eq!(next_refusal(&mut socket).await, want, "{token}");
    }
    assert_eq!(running.server().stats().refused, [(5, 3), (40, 1), (41, 1), (42, 1), (43, 1)].into());
    assert_eq!(running.server().stats().accepted, 0);
}

#[tokio::test]
async fn a_wrong_api_key_and_anonymous_clients_are_refused_before_they_say_a_word() {
    let running = start(builder()).await;
    for (query, want) in [
        ("?api_key=other", (2, 401, 1000)),
        ("", (2, 401, 1000)),
        ("?api_key=key&stream-auth-type=anonymous", (5, 401, 1000)),
    ] {
        let mut socket = dial(&running, &format!("/api/v2/connect{query}")).await;
        assert_eq!(next_refusal(&mut socket).await, want, "{query}");
    }
}

#[tokio::test]
async fn a_malformed_first_message_is_refused() {
    let running = start(builder()).await;
    for wrong in ["", "{", "[]", "{}", r#"{"token":7}"#, r#"{"token":"t","user_details":{}}"#] {
        let mut socket = dial_v2(&running).await;
        socket.send(Message::text(wrong)).await.unwrap();
        assert_eq!(next_refusal(&mut socket).await, (4, 400, 1000), "{wrong}");
    }
    let mut socket = dial_v2(&running).await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(next_refusal(&mut socket).await, (4, 400, 1000));
}

#[tokio::test]
async fn development_takes_any_token_but_must_be_asked_for() {
    let running = start(Server::builder().development()).await;
    for token in ["anything", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoiYWxpY2UifQ.devtoken"] {
        let mut socket = dial(&running, "/api/v2/connect?api_key=whatever").await;
        socket.send(first_message(token)).await.unwrap();
        assert_eq!(next_json(&mut socket).await["type"], "connection.ok");
    }
    let mut socket = dial(&running, "/api/v2/connect").await;
    socket.send(first_message("")).await.unwrap();
    assert_eq!(next_refusal(&mut socket).await, (5, 401, 1000));
}

// S3-2
#[tokio::test]
async fn who_stays_silent_is_closed_at_the_deadline() {
    let running = start(builder().auth_deadline(Duration::from_millis(100))).await;
    let mut socket = dial_v2(&running).await;
    assert_eq!(next_refusal(&mut socket).await, (23, 408, 1008));
    // Pings are no authentication.
    let mut socket = dial_v2(&running).await;
    socket.send(Message::Ping("x".into())).await.unwrap();
    assert!(matches!(soon(socket.next()).await, Some(Ok(Message::Pong(_)))));
    assert_eq!(next_refusal(&mut socket).await, (23, 408, 1008));
}

#[tokio::test]
async fn one_connection_too_many_is_refused() {
    let running = start(builder().max_connections(1)).await;
    let (_first, _) = connect(&running).await;
    let mut second = dial_v2(&running).await;
    assert_eq!(next_refusal(&mut second).await, (71, 429, 1013));
}
