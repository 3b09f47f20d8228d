//! The native socket against peers that behave, and peers that do not.

use super::*;
use crate::platform::SocketOptions;
use futures::{SinkExt, StreamExt};
use std::future::poll_fn;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    accept_async,
    tungstenite::{
        Message as Wire,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

mod autobahn;
mod closing;
mod dialling;
mod handshake;
mod tls;

type Server = WebSocketStream<TcpStream>;

const LIMIT: usize = 64 * 1024;

fn connector() -> SocketConnector {
    SocketConnector::new(SocketConfig::new(LIMIT)).expect("a connector")
}

fn request(url: String) -> DialRequest {
    DialRequest {
        shown_url: url.clone(),
        url,
        protocols: Vec::new(),
        headers: Vec::new(),
        within: Duration::from_secs(10),
    }
}

/// A client socket and the server's end of it.
async fn pair() -> (Socket, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let server = async { accept_async(listener.accept().await.expect("a client").0).await.expect("a handshake") };
    let (client, server) = tokio::join!(connector().dial(request(url)), server);
    (client.expect("a socket"), server)
}

/// Plays the server in a task of its own, so that the client is polled alone.
#[allow(clippy::disallowed_methods)] // `platform::spawn` returns nothing
fn serve<T: Send + 'static>(play: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(play)
}

async fn next(socket: &mut Socket) -> Incoming<Payload> {
    poll_fn(|cx| {
        let _ = socket.poll_flush(cx);
        socket.poll_recv(cx)
    })
    .await
}

async fn end(socket: &mut Socket) -> CloseInfo {
    loop {
        if let Incoming::Closed(info) = next_message(socket).await {
            return info;
        }
    }
}

/// The next message: no sign of life.
async fn next_message(socket: &mut Socket) -> Incoming<Payload> {
    loop {
        match next(socket).await {
            Incoming::Alive => {}
            incoming => return incoming,
        }
    }
}

fn text_of(incoming: Incoming<Payload>) -> String {
    match incoming {
        Incoming::Message(event) => event.text().expect("a text message").to_owned(),
        Incoming::Alive | Incoming::Pong => panic!("a message, not a sign of life"),
        Incoming::Closed(info) => panic!("a message, not the end: {info:?}"),
    }
}

fn kind(info: &CloseInfo) -> ErrorKind {
    info.error.as_ref().expect("an error").kind()
}

fn close_of(message: Option<Result<Wire, tungstenite::Error>>) -> (u16, String) {
    match message {
        Some(Ok(Wire::Close(Some(frame)))) => (frame.code.into(), frame.reason.as_str().to_owned()),
        other => panic!("a close frame, not {other:?}"),
    }
}

#[tokio::test]
async fn text_and_binary_go_both_ways_in_order() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move {
        for _ in 0..2 {
            let message = server.next().await.expect("a message").expect("a message");
            server.send(message).await.expect("sent");
        }
        server
    });
    client.send("grüße".into()).expect("taken");
    client.send(vec![0, 255].into()).expect("taken");
    assert_eq!(text_of(next_message(&mut client).await), "grüße");
    match next_message(&mut client).await {
        Incoming::Message(event) => assert!(event.is_binary() && event.bytes() == [0, 255]),
        _ => panic!("a binary message"),
    }
    drop(server);
}

#[tokio::test]
async fn a_ping_is_a_sign_of_life_and_is_answered_without_more_polling() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move {
        server.send(Wire::Ping("p".into())).await.expect("sent");
        server.next().await.expect("an answer").expect("an answer")
    });
    assert!(matches!(next(&mut client).await, Incoming::Alive));
    assert_eq!(server.await.expect("the server"), Wire::Pong("p".into()));
}

