//! A server in the test's own hands: it accepts, and the test says what each connection does.

use everwire::{Client, ClientBuilder, Dialect, Lifecycle};
use futures::{SinkExt, StreamExt};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

pub(crate) struct Server(TcpListener);

/// One connection, seen from the server.
pub(crate) struct Peer(WebSocketStream<TcpStream>);

pub(crate) const HELLO: &str = r#"{"type":"connection.ok","connection_id":"c-1"}"#;

/// Nothing in these tests takes this long; a test that waits for nothing fails instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A builder for the dialect `stream`, with short waits.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(Dialect::stream())
            .url(self.url())
            .param("api_key", "key")
            .param("user_id", "alice")
            .token("the-token")
            .close_timeout(Duration::from_millis(300))
            .backoff(Duration::from_millis(10), Duration::from_millis(50))
    }

    /// The next connection, with the WebSocket handshake done.
    pub(crate) async fn accept(&self) -> Peer {
        soon(async {
            let (tcp, _) = self.0.accept().await.expect("accepted");
            Peer(tokio_tungstenite::accept_async(tcp).await.expect("a WebSocket handshake"))
        })
        .await
    }

    /// The next connection, with the first of the subprotocols that the client offers; gives its request too.
    pub(crate) async fn accept_with_first_protocol(&self) -> (Peer, String) {
        use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
        let mut seen = String::new();
        #[allow(clippy::result_large_err)] // as the library wants it
        let answer = |request: &Request, mut response: Response| {
            seen = request.uri().to_string();
            for (name, value) in request.headers() {
                seen += &format!("\n{name}: {}", value.to_str().expect("text"));
            }
            if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                let first = offered.to_str().expect("text").split(',').next().expect("one").parse().expect("a value");
                response.headers_mut().insert("sec-websocket-protocol", first);
            }
            Ok(response)
        };
        let peer = soon(async {
            let (tcp, _) = self.0.accept().await.expect("accepted");
            Peer(tokio_tungstenite::accept_hdr_async(tcp, answer).await.expect("a WebSocket handshake"))
        })
        .await;
        (peer, seen)
    }

    /// Answers the next connection with this HTTP status instead of a handshake.
    pub(crate) async fn refuse(&self, status: u16, headers: &str) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        soon(async {
            let (mut tcp, _) = self.0.accept().await.expect("accepted");
            let mut request = [0; 4096];
            let _ = tcp.read(&mut request).await.expect("a request");
            let answer = format!("HTTP/1.1 {status} No\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n");
            tcp.write_all(answer.as_bytes()).await.expect("sent");
        })
        .await;
    }

    /// The next connection, greeted; gives the first frame of the client too.
    pub(crate) async fn greet(&self) -> (Peer, serde_json::Value) {
        let mut peer = self.accept().await;
        let first = peer.text().await;
        peer.send(HELLO).await;
        (peer, serde_json::from_str(&first).expect("JSON"))
    }

    /// A connected client and its peer.
    pub(crate) async fn connect(&self, builder: ClientBuilder) -> (Client, Peer) {
        let client = builder.build().expect("the settings are right");
        client.connect().expect("idle");
        let (peer, _) = self.greet().await;
        soon(client.ready()).await.expect("connected");
        (client, peer)
    }
}

impl Peer {
    /// A connection that the test accepted and greeted by itself; `None` if the client left meanwhile.
    pub(crate) async fn greeted(tcp: TcpStream) -> Option<Self> {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.ok()?;
        socket.next().await?.ok()?;
        socket.send(Message::text(HELLO)).await.ok()?;
        Some(Self(socket))
    }

    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon(self.0.next()).await.and_then(Result::ok)
    }

    /// The next text message.
    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("a text message was expected: {other:?}"),
        }
    }

    /// The close frame of the client, everything before it skipped.
    pub(crate) async fn close_frame(&mut self) -> Option<(u16, String)> {
        loop {
            match self.next().await? {
                Message::Close(frame) => return frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
                _ => continue,
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.expect("sent");
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        self.0.close(Some(frame)).await.expect("closing");
        while self.next().await.is_some() {}
    }

    /// Sends a numbered event.
    pub(crate) async fn event(&mut self, kind: &str, number: u64) {
        self.send(&format!(r#"{{"type":"{kind}","number":{number}}}"#)).await;
    }
}

/// What a client told of its life, as short words.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>, Arc<tokio::sync::Notify>);

impl Diary {
    pub(crate) fn of(client: &Client) -> Self {
        let diary = Self::default();
        let (pages, notify) = (diary.0.clone(), diary.1.clone());
        client
            .on_lifecycle(move |step| {
                let word = match step {
                    Lifecycle::State { new, .. } => new.to_string(),
                    Lifecycle::Error(error) => format!("error: {error}"),
                    Lifecycle::Closed(cause) => format!("end: {}", cause.as_str()),
                    Lifecycle::Connecting { url, .. } => format!("dial: {url}"),
                    _ => return,
                };
                pages.lock().unwrap().push(word);
                notify.notify_one();
            })
            .detach();
        diary
    }

    pub(crate) fn words(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until a word that begins like this has been written.
    pub(crate) async fn until(&self, start: &str) -> String {
        soon(async {
            loop {
                if let Some(word) = self.words().into_iter().find(|word| word.starts_with(start)) {
                    return word;
                }
                self.1.notified().await;
            }
        })
        .await
    }
}
