//! The JavaScript edge: the class that `pkg/index.js` wraps, over the same driver as the Rust client.
//!
//! Nothing here holds a borrow while JavaScript runs, so that a listener may call anything.

mod dispatch;
mod edge;
mod error;
#[cfg(feature = "npm-all")]
mod everything;
mod kept;
mod options;
mod payload;
mod values;

use crate::{
    answer::Answer,
    driver::{self, DISCONNECT},
    handle::Handle,
    platform::SocketConnector,
    proto::{Error, Message, Payload, control_types},
};
use dispatch::JsDispatch;
use edge::Edge;
use error::to_js;
use js_sys::{Array, Function};
use payload::{JsPayload, untold};
use std::rc::Rc;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// A third of the size of the standard library's, which every page would download.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// A client as JavaScript holds it.
#[wasm_bindgen(js_name = Client)]
pub struct JsClient {
    handle: Handle,
    edge: Rc<Edge>,
}

#[wasm_bindgen(js_class = Client)]
impl JsClient {
    /// A client that is idle, by its options as JSON, and what it has in JavaScript.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str, edge: Edge) -> Result<JsClient, JsValue> {
        Self::create(options, Rc::new(edge)).map_err(|error| to_js(&error))
    }

    fn create(options: &str, edge: Rc<Edge>) -> Result<Self, Error> {
        let options::Read { builder, sequence } = options::read(options, &edge)?;
        let dialect = &builder.settings.dialect;
        let channel_field = dialect.channels.as_ref().map(|rule| &*rule.field);
        edge.reads(&dialect.type_field, dialect.any_text, channel_field);
        for kind in control_types(dialect, JsPayload::PARTS) {
            edge.controls(&kind);
        }
        let parts = builder
            .into_parts(sequence.is_some(), |config| SocketConnector::<JsPayload>::with_reader(config, edge.clone()))?;
        let dispatch = JsDispatch(edge.clone());
        let handle = driver::start(parts.settings, sequence, parts.provider, parts.connector, dispatch)?;
        Ok(Self { handle, edge })
    }

    /// Starts to connect.
    pub fn connect(&self) -> Result<(), JsValue> {
        self.handle.connect().map_err(|error| to_js(&error))?;
        // A connection lives until it ends, as a WebSocket does, also when the page has let go of the client.
        let handle = self.handle.clone();
        self.handle.closed().tell(Box::new(move |_| drop(handle)));
        Ok(())
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
        let message = match message.as_string() {
            Some(text) => Message::Text(text),
            None => Message::Binary(edge::bytes(&message)),
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
            self.edge.expect(id as f64, done);
        };
        let asked = self.handle.request(Message::Text(message), options::millis(timeout), register);
        match asked {
            Ok(requesting) => requesting.done(),
            Err(error) => {
                self.edge.forgo(number as f64);
                return Err(to_js(&error));
            }
        }
        Ok(number as f64)
    }

    /// A listener has left something for the driver to tell.
    pub fn wake(&self) {
        self.handle.waker().wake();
    }

    /// Takes back a message that is not written yet, or waits for a reply no more.
    pub fn withdraw(&self, id: f64) {
        self.edge.forgo(id);
        self.handle.withdraw(id as u64);
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
        answer.tell(Box::new(move |outcome| {
            let (error, value) = match outcome {
                _ if end => (JsValue::UNDEFINED, values::cause(&handle.cause())),
                Ok(()) => (JsValue::UNDEFINED, JsValue::UNDEFINED),
                Err(error) => (to_js(&error), JsValue::UNDEFINED),
            };
            edge::tell(&done, &error, &value);
        }));
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
    pub fn stats(&self) -> JsValue {
        let mut stats = self.handle.stats();
        if let Some(passed) = untold(&self.edge) {
            stats.pass(passed, stats.at);
        }
        values::stats(&stats)
    }
}
