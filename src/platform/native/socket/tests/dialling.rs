//! Dials that fail: each with its kind, and none shows the URL.

use super::*;

const SECRET: &str = "s3cret";

/// Dials with a secret in the URL, the headers and the subprotocols, and checks that the error shows none of it.
async fn refused(mut request: DialRequest) -> Error {
    request.headers.push(("x-key".into(), SECRET.into()));
    let error = connector().dial(request).await.err().expect("must be refused");
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!text.contains(SECRET), "{text}");
    error
}

fn request_at(address: &str) -> DialRequest {
    request(format!("ws://{address}/?token={SECRET}"))
}

/// A server that reads the request, gives this answer and hangs up.
async fn answers(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    serve(async move {
        let (mut tcp, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tcp.read_u8().await.expect("a request"));
        }
        tcp.write_all(answer.as_bytes()).await.expect("written");
    });
    address
}

#[tokio::test]
async fn an_http_answer_is_told_with_its_status() {
    let address = answers("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?").await;
    let error = refused(request_at(&address)).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Handshake, Some(401)));
    assert!(!error.is_retryable());
    let address = answers("HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
    let error = refused(request_at(&address)).await;
    assert_eq!((error.kind(), error.status()), (ErrorKind::Handshake, Some(503)));
    assert!(error.is_retryable());
}

/// S2-10: these statuses will not change by trying again; any other may.
#[tokio::test]
async fn only_four_statuses_are_fatal() {
    let answer = |status: u16| -> &'static str { format!("HTTP/1.1 {status} Because\r\n\r\n").leak() };
    for status in [301, 400, 401, 403, 404, 407, 408, 410, 426, 429, 500, 502, 503, 504] {
        let error = refused(request_at(&answers(answer(status)).await)).await;
        assert_eq!((error.kind(), error.status()), (ErrorKind::Handshake, Some(status)));
        assert_eq!(error.is_retryable(), ![401, 403, 404, 410].contains(&status), "{status}");
        assert_eq!(error.retry_after(), None);
    }
}

/// S2-10, S2-16: `handshake(status, headers)`, and the wait that the server asks for.
#[tokio::test]
async fn the_wait_and_the_headers_of_an_answer_are_told_but_not_shown() {
    let address =
        answers("HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nSet-Cookie: s3cret\r\nContent-Length: 4\r\n\r\nwait");
    let error = refused(request_at(&address.await)).await;
    assert_eq!((error.status(), error.retry_after()), (Some(429), Some(Duration::from_secs(7))));
    assert_eq!(error.response(), Some("wait"));
    assert!(error.headers().contains(&("set-cookie".into(), "s3cret".into())), "{:?}", error.headers());
    let dated = "HTTP/1.1 503 Busy\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 Retry-After: Sun, 06 Nov 1994 08:50:00 GMT\r\n\r\n";
    let error = refused(request_at(&answers(dated).await)).await;
    assert_eq!((error.status(), error.retry_after()), (Some(503), Some(Duration::from_secs(23))));
}

#[tokio::test]
async fn an_answer_that_is_no_handshake_is_a_protocol_error() {
    let no_accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", no_accept] {
        let error = refused(request_at(&answers(answer).await)).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_not_there_cannot_be_reached() {
    let error = refused(request_at(&answers("").await)).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let error = refused(request_at(&free.to_string())).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_retryable());
    let error = refused(request_at("no-such-host.invalid")).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_url_that_cannot_be_dialled_is_a_config_error() {
    for url in
        ["", "no url s3cret", "http://127.0.0.1/s3cret", "ws:///s3cret", "ws://[::1/s3cret", "ws://h:99999/s3cret"]
    {
        let error = refused(request(url.into())).await;
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("url")), "{url:?}");
    }
}

#[tokio::test]
async fn a_header_or_subprotocol_that_cannot_be_sent_is_an_input_error() {
    let headers = [("", "x"), ("a b", "x"), ("x", "a\r\nb: s3cret"), ("Host", "x"), ("Sec-WebSocket-Key", "x")];
    for (name, value) in headers {
        let mut request = request_at("127.0.0.1:1");
        request.headers.push((name.into(), value.into()));
        let error = refused(request).await;
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidInput, Some("headers[0]")), "{name:?}");
    }
    for protocols in [&["ok", ""][..], &["ok", "a b"], &["ok", "a,b"], &["ok", "s3cret\n"], &["ok", "ok"]] {
        let mut request = request_at("127.0.0.1:1");
        request.protocols = protocols.iter().map(ToString::to_string).collect();
        let error = refused(request).await;
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidInput, Some("protocols[1]")), "{protocols:?}");
    }
}

#[tokio::test]
async fn headers_and_subprotocols_reach_the_server() {
    use tungstenite::handshake::server::{ErrorResponse, Request, Response};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut request = request(format!("ws://{}/path?q=1", listener.local_addr().expect("an address")));
    request.headers = vec![("x-one".into(), "1".into()), ("X-One".into(), "zwei".into())];
    request.protocols = vec!["bearer".into(), "token.abc".into()];
    let server = serve(async move {
        let (tcp, _) = listener.accept().await.expect("a client");
        let mut seen = None;
        #[allow(clippy::result_large_err)] // the signature is not ours
        let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let all = |name| request.headers().get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
            let (ones, offered): (Vec<_>, Vec<_>) = (all("x-one"), all("sec-websocket-protocol"));
            seen = Some((request.uri().to_string(), ones, offered));
            response.headers_mut().insert("sec-websocket-protocol", "bearer".parse().expect("a value"));
            Ok(response)
        };
        tokio_tungstenite::accept_hdr_async(tcp, look).await.expect("a handshake");
        seen.expect("the request")
    });
    let client = connector().dial(request).await.expect("a socket");
    drop(client);
    let (uri, ones, offered) = server.await.expect("the server");
    assert_eq!(
        (uri.as_str(), ones, offered),
        ("/path?q=1", vec!["1".to_owned(), "zwei".to_owned()], vec!["bearer, token.abc".to_owned()])
    );
}

#[tokio::test]
async fn a_server_that_takes_none_of_the_subprotocols_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut request = request_at(&listener.local_addr().expect("an address").to_string());
    request.protocols = vec!["one".into()];
    let server = serve(async move { accept_async(listener.accept().await.expect("a client").0).await.map(drop) });
    assert_eq!(refused(request).await.kind(), ErrorKind::Protocol);
    server.await.expect("the server").expect("its handshake was fine");
}

#[tokio::test]
async fn a_dial_that_is_dropped_closes_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut dial = Box::pin(connector().dial(request_at(&listener.local_addr().expect("an address").to_string())));
    let (mut tcp, _) = tokio::select! {
        accepted = listener.accept() => accepted.expect("a client"),
        _ = &mut dial => panic!("nobody answers"),
    };
    drop(dial);
    let mut rest = Vec::new();
    // The end of the stream, in either of its forms.
    let _ = tcp.read_to_end(&mut rest).await;
}
