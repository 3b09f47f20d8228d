//! What servers answer to a handshake, byte by byte: every answer is written by hand over TCP.

use super::*;
use tungstenite::handshake::derive_accept_key;

/// What a server does once its answer is written.
#[derive(Clone, Copy, Debug)]
enum Then {
    HangUp,
    /// Nothing: the connection stays open.
    Stay,
    Reset,
}

/// A server that reads one request and writes these pieces, a moment apart. `{accept}` stands for what the key asks for,
/// and a piece that ends an answer with it is followed by a message in the same segment.
async fn server(pieces: &[&str], then: Then) -> String {
    let pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    serve(async move {
        let (mut tcp, _) = listener.accept().await.expect("a client");
        tcp.set_nodelay(true).expect("a socket");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tcp.read_u8().await.expect("a request"));
        }
        let request = String::from_utf8(request).expect("text");
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        for piece in pieces {
            let mut bytes = piece.replace("{accept}", &accept).into_bytes();
            if piece.contains("{accept}") {
                bytes.extend(script::frame(0x81, b"hi"));
            }
            tcp.write_all(&bytes).await.expect("written");
            let moment = tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>());
            moment.await.expect_err("a moment passes");
        }
        match then {
            Then::HangUp => {}
            Then::Stay => std::future::pending().await,
            Then::Reset => tcp.set_zero_linger().expect("a socket"),
        }
    });
    url
}

async fn dial(url: String, protocols: &[&str], compresses: bool) -> Result<Socket, Error> {
    let mut request = request(url);
    request.protocols = protocols.iter().map(ToString::to_string).collect();
    let mut config = SocketConfig::new(LIMIT);
    config.options.compression(compresses);
    let dial = SocketConnector::new(config).expect("a connector").dial(request);
    tokio::time::timeout(Duration::from_secs(20), dial).await.expect("the dial takes too long")
}

/// A complete answer that accepts, with these lines besides the three that are needed.
fn accepts(more: &str) -> String {
    ["HTTP/1.1 101 Switching Protocols\r\n", NEEDED, more, "\r\n"].concat()
}

const NEEDED: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n";

/// The message that follows the handshake arrives whole: not a byte of it was taken for a part of the answer.
async fn assert_opens(pieces: &[&str], protocols: &[&str], compresses: bool) -> Negotiated {
    let dialled = dial(server(pieces, Then::Stay).await, protocols, compresses).await;
    let mut socket = dialled.unwrap_or_else(|error| panic!("{pieces:?}: {error:?}"));
    assert_eq!(text_of(next_message(&mut socket).await), "hi", "{pieces:?}");
    socket.negotiated()
}

async fn assert_no_handshake(answer: &str, protocols: &[&str], compresses: bool) -> Error {
    let error = dial(server(&[answer], Then::Stay).await, protocols, compresses).await.err();
    let error = error.unwrap_or_else(|| panic!("must be refused: {answer:?}"));
    assert_eq!((error.kind(), error.status()), (ErrorKind::Protocol, None), "{answer:?}: {error:?}");
    error
}

/// RFC 6455, 4.1, with lists and tokens as RFC 9110 (5.3, 5.6.1) writes them, and messages as RFC 9112 does.
#[tokio::test]
async fn every_spelling_of_the_handshakes_headers_is_understood() {
    let good = [
        "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade, Keep-Alive\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nConnection: keep-alive\r\n",
        "Upgrade: websocket\r\nConnection: ,\tclose ,, UPGRADE\t,\r\n",
        "Upgrade: WebSocket\r\nConnection: upgrade\r\n",
        "upgrade:\twebSOCKET \t\r\nCONNECTION:upgrade\r\n",
        "Upgrade: , websocket ,\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive,\r\n Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Protocol: \r\n",
        // What does not concern the handshake does not harm it.
        "Upgrade: websocket\r\nConnection: Upgrade\r\nServer: caf\u{e9}\r\nbad name: x\r\n",
    ];
    for lines in good {
        let accept = "Sec-WebSocket-Accept: {accept}\r\n";
        let answers = [
            ["HTTP/1.1 101 Switching Protocols\r\n", lines, accept, "\r\n"].concat(),
            ["HTTP/1.1 101\r\n", accept, lines, "\r\n"].concat(),
            ["HTTP/1.1 101 \n", accept, lines, "\n"].concat().replace("\r\n", "\n"),
        ];
        for answer in answers {
            assert_opens(&[&answer], &[], false).await;
        }
    }
    let many: String = (0..300).map(|n| format!("x-{n}: y\r\n")).collect();
    assert_opens(&[&accepts(&many)], &[], false).await;
    assert_opens(&["\r\n", &accepts("")], &[], false).await;
}

