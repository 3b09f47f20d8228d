//! The native socket: WebSocket over TCP or TLS. Frames are written by tokio-tungstenite.

mod answer;
mod body;
mod buffer;
#[cfg_attr(not(feature = "deflate"), path = "socket/no_deflate.rs")]
mod deflate;
mod dial;
#[cfg(feature = "proxy")]
mod environment;
mod failure;
mod frames;
mod handshake;
mod head;
#[cfg_attr(not(feature = "proxy"), path = "socket/no_proxy.rs")]
mod proxy;
mod queue;
mod reader;
#[cfg(test)]
mod script;
mod tcp;
mod tls;
mod wire;

use super::{Bytes, Clock, Sleep, SocketOptions, Text, progress::Progress};
use crate::{
    proto::{CloseInfo, DialRequest, Error, ErrorKind, Event, Message, Negotiated, close_code::MAX_REASON},
    transport::{Connector, Incoming, SocketConfig, Transport},
};
use deflate::{Deflater, Inflater};
use failure::Failure;
use futures::{FutureExt, Sink};
use proxy::Proxies;
use queue::Queue;
pub(crate) use reader::{Reader, Received};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tls::Tls;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::coding::{CloseCode, Data},
        },
    },
};
use wire::Wire;

/// A message as it comes off a native socket.
pub(crate) type Payload = Event<Text, Bytes>;

type WebSocket = WebSocketStream<Wire>;

/// The sizes that a connection's buffer for reading may have.
const READ_BUFFERS: std::ops::RangeInclusive<usize> = 512..=1 << 20;

/// The size from which on messages are compressed, unless it is set.
const THRESHOLD: usize = 128;

/// How much is gathered before it is written without being flushed.
const WRITE_BUFFER: usize = 16 * 1024;

/// How long a peer that broke the protocol may take to hang up after it was told.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what is still unread is thrown away when a socket is ended at once: the system answers unread bytes
/// with a reset, which may overtake the close frame.
const DISCARD: usize = 256 * 1024;

/// Dials native sockets.
pub(crate) struct SocketConnector {
    web_socket: WebSocketConfig,
    /// The largest message that is taken, in bytes.
    limit: usize,
    /// The size of the buffer for reading, if it does not follow what comes.
    read_buffer: Option<usize>,
    tls: Arc<Tls>,
    proxies: Proxies,
    /// Compress from this size on, in bytes, where the server agrees.
    compresses: Option<usize>,
}

impl SocketConnector {
    /// Fails with [`ErrorKind::Config`] and the path of what is wrong in the options.
    pub(crate) fn new(config: SocketConfig) -> Result<Self, Error> {
        let options = config.options;
        if options.read_buffer.is_some_and(|bytes| !READ_BUFFERS.contains(&bytes)) {
            return Err(Error::wrong("read_buffer", "must be from 512 bytes to 1 MiB"));
        }
        Ok(Self {
            // Only writing is left to that layer.
            web_socket: WebSocketConfig::default().read_buffer_size(0).write_buffer_size(WRITE_BUFFER),
            limit: config.max_message_size,
            read_buffer: options.read_buffer,
            tls: Arc::new(Tls::new(&options)?),
            proxies: Proxies::new(&options)?,
            compresses: compression(&options)?,
        })
    }
}

impl Connector for SocketConnector {
    type Payload = Payload;
    type Transport = Socket;

    fn dial(&self, request: DialRequest) -> impl Future<Output = Result<Socket, Error>> + Send + 'static {
        let (config, limit, compresses) = (self.web_socket, self.limit, self.compresses);
        let reader = Reader::new(self.read_buffer, limit);
        let (tls, proxies) = (self.tls.clone(), self.proxies.clone());
        async move {
            let (stream, agreed, negotiated) = dial::dial(&request, &tls, &proxies, compresses.is_some()).await?;
            let inflater = agreed.map(|agreed| Box::new(Inflater::new(agreed, limit)));
            let deflater = agreed.zip(compresses).and_then(|(agreed, least)| Deflater::new(agreed, least));
            Ok(Socket::new(layer(Wire::new(stream, inflater), config), reader, deflater, negotiated))
        }
    }
}

