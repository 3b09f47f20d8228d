//! The browser's own WebSocket as a transport.
//!
//! The handlers are closures that the socket owns. They put what comes in into an inbox and wake the driver; before they
//! are dropped they are detached, so that the browser can never call one that is gone.

use super::{Bytes, Callback, Clock, Sleep, Text, callback, task};
use crate::{
    proto::{
        CloseInfo, DialRequest, Error, ErrorKind, Event, Message, Negotiated, Passed, Payload, Timestamp, queue::Queue,
    },
    transport::{Connector, Incoming, SocketConfig, Transport},
};
use js_sys::{Array, JsString, Uint8Array};
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    mem,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::WebSocket;

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    /// Makes a socket, perhaps of another class; where that fails: why, after a blank if trying again may help.
    #[wasm_bindgen(js_name = openSocket)]
    fn open(given: &JsValue, url: &str, protocols: &Array) -> JsValue;

    /// Tells of the opening by a zero, and of the end by its code and reason, or by what went wrong.
    #[wasm_bindgen(js_name = watchSocket)]
    fn watch(socket: &WebSocket, tell: &JsValue);

    #[wasm_bindgen(js_name = onMessage)]
    fn on_message(socket: &WebSocket, receive: &JsValue);

    fn told(socket: &WebSocket, name: &str) -> String;

    fn write(socket: &WebSocket, text: &str, size: usize) -> u32;

    #[wasm_bindgen(js_name = write)]
    fn write_bytes(socket: &WebSocket, bytes: &[u8], size: usize) -> u32;

    fn room(socket: &WebSocket) -> u32;

    #[wasm_bindgen(js_name = closeSocket)]
    fn close(socket: &WebSocket, code: u16, reason: &str);

    #[wasm_bindgen(js_name = dropSocket)]
    fn drop_socket(socket: &WebSocket);
}

/// What `write` and `room` answer: done, there is too much to write already, or the socket is closed.
const DONE: u32 = 0;
const FULL: u32 = 1;
/// What is told of an opening, in the place of a code.
const OPENED: u32 = 0;

/// A browser does not tell when it has written: after this time one looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// So many messages may wait to be read. The driver is woken by the first one and takes them all, so that a page
/// meets this limit only if its driver no longer runs.
const INBOX_LIMIT: usize = 1 << 16;
/// How a message of the browser's becomes a payload: Rust programs copy it, the JavaScript edge leaves it where it is.
pub(crate) trait FromBrowser: Payload + 'static {
    /// What it takes to read messages, the same for all sockets of a client.
    type Reader: Clone + Unpin + 'static;
    /// The closure that the browser calls. It lives as long as the socket.
    type Handler: Unpin + 'static;

    /// What may have another class of sockets than the page's own.
    fn given(_reader: &Self::Reader) -> JsValue {
        JsValue::UNDEFINED
    }

    /// Puts the messages of a socket into the inbox.
    fn attach(reader: &Self::Reader, web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler;

    /// Lets ordinary events of this socket go to their listeners without the inbox, until this moment of the browser's clock.
    fn let_pass(_reader: &Self::Reader, _web: &WebSocket, _until: f64) {}

    /// Lets none go that way any more, and tells how many have.
    fn hold(_reader: &Self::Reader) -> Option<Passed> {
        None
    }
}

impl FromBrowser for Event<Text, Bytes> {
    type Reader = ();
    type Handler = Closure<dyn Fn(JsValue, i32)>;

