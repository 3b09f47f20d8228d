//! The browser's own WebSocket as a transport.
//!
//! The handlers are closures that the socket owns. They put what comes in into an inbox and wake the driver; before they
//! are dropped they are detached, so that the browser can never call one that is gone.

use super::{Bytes, Clock, Sleep, Text, at_time, task};
use crate::{
    proto::{CloseInfo, DialRequest, Error, ErrorKind, Event, Message, Negotiated, Payload, queue::Queue},
    transport::{Connector, Incoming, SocketConfig, Transport},
};
use js_sys::{Array, JsString, Uint8Array};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{BinaryType, CloseEvent, WebSocket};

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    #[wasm_bindgen(js_name = onMessage)]
    fn on_message(socket: &WebSocket, receive: &JsValue);

    fn told(socket: &WebSocket, name: &str) -> String;
}

/// So much may wait in the browser to be written before a message is refused.
const WRITE_LIMIT: usize = 16 << 20;
/// So much may wait in the browser while there is room for the user's messages. What waits there is lost with the socket,
/// and what waits in the outbox is not.
const ROOM: u32 = 256 << 10;
/// A browser does not tell when it has written: after this time one looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// So many messages may wait to be read. The driver is woken by the first one and takes them all, so that a page
/// meets this limit only if its driver no longer runs.
const INBOX_LIMIT: usize = 1 << 16;
/// The longest reason of a close frame, in bytes.
const LONGEST_REASON: usize = 123;

/// How a message of the browser's becomes a payload: Rust programs copy it, the JavaScript edge leaves it where it is.
pub(crate) trait FromBrowser: Payload + 'static {
    /// What it takes to read messages, the same for all sockets of a client.
    type Reader: Clone + 'static;
    /// The closure that the browser calls. It lives as long as the socket.
    type Handler: Unpin + 'static;

    /// Makes a socket.
    fn open(_reader: &Self::Reader, url: &str, protocols: &Array) -> Result<WebSocket, JsValue> {
        WebSocket::new_with_str_sequence(url, protocols)
    }

    /// Puts the messages of a socket into the inbox.
    fn attach(reader: &Self::Reader, web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler;
}

impl FromBrowser for Event<Text, Bytes> {
    type Reader = ();
    type Handler = Closure<dyn Fn(JsValue, i32, f64)>;

    fn attach((): &(), web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler {
        let handler = Closure::<dyn Fn(JsValue, i32, f64)>::new(move |data: JsValue, size: i32, time| {
            let (length, is_text) = if size < 0 { (-1 - size, false) } else { (size, true) };
            inbox.take(time, length.unsigned_abs() as usize, || {
                if is_text {
                    Event::from_text(String::from(data.unchecked_into::<JsString>()).into())
                } else {
                    Event::from_binary(Uint8Array::new(&data).to_vec().into())
                }
            });
        });
        on_message(web, handler.as_ref());
        handler
    }
}

/// Dials with the browser's WebSocket.
pub(crate) struct SocketConnector<P: FromBrowser = Event<Text, Bytes>> {
    max_message_size: usize,
    reader: P::Reader,
}

impl SocketConnector {
    /// A connector with this configuration. The size of text counts in UTF-16 units.
    ///
    /// # Errors
    /// `Unsupported` for what only native sockets can do.
    pub(crate) fn new(config: SocketConfig) -> Result<Self, Error> {
        Self::with_reader(config, ())
    }
}

impl<P: FromBrowser> SocketConnector<P> {
    /// The same, for messages that are read by this reader.
    pub(crate) fn with_reader(config: SocketConfig, reader: P::Reader) -> Result<Self, Error> {
        config.options.check()?;
        Ok(Self { max_message_size: config.max_message_size, reader })
    }
}

impl<P: FromBrowser> Connector for SocketConnector<P> {
    type Payload = P;
    type Transport = Socket<P>;

    fn dial(&self, request: DialRequest) -> impl Future<Output = Result<Socket<P>, Error>> + 'static {
        let (max_message_size, reader) = (self.max_message_size, self.reader.clone());
        async move {
            let mut socket = Socket::open(&request, max_message_size, &reader)?;
            poll_fn(|cx| socket.poll_open(cx)).await?;
            Ok(socket)
        }
    }
}