/// An open native socket.
pub(crate) struct Socket {
    reader: Reader,
    /// Writes.
    web_socket: WebSocket,
    /// Whether bytes move though no message is complete.
    progress: Progress,
    negotiated: Negotiated,
    deflater: Option<Box<Deflater>>,
    queue: Queue,
    /// A ping is to be sent: ahead of the queue, and only once however often it was asked for.
    ping: bool,
    /// The close frame to send once the queue is written.
    close: Option<CloseFrame>,
    /// Whether closing has begun: nothing more is taken.
    closing: bool,
    /// Why writing failed. It shows once nothing more can be read: what the peer said before it left counts more.
    write_failure: Option<CloseInfo>,
    phase: Phase,
}

enum Phase {
    Open,
    /// The peer broke the protocol and is being told; what it still sends is thrown away until it hangs up.
    Lingering(CloseInfo, Sleep),
    Ended,
}

impl Transport for Socket {
    type Payload = Payload;

    fn negotiated(&mut self) -> Negotiated {
        std::mem::take(&mut self.negotiated)
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Payload>> {
        if !matches!(self.phase, Phase::Open) {
            return self.poll_linger(cx);
        }
        let Poll::Ready(received) = self.reader.poll_next(self.web_socket.get_mut(), cx) else {
            return match self.write_failure.take_if(|_| !self.reader.has_paused()) {
                Some(info) => self.end(info),
                None if self.progress.made() => Poll::Ready(Incoming::Alive),
                None => Poll::Pending,
            };
        };
        self.progress.note();
        match received {
            Ok(Received::Text(text)) => Poll::Ready(Incoming::Message(Event::from_text(text))),
            Ok(Received::Binary(bytes)) => Poll::Ready(Incoming::Message(Event::from_binary(bytes))),
            Ok(Received::Pong) => Poll::Ready(Incoming::Pong),
            Ok(Received::Ping(payload)) => {
                self.answer(tungstenite::Message::Pong(payload), cx);
                Poll::Ready(Incoming::Alive)
            }
            Ok(Received::Close(frame)) => match failure::closed_by_peer(frame.as_ref()) {
                Ok(info) => {
                    self.answer(tungstenite::Message::Close(frame), cx);
                    self.end(info)
                }
                Err(failure) => self.failed(failure, cx),
            },
            Err(error) => self.failed(failure::classify(error), cx),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        if self.closing || !matches!(self.phase, Phase::Open) {
            return Err(Error::new(ErrorKind::Closed, "the connection is closing"));
        }
        self.queue.push(message)
    }

    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<()> {
        // Flushing, which makes room, leaves the waker.
        let open = !self.closing && matches!(self.phase, Phase::Open) && self.write_failure.is_none();
        if open && self.queue.has_room() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = ready!(self.poll_write(cx));
        if let (Err(error), None) = (written, &self.write_failure) {
            self.write_failure = failure::of_writing(error);
            self.queue.clear();
            // It shows in `poll_recv`.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(())
    }

    fn ping(&mut self) {
        self.ping = !self.closing;
    }

    fn close(&mut self, code: u16, reason: &str) {
        if !self.closing {
            self.closing = true;
            self.close = Some(close_frame(code, reason));
        }
    }

    fn abort(mut self, code: u16, reason: &str) {
        let cx = &mut Context::from_waker(Waker::noop());
        self.queue.clear();
        self.close(code, reason);
        if self.poll_flush(cx).is_ready() {
            let _ = self.poll_discard(cx);
        }
    }
}

impl Socket {
    fn new(web_socket: WebSocket, reader: Reader, deflater: Option<Deflater>, negotiated: Negotiated) -> Self {
        Self {
            reader,
            progress: web_socket.get_ref().progress(),
            web_socket,
            negotiated,
            deflater: deflater.map(Box::new),
            queue: Queue::default(),
            ping: false,
            close: None,
            closing: false,
            write_failure: None,
            phase: Phase::Open,
        }
    }

    /// Answers the peer, as far as that takes no waiting: one that does not read has no claim to it. After our close frame
    /// nothing is answered.
    fn answer(&mut self, answer: tungstenite::Message, cx: &mut Context<'_>) {
        if Pin::new(&mut self.web_socket).start_send(answer).is_ok() {
            let _ = self.poll_web_socket_flush(cx);
        }
    }

    fn failed(&mut self, failure: Failure, cx: &mut Context<'_>) -> Poll<Incoming<Payload>> {
        match failure {
            Failure::Broken(info) => self.end(info),
            Failure::Violation(info, code) => {
                self.tell_and_linger(info, code);
                self.poll_linger(cx)
            }
        }
    }

    fn end(&mut self, info: CloseInfo) -> Poll<Incoming<Payload>> {
        self.phase = Phase::Ended;
        Poll::Ready(Incoming::Closed(info))
    }

    /// Hands the queue to the WebSocket layer as far as the socket takes it, then the close frame.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        while self.ping || !self.queue.is_empty() || self.close.is_some() {
            ready!(Pin::new(&mut self.web_socket).poll_ready(cx))?;
            if std::mem::take(&mut self.ping) {
                Pin::new(&mut self.web_socket).start_send(tungstenite::Message::Ping(Bytes::new()))?;
                continue;
            }
            let next = match self.queue.pop() {
                Some(message) => Some(self.deflated(message)),
                None => self.close.take().map(|frame| tungstenite::Message::Close(Some(frame))),
            };
            if let Some(message) = next {
                Pin::new(&mut self.web_socket).start_send(message)?;
            }
        }
        self.poll_web_socket_flush(cx)
    }

    /// The message as it goes out.
    fn deflated(&mut self, message: tungstenite::Message) -> tungstenite::Message {
        let Some(deflater) = &mut self.deflater else { return message };
        let frame = match &message {
            tungstenite::Message::Text(text) => deflater.frame(text.as_bytes(), Data::Text),
            tungstenite::Message::Binary(bytes) => deflater.frame(bytes, Data::Binary),
            _ => None,
        };
        frame.map_or(message, tungstenite::Message::Frame)
    }

    fn poll_web_socket_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        Pin::new(&mut self.web_socket).poll_flush(cx)
    }