    fn attach((): &(), web: &WebSocket, inbox: Inbox<Self>) -> Self::Handler {
        let handler = Closure::<dyn Fn(JsValue, i32)>::new(move |data: JsValue, size: i32| {
            let (length, is_text) = if size < 0 { (-1 - size, false) } else { (size, true) };
            inbox.take(length.unsigned_abs() as usize, || {
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
        let mut dialled = Some(Socket::open(&request, self.max_message_size, &self.reader));
        poll_fn(move |cx| {
            if let Some(Ok(socket)) = &mut dialled {
                ready!(socket.poll_open(cx))?;
            }
            Poll::Ready(dialled.take().expect("a future is not polled after it was ready"))
        })
    }
}

/// One socket of the browser's, with its handlers.
pub(crate) struct Socket<P: FromBrowser> {
    web: WebSocket,
    reader: P::Reader,
    /// Whether events may pass the session by.
    passing: bool,
    shared: Rc<RefCell<Shared<P>>>,
    /// Runs while the browser has too much to write.
    full: Option<Sleep>,
    _handlers: Handlers<P::Handler>,
}

/// The closures that the browser calls. They live as long as the socket.
struct Handlers<H> {
    _life: Callback,
    _message: H,
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
        let shared = Rc::new(RefCell::new(Shared {
            max_message_size,
            opened: false,
            inbox: Queue::default(),
            end: None,
            waker: None,
        }));
        let handlers = Handlers::attach(&web, &shared, reader);
        Ok(Self { web, reader: reader.clone(), passing: false, shared, full: None, _handlers: handlers })
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut shared = self.shared.borrow_mut();
        if shared.opened {
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &shared.end {
            // A browser hides the reason from the page, on purpose.
            let why = if end.reason.is_empty() { "a browser does not tell why; see its console" } else { &end.reason };
            return Poll::Ready(Err(because(ErrorKind::Connect, NOT_MADE, why)));
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
        let size = message.len();
        let answer = match message {
            Message::Text(text) => write(&self.web, &text, size),
            Message::Binary(bytes) => write_bytes(&self.web, &bytes, size),
        };
        match answer {
            DONE => Ok(()),
            FULL => Err(Error::new(ErrorKind::Overflow, "too much is waiting to be written")),
            _ => Err(Error::new(ErrorKind::Closed, "the socket is closed")),
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match room(&self.web) {
                DONE => return Poll::Ready(()),
                FULL => {}
                _ => return Poll::Pending,
            }
            let look_again = || {
                let clock = Clock::start();
                Sleep::until(&clock, clock.now() + LOOK_AGAIN)
            };
            ready!(self.full.get_or_insert_with(look_again).poll(cx));
            self.full = None;
        }
    }

    /// The browser writes by itself, and writes all of it before it closes.
    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn let_pass(&mut self, clock: &Clock, until: Timestamp) {
        self.passing = true;
        P::let_pass(&self.reader, &self.web, clock.at(until));
    }

    fn hold(&mut self) -> Option<Passed> {
        if mem::take(&mut self.passing) { P::hold(&self.reader) } else { None }
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
        drop_socket(&self.web);
    }
}

impl<H> Handlers<H> {
    fn attach<P: FromBrowser<Handler = H>>(
        web: &WebSocket,
        shared: &Rc<RefCell<Shared<P>>>,
        reader: &P::Reader,
    ) -> Self {
        let message = P::attach(reader, web, Inbox { shared: shared.clone(), socket: web.clone() });
        let shared = shared.clone();
        let life = callback(move |code, reason| {
            if code == OPENED {
                shared.borrow_mut().opened = true;
            } else {
                // 1006 is the browser's word for "no close frame came".
                let code = Some(code as u16).filter(|code| *code != 1006);
                let reason = reason.as_string().unwrap_or_default();
                let broke = code.is_none() && !reason.is_empty();
                let error = broke.then(|| because(ErrorKind::Closed, "the connection broke", &reason));
                shared.borrow_mut().end(CloseInfo { code, reason, error });
            }
            wake(&shared);
        });
        watch(web, life.as_ref());
        Self { _life: life, _message: message }
    }
}

/// Where messages wait for the driver.
pub(crate) struct Inbox<P> {
    shared: Rc<RefCell<Shared<P>>>,
    socket: WebSocket,
}

impl<P: FromBrowser> Inbox<P> {
    /// The largest message that is taken.
    #[cfg_attr(not(feature = "npm"), allow(dead_code))]
    pub(crate) fn max_message_size(&self) -> usize {
        self.shared.borrow().max_message_size
    }

    /// Takes a message, and runs the driver. One that is too large, or one too many, ends the connection instead.
    pub(crate) fn take(&self, size: usize, message: impl FnOnce() -> P) {
        let taken = self.shared.borrow_mut().take(size, message);
        if let Err(error) = taken {
            close(&self.socket, 1009, error.message());
            self.shared.borrow_mut().end(CloseInfo { error: Some(error), ..CloseInfo::default() });
        }
        let waker = self.shared.borrow().waker.clone();
        if let Some(waker) = waker {
            task::at_once(&waker);
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
    let protocols = Array::new();
    for protocol in &request.protocols {
        protocols.push(&protocol.into());
    }
    let made = open(&P::given(reader), &request.url, &protocols);
    let Some(why) = made.as_string() else { return Ok(made.unchecked_into()) };
    let kind = if why.starts_with(' ') { ErrorKind::Connect } else { ErrorKind::Config };
    Err(because(kind, NOT_MADE, why.trim_ascii_start()))
}

const NOT_MADE: &str = "the connection could not be made";

/// What happened, with the reason that the socket gave.
#[inline(never)]
fn because(kind: ErrorKind, what: &str, why: &str) -> Error {
    Error::new(kind, [what, ": ", why].concat())
}

/// What a browser cannot do, and what to do instead.
pub(crate) fn headers_unsupported() -> Error {
    let message = "a browser cannot send request headers: use query parameters, a subprotocol or the first message";
    Error::new(ErrorKind::Unsupported, message).with_path("headers")
}