/// One socket of the browser's, with its handlers.
pub(crate) struct Socket<P: FromBrowser> {
    web: WebSocket,
    shared: Rc<RefCell<Shared<P>>>,
    /// Runs while the browser has too much to write.
    full: Option<Sleep>,
    _handlers: Handlers<P::Handler>,
}

/// The closures that the browser calls. They live as long as the socket.
struct Handlers<H> {
    _open: Closure<dyn FnMut()>,
    _message: H,
    _close: Closure<dyn FnMut(CloseEvent)>,
}

/// What the handlers leave for the driver.
struct Shared<P> {
    max_message_size: usize,
    opened: bool,
    inbox: Queue<P>,
    end: Option<CloseInfo>,
    waker: Option<Waker>,
}

impl<P: FromBrowser> Socket<P> {
    fn open(request: &DialRequest, max_message_size: usize, reader: &P::Reader) -> Result<Self, Error> {
        if !request.headers.is_empty() {
            return Err(headers_unsupported());
        }
        let web = construct::<P>(request, reader)?;
        web.set_binary_type(BinaryType::Arraybuffer);
        let shared = Rc::new(RefCell::new(Shared {
            max_message_size,
            opened: false,
            inbox: Queue::default(),
            end: None,
            waker: None,
        }));
        let handlers = Handlers::attach(&web, &shared, reader);
        Ok(Self { web, shared, full: None, _handlers: handlers })
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut shared = self.shared.borrow_mut();
        if shared.opened {
            return Poll::Ready(Ok(()));
        }
        if shared.end.is_some() {
            // The browser hides the reason from the page, on purpose.
            let message = "the connection could not be made (a browser does not tell why; see its console)";
            return Poll::Ready(Err(Error::new(ErrorKind::Connect, message)));
        }
        shared.wait(cx);
        Poll::Pending
    }
}

impl<P: FromBrowser> Transport for Socket<P> {
    type Payload = P;

    fn negotiated(&mut self) -> Negotiated {
        let told = |name| Some(told(&self.web, name).into_boxed_str()).filter(|text| !text.is_empty());
        Negotiated { subprotocol: told("protocol"), extensions: told("extensions") }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Incoming<P>> {
        let mut shared = self.shared.borrow_mut();
        if let Some(payload) = shared.inbox.pop() {
            return Poll::Ready(Incoming::Message(payload));
        }
        if let Some(end) = &shared.end {
            return Poll::Ready(Incoming::Closed(end.clone()));
        }
        shared.wait(cx);
        Poll::Pending
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        if self.web.ready_state() != WebSocket::OPEN {
            return Err(closed());
        }
        let waiting = self.web.buffered_amount() as usize;
        // One large message may pass the limit, a queue of them may not.
        if waiting > 0 && waiting + message.len() > WRITE_LIMIT {
            return Err(Error::new(ErrorKind::Overflow, "too much is waiting to be written"));
        }
        match message {
            Message::Text(text) => self.web.send_with_str(&text),
            Message::Binary(bytes) => self.web.send_with_u8_array(&bytes),
        }
        .map_err(|_| closed())
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.web.ready_state() != WebSocket::OPEN {
            return Poll::Pending;
        }
        while self.web.buffered_amount() >= ROOM {
            let look_again = || {
                let clock = Clock::start();
                Sleep::until(&clock, clock.now() + LOOK_AGAIN)
            };
            ready!(self.full.get_or_insert_with(look_again).poll(cx));
            self.full = None;
        }
        Poll::Ready(())
    }

    /// The browser writes by itself, and writes all of it before it closes.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn close(&mut self, code: u16, reason: &str) {
        close(&self.web, code, reason);
    }

    fn abort(self, code: u16, reason: &str) {
        close(&self.web, code, reason);
    }
}

impl<P: FromBrowser> Drop for Socket<P> {
    fn drop(&mut self) {
        self.web.set_onopen(None);
        self.web.set_onmessage(None);
        self.web.set_onclose(None);
        if self.web.ready_state() < WebSocket::CLOSING {
            close(&self.web, 1000, "");
        }
    }
}

