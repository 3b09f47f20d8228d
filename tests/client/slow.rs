//! Large messages on slow lines: bytes are a sign of life, as long as they make headway (S0-9, S2-5).

#![allow(clippy::disallowed_methods)] // the far end is slow in real time

use super::{
    peer::soon,
    wire::{End, TEXT, Wire, frame},
};
use everwire::{Client, ClientBuilder, Dialect, OutboxRule};
use futures::{StreamExt, channel::mpsc};
use std::time::Duration;

const SIZE: usize = 200_000;
/// A connection on which nothing comes for so long is dead.
const SILENCE: Duration = Duration::from_millis(1_600);
/// How long a message takes: many times as long.
const PIECES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(30);

fn builder(wire: &Wire) -> ClientBuilder {
    let builder = wire.builder(Dialect::raw()).silence_timeout(SILENCE).max_attempts(1);
    builder.ping(Duration::from_millis(200), SILENCE / 2)
}

async fn connected(wire: &Wire, builder: ClientBuilder) -> (Client, End) {
    let client = builder.build().expect("the settings are right");
    client.connect().expect("idle");
    let mut end = wire.request().await;
    let deflate =
        end.header("sec-websocket-extensions").map_or("", |_| "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    end.upgrade(&format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{deflate}")).await;
    soon(client.ready()).await.expect("connected");
    (client, end)
}

/// Writes these bytes piece by piece, and answers nothing meanwhile.
async fn trickle(end: &mut End, bytes: &[u8]) {
    for piece in bytes.chunks(bytes.len().div_ceil(PIECES as usize)) {
        end.write(piece).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The message as a deflated frame: in stored blocks, written by hand.
fn deflated(text: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    for block in text.as_bytes().chunks(0xFFFF) {
        let length = block.len() as u16;
        payload.push(0);
        payload.extend(length.to_le_bytes());
        payload.extend((!length).to_le_bytes());
        payload.extend(block);
    }
    // An empty block, without the four bytes that RFC 7692 7.2.1 leaves out.
    payload.push(0);
    let mut bytes = frame(TEXT, true, &payload);
    bytes[0] |= 0x40;
    bytes
}

#[tokio::test]
async fn a_large_message_that_trickles_in_keeps_the_connection_alive() {
    let text = format!("\"{}\"", "x".repeat(SIZE));
    let fragments: Vec<u8> = text
        .as_bytes()
        .chunks(1_000)
        .enumerate()
        .flat_map(|(index, piece)| frame(if index == 0 { TEXT } else { 0 }, false, piece))
        .chain(frame(0, true, b""))
        .collect();
    for (how, bytes) in
        [("one frame", frame(TEXT, true, text.as_bytes())), ("fragments", fragments), ("deflated", deflated(&text))]
    {
        let wire = Wire::open().await;
        let builder = builder(&wire);
        let builder = if how == "deflated" { builder.compression(true) } else { builder };
        let (client, mut end) = connected(&wire, builder).await;
        let (sender, mut sizes) = mpsc::unbounded();
        client.on("**", move |event| drop(sender.unbounded_send(event.text().map(str::len)))).detach();
        trickle(&mut end, &bytes).await;
        let size = soon(async {
            tokio::select! { size = sizes.next() => size, cause = client.closed() => panic!("{how}: {cause}") }
        });
        assert_eq!(size.await, Some(Some(text.len())), "{how}");
        assert_eq!(client.stats().dials, 1, "{how}");
    }
}

#[tokio::test]
async fn a_peer_that_drips_is_dead() {
    let wire = Wire::open().await;
    let (client, mut end) = connected(&wire, builder(&wire)).await;
    end.write(&frame(TEXT, true, &[b'1'; 60_000])[..10]).await;
    let drips = async {
        loop {
            end.write(b"1").await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let cause = soon(async {
        tokio::select! { cause = client.closed() => cause, () = drips => unreachable!() }
    })
    .await;
    assert!(cause.error().is_some_and(everwire::Error::is_timeout), "{cause}");
}

#[tokio::test]
async fn a_large_message_that_is_slowly_taken_keeps_the_connection_alive() {
    const LARGE: usize = 16 << 20;
    let wire = Wire::open().await;
    let builder = builder(&wire).outbox(OutboxRule { bytes: 2 * LARGE, ..OutboxRule::default() });
    let (client, mut end) = connected(&wire, builder).await;
    let sent = client.send(vec![7; LARGE]);
    let mut scratch = vec![0; LARGE / 80];
    let read = async {
        for _ in 0..80 {
            tokio::io::AsyncReadExt::read_exact(&mut end.tcp, &mut scratch).await.expect("the client is there");
            tokio::time::sleep(PAUSE).await;
        }
    };
    let ((), sent) = soon(async { tokio::join!(read, sent) }).await;
    sent.expect("written");
    assert_eq!(client.stats().dials, 1);
}
