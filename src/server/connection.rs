//! One WebSocket from the handshake to its end: who is it, then events out and messages in, then a close that arrives.

use super::{
    Shared,
    activity::{Activity, End},
    protocol::{self, Credentials, Frame, Inbound, Protocol, Query},
    queue::Pending,
    refusal::{NO_RANDOMNESS, Refusal},
    registry::{Order, Registry, Seat},
    session::{Attached, Welcome},
    sessions::{NoSession, Point},
    socket::Socket,
};
use crate::{platform::Progress, proto::close_code::may_be_sent};
use futures::{Sink, SinkExt, Stream, StreamExt};
use std::{
    future,
    pin::Pin,
    sync::{Arc, OnceLock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    Error as SocketError, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Why a connection comes to its end.
enum Outcome {
    /// The client closed it.
    ByClient { code: Option<u16>, reason: String },
    /// The socket broke.
    Broken,
    /// The server wants it.
    Ordered(Order),
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Outcome::Ordered(Order::refuse(refusal))
    }
}

/// A connection and what it needs.
struct Connection {
    server: Arc<Shared>,
    protocol: Protocol,
    seat: Seat,
    /// The session, once the client was let in, where the protocol has sessions.
    session: OnceLock<Attached>,
}

/// Serves a connection until it has ended.
pub(super) async fn run(server: Arc<Shared>, protocol: Protocol, query: Query, mut socket: Socket) {
    let (seat, mut pending) = Registry::join(&server.registry, &server.limits);
    let connection = Connection { server, protocol, seat, session: OnceLock::new() };
    let outcome = tokio::select! {
        biased;
        order = connection.seat.ordered() => Outcome::Ordered(order),
        outcome = connection.server.outage.unless_frozen(connection.serve(query, &mut socket, &mut pending)) => outcome,
    };
    let end = connection.finish(outcome, socket, pending).await;
    connection.ended(&end);
}

/// Accepts a WebSocket on a path that nobody serves, only to close it: 1000 tells the client not to come again.
pub(super) async fn run_on_wrong_path(server: Arc<Shared>, socket: Socket) {
    let (seat, pending) = Registry::join(&server.registry, &server.limits);
    let connection = Connection { server, protocol: Protocol::Stream, seat, session: OnceLock::new() };
    let order = Order::close(1000, "there is no such path");
    let end = connection.finish(Outcome::Ordered(order), socket, pending).await;
    connection.ended(&end);
}

impl Connection {
    async fn serve(&self, query: Query, socket: &mut Socket, pending: &mut Pending) -> Outcome {
        let credentials = match self.authenticate(query, socket).await {
            Ok(credentials) => credentials,
            Err(outcome) => return outcome,
        };
        if let Err(refusal) = self.admit(credentials, pending) {
            return refusal.into();
        }
        let progress = socket.progress();
        let (mut sink, mut stream) = socket.split();
        tokio::select! {
            outcome = self.read(&mut stream, progress) => outcome,
            outcome = self.write(&mut sink, pending) => outcome,
        }
    }

    async fn authenticate(&self, query: Query, socket: &mut Socket) -> Result<Credentials, Outcome> {
        let api_key = self.server.api_key.as_deref();
        if self.protocol != Protocol::Everwire {
            query.check(api_key)?;
        }
        let credentials = match self.protocol {
            Protocol::StreamV1 => Credentials::from_query(&query)?,
            protocol => {
                let first = timeout(self.server.limits.auth_deadline, first_message(socket)).await;
                let late = |_| Refusal::new(Refusal::TIMED_OUT, "no first message came in time");
                let first = first.map_err(late)??;
                match protocol {
                    Protocol::Everwire => Credentials::from_wire(&first, api_key)?,
                    _ => Credentials::from_first_message(&first)?,
                }
            }
        };
        self.server.tokens.check(&credentials.token, &credentials.user_id, super::clock::now())?;
        Ok(credentials)
    }

    fn admit(&self, credentials: Credentials, pending: &mut Pending) -> Result<(), Refusal> {
        let id = &self.seat.connection_id;
        let welcome = match self.protocol {
            Protocol::Everwire => Some(self.welcome(&credentials)?),
            _ => None,
        };
        // The hello is the first message in an empty queue, and events follow it.
        let _ = self.seat.push(self.protocol.hello(id, &credentials.user, welcome.as_ref()).into());
        if let Some(Welcome { attached, .. }) = welcome {
            self.seat.follow_session();
            pending.follow(attached.clone());
            let _ = self.session.set(attached);
        }
        self.server.counters.accepted.add(1);
        self.server.notify(&Activity::Connected {
            connection_id: id,
            user_id: &credentials.user_id,
            protocol: self.protocol,
        });
        self.seat.admit(credentials.user_id);
        Ok(())
    }

    /// Goes on with the session that the client asks for, or begins one.
    fn welcome(&self, credentials: &Credentials) -> Result<Welcome, Refusal> {
        let Shared { sessions, limits, counters, .. } = &*self.server;
        let point = credentials.session.as_ref().map(|(session, last)| Point { session, last: *last });
        let welcome = sessions.welcome(self.seat.peer(), &credentials.user_id, point, limits);
        let welcome = welcome.map_err(|why| match why {
            NoSession::Full => Refusal::new(Refusal::TOO_MANY_CONNECTIONS, "too many sessions"),
            NoSession::NoId => Refusal::new(Refusal::INTERNAL, NO_RANDOMNESS),
        })?;
        counters.resumed.add(usize::from(welcome.resumed));
        Ok(welcome)
    }

    async fn read(
        &self,
        stream: &mut (impl Stream<Item = Result<Message, SocketError>> + Unpin),
        mut progress: Progress,
    ) -> Outcome {
        loop {
            let Ok(message) = timeout(self.server.limits.idle_timeout, stream.next()).await else {
                // A large message on a slow line may be under way, to the client or from it.
                if progress.made() {
                    continue;
                }
                return Outcome::Ordered(Order::close(3008, "no message came for too long"));
            };
            progress.note();
            match message {
                Some(Ok(Message::Text(text))) => self.received(&text),
                Some(Ok(Message::Binary(_))) => self.server.counters.malformed.add(1),
                Some(Ok(Message::Close(frame))) => return closed_by_client(frame),
                Some(Ok(_)) => {}
                Some(Err(error)) => return failed(&error),
                None => return Outcome::Broken,
            }
        }
    }

    fn received(&self, text: &str) {
        let Connection { server, seat, .. } = self;
        if let Some(session) = self.session.get() {
            return self.received_in_session(session, text);
        }
        match protocol::inbound(text) {
            Inbound::HealthCheck => {
                server.counters.health_checks.add(1);
                server.push(seat, protocol::health_check(&seat.connection_id).into());
            }
            Inbound::Message => self.message(text),
            Inbound::Malformed => server.counters.malformed.add(1),
        }
    }

    fn received_in_session(&self, session: &Attached, text: &str) {
        let counters = &self.server.counters;
        match protocol::frame(text) {
            Frame::Ack(up_to) => session.acknowledge(up_to),
            Frame::Ping => {
                counters.health_checks.add(1);
                self.server.push(&self.seat, r#"{"type":"wire.pong"}"#.into());
            }
            Frame::Message(Some(number)) if !session.take(number) => counters.duplicates.add(1),
            Frame::Message(_) => self.message(text),
            Frame::Other => {}
            Frame::Malformed => counters.malformed.add(1),
        }
    }

    fn message(&self, text: &str) {
        self.server.counters.messages_received.add(1);
        let (connection_id, user_id) = (&self.seat.connection_id, self.seat.user_id().unwrap_or_default());
        self.server.notify(&Activity::Message { connection_id, user_id, text });
    }

    /// Writes what is pushed. All that waits goes out together, and is flushed when nothing more waits.
    async fn write(
        &self,
        sink: &mut (impl Sink<Message, Error = SocketError> + Unpin),
        pending: &mut Pending,
    ) -> Outcome {
        loop {
            let result = async {
                // First room, then the message: when this future is dropped in between, no message is lost.
                future::poll_fn(|cx| Pin::new(&mut *sink).poll_ready(cx)).await?;
                let text = match pending.try_next() {
                    Some(text) => text,
                    None => {
                        sink.flush().await?;
                        pending.next().await
                    }
                };
                self.server.counters.messages_sent.add(1);
                self.server.counters.bytes_sent.add(text.len());
                sink.start_send_unpin(Message::Text(text))
            };
            if let Err(error) = result.await {
                return failed(&error);
            }
        }
    }

    /// Brings the connection to its end, in bounded time.
    async fn finish(&self, outcome: Outcome, mut socket: Socket, pending: Pending) -> End {
        if let Outcome::Ordered(Order::Close { refusal: Some(refusal), .. }) = &outcome {
            self.server.counters.refused(refusal.code());
            let connection_id = &self.seat.connection_id;
            self.server.notify(&Activity::Refused { connection_id, user_id: self.seat.user_id(), refusal });
        }
        let end = match &outcome {
            Outcome::Broken | Outcome::Ordered(Order::Drop) => return End::Broken,
            Outcome::ByClient { code, reason } => End::ByClient { code: *code, reason: reason.clone() },
            Outcome::Ordered(Order::CloseSlow) => End::ByServer { code: 1013, reason: "too slow".to_owned() },
            Outcome::Ordered(Order::Close { code, reason, .. }) => {
                End::ByServer { code: *code, reason: reason.clone() }
            }
        };
        let goodbye = async {
            let _ = self.say_goodbye(outcome, &end, &mut socket, pending).await;
            linger(&mut socket, matches!(end, End::ByClient { .. })).await;
        };
        tokio::select! {
            _ = timeout(self.server.limits.close_timeout, goodbye) => end,
            () = self.seat.dropped() => end,
        }
    }

    async fn say_goodbye(
        &self,
        outcome: Outcome,
        end: &End,
        socket: &mut Socket,
        mut pending: Pending,
    ) -> Result<(), SocketError> {
        let Outcome::Ordered(order) = outcome else { return Ok(()) };
        if let Order::Close { refusal, .. } = order {
            while let Some(text) = pending.try_next() {
                self.server.counters.messages_sent.add(1);
                self.server.counters.bytes_sent.add(text.len());
                socket.feed(Message::Text(text)).await?;
            }
            if let Some(refusal) = refusal {
                socket.feed(Message::Text(self.protocol.error(&refusal).into())).await?;
            }
        }
        // Nothing more is taken for this client from here on.
        drop(pending);
        let End::ByServer { code, reason } = end else { return Ok(()) };
        let frame = CloseFrame { code: CloseCode::from(*code), reason: reason.as_str().into() };
        socket.send(Message::Close(Some(frame))).await
    }

    fn ended(&self, end: &End) {
        if let Some(session) = self.session.get() {
            // A client that closes for good comes back for nothing.
            self.server.sessions.leave(session, matches!(end, End::ByClient { code: Some(1000), .. }));
        }
        self.server.counters.ended(end);
        let connection_id = &self.seat.connection_id;
        self.server.notify(&Activity::Disconnected { connection_id, user_id: self.seat.user_id(), end });
    }
}

/// Waits for the first message. Only text can authenticate.
async fn first_message(socket: &mut Socket) -> Result<String, Outcome> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Binary(_))) => {
                return Err(Refusal::new(Refusal::BAD_INPUT, "the first message must be text").into());
            }
            Some(Ok(Message::Close(frame))) => return Err(closed_by_client(frame)),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(failed(&error)),
            None => return Err(Outcome::Broken),
        }
    }
}

