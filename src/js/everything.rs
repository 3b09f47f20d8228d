//! What the lean entry of the package leaves out: channels, and a point to resume from.

use super::{JsClient, edge, error::to_js, values::number};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(js_class = Client)]
impl JsClient {
    /// Wants the events of a channel.
    pub fn subscribe(&self, channel: &str) -> Result<(), JsValue> {
        self.handle.subscribe(channel.into()).map_err(|error| to_js(&error))
    }

    /// Wants them no more.
    pub fn unsubscribe(&self, channel: &str) {
        self.handle.unsubscribe(channel.into());
    }

    /// Where another client would go on; nothing where nothing is to be resumed.
    #[wasm_bindgen(getter, js_name = resumePoint)]
    pub fn resume_point(&self) -> JsValue {
        let point = self.handle.resume_point().unwrap_or_default();
        edge::resume_point(point.session.as_deref(), number(point.last_sequence))
    }
}
