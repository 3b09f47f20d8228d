//! The JavaScript edge: the class that `pkg/index.js` wraps, over the same driver as the Rust client.
//!
//! Nothing here holds a borrow while JavaScript runs, so that a listener may call anything.

mod dispatch;
mod error;
#[cfg(feature = "npm-all")]
mod everything;
mod kept;
mod options;
mod payload;
mod values;

use crate::{
    client::registry,
    driver::{self, DISCONNECT},
    handle::{Answer, Handle},
    platform::{self, SocketConnector},
    proto::{Error, ErrorKind, Message},
};
use dispatch::{JsDispatch, Listeners};
use error::to_js;
use js_sys::{Array, Function, JsString, Uint8Array};
use options::Functions;
use payload::{JsPayload, Reader};
use std::{cell::RefCell, rc::Rc, sync::Arc};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

/// A third of the size of the standard library's, which every page would download.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// A client as JavaScript holds it.
#[wasm_bindgen(js_name = Client)]
pub struct JsClient {
    handle: Handle,
    /// Where the channel stands in an event.
    #[cfg(feature = "npm-all")]
    channel_field: Option<String>,
    listeners: Rc<Listeners>,
    subscriptions: RefCell<Subscriptions>,
}

#[derive(Default)]
struct Subscriptions {
    last: u32,
    all: Vec<Subscription>,
}

struct Subscription {
    id: u32,
    place: JsValue,
    /// The entry in the registry; of a lifecycle listener there is none.
    event: Option<Arc<registry::Entry<JsValue>>>,
}

impl Subscriptions {
    fn take(&mut self, id: u32) -> Option<Subscription> {
        let place = self.all.iter().position(|subscription| subscription.id == id)?;
        Some(self.all.remove(place))
    }
}

#[wasm_bindgen(js_class = Client)]
impl JsClient {
    /// A client that is idle.
    #[wasm_bindgen(constructor)]
    pub fn new(
        options: &str,
        socket: Option<Function>,
        fetch: Option<Function>,
        sequence: Option<Function>,
        on_resume: Option<Function>,
    ) -> Result<JsClient, JsValue> {
        Self::create(options, socket, Functions { fetch, sequence, on_resume }).map_err(|error| to_js(&error))
    }

    fn create(options: &str, socket: Option<Function>, functions: Functions) -> Result<Self, Error> {
        let options::Read { builder, sequence } = options::read(options, functions)?;
        let dialect = &builder.settings.dialect;
        let reader = Reader::new(dialect, socket);
        #[cfg(feature = "npm-all")]
        let channel_field = dialect.channels.as_ref().map(|rule| rule.field.clone());
        let parts = builder
            .into_parts(sequence.is_some(), |config| SocketConnector::<JsPayload>::with_reader(config, reader))?;
        let listeners = Rc::new(Listeners::default());
        let dispatch = JsDispatch::new(listeners.clone());
        let handle = driver::start(parts.settings, sequence, parts.provider, parts.connector, dispatch)?;
        Ok(Self {
            handle,
            #[cfg(feature = "npm-all")]
            channel_field,
            listeners,
            subscriptions: RefCell::default(),
        })
    }

    /// Starts to connect.
    pub fn connect(&self) -> Result<(), JsValue> {
        self.handle.connect().map_err(|error| to_js(&error))?;
        // A connection lives until it ends, as a WebSocket does, also when the page has let go of the client.
        let (end, handle) = (self.handle.closed(), self.handle.clone());
        platform::spawn(async move {
            let _ = end.await;
            drop(handle);
        })
        .map_err(|error| to_js(&error))
    }

    /// Waits for the hello. As everything that waits, it tells a function: that it failed, or nothing.
    pub fn ready(&self, done: Function) {
        self.tell(self.handle.ready(), done, false);
    }

    /// Waits for the end, and tells its cause.
    pub fn closed(&self, done: Function) {
        self.tell(self.handle.closed(), done, true);
    }

    /// Sends text or bytes; gives the number of the message, by which it can be withdrawn.
    pub fn send(&self, message: JsValue, options: Option<String>, done: Function) -> Result<f64, JsValue> {
        let message = match message.dyn_into::<JsString>() {
            Ok(text) => Message::Text(text.into()),
            Err(bytes) => Message::Binary(bytes.unchecked_into::<Uint8Array>().to_vec()),
        };
        let options = options::of_sending(options).map_err(|error| to_js(&error))?;
        let (id, answer) = self.handle.send(message, options);
        self.tell(answer, done, false);
        Ok(id as f64)
    }