#[tokio::test]
async fn the_peers_close_is_answered_and_told() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move {
        server.send(Wire::Close(Some(close_frame(4001, "bye")))).await.expect("sent");
        close_of(server.next().await)
    });
    let info = end(&mut client).await;
    assert_eq!((info.code, info.reason.as_str()), (Some(4001), "bye"));
    assert!(info.error.is_none());
    assert_eq!(server.await.expect("the server"), (4001, "bye".into()));
    assert_eq!(client.send("x".into()).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn our_close_comes_after_what_was_sent_and_before_nothing() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move {
        let first = server.next().await.expect("a message").expect("a message");
        (first, close_of(server.next().await), server.next().await.is_none())
    });
    client.send("last words".into()).expect("taken");
    client.close(1000, "client disconnect");
    assert_eq!(client.send("too late".into()).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(end(&mut client).await.code, Some(1000));
    drop(client);
    let (first, close, ended) = server.await.expect("the server");
    assert_eq!(first, Wire::text("last words"));
    assert_eq!(close, (1000, "client disconnect".into()));
    assert!(ended);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_with_1009_that_the_peer_sees() {
    for fragments in [1, 3] {
        let (mut client, server) = pair().await;
        let server = serve(async move {
            let (mut write, mut read) = server.split();
            let frames = (0..fragments).map(|index| {
                use tungstenite::protocol::frame::{Frame, coding::*};
                let opcode = if index == 0 { Data::Binary } else { Data::Continue };
                let part = vec![0; (LIMIT + fragments) / fragments];
                Wire::Frame(Frame::message(part, OpCode::Data(opcode), index + 1 == fragments))
            });
            // What follows must not hide the close frame from the peer.
            let more = (0..8).map(|_| Wire::binary(vec![0; LIMIT]));
            for message in frames.chain(more) {
                if write.send(message).await.is_err() {
                    break;
                }
            }
            close_of(read.next().await)
        });
        let info = end(&mut client).await;
        assert_eq!((kind(&info), info.code), (ErrorKind::TooLarge, None), "{fragments} fragments");
        drop(client);
        assert_eq!(server.await.expect("the server").0, 1009, "{fragments} fragments");
    }
}

#[tokio::test]
async fn a_message_of_just_the_limit_is_taken() {
    let (mut client, mut server) = pair().await;
    let server = serve(async move { server.send(Wire::binary(vec![7; LIMIT])).await.map(|()| server) });
    match next_message(&mut client).await {
        Incoming::Message(event) => assert_eq!(event.bytes().len(), LIMIT),
        _ => panic!("a message"),
    }
    drop(server);
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_told_how() {
    for (bytes, code) in [(&b"\x81\x02\xff\xff"[..], 1007), (b"\x83\x00", 1002), (b"\x88\x01\x00", 1002)] {
        let (mut client, server) = pair().await;
        let server = serve(async move {
            let mut tcp = server.into_inner();
            tcp.write_all(bytes).await.expect("written");
            let mut frame = [0; 8];
            tcp.read_exact(&mut frame).await.expect("a close frame");
            assert_eq!(frame[..2], [0x88, 0x82], "a masked close frame with a code alone");
            u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]])
        });
        assert_eq!(kind(&end(&mut client).await), ErrorKind::Protocol, "{bytes:?}");
        assert_eq!(server.await.expect("the server"), code, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_and_never_hangs_up_is_left() {
    let (mut client, server) = pair().await;
    let mut tcp = server.into_inner();
    tcp.write_all(b"\x83\x00").await.expect("written");
    let clock = Clock::start();
    assert_eq!(kind(&end(&mut client).await), ErrorKind::Protocol);
    let waited = clock.now().since_start();
    assert!(waited >= LINGER && waited < LINGER * 5, "{waited:?}");
}

#[tokio::test]
async fn every_way_a_connection_can_break_is_one_kind() {
    for way in ["fin", "fin within a frame", "reset", "reset after our write"] {
        let (mut client, server) = pair().await;
        let mut tcp = server.into_inner();
        if way == "fin within a frame" {
            tcp.write_all(b"\x81\x05he").await.expect("written");
        }
        if way.starts_with("reset") {
            // A socket that is closed with something unread answers with a reset.
            client.send("unread".into()).expect("taken");
            poll_fn(|cx| client.poll_flush(cx)).await;
            tcp.readable().await.expect("readable");
        }
        drop(tcp);
        if way == "reset after our write" {
            let _ = client.send("more".into());
        }
        let info = end(&mut client).await;
        assert_eq!((kind(&info), info.code), (ErrorKind::Closed, None), "{way}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_stops_our_writing_not_our_reading() {
    let (mut client, mut server) = pair().await;
    let refused = poll_fn(|cx| {
        loop {
            if let Err(error) = client.send("x".repeat(LIMIT).into()) {
                return Poll::Ready(error);
            }
            let _ = client.poll_flush(cx);
        }
    });
    assert_eq!(refused.await.kind(), ErrorKind::Overflow);
    server.send("still here".into()).await.expect("sent");
    assert_eq!(text_of(next_message(&mut client).await), "still here");
    // Once the peer reads again, everything arrives whole and in order.
    let server = serve(async move {
        let mut count = 0;
        while let Some(Ok(message)) = server.next().await {
            count += usize::from(message.is_text() && message.len() == LIMIT);
        }
        count
    });
    client.close(1000, "");
    assert_eq!(end(&mut client).await.code, Some(1000));
    let count = server.await.expect("the server");
    assert!(count >= 64, "all that was taken arrives: {count}");
}

#[tokio::test]
async fn an_abort_tells_the_peer_even_with_unread_input() {
    let (client, mut server) = pair().await;
    server.send("unread".into()).await.expect("sent");
    client.web_socket.get_ref().tcp().readable().await.expect("readable");
    client.abort(4002, "gone");
    assert_eq!(close_of(server.next().await), (4002, "gone".into()));
}

#[tokio::test]
async fn the_end_is_told_even_while_the_answer_cannot_be_written() {
    let (mut client, mut server) = pair().await;
    poll_fn(|cx| {
        while client.send("x".repeat(LIMIT).into()).is_ok() {
            let _ = client.poll_flush(cx);
        }
        Poll::Ready(())
    })
    .await;
    server.send(Wire::Close(Some(close_frame(1012, "restart")))).await.expect("sent");
    assert_eq!(end(&mut client).await.code, Some(1012));
}

/// A flood gets a larger buffer and leaves none behind; whatever is under way meanwhile, nothing is lost.
#[tokio::test]
async fn the_buffer_follows_what_comes_and_nothing_is_lost() {
    let (mut client, mut server) = pair().await;
    let text = |index: usize| format!("{index}:{}", "x".repeat(index * 7 % 3000));
    const FLOOD: usize = 5000;
    let playing = serve(async move {
        for index in 0..FLOOD {
            if index % 100 == 50 {
                server.feed(Wire::Ping(vec![index as u8; 9].into())).await.expect("sent");
            }
            match index % 500 {
                // In two fragments, with a ping between them.
                250 => {
                    let text = text(index);
                    let (first, rest) = text.split_at(3);
                    let of = |text: &str, opcode, last| {
                        Wire::Frame(Frame::message(text.to_owned(), OpCode::Data(opcode), last))
                    };
                    server.feed(of(first, Data::Text, false)).await.expect("sent");
                    server.feed(Wire::Ping(vec![1].into())).await.expect("sent");
                    server.feed(of(rest, Data::Continue, true)).await.expect("sent");
                }
                _ => server.feed(text(index).into()).await.expect("sent"),
            }
        }
        server.flush().await.expect("sent");
        // Everything the client said has come, and then one message answers another.
        let mut heard = 0;
        while heard < FLOOD / 100 {
            heard += usize::from(server.next().await.expect("open").expect("no error").is_text());
        }
        for _ in 0..40 {
            server.send("calm".into()).await.expect("sent");
            while !server.next().await.expect("open").expect("no error").is_text() {}
        }
        server.next().await
    });
    assert!(!client.reader.buffer().is_large());
    let (mut got, mut was_large) = (0, false);
    while got < FLOOD {
        if let Incoming::Message(event) = next_message(&mut client).await {
            assert_eq!(event.text(), Some(text(got).as_str()));
            got += 1;
            if got % 100 == 0 {
                client.send("heard".into()).expect("there is room");
            }
        }
        was_large |= client.reader.buffer().is_large();
    }
    assert!(was_large);
    for _ in 0..40 {
        assert_eq!(text_of(next_message(&mut client).await), "calm");
        client.send("heard".into()).expect("there is room");
    }
    let nothing_more = poll_fn(|cx| Poll::Ready(client.poll_recv(cx).is_pending())).await;
    assert!(nothing_more);
    assert!(!client.reader.buffer().is_large() && client.reader.buffer().is_gone());
    client.close(1000, "");
    end(&mut client).await;
    assert_eq!(close_of(playing.await.expect("the server")).0, 1000);
}

/// A buffer of a size that was asked for stays as it is.
#[tokio::test]
async fn a_buffer_of_a_wanted_size_is_left_alone() {
    for set in [|options: &mut SocketOptions| options.read_buffer(2048), SocketOptions::small_buffers] {
        let mut config = SocketConfig::new(LIMIT);
        set(&mut config.options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}/", listener.local_addr().expect("an address"));
        serve(async move {
            let mut server = accept_async(listener.accept().await.expect("a client").0).await.expect("a handshake");
            for _ in 0..500 {
                server.feed("x".repeat(1000).into()).await.expect("sent");
            }
            server.close(None).await
        });
        let mut client = SocketConnector::new(config).expect("a connector").dial(request(url)).await.expect("a socket");
        let mut got = 0;
        while let Incoming::Message(_) = next_message(&mut client).await {
            got += 1;
        }
        assert_eq!((got, client.reader.buffer().is_large()), (500, false));
    }
}

/// S2-9: what a few bytes would become counts, and the peer is told 1009 as without compression.
#[cfg(feature = "deflate")]
#[tokio::test]
async fn a_compressed_message_beyond_the_limit_is_refused_and_one_within_it_arrives() {
    use tungstenite::handshake::server::{ErrorResponse, Request, Response};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let server = serve(async move {
        let mut offered = false;
        #[allow(clippy::result_large_err)] // the signature is not ours
        let agree = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let extensions = "sec-websocket-extensions";
            offered = request.headers().get(extensions).is_some_and(|offer| *offer == deflate::OFFER);
            response.headers_mut().insert(extensions, "permessage-deflate".parse().expect("a value"));
            Ok(response)
        };
        let (tcp, _) = listener.accept().await.expect("a client");
        let mut server = tokio_tungstenite::accept_hdr_async(tcp, agree).await.expect("a handshake");
        let agreed = tungstenite::http::HeaderMap::from_iter([(
            tungstenite::http::header::SEC_WEBSOCKET_EXTENSIONS,
            "permessage-deflate".parse().expect("a value"),
        )]);
        let agreed = deflate::Agreed::read(&agreed).expect("agreed").expect("an agreement");
        let mut deflater = Deflater::new(agreed, 0).expect("a deflater");
        for size in [LIMIT, LIMIT + 1] {
            let frame = deflater.frame(&vec![b'x'; size], Data::Text).expect("a frame");
            server.send(Wire::Frame(frame)).await.expect("sent");
        }
        (offered, close_of(server.next().await))
    });
    let mut config = SocketConfig::new(LIMIT);
    config.options.compression(true);
    let mut client = SocketConnector::new(config).expect("a connector").dial(request(url)).await.expect("a socket");
    assert_eq!(text_of(next_message(&mut client).await).len(), LIMIT);
    let ended = end(&mut client).await;
    assert_eq!(ended.error.map(|error| error.kind()), Some(ErrorKind::TooLarge));
    let (offered, (code, _)) = server.await.expect("the server");
    assert_eq!((offered, code), (true, 1009));
}