#[tokio::test]
async fn an_answer_in_many_small_pieces_is_put_together() {
    let answer = accepts("Date: today\r\n");
    let (whole, last) = answer.split_at(answer.find("{accept}").expect("there"));
    let mut pieces: Vec<&str> = whole.split_inclusive(' ').flat_map(|word| [&word[..1], &word[1..]]).collect();
    pieces.push(last);
    assert_opens(&pieces, &[], false).await;
}

/// RFC 9110, 15.2: a client must be able to take interim answers, even if it does not expect any.
#[tokio::test]
async fn interim_answers_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: close\r\n\r\n";
    let accepted = accepts("");
    assert_opens(&[interim, hints, &accepted], &[], false).await;
    assert_opens(&[&[interim, hints, &accepted].concat()], &[], false).await;
    let refused = [hints, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"];
    for pieces in [&refused[..], &[&refused.concat()]] {
        let error = dial(server(pieces, Then::Stay).await, &[], false).await.err().expect("a refusal");
        assert_eq!((error.status(), error.response()), (Some(403), Some("no")));
        assert!(!error.headers().iter().any(|(name, _)| name == "link"), "{:?}", error.headers());
    }
    // Without end, or an end that is no answer.
    assert_no_handshake(&hints.repeat(1000), &[], false).await;
    let error = dial(server(&[hints], Then::HangUp).await, &[], false).await.err().expect("no answer");
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn an_answer_that_switches_to_something_else_says_what_is_wrong() {
    let with = |upgrade: &str, connection: &str, accept: &str| {
        ["HTTP/1.1 101 Switching Protocols\r\n", upgrade, connection, accept, "\r\n"].concat()
    };
    let (upgrade, connection) = ("Upgrade: websocket\r\n", "Connection: Upgrade\r\n");
    let accept = "Sec-WebSocket-Accept: {accept}\r\n";
    let wrong = [
        ("`Upgrade`", with("", connection, accept)),
        ("`Upgrade`", with("Upgrade: h2c\r\n", connection, accept)),
        ("`Upgrade`", with("Upgrade: websocket, h2c\r\n", connection, accept)),
        ("`Upgrade`", with("Upgrade: websocket\r\nUpgrade: h2c\r\n", connection, accept)),
        ("`Upgrade`", with("Upgrade: web socket\r\n", connection, accept)),
        ("`Upgrade`", with("Upgrade: \"websocket\"\r\n", connection, accept)),
        ("`Connection`", with(upgrade, "", accept)),
        ("`Connection`", with(upgrade, "Connection: keep-alive\r\n", accept)),
        ("`Connection`", with(upgrade, "Connection: upgrades, not-upgrade, \"upgrade\"\r\n", accept)),
        ("`Connection`", with(upgrade, "Connection: \"keep-alive, upgrade, x\"\r\n", accept)),
        ("`Sec-WebSocket-Accept`", with(upgrade, connection, "")),
        ("`Sec-WebSocket-Accept`", with(upgrade, connection, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")),
        ("`Sec-WebSocket-Accept`", with(upgrade, connection, &[accept, "Sec-WebSocket-Accept: no\r\n"].concat())),
        ("HTTP/1.0", with(upgrade, connection, accept).replace("HTTP/1.1", "HTTP/1.0")),
    ];
    for (name, answer) in wrong {
        let error = assert_no_handshake(&answer, &[], false).await;
        let why = std::error::Error::source(&error).expect("a reason").to_string();
        assert!(why.contains(name), "{answer:?}: {why}");
    }
    for answer in
        ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 101 Switching Protocols\r\n", "\0\0\u{12}\u{4}\0", "HTTP/1.1 1x1\r\n\r\n"]
    {
        assert_no_handshake(answer, &[], false).await;
    }
}

/// RFC 6455, 4.1: an extension or a subprotocol that the client did not ask for fails the connection.
#[tokio::test]
async fn an_extension_that_was_not_offered_is_refused() {
    let all = ["x", "permessage-deflate", "X-Webkit-Deflate-Frame; a=\"b, c\"", "\u{e9}"];
    for extension in all {
        let answer = accepts(&format!("Sec-WebSocket-Extensions: {extension}\r\n"));
        let error = assert_no_handshake(&answer, &[], false).await;
        assert!(error.message().contains("extension"), "{error}");
    }
    let second = accepts("Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: , x\r\n");
    assert_no_handshake(&second, &[], false).await;
}

#[tokio::test]
async fn a_subprotocol_that_was_not_offered_is_refused() {
    let of = |value: &str| accepts(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
    for (value, offered) in
        [("one", &[][..]), ("three", &["one", "two"]), ("One", &["one"]), ("one, two", &["one", "two"])]
    {
        let error = assert_no_handshake(&of(value), offered, false).await;
        assert!(error.message().contains("subprotocol"), "{error}");
    }
    for none in [accepts(""), of("")] {
        assert_no_handshake(&none, &["one"], false).await;
    }
    for good in [of("two"), of(" ,two\t,"), of("two\r\nSec-WebSocket-Protocol: two")] {
        let negotiated = assert_opens(&[&good], &["one", "two"], false).await;
        assert_eq!(negotiated.subprotocol.as_deref(), Some("two"));
    }
}

/// RFC 7692, 5.1 and 7.1, with parameters as tokens or quoted strings.
#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_is_agreed_upon_in_every_spelling() {
    let of = |value: &str| accepts(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    let good = [
        "permessage-deflate",
        "Permessage-Deflate;SERVER_no_context_takeover",
        "permessage-deflate ;\tclient_max_window_bits = \"1\\0\" ; server_max_window_bits=15",
        ",\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions:",
    ];
    for value in good {
        assert_opens(&[&of(value)], &[], true).await;
    }
    assert_opens(&[&accepts("")], &[], true).await;
    let wrong = [
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x",
        "permessage-deflate\r\nSec-WebSocket-Extensions: x",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=\"9",
        "permessage-deflate; x=\"; server_no_context_takeover\"",
    ];
    for value in wrong {
        assert_no_handshake(&of(value), &[], true).await;
    }
}

/// However the body of a refusal is delimited, and whenever it comes, it is told.
#[tokio::test]
async fn the_body_of_a_refusal_is_told_even_where_it_comes_after_its_head() {
    let head = |lines: &str| format!("HTTP/1.1 401 Unauthorized\r\n{lines}\r\n");
    let (length, chunked) = (head("Content-Length: 12\r\n"), head("Transfer-Encoding: Chunked\r\n"));
    let same_twice = head("content-length: 12, 12\r\nContent-Length:12\r\n");
    let old = "HTTP/1.0 401 Unauthorized\r\nServer: SimpleHTTP\r\n\r\n";
    let (open, close) = (head(""), head("Connection: close\r\n"));
    let cases: [(&[&str], Then); 11] = [
        (&[&length, "token ", "wanted"], Then::Stay),
        (&[&length, "token wanted and what is no part of it"], Then::Stay),
        (&[&same_twice, "token wanted"], Then::Stay),
        (&[&chunked, "6\r\n", "token \r\n", "6;why=\"; not\"\r\nwanted\r\n", "0\r\n\r\n"], Then::Stay),
        (&[&chunked, "000C\r\ntoken wanted\r\n0\r\nEtag: x\r\n\r\n"], Then::Stay),
        (&[&close, "token ", "wanted"], Then::HangUp),
        (&[old, "token wanted"], Then::HangUp),
        // Without a length, or cut short: what comes within a short time is told.
        (&[&open, "token wanted"], Then::Stay),
        (&[&head("Content-Length: 500\r\n"), "token wanted"], Then::Stay),
        (&[&head("Content-Length: 500\r\n"), "token wanted"], Then::HangUp),
        (&[&chunked, "ff\r\ntoken wanted"], Then::Reset),
    ];
    for (pieces, then) in cases {
        let error = dial(server(pieces, then).await, &[], false).await.err().expect("a refusal");
        assert_eq!((error.kind(), error.status()), (ErrorKind::Handshake, Some(401)), "{pieces:?}");
        assert_eq!(error.response(), Some("token wanted"), "{pieces:?} {then:?}");
    }
    let nothing: [(&[&str], Then); 5] = [
        (&[&open], Then::Reset),
        (&[&open], Then::HangUp),
        (&[&open], Then::Stay),
        (&[&head("Content-Length: 0\r\n"), "x"], Then::Stay),
        (&[&head("Content-Encoding: gzip\r\nContent-Length: 4\r\n"), "\u{1f}\u{8b}"], Then::Stay),
    ];
    for (pieces, then) in nothing {
        let error = dial(server(pieces, then).await, &[], false).await.err().expect("a refusal");
        assert_eq!((error.status(), error.response()), (Some(401), None), "{pieces:?} {then:?}");
    }
}

/// What a program needs to explain a redirect is there; nobody follows it.
#[tokio::test]
async fn a_redirect_is_told_with_its_place_and_its_words() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://b.example/ws\r\nContent-Length: 5\r\n\r\n";
    let error = dial(server(&[answer, "there"], Then::Stay).await, &[], false).await.err().expect("a refusal");
    assert_eq!((error.kind(), error.status(), error.response()), (ErrorKind::Handshake, Some(307), Some("there")));
    assert!(error.headers().contains(&("location".into(), "https://b.example/ws".into())), "{:?}", error.headers());
}
