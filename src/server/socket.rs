//! A WebSocket that a client opened: frames are read by the reader of the client half, and written by the WebSocket library.

use crate::{
    platform::{Counted, Progress, Reader, Received},
    proto::close_code::may_be_sent,
};
use futures::{Sink, Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};

/// How much is gathered before it is written without being flushed.
const WRITE_BUFFER: usize = 16 << 10;

/// What frames are read from and written to.
pub(super) type Io = Counted<TokioIo<Upgraded>>;

pub(super) struct Socket {
    reader: Reader,
    /// Writes.
    web_socket: WebSocketStream<Io>,
    /// Whether an answer to the client is not flushed yet.
    answering: bool,
    /// Whether nothing more is read: the client has closed, or an error came.
    over: bool,
}

impl Socket {
    /// `limit`: the largest message that is taken, in bytes.
    pub(super) async fn new(upgraded: Upgraded, limit: usize) -> Self {
        let config = WebSocketConfig::default().read_buffer_size(0).write_buffer_size(WRITE_BUFFER);
        let io = Counted::new(TokioIo::new(upgraded));
        let web_socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        Self { reader: Reader::of_client(limit), web_socket, answering: false, over: false }
    }

    /// Tells whether bytes move though no message is complete.
    pub(super) fn progress(&self) -> Progress {
        self.web_socket.get_ref().progress()
    }

    pub(super) fn get_mut(&mut self) -> &mut Io {
        self.web_socket.get_mut()
    }

    /// Answers the client; after our own close frame nothing is answered.
    fn answer(&mut self, message: Message, cx: &mut Context<'_>) {
        if Pin::new(&mut self.web_socket).start_send(message).is_ok() {
            self.answering = true;
            let _ = self.poll_answered(cx);
        }
    }

    /// Ready once no answer waits to be written. A failure shows in reading.
    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.answering {
            let _ = ready!(Pin::new(&mut self.web_socket).poll_flush(cx));
            self.answering = false;
        }
        Poll::Ready(())
    }
}

/// What the client sends. Pings are answered, and so is a close that may be sent; it ends with a close or an error.
impl Stream for Socket {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let this = self.get_mut();
        let answered = this.poll_answered(cx);
        if this.over {
            return answered.map(|()| None);
        }
        Poll::Ready(Some(match ready!(this.reader.poll_next(this.web_socket.get_mut(), cx)) {
            Ok(Received::Text(text)) => Ok(Message::Text(text)),
            Ok(Received::Binary(bytes)) => Ok(Message::Binary(bytes)),
            Ok(Received::Ping(payload)) => {
                this.answer(Message::Pong(payload.clone()), cx);
                Ok(Message::Ping(payload))
            }
            Ok(Received::Pong) => Ok(Message::Pong(Bytes::new())),
            Ok(Received::Close(frame)) => {
                this.over = true;
                if frame.as_ref().is_none_or(|frame| may_be_sent(frame.code.into())) {
                    this.answer(Message::Close(frame.clone()), cx);
                }
                Ok(Message::Close(frame))
            }
            Err(error) => {
                this.over = true;
                Err(error)
            }
        }))
    }
}

impl Sink<Message> for Socket {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().web_socket).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.get_mut().web_socket).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().web_socket).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().web_socket).poll_close(cx)
    }
}
