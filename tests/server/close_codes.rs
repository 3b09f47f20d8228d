//! Close frames of a client, byte by byte (RFC 6455, 5.5.1 and 7.4, and IANA's registry of close codes).

use super::*;

/// A client made by hand: it has shaken hands, and is let in.
async fn let_in(running: &Running) -> TcpStream {
    let mut tcp = TcpStream::connect(running.local_addr()).await.unwrap();
    let request = "GET /api/v2/connect?api_key=key&stream-auth-type=jwt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                   Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(tcp.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    let first = first_message(&token(running)).into_text().unwrap();
    write(&mut tcp, 0x81, first.as_bytes()).await;
    assert_eq!(read(&mut tcp).await.unwrap().0, 0x81, "the hello");
    tcp
}

/// Writes a frame, masked as a client's must be.
async fn write(tcp: &mut TcpStream, first: u8, payload: &[u8]) {
    const MASK: [u8; 4] = [0x5a, 0xc3, 0x01, 0xff];
    let mut frame = match payload.len() {
        length @ 0..126 => vec![first, 0x80 | length as u8],
        length => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
    };
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    tcp.write_all(&frame).await.unwrap();
}

/// The next frame of the server, which is a short one; `None` at the end of the stream.
async fn read(tcp: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = soon(tcp.read_u8()).await.ok()?;
    let length = match soon(tcp.read_u8()).await.unwrap() {
        126 => tcp.read_u16().await.unwrap().into(),
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    soon(tcp.read_exact(&mut payload)).await.unwrap();
    Some((first, payload))
}

/// A server that tells how each connection ended.
async fn watched() -> (Running, tokio::sync::mpsc::UnboundedReceiver<End>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let observer = move |activity: &Activity<'_>| {
        if let Activity::Disconnected { end, .. } = activity {
            let _ = tell.send((*end).clone());
        }
    };
    (start(builder().on_activity(observer)).await, told)
}

#[tokio::test]
async fn every_code_that_a_client_may_send_is_told_and_sent_back() {
    let (running, mut ends) = watched().await;
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3001, 3999, 4000, 4409, 4999]) {
        let mut tcp = let_in(&running).await;
        let payload = [&u16::to_be_bytes(code)[..], "grüße".as_bytes()].concat();
        write(&mut tcp, 0x88, &payload).await;
        assert_eq!(read(&mut tcp).await, Some((0x88, payload)), "{code}");
        assert_eq!(read(&mut tcp).await, None, "{code}");
        let end = soon(ends.recv()).await.unwrap();
        assert_eq!(end, End::ByClient { code: Some(code), reason: "grüße".to_owned() });
    }
    let mut tcp = let_in(&running).await;
    write(&mut tcp, 0x88, b"").await;
    assert_eq!(read(&mut tcp).await, Some((0x88, Vec::new())));
    assert_eq!(soon(ends.recv()).await.unwrap(), End::ByClient { code: None, reason: String::new() });
    assert_eq!(running.server().stats().closed_by_client[&1014], 1);
}

#[tokio::test]
async fn a_close_that_no_client_may_send_is_a_violation_and_not_what_the_client_said() {
    let (running, mut ends) = watched().await;
    let codes = [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535];
    let of_codes = codes.map(|code| (code.to_be_bytes().to_vec(), 1002, format!("invalid close code {code}")));
    let others = [
        (b"\x03".to_vec(), 1002, "WebSocket protocol violation".to_owned()),
        (b"\x03\xe8\xff".to_vec(), 1007, "text must be UTF-8".to_owned()),
        ([&b"\x03\xe8"[..], &[b'x'; 124]].concat(), 1002, "WebSocket protocol violation".to_owned()),
    ];
    for (payload, code, reason) in of_codes.into_iter().chain(others) {
        let mut tcp = let_in(&running).await;
        write(&mut tcp, 0x88, &payload).await;
        let answer = [&u16::to_be_bytes(code)[..], reason.as_bytes()].concat();
        assert_eq!(read(&mut tcp).await, Some((0x88, answer)), "{payload:?}");
        assert_eq!(read(&mut tcp).await, None, "{payload:?}");
        drop(tcp);
        assert_eq!(soon(ends.recv()).await.unwrap(), End::ByServer { code, reason }, "{payload:?}");
    }
}

#[tokio::test]
async fn a_server_sends_every_code_that_a_close_frame_may_hold_and_no_other() {
    let running = start(builder()).await;
    let server = running.server();
    for code in 0..=u16::MAX {
        let may = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(server.close_connections(code, "").is_ok(), may, "{code}");
    }
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        let mut tcp = let_in(&running).await;
        server.close_connections(code, "why").unwrap();
        let payload = [&u16::to_be_bytes(code)[..], b"why"].concat();
        assert_eq!(read(&mut tcp).await, Some((0x88, payload.clone())), "{code}");
        write(&mut tcp, 0x88, &payload).await;
        assert_eq!(read(&mut tcp).await, None, "{code}");
    }
}

/// The server reads frames with the reader of the client: masks, lengths, fragments, and what comes between them.
#[tokio::test]
async fn messages_of_a_client_are_unmasked_whatever_their_length() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let observer = move |activity: &Activity<'_>| {
        if let Activity::Message { text, .. } = activity {
            let _ = tell.send((*text).to_owned());
        }
    };
    let running = start(builder().on_activity(observer)).await;
    let mut tcp = let_in(&running).await;
    for length in [0, 1, 3, 4, 7, 8, 9, 100, 125, 126, 5000, 65535] {
        let text = format!("{{\"type\":\"x\",\"text\":\"{}\"}}", "ü".repeat(length / 2));
        if text.len() > 65535 {
            continue;
        }
        write(&mut tcp, 0x81, text.as_bytes()).await;
        assert_eq!(soon(told.recv()).await.unwrap(), text);
        let (start, rest) = text.as_bytes().split_at(text.len() / 3);
        write(&mut tcp, 0x01, start).await;
        write(&mut tcp, 0x89, b"ping").await;
        assert_eq!(read(&mut tcp).await, Some((0x8a, b"ping".to_vec())));
        write(&mut tcp, 0x80, rest).await;
        assert_eq!(soon(told.recv()).await.unwrap(), text);
    }
}
