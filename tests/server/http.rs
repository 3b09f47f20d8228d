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
