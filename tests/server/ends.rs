//! How connections end: closed, dropped, too slow, against the rules, shut down.

use super::*;

#[tokio::test]
async fn a_client_that_sends_nothing_any_more_is_closed() {
    let running = start(builder().idle_timeout(Duration::from_millis(100))).await;
    let (mut socket, _) = connect(&running).await;
    assert_eq!(next_close(&mut socket).await.0, 3008);
}

#[tokio::test]
async fn a_large_message_that_trickles_in_keeps_a_client_and_one_that_drips_does_not() {
    const PAUSE: Duration = Duration::from_millis(25);
    let running = start(builder().idle_timeout(Duration::from_millis(300))).await;
    let check = json!([{"type": "health.check", "padding": "x".repeat(60_000)}]).to_string();
    // A text frame whose mask is zero.
    let mut frame = vec![0x81, 0xFE];
    frame.extend((check.len() as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(check.as_bytes());
    let (mut socket, _) = connect(&running).await;
    for piece in frame.chunks(frame.len().div_ceil(40)) {
        socket.get_mut().write_all(piece).await.expect("written");
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    let drips = async {
        for byte in frame {
            if socket.get_mut().write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            if running.server().stats().closed_by_server.contains_key(&3008) {
                break;
            }
        }
    };
    soon(drips).await;
    assert_eq!(running.server().stats().closed_by_server.get(&3008), Some(&1));
}

// S1-5, S1-23
#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let running = start(builder().max_message_size(1000)).await;
    let (mut socket, _) = connect(&running).await;
    let check = json!([{"type": "health.check", "padding": "x".repeat(900)}]).to_string();
    socket.send(Message::text(check)).await.unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    // Far larger than any buffer: the close arrives although most of it is never taken for a message.
    socket.send(Message::text("x".repeat(20_000_000))).await.unwrap();
    assert_eq!(next_close(&mut socket).await.0, 1009);

    let mut first = dial_v2(&running).await;
    first.send(first_message(&"x".repeat(1000))).await.unwrap();
    assert_eq!(next_close(&mut first).await.0, 1009);
}

// S3-5
#[tokio::test]
async fn a_slow_client_is_closed_and_blocks_nobody() {
    let running = start(builder().queue(64, 1 << 20).close_timeout(Duration::from_millis(300))).await;
    let (slow, _) = connect(&running).await;
    let (mut quick, _) = connect(&running).await;
    let event = json!({"type": "big", "padding": "x".repeat(64 << 10)});
    // More than all buffers between the two ends hold. The quick one has each event before the next is published.
    for _ in 0..400 {
        running.server().publish(&event).unwrap();
        assert_eq!(next_json(&mut quick).await["type"], "big");
    }
    eventually("the slow one is gone", || running.server().connections() == 1).await;
    let stats = running.server().stats();
    assert_eq!(stats.slow_clients, 1);
    eventually("it is counted", || running.server().stats().closed_by_server.get(&1013) == Some(&1)).await;
    drop(slow);
}

#[tokio::test]
async fn a_queue_that_overflows_at_once_closes_a_client_with_1013() {
    let running = start(builder().queue(4, 1 << 20)).await;
    let (mut socket, _) = connect(&running).await;
    // The connection's task cannot run in between: this test has one thread and does not wait.
    for n in 0..10 {
        running.server().publish(&json!({"type": "burst", "n": n})).unwrap();
    }
    assert_eq!(next_close(&mut socket).await.0, 1013);
    assert_eq!(running.server().stats().slow_clients, 1);
}

// S1-22
#[tokio::test]
async fn shutdown_tells_every_client_after_the_last_event() {
    let running = start(builder()).await;
    let (mut one, _) = connect(&running).await;
    let (mut two, _) = connect(&running).await;
    let mut waiting = dial_v2(&running).await;
    let server = running.server().clone();
    eventually("both are in", || server.connections() == 2).await;
    server.publish(&json!({"type": "maintenance"})).unwrap();
    let address = running.local_addr();
    let clients = async {
        for socket in [&mut one, &mut two] {
            assert_eq!(next_json(socket).await["type"], "maintenance");
            assert_eq!(next_close(socket).await.0, 1001);
            assert!(soon(socket.next()).await.is_none());
        }
        assert_eq!(next_close(&mut waiting).await.0, 1001);
        assert!(soon(waiting.next()).await.is_none());
    };
    tokio::join!(soon(running.shutdown()), clients);
    assert!(TcpStream::connect(address).await.is_err(), "it listens no more");
    assert_eq!(server.bind("127.0.0.1:0").await.unwrap_err().kind(), everwire::ErrorKind::InvalidState);
    assert_eq!(server.stats().closed_by_server, [(1001, 3)].into());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_client_that_hangs() {
    let running = start(builder().close_timeout(Duration::from_millis(200))).await;
    let (_hangs, _) = connect(&running).await;
    timeout(Duration::from_secs(3), running.shutdown()).await.expect("bounded");
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_no_socket_behind() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    let address = running.local_addr();
    drop(running);
    assert!(matches!(soon(socket.next()).await, Some(Err(_))));
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn connections_can_be_dropped_closed_and_refused() {
    let running = start(builder()).await;
    let server = running.server();
    let (mut socket, _) = connect(&running).await;
    assert_eq!(server.drop_connections(), 1);
    assert!(matches!(soon(socket.next()).await, Some(Err(SocketError::Protocol(_) | SocketError::Io(_)))));

    let (mut socket, _) = connect(&running).await;
    assert_eq!(server.close_connections(4321, "on purpose").unwrap(), 1);
    assert_eq!(next_close(&mut socket).await, (4321, "on purpose".to_owned()));
    assert!(server.close_connections(1006, "").is_err());
    assert!(server.close_connections(1000, &"x".repeat(124)).is_err());

    let (mut socket, _) = connect(&running).await;
    eventually("the others are gone", || server.connections() == 1).await;
    server.expire_tokens();
    assert_eq!(next_refusal(&mut socket).await, (40, 401, 3000));

    let (mut socket, _) = connect(&running).await;
    server.refuse_connections(&Refusal::new(9, "é".repeat(100)));
    assert_eq!(next_refusal(&mut socket).await, (9, 429, 1013));
}

#[tokio::test]
async fn frames_against_the_rules_are_closed_with_the_code_for_it() {
    let running = start(builder()).await;
    for (frame, want) in [
        (&[0x81, 0x01, b'x'][..], 1002),         // not masked
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),       // an opcode that does not exist
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007), // text that is not UTF-8
    ] {
        let (mut socket, _) = connect(&running).await;
        let MaybeTlsStream::Plain(tcp) = socket.get_mut() else { panic!("there is no TLS") };
        tcp.write_all(frame).await.unwrap();
        assert_eq!(next_close(&mut socket).await.0, want, "{frame:?}");
    }
}

#[tokio::test]
async fn a_frozen_server_neither_reads_nor_writes_and_then_goes_on() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    let server = running.server();
    server.freeze(Duration::from_secs(60));
    server.publish(&json!({"type": "late"})).unwrap();
    socket.send(Message::text(r#"[{"type":"health.check"}]"#)).await.unwrap();
    let mut dialling = Box::pin(dial_v2(&running));
    assert!(timeout(Duration::from_millis(200), socket.next()).await.is_err(), "a frozen server says nothing");
    assert!(timeout(Duration::from_millis(200), &mut dialling).await.is_err(), "nor does it answer a handshake");
    assert_eq!(server.connections(), 1);
    server.freeze(Duration::ZERO);
    assert_eq!(next_json(&mut socket).await["type"], "late");
    assert_eq!(next_json(&mut socket).await["type"], "health.check");
    soon(dialling).await;
}

#[tokio::test]
async fn a_freeze_ends_by_itself() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    running.server().freeze(Duration::from_millis(100));
    running.server().publish(&json!({"type": "late"})).unwrap();
    assert_eq!(next_json(&mut socket).await["type"], "late");
}

#[tokio::test]
async fn a_frozen_server_can_be_shut_down() {
    let running = start(builder().close_timeout(Duration::from_millis(100))).await;
    let (mut socket, _) = connect(&running).await;
    running.server().freeze(Duration::from_secs(60));
    let (close, ()) = tokio::join!(next_close(&mut socket), running.shutdown());
    assert_eq!(close.0, 1001);
}

#[tokio::test]
async fn a_server_that_is_offline_drops_everybody_and_refuses_with_503() {
    let running = start(builder()).await;
    let (mut socket, _) = connect(&running).await;
    assert_eq!(running.server().go_offline(Duration::from_secs(60)), 1);
    assert!(!matches!(soon(socket.next()).await, Some(Ok(_))), "no close frame");
    let url = format!("ws://{}/api/v2/connect?api_key=key&stream-auth-type=jwt", running.local_addr());
    match soon(tokio_tungstenite::connect_async(&url)).await {
        Err(SocketError::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("refused is expected, not {other:?}"),
    }
    running.server().go_offline(Duration::ZERO);
    connect(&running).await;
}