    /// Fails the connection: tells the peer why.
    fn tell_and_linger(&mut self, info: CloseInfo, code: CloseCode) {
        if !self.closing {
            self.close(code.into(), "");
        }
        let clock = Clock::start();
        self.phase = Phase::Lingering(info, Sleep::until(&clock, clock.now() + LINGER));
    }

    /// Waits until the peer hangs up, so that the close frame reaches it, but not for long.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Payload>> {
        let over = match &mut self.phase {
            Phase::Open | Phase::Ended => return Poll::Pending,
            Phase::Lingering(_, deadline) => deadline.poll(cx).is_ready(),
        };
        let _ = self.poll_flush(cx);
        if !over && self.write_failure.is_none() {
            ready!(self.poll_discard(cx));
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Lingering(info, _) => Poll::Ready(Incoming::Closed(info)),
            Phase::Open | Phase::Ended => Poll::Pending,
        }
    }

    /// Reads and throws away. Ready at the end of the stream or once it was too much.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        for _ in 0..DISCARD / scratch.len() {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(self.web_socket.get_mut()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

/// From which size on messages are compressed, if they are.
fn compression(options: &SocketOptions) -> Result<Option<usize>, Error> {
    let wrong = |kind, path, message| Err(Error::new(kind, message).with_path(path));
    match (options.compression, options.compression_threshold) {
        (false, Some(_)) => wrong(ErrorKind::Config, "compression_threshold", "would do nothing without `compression`"),
        (false, None) => Ok(None),
        (true, _) if !deflate::IS_THERE => {
            wrong(ErrorKind::Unsupported, "compression", "everwire was built without its feature `deflate`")
        }
        (true, threshold) => Ok(Some(threshold.unwrap_or(THRESHOLD))),
    }
}

/// A WebSocket layer over a connection on which nothing is under way.
fn layer(wire: Wire, config: WebSocketConfig) -> WebSocket {
    let layer = WebSocketStream::from_raw_socket(wire, Role::Client, Some(config));
    layer.now_or_never().expect("there is nothing to wait for")
}

/// A close frame that may be sent: a reason that is too long is cut.
fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code: code.into(), reason: reason[..end].into() }
}

#[cfg(test)]
mod tests;