    /// Sends a request, and tells its reply; gives the number of the message.
    pub fn request(&self, message: String, timeout: f64, done: Function) -> Result<f64, JsValue> {
        let mut number = 0;
        let register = |id| {
            number = id;
            self.listeners.replies.borrow_mut().push((id, done));
        };
        let asked = self.handle.request(Message::Text(message), options::millis(timeout), register);
        match asked {
            Ok(requesting) => requesting.done(),
            Err(error) => {
                self.listeners.take_reply(number);
                return Err(to_js(&error));
            }
        }
        Ok(number as f64)
    }

    /// Takes back a message that is not written yet, or waits for a reply no more.
    pub fn withdraw(&self, id: f64) {
        let id = id as u64;
        self.listeners.take_reply(id);
        self.handle.withdraw(id);
    }

    /// Closes for good.
    pub fn close(&self, code: Option<f64>, reason: Option<String>, done: Function) {
        // What is no code at all is refused as an illegal one.
        let code = code.map_or(1000, |code| if code.fract() == 0.0 { code as u16 } else { 0 });
        self.tell(self.handle.close(code, reason.as_deref().unwrap_or(DISCONNECT)), done, false);
    }

    /// Tells the answer once it is there; of the end its cause, whatever it is.
    fn tell(&self, answer: Answer, done: Function, end: bool) {
        let handle = self.handle.clone();
        // It does not fail here.
        let _ = platform::spawn(async move {
            let (error, value) = match answer.await {
                _ if end => (JsValue::UNDEFINED, values::cause(&handle.cause())),
                Ok(()) => (JsValue::UNDEFINED, JsValue::UNDEFINED),
                Err(error) => (to_js(&error), JsValue::UNDEFINED),
            };
            // It settles a promise, which does not throw.
            let _ = done.call2(&JsValue::UNDEFINED, &error, &value);
        });
    }

    /// Adds a listener, by the place in which it is found; gives its number.
    pub fn on(&self, pattern: &JsValue, place: JsValue) -> Result<u32, JsValue> {
        let added = match pattern.as_string() {
            Some(pattern) => self.listeners.events.add(&pattern, place.clone(), false),
            None => Err(Error::new(ErrorKind::InvalidInput, "a type must be a string")),
        };
        Ok(self.note(place, Some(added.map_err(|error| to_js(&error))?)))
    }

    /// Adds a listener for the life cycle, by its place; gives its number.
    #[wasm_bindgen(js_name = onLifecycle)]
    pub fn on_lifecycle(&self, place: JsValue) -> u32 {
        self.listeners.lifecycle.borrow_mut().push(place.clone());
        self.note(place, None)
    }

    fn note(&self, place: JsValue, event: Option<Arc<registry::Entry<JsValue>>>) -> u32 {
        let mut subscriptions = self.subscriptions.borrow_mut();
        subscriptions.last += 1;
        let id = subscriptions.last;
        subscriptions.all.push(Subscription { id, place, event });
        id
    }

    /// Takes off the listener with this number; says whether it was there.
    pub fn remove(&self, id: u32) -> bool {
        let Some(subscription) = self.subscriptions.borrow_mut().take(id) else { return false };
        match subscription.event {
            Some(entry) => {
                self.listeners.events.remove(&entry);
            }
            None => self.listeners.lifecycle.borrow_mut().retain(|other| *other != subscription.place),
        }
        true
    }

    /// Where the client stands.
    #[wasm_bindgen(getter)]
    pub fn state(&self) -> String {
        self.handle.state().as_str().to_owned()
    }

    /// The id the server gave the connection.
    #[wasm_bindgen(getter, js_name = connectionId)]
    pub fn connection_id(&self) -> Option<String> {
        self.handle.connection_id().map(|id| id.as_ref().to_owned())
    }

    /// Why connections were lost.
    #[wasm_bindgen(js_name = reconnectLog)]
    pub fn reconnect_log(&self) -> Array {
        values::reconnect_log(&self.handle.reconnect_log(), self.handle.stats().at)
    }

    /// What was counted, without the names.
    pub fn stats(&self) -> Array {
        values::stats(&self.handle.stats())
    }
}
