//! The server: speaks the dialect `stream`, then sends or reads what the client's `api_key` asks for, encoded beforehand.

use crate::{
    meter,
    workload::{DONE, Workload},
};
use flate2::{Compress, Compression, FlushCompress};
use futures::{SinkExt, StreamExt};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
    },
};

pub fn serve() {
    meter::pin(true);
    end_with_standard_input();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        loop {
            let (tcp, _) = listener.accept().await.expect("a client");
            tcp.set_nodelay(true).expect("no delay");
            send_all(tcp).await;
        }
    });
}

/// Whoever started the server may be gone before it could end it.
pub fn end_with_standard_input() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

async fn send_all(tcp: TcpStream) {
    let mut workload = None;
    #[allow(clippy::result_large_err)] // the signature is not ours
    let look = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let pairs = request.uri().query().unwrap_or_default().split('&');
        workload = pairs.filter_map(|pair| pair.strip_prefix("api_key=")).find_map(Workload::parse);
        if workload.as_ref().is_some_and(|workload| workload.deflated) {
            let agreed = HeaderValue::from_static(DEFLATE);
            response.headers_mut().insert("sec-websocket-extensions", agreed);
        }
        Ok(response)
    };
    let mut socket = accept_hdr_async(tcp, look).await.expect("a handshake");
    let workload = workload.expect("a workload");
    socket.next().await.expect("the first frame").expect("the first frame");
    let hello = r#"{"type":"connection.ok","connection_id":"bench","me":{"id":"bench"}}"#;
    socket.send(Message::text(hello)).await.expect("sent");
    if workload.upwards {
        for _ in 0..workload.events {
            socket.next().await.expect("a message").expect("a message");
        }
        socket.send(Message::text(format!("{{\"type\":\"{DONE}\"}}"))).await.expect("sent");
        let _ = socket.next().await;
        return;
    }
    let mut tcp = socket.into_inner();
    let frames: Vec<Vec<u8>> = match workload.deflated {
        true => workload.texts().iter().map(|text| frame(COMPRESSED | TEXT, &deflated(text))).collect(),
        false => workload.texts().iter().map(|text| frame(TEXT, text.as_bytes())).collect(),
    };
    // A client that is done hangs up without a word.
    let _ = match workload.gap_us {
        0 => send_fast(&mut tcp, &frames, workload.events).await,
        gap => send_paced(&mut tcp, &frames, workload.events, Duration::from_micros(gap)).await,
    };
    let _ = tcp.write_all(&frame(TEXT, format!("{{\"type\":\"{DONE}\"}}").as_bytes())).await;
    let _ = tcp.read(&mut [0; 64]).await;
}

async fn send_fast(tcp: &mut TcpStream, frames: &[Vec<u8>], events: u64) -> std::io::Result<()> {
    let block = frames.concat();
    let whole = events as usize / frames.len();
    for _ in 0..whole {
        tcp.write_all(&block).await?;
    }
    tcp.write_all(&frames[..events as usize - whole * frames.len()].concat()).await
}

async fn send_paced(tcp: &mut TcpStream, frames: &[Vec<u8>], events: u64, gap: Duration) -> std::io::Result<()> {
    // The timer is too coarse for such gaps: the server spins, on its own core.
    let mut due = Instant::now();
    for index in 0..events as usize {
        due += gap;
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        tcp.write_all(&frames[index % frames.len()]).await?;
    }
    Ok(())
}

/// How frames begin.
const TEXT: u8 = 0x81;
const COMPRESSED: u8 = 0x40;

/// What the server agrees to: every message is compressed by itself, so that it can be done beforehand.
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// A whole message as an unmasked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend(u16::try_from(length).expect("less than 64 KiB").to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// A message as permessage-deflate (RFC 7692) has it.
fn deflated(text: &str) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(text.len() + 64);
    let mut compress = Compress::new(Compression::default(), false);
    compress.compress_vec(text.as_bytes(), &mut deflated, FlushCompress::Sync).expect("compressed");
    deflated.truncate(deflated.len() - 4);
    deflated
}