fn closed_by_client(frame: Option<CloseFrame>) -> Outcome {
    let Some(CloseFrame { code, reason }) = frame else {
        return Outcome::ByClient { code: None, reason: String::new() };
    };
    match u16::from(code) {
        code if may_be_sent(code) => Outcome::ByClient { code: Some(code), reason: reason.to_string() },
        code => Outcome::Ordered(Order::close(1002, format!("invalid close code {code}"))),
    }
}

/// What a failed read or write means.
fn failed(error: &SocketError) -> Outcome {
    let (code, reason) = match error {
        SocketError::Capacity(_) => (1009, "the message is too large"),
        SocketError::Utf8(_) => (1007, "text must be UTF-8"),
        SocketError::Protocol(_) => (1002, "WebSocket protocol violation"),
        _ => return Outcome::Broken,
    };
    Outcome::Ordered(Order::close(code, reason))
}

/// Reads on until the client has answered the close. Where it does not, as it has still much to send, the socket is read
/// to its end: one that is closed with something unread in it is reset, and the client would lose the last messages.
async fn linger(socket: &mut Socket, mut answered: bool) {
    while let Some(Ok(message)) = socket.next().await {
        answered |= message.is_close();
    }
    let io = socket.get_mut();
    let _ = io.shutdown().await;
    let mut ignored = [0; 4096];
    while !answered && io.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
}