impl<H> Handlers<H> {
    fn attach<P: FromBrowser<Handler = H>>(
        web: &WebSocket,
        shared: &Rc<RefCell<Shared<P>>>,
        reader: &P::Reader,
    ) -> Self {
        let opened = shared.clone();
        let open = Closure::<dyn FnMut()>::new(move || {
            opened.borrow_mut().opened = true;
            wake(&opened);
        });
        let message = P::attach(reader, web, Inbox { shared: shared.clone(), socket: web.clone() });
        let ended = shared.clone();
        let close = Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
            // 1006 is the browser's word for "no close frame came".
            let code = Some(event.code()).filter(|code| *code != 1006);
            ended.borrow_mut().end(CloseInfo { code, reason: event.reason(), error: None });
            wake(&ended);
        });
        web.set_onopen(Some(open.as_ref().unchecked_ref()));
        web.set_onclose(Some(close.as_ref().unchecked_ref()));
        Self { _open: open, _message: message, _close: close }
    }
}

/// Where messages wait for the driver.
pub(crate) struct Inbox<P> {
    shared: Rc<RefCell<Shared<P>>>,
    socket: WebSocket,
}

impl<P: FromBrowser> Inbox<P> {
    /// Takes a message that came at this time, and runs the driver. One that is too large, or one too many, ends the
    /// connection instead.
    pub(crate) fn take(&self, time: f64, size: usize, message: impl FnOnce() -> P) {
        let taken = self.shared.borrow_mut().take(size, message);
        if let Err(error) = taken {
            close(&self.socket, 1009, error.message());
            self.shared.borrow_mut().end(CloseInfo { error: Some(error), ..CloseInfo::default() });
        }
        let waker = self.shared.borrow().waker.clone();
        if let Some(waker) = waker {
            at_time(time, || task::at_once(&waker));
        }
    }
}

impl<P> Shared<P> {
    /// Puts a message into the inbox, unless the end has come already.
    fn take(&mut self, size: usize, message: impl FnOnce() -> P) -> Result<(), Error> {
        if self.end.is_some() {
            return Ok(());
        }
        self.check_size(size)?;
        if self.inbox.len() >= INBOX_LIMIT {
            return Err(Error::new(ErrorKind::Overflow, "too many messages are waiting to be read"));
        }
        self.inbox.push(message());
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<(), Error> {
        if size > self.max_message_size {
            return Err(Error::new(ErrorKind::TooLarge, "the message is larger than the limit"));
        }
        Ok(())
    }

    /// Notes the end; the first one told counts.
    fn end(&mut self, info: CloseInfo) {
        self.end.get_or_insert(info);
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

/// Wakes the driver, which runs later than this.
fn wake<P>(shared: &RefCell<Shared<P>>) {
    if let Some(waker) = &shared.borrow().waker {
        waker.wake_by_ref();
    }
}

fn construct<P: FromBrowser>(request: &DialRequest, reader: &P::Reader) -> Result<WebSocket, Error> {
    let protocols: Array = request.protocols.iter().map(JsValue::from).collect();
    P::open(reader, &request.url, &protocols).map_err(|thrown| {
        let name = js_sys::Reflect::get(&thrown, &"name".into()).ok().and_then(|name| name.as_string());
        match name.as_deref() {
            Some("SyntaxError") => Error::new(ErrorKind::Config, "the browser refuses the URL or a subprotocol"),
            _ => Error::new(ErrorKind::Connect, "the browser does not allow this connection"),
        }
    })
}

/// What a browser cannot do, and what to do instead.
pub(crate) fn headers_unsupported() -> Error {
    let message = "a browser cannot send request headers: use query parameters, a subprotocol or the first message";
    Error::new(ErrorKind::Unsupported, message).with_path("headers")
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the socket is closed")
}

/// Closes with what a browser lets a page say: the codes 1000 and 3000 to 4999, and a short reason.
fn close(web: &WebSocket, code: u16, reason: &str) {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    // It can fail only for an illegal code or reason, and these are legal.
    let _ = web.close_with_code_and_reason(page_code(code), reason.get(..end).unwrap_or_default());
}

/// The code as a page may send it: what the protocol keeps for itself is moved to the private range (1009 to 4009).
fn page_code(code: u16) -> u16 {
    match code {
        1000 | 3000..=4999 => code,
        1001..=1999 => code + 3000,
        _ => 4000,
    }
}
