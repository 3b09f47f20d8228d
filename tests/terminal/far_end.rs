//! The far end of a connection, byte by byte: it does what no library would.

use super::soon;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// Where clients dial to.
pub(crate) struct FarEnd {
    listener: TcpListener,
    pub(crate) url: String,
}

/// The server's side of an open WebSocket.
pub(crate) struct Socket(pub(crate) TcpStream);

impl FarEnd {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}", listener.local_addr().expect("bound"));
        Self { listener, url }
    }

    /// The head of the next request, and the connection that it came on.
    pub(crate) async fn request(&self) -> (String, TcpStream) {
        let (mut tcp, _) = soon(self.listener.accept()).await.expect("a client");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(tcp.read_u8()).await.expect("a request"));
        }
        (String::from_utf8(head).expect("text"), tcp)
    }

    /// The next client, let in.
    pub(crate) async fn accept(&self) -> Socket {
        let (head, mut tcp) = self.request().await;
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let accept = derive_accept_key(key.expect("a key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        tcp.write_all(answer.as_bytes()).await.expect("written");
        Socket(tcp)
    }

    /// Answers the next request with this.
    pub(crate) async fn answer(&self, answer: &str) {
        let (_, mut tcp) = self.request().await;
        tcp.write_all(answer.as_bytes()).await.expect("written");
        let _ = tcp.shutdown().await;
    }
}

impl Socket {
    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.0.write_all(&frame(opcode, payload)).await.expect("written");
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send(CLOSE, &payload).await;
    }

    /// The next frame: its opcode and its payload.
    pub(crate) async fn next(&mut self) -> (u8, Vec<u8>) {
        soon(read(&mut self.0)).await.expect("a frame")
    }

    /// The code of the next close frame; what comes before is passed over.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let (CLOSE, payload) = self.next().await {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        size @ 0..126 => frame.push(size as u8),
        size @ 126..65_536 => {
            frame.push(126);
            frame.extend((size as u16).to_be_bytes());
        }
        size => {
            frame.push(127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A masked frame that is whole.
pub(crate) async fn read(tcp: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let opcode = tcp.read_u8().await? & 15;
    let size = match tcp.read_u8().await? & 127 {
        126 => tcp.read_u16().await?.into(),
        127 => tcp.read_u64().await?,
        size => size.into(),
    };
    let mut mask = [0; 4];
    tcp.read_exact(&mut mask).await?;
    let mut payload = vec![0; size as usize];
    tcp.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok((opcode, payload))
}
