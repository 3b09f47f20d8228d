//! The options object, read field by field. What is wrong is named, and what is not known is refused.

use super::error::thrown;
use crate::{
    client::ClientBuilder,
    platform,
    proto::{BackoffRule, Dialect, Error, ErrorKind, Json},
};
use js_sys::{Array, Function, JSON, JsString, Object, Promise};
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// A builder with all the options in it.
pub(super) fn read(options: &JsValue) -> Result<ClientBuilder, Error> {
    let Some(options) = options.dyn_ref::<Object>() else {
        return Err(wrong("options", "must be an object"));
    };
    let fields: Vec<(String, JsValue)> = Object::entries(options)
        .iter()
        .map(|entry| entry.unchecked_into::<Array>())
        .map(|entry| (entry.get(0).as_string().unwrap_or_default(), entry.get(1)))
        .filter(|(_, value)| !value.is_undefined())
        .collect();
    let dialect = match fields.iter().find(|(name, _)| name == "dialect") {
        Some((_, value)) => dialect(value)?,
        None => Dialect::stream(),
    };
    let BackoffRule { mut base, mut cap, .. } = BackoffRule::default();
    let mut builder = ClientBuilder::new(dialect);
    for (name, value) in &fields {
        match name.as_str() {
            "backoffBase" => base = time(name, value)?,
            "backoffCap" => cap = time(name, value)?,
            _ => builder = set(builder, name, value)?,
        }
    }
    Ok(builder.backoff(base, cap))
}

fn set(builder: ClientBuilder, name: &str, value: &JsValue) -> Result<ClientBuilder, Error> {
    let time = || time(name, value);
    let count = || count(name, value);
    Ok(match name {
        "dialect" => builder,
        "url" => builder.url(text(value).ok_or_else(|| wrong(name, "must be a string or a URL"))?),
        "token" => token(builder, value)?,
        "params" => {
            let Json::Object(params) = json(name, value)? else { return Err(wrong(name, "must be an object")) };
            params.into_members().into_iter().fold(builder, |builder, (name, value)| builder.json_param(name, value))
        }
        "protocols" => {
            if !Array::is_array(value) || !Array::from(value).iter().all(|protocol| protocol.is_string()) {
                return Err(wrong(name, "must be an array of strings"));
            }
            Array::from(value).iter().filter_map(|name| name.as_string()).fold(builder, ClientBuilder::protocol)
        }
        "headers" => return Err(platform::headers_unsupported()),
        "maxAttempts" => builder.max_attempts(count()?),
        "maxMessageSize" => builder.max_message_size(count()? as usize),
        "stableAfter" => builder.stable_after(time()?),
        "openTimeout" => builder.open_timeout(time()?),
        "helloTimeout" => builder.hello_timeout(time()?),
        "closeTimeout" => builder.close_timeout(time()?),
        "tokenTimeout" => builder.token_timeout(time()?),
        "healthCheckInterval" => builder.health_check_interval(time()?),
        "silenceTimeout" => builder.silence_timeout(time()?),
        _ => return Err(wrong(name, "is no option")),
    })
}

fn token(builder: ClientBuilder, value: &JsValue) -> Result<ClientBuilder, Error> {
    if let Some(token) = value.as_string() {
        return Ok(builder.token(token));
    }
    match value.dyn_ref::<Function>().cloned() {
        Some(fetch) => Ok(builder.token_provider(move || ask(fetch.clone()))),
        None => Err(wrong("token", "must be a string or a function")),
    }
}

/// Calls the user's token function; what it gives may be a promise.
async fn ask(fetch: Function) -> Result<String, Error> {
    let failed = |value| thrown(ErrorKind::Token, "the token function failed", value);
    let answer = fetch.call0(&JsValue::UNDEFINED).map_err(failed)?;
    let token = JsFuture::from(Promise::resolve(&answer)).await.map_err(failed)?;
    token.as_string().ok_or_else(|| Error::new(ErrorKind::Token, "the token function gave no string"))
}

fn dialect(value: &JsValue) -> Result<Dialect, Error> {
    match (value.as_string(), value.is_object()) {
        (Some(name), _) => Dialect::builtin(&name),
        (None, true) => Dialect::from_json(&written("dialect", value)?),
        _ => Err(wrong("dialect", "must be a name or an object")),
    }
}

fn text(value: &JsValue) -> Option<String> {
    value.as_string().or_else(|| value.dyn_ref::<web_sys::Url>().map(web_sys::Url::href))
}

/// A time in milliseconds.
fn time(name: &str, value: &JsValue) -> Result<Duration, Error> {
    let seconds = value.as_f64().map(|millis| millis / 1000.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| wrong(name, "must be a number of milliseconds"))
}

fn count(name: &str, value: &JsValue) -> Result<u32, Error> {
    match value.as_f64() {
        Some(count) if count >= 0.0 && count <= f64::from(u32::MAX) && count.fract() == 0.0 => Ok(count as u32),
        _ => Err(wrong(name, "must be a whole number, 0 or more")),
    }
}

fn json(name: &str, value: &JsValue) -> Result<Json, Error> {
    Json::parse(&written(name, value)?).ok_or_else(|| wrong(name, "must be a value that JSON knows"))
}

/// The value as JSON text.
fn written(name: &str, value: &JsValue) -> Result<String, Error> {
    let cannot = |value| thrown(ErrorKind::Config, "cannot be written as JSON", value).with_path(name);
    let text: JsValue = JSON::stringify(value).map_err(cannot)?.into();
    text.dyn_into::<JsString>().map(String::from).map_err(cannot)
}

fn wrong(name: &str, message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message).with_path(name)
}
