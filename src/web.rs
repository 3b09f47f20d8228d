//! What Rust programs on the web get besides: settings that come from the page.

use crate::{client::ClientBuilder, proto::Error};
use serde_json::{Map, Value};
use wasm_bindgen::JsValue;

impl ClientBuilder {
    /// Parameters for the dialect as a JavaScript object, as a page hands them to a Rust program: the same as
    /// [`param`](Self::param) for each of its members. Web only.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with the path `params` if it is not an object of values that JSON knows.
    pub fn js_params(self, params: &JsValue) -> Result<Self, Error> {
        let params: Map<String, Value> = serde_wasm_bindgen::from_value(params.clone())
            .map_err(|_| Error::wrong("params", "must be an object of values that JSON knows"))?;
        Ok(params.into_iter().fold(self, |builder, (name, value)| builder.param(name, value)))
    }
}
