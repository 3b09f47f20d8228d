//! Close frames of a server, byte by byte (RFC 6455, 5.5.1 and 7.4, and IANA's registry of close codes).

use super::*;

/// What a client makes of a close frame with this payload, and the payload of the close frame that it sends.
async fn closed_with(payload: &[u8]) -> (CloseInfo, Vec<u8>) {
    let (mut client, server) = pair().await;
    let frame = script::frame(0x88, payload);
    let server = serve(async move {
        let mut tcp = server.into_inner();
        tcp.write_all(&frame).await.expect("written");
        let mut header = [0; 6];
        tcp.read_exact(&mut header).await.expect("a close frame");
        assert_eq!((header[0], header[1] & 0x80), (0x88, 0x80), "a masked close frame");
        let mut payload = vec![0; usize::from(header[1] & 0x7f)];
        tcp.read_exact(&mut payload).await.expect("its payload");
        payload.iter().zip(header[2..].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>()
    });
    let info = end(&mut client).await;
    (info, server.await.expect("the server"))
}

#[tokio::test]
async fn every_code_that_a_server_may_send_is_told_and_sent_back() {
    for code in (1000..=1003).chain(1007..=1014).chain([3000, 3001, 3008, 3999, 4000, 4999]) {
        let payload = [&u16::to_be_bytes(code)[..], "grüße".as_bytes()].concat();
        let (info, answer) = closed_with(&payload).await;
        assert_eq!((info.code, info.reason.as_str()), (Some(code), "grüße"));
        assert!(info.error.is_none(), "{code}");
        assert_eq!(answer, payload, "{code}");
    }
    let (info, answer) = closed_with(b"").await;
    assert_eq!((info.code, info.reason.as_str(), answer.as_slice()), (Some(1005), "", &b""[..]));
}

/// The peer is told why, and the program which code came; nothing is told as the words of the peer.
#[tokio::test]
async fn a_close_that_no_server_may_send_is_a_violation_that_names_the_code() {
    let codes = [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535];
    let of_codes = codes.map(|code| ([&code.to_be_bytes()[..], b"bye"].concat(), 1002, format!("close code {code},")));
    let others = [
        (b"\x03".to_vec(), 1002, "protocol".to_owned()),
        (b"\x03\xe8\xff".to_vec(), 1007, "not UTF-8".to_owned()),
        (b"\x03\xf6\xff".to_vec(), 1007, "not UTF-8".to_owned()),
        ([&b"\x03\xe8"[..], &[b'x'; 124]].concat(), 1002, "protocol".to_owned()),
    ];
    for (payload, code, told) in of_codes.into_iter().chain(others) {
        let (info, answer) = closed_with(&payload).await;
        assert_eq!((info.code, info.reason.as_str()), (None, ""), "{payload:?}");
        let error = info.error.expect("an error");
        assert_eq!((error.kind(), error.close_code(), error.close_reason()), (ErrorKind::Protocol, None, None));
        assert!(error.message().contains(&told), "{payload:?}: {error}");
        assert_eq!(answer, u16::to_be_bytes(code), "{payload:?}");
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_1005() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move { server.close(None).await });
    assert_eq!(end(&mut client).await.code, Some(1005));
    server.await.expect("the server").expect("closed");
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_cut_at_a_character() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move { close_of(server.next().await) });
    client.close(4000, &"ü".repeat(100));
    end(&mut client).await;
    assert_eq!(server.await.expect("the server"), (4000, "ü".repeat(61)));
}
