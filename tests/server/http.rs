//! Handshakes, static files, and the routes in an app of one's own.

use super::*;

#[tokio::test]
async fn a_wrong_path_is_closed_with_1000_at_once() {
    let running = start(builder()).await;
    let mut socket = dial(&running, "/api/v3/connect").await;
    assert_eq!(next_close(&mut socket).await.0, 1000);
}

/// The head and the body of the answer to a request, without a library in between that would mend it.
async fn http(running: &Running, request: &str) -> (String, String) {
    let mut socket = TcpStream::connect(running.local_addr()).await.unwrap();
    socket.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(socket.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn static_files_have_types_and_stay_in_their_folder() {
    let folder = std::env::temp_dir().join(format!("everwire-files-{}", std::process::id()));
    for (name, text) in
        [("www/index.html", "<p>page"), ("pkg/a.js", "1"), ("pkg/a.wasm", "\0asm"), ("pkg/a.mjs", "2"), ("hidden", "h")]
    {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let running = start(builder().www(folder.join("www")).pkg(folder.join("pkg"))).await;
    for (path, content_type, body) in [
        ("/", "text/html", "<p>page"),
        ("/index.html", "text/html", "<p>page"),
        ("/pkg/a.js", "text/javascript", "1"),
        ("/pkg/a.mjs", "application/javascript", "2"),
        ("/pkg/a.wasm", "application/wasm", "\0asm"),
    ] {
        let (head, got) = http(&running, &format!("GET {path} HTTP/1.1")).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {content_type}")), "{path}: {head}");
        assert!(head.contains("cache-control: no-cache"), "{path}: {head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert_eq!(got, body, "{path}");
    }
    for path in ["/../hidden", "/%2e%2e/hidden", "/pkg/../../hidden", "/pkg/%2e%2e%2fhidden", "/none"] {
        let (head, body) = http(&running, &format!("GET {path} HTTP/1.1")).await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert_ne!(body, "h", "{path}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_request_that_is_no_websocket_handshake_is_told_so() {
    let running = start(builder()).await;
    let upgrade = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade";
    for (request, want) in [
        ("GET /api/v2/connect HTTP/1.1".to_owned(), "426"),
        ("POST /connect HTTP/1.1".to_owned(), "405"),
        (format!("GET /connect HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 8"), "426"),
        (format!("GET /connect HTTP/1.1\r\n{upgrade}\r\nSec-WebSocket-Version: 13"), "400"),
    ] {
        let (head, _) = http(&running, &request).await;
        assert!(head.starts_with(&format!("http/1.1 {want}")), "{request}: {head}");
        assert!(want == "405" || head.contains("sec-websocket-version: 13"), "{head}");
    }
}

/// RFC 6455, 4.2.1, with lists and tokens as RFC 9110 (5.3, 5.6.1) writes them.
#[tokio::test]
async fn every_spelling_of_a_handshake_is_understood_and_nothing_else() {
    let running = start(builder()).await;
    let status = async |version: &str, lines: &str| {
        let mut tcp = TcpStream::connect(running.local_addr()).await.unwrap();
        let request = format!("GET /api/v2/connect?api_key=key HTTP/{version}\r\nHost: x\r\n{lines}\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(tcp.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        // Nothing is agreed upon that nobody can do.
        assert!(!head.contains("sec-websocket-extensions") && !head.contains("sec-websocket-protocol"), "{head}");
        assert_eq!(
            head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            head.contains(" 101 "),
            "{head}"
        );
        head.split(' ').nth(1).unwrap().to_owned()
    };
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let (key, version) = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13");
    let good = [
        [upgrade, connection, key, version],
        ["upgrade:\tWEBSOCKET \t", "connection:,keep-alive,,UPGRADE\t,", key, "sec-websocket-version:\t13 "],
        ["Upgrade: h2c, WebSocket", "Connection: Upgrade, HTTP2-Settings", key, version],
        ["Upgrade: h2c\r\nUpgrade: websocket", "Connection: keep-alive\r\nConnection: Upgrade", key, version],
        [upgrade, connection, "sec-websocket-key: \tdGhlIHNhbXBsZSBub25jZQ== ", "Sec-WebSocket-Version: 13, 8"],
        [
            upgrade,
            connection,
            key,
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c",
        ],
        [
            upgrade,
            connection,
            key,
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: x; y=\"a, b; c\\\"\", , permessage-deflate",
        ],
    ];
    for lines in good {
        assert_eq!(status("1.1", &lines.join("\r\n")).await, "101", "{lines:?}");
    }
    let wrong = [
        ("426", "1.0", [upgrade, connection, key, version]),
        ("426", "1.1", ["Upgrade: websockets", connection, key, version]),
        ("426", "1.1", ["Upgrade: \"a, websocket, b\"", connection, key, version]),
        ("426", "1.1", [upgrade, "Connection: keep-alive", key, version]),
        ("426", "1.1", [upgrade, "Connection: not-upgrade, \"upgrade\"", key, version]),
        ("426", "1.1", [upgrade, connection, key, "Sec-WebSocket-Version: 8"]),
        ("426", "1.1", [upgrade, connection, key, "X: y"]),
        ("400", "1.1", [upgrade, connection, version, "X: y"]),
        ("400", "1.1", [upgrade, connection, version, "Sec-WebSocket-Key:"]),
        ("400", "1.1", [upgrade, connection, version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"]),
        ("400", "1.1", [upgrade, connection, version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="]),
        ("400", "1.1", [upgrade, connection, version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE="]),
        (
            "400",
            "1.1",
            [upgrade, connection, version, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, AAAAAAAAAAAAAAAAAAAAAA=="],
        ),
    ];
    for (want, http, lines) in wrong {
        assert_eq!(status(http, &lines.join("\r\n")).await, want, "{lines:?}");
    }
}

// S1-20
#[tokio::test]
async fn the_routes_can_be_merged_into_an_app_of_ones_own() {
    let server = builder().build().unwrap();
    let app = server.router().route("/mine", axum::routing::get(|| async { "mine" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = async {
        let url = format!("ws://{address}/api/v2/connect?api_key=key");
        let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
        socket.send(first_message(&server.create_token("alice", None).unwrap())).await.unwrap();
        assert_eq!(next_json(&mut socket).await["type"], "connection.ok");
        let closed = async {
            assert_eq!(next_close(&mut socket).await.0, 1001);
            assert!(soon(socket.next()).await.is_none());
        };
        tokio::join!(soon(server.close()), closed);
    };
    tokio::select! {
        served = async { axum::serve(listener, app).await } => panic!("{served:?}"),
        () = client => {}
    }
}

#[tokio::test]
async fn an_address_in_use_is_a_typed_error() {
    let running = start(builder()).await;
    let error = builder().build().unwrap().bind(running.local_addr()).await.unwrap_err();
    assert_eq!(error.kind(), everwire::ErrorKind::Connect);
}
