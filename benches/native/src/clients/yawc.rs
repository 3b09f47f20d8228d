//! yawc: read alone, with permessage-deflate.

use super::{AUTH, Meter, is_last};
use futures::SinkExt;
use std::hint::black_box;
use yawc::{Frame, OpCode, Options, WebSocket};

pub const NAME: &str = "yawc, read alone, compressed";

pub async fn run(url: &str) {
    // Its own default compression; UTF-8 is checked, as the others do. What it sends is short, and is not compressed.
    let options = Options::default().with_balanced_compression().with_compression_threshold(4096).with_utf8();
    let connecting = WebSocket::connect(url.parse().expect("a URL")).with_options(options.with_no_delay());
    let mut socket = connecting.await.expect("a socket");
    socket.send(Frame::text(AUTH)).await.expect("sent");
    let hello = socket.next_frame().await.expect("a hello");
    assert!(hello.as_str().contains("connection.ok"));
    let meter = Meter::default();
    meter.start();
    let mut events = 0;
    while let Ok(frame) = socket.next_frame().await {
        if frame.opcode() == OpCode::Text {
            let text = frame.as_str();
            if is_last(text) {
                meter.finish(events, 0);
            }
            black_box(text);
            events += 1;
        }
    }
    panic!("the server left");
}
