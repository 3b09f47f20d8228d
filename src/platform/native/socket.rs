//! The native socket: tokio-tungstenite over TCP or TLS.

mod dial;
mod failure;
mod queue;
mod tls;

use super::{Bytes, Clock, Sleep, Text};
use crate::{
    proto::{CloseInfo, DialRequest, Error, ErrorKind, Event, Message},
    transport::{Connector, Incoming, SocketConfig, Transport},
};
use failure::Failure;
use futures::{Sink, Stream};
use queue::Queue;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tls::Tls;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        self,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// A message as it comes off a native socket.
pub(crate) type Payload = Event<Text, Bytes>;

type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How much is read at once. The WebSocket layer keeps a buffer of this size for each connection, and fills it with zeros
/// before each read: half of its default costs no more in a flood, less for sparse traffic, and half the memory.
const READ_BUFFER: usize = 64 * 1024;

/// How much is gathered before it is written without being flushed.
const WRITE_BUFFER: usize = 16 * 1024;

/// How long a peer that broke the protocol may take to hang up after it was told.
const LINGER: Duration = Duration::from_secs(1);

/// How much of what is still unread is thrown away when a socket is ended at once: the system answers unread bytes
/// with a reset, which may overtake the close frame.
const DISCARD: usize = 256 * 1024;

/// How long the reason of a close frame may be.
const MAX_REASON: usize = 123;

/// Dials native sockets.
pub(crate) struct SocketConnector {
    web_socket: WebSocketConfig,
    tls: Arc<Tls>,
}

impl SocketConnector {
    /// Fails if a root certificate cannot be read.
    pub(crate) fn new(config: SocketConfig) -> Result<Self, Error> {
        let web_socket = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(config.max_message_size))
            .max_frame_size(Some(config.max_message_size));
        Ok(Self { web_socket, tls: Arc::new(Tls::new(&config.root_certificates)?) })
    }
}

impl Connector for SocketConnector {
    type Payload = Payload;
    type Transport = Socket;

    fn dial(&self, request: DialRequest) -> impl Future<Output = Result<Socket, Error>> + Send + 'static {
        let (config, tls) = (self.web_socket, self.tls.clone());
        async move { dial::dial(&request, config, &tls).await.map(Socket::new) }
    }
}

/// An open native socket.
pub(crate) struct Socket {
    web_socket: WebSocket,
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

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<Payload>> {
        if !matches!(self.phase, Phase::Open) {
            return self.poll_linger(cx);
        }
        let Poll::Ready(item) = Pin::new(&mut self.web_socket).poll_next(cx) else {
            return match self.write_failure.take() {
                Some(info) => self.end(info),
                None => Poll::Pending,
            };
        };
        use tungstenite::Message::{Binary, Close, Frame, Ping, Pong, Text};
        match item {
            Some(Ok(Text(text))) => Poll::Ready(Incoming::Message(Event::from_text(text))),
            Some(Ok(Binary(bytes))) => Poll::Ready(Incoming::Message(Event::from_binary(bytes))),
            // The answer to a ping waits in the WebSocket layer: off with it.
            Some(Ok(Pong(_))) => Poll::Ready(Incoming::Pong),
            Some(Ok(Ping(_) | Frame(_))) => {
                let _ = self.poll_web_socket_flush(cx);
                Poll::Ready(Incoming::Alive)
            }
            // The answer is written if that takes no waiting; a peer that does not read has no claim to it.
            Some(Ok(Close(frame))) => {
                let _ = self.poll_web_socket_flush(cx);
                self.end(failure::closed_by_peer(frame))
            }
            Some(Err(error)) => match failure::classify(error) {
                Failure::Broken(info) => self.end(info),
                Failure::Violation(info, code) => {
                    self.tell_and_linger(info, code);
                    self.poll_linger(cx)
                }
            },
            None => self.end(failure::broken(None)),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        if self.closing || !matches!(self.phase, Phase::Open) {
            return Err(Error::new(ErrorKind::Closed, "the connection is closing"));
        }
        self.queue.push(message)
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
    fn new(web_socket: WebSocket) -> Self {
        Self {
            web_socket,
            queue: Queue::default(),
            ping: false,
            close: None,
            closing: false,
            write_failure: None,
            phase: Phase::Open,
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
                Some(message) => Some(message),
                None => self.close.take().map(|frame| tungstenite::Message::Close(Some(frame))),
            };
            if let Some(message) = next {
                Pin::new(&mut self.web_socket).start_send(message)?;
            }
        }
        self.poll_web_socket_flush(cx)
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
