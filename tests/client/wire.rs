//! A far end made by hand: TCP on which the test writes each byte, so that it can be as odd as real servers are.

use super::peer::soon;
use everwire::{Client, ClientBuilder, Dialect};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;

/// A port that the test answers on.
pub(crate) struct Wire(TcpListener);

/// One connection.
pub(crate) struct End {
    pub(crate) tcp: TcpStream,
    /// The request, as it came.
    pub(crate) request: String,
}

impl Wire {
    pub(crate) async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.0.local_addr().expect("bound"))
    }

    /// A builder for this dialect, with short waits.
    pub(crate) fn builder(&self, dialect: Dialect) -> ClientBuilder {
        let builder = Client::builder(dialect).url(self.url()).close_timeout(Duration::from_millis(300));
        builder.backoff(Duration::from_millis(5), Duration::from_millis(20))
    }

    /// The next connection, with the request read and nothing answered.
    pub(crate) async fn request(&self) -> End {
        soon(async {
            let (mut tcp, _) = self.0.accept().await.expect("accepted");
            tcp.set_nodelay(true).expect("set");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(tcp.read_u8().await.expect("a request"));
            }
            End { tcp, request: String::from_utf8(request).expect("text") }
        })
        .await
    }

    /// The next connection, upgraded.
    pub(crate) async fn accept(&self) -> End {
        let mut end = self.request().await;
        end.upgrade("Upgrade: websocket\r\nConnection: Upgrade\r\n").await;
        end
    }
}

impl End {
    /// A header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Answers 101 with these headers, and the right answer to the key.
    pub(crate) async fn upgrade(&mut self, headers: &str) {
        let key = derive_accept_key(self.header("sec-websocket-key").expect("a key").as_bytes());
        self.write(
            format!("HTTP/1.1 101 Switching Protocols\r\n{headers}Sec-WebSocket-Accept: {key}\r\n\r\n").as_bytes(),
        )
        .await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.expect("the client is there");
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.write(&frame(TEXT, true, text.as_bytes())).await;
    }

    /// The next frame of the client: its opcode, and the payload unmasked.
    pub(crate) async fn frame(&mut self) -> (u8, Vec<u8>) {
        soon(async {
            let mut head = [0; 2];
            self.tcp.read_exact(&mut head).await.expect("a frame");
            let length = match head[1] & 127 {
                126 => usize::from(self.tcp.read_u16().await.expect("a length")),
                127 => self.tcp.read_u64().await.expect("a length") as usize,
                short => usize::from(short),
            };
            let mut mask = [0; 4];
            self.tcp.read_exact(&mut mask).await.expect("a mask");
            let mut payload = vec![0; length];
            self.tcp.read_exact(&mut payload).await.expect("a payload");
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            (head[0] & 15, payload)
        })
        .await
    }

    /// Waits until the client has hung up.
    pub(crate) async fn gone(mut self) {
        soon(async {
            let mut scratch = [0; 4096];
            while self.tcp.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
        })
        .await;
    }
}

/// A frame of a server.
pub(crate) fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(last) << 7 | opcode];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        middle @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
