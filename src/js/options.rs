//! The options object, read field by field. What is wrong is named, and what is not known is refused.

use super::{error::thrown, payload::JsPayload};
use crate::{
    client::ClientBuilder,
    platform,
    proto::{Dialect, Error, ErrorKind, Json, Secret, Settings, TokenSource},
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
        None => Dialect::builtin_for::<JsPayload>("stream")?,
    };
    let mut builder = ClientBuilder::new(dialect);
    fields.iter().try_for_each(|(name, value)| set(&mut builder, name, value))?;
    Ok(builder)
}

/// By reference, and not by the builder's own methods: moving it through each of them is a good part of the module.
fn set(builder: &mut ClientBuilder, name: &str, value: &JsValue) -> Result<(), Error> {
    let settings = &mut builder.settings;
    let place = match name {
        "dialect" => return Ok(()),
        "url" => {
            builder.url = Some(text(value).ok_or_else(|| wrong(name, "must be a string or a URL"))?);
            return Ok(());
        }
        "token" => return token(builder, value),
        "params" => {
            let Json::Object(params) = json(name, value)? else { return Err(wrong(name, "must be an object")) };
            settings.params = params;
            return Ok(());
        }
        "protocols" => return protocols(settings, value),
        "headers" => return Err(platform::headers_unsupported()),
        "maxAttempts" => {
            settings.backoff.max_attempts = count(name, value)?;
            return Ok(());
        }
        "maxMessageSize" => {
            builder.socket.max_message_size = count(name, value)? as usize;
            return Ok(());
        }
        "backoffBase" => &mut settings.backoff.base,
        "backoffCap" => &mut settings.backoff.cap,
        "stableAfter" => &mut settings.backoff.stable_after,
        "openTimeout" => &mut settings.open_timeout,
        "closeTimeout" => &mut settings.close_timeout,
        "tokenTimeout" => &mut settings.token_timeout,
        "helloTimeout" => settings.hello_timeout.insert(Duration::ZERO),
        "healthCheckInterval" => settings.health_interval.insert(Duration::ZERO),
        "silenceTimeout" => settings.silence.insert(Duration::ZERO),
        _ => return Err(wrong(name, "is no option")),
    };
    *place = time(name, value)?;
    Ok(())
}

fn protocols(settings: &mut Settings, value: &JsValue) -> Result<(), Error> {
    let list = value.dyn_ref::<Array>().into_iter().flat_map(Array::iter);
    settings.protocols = list.filter_map(|protocol| protocol.as_string()).collect();
    if value.dyn_ref::<Array>().is_none_or(|list| list.length() as usize != settings.protocols.len()) {
        return Err(wrong("protocols", "must be an array of strings"));
    }
    Ok(())
}

fn token(builder: &mut ClientBuilder, value: &JsValue) -> Result<(), Error> {
    if let Some(token) = value.as_string() {
        builder.settings.token = TokenSource::Static(Secret::from(token));
        return Ok(());
    }
    let fetch = value.dyn_ref::<Function>().ok_or_else(|| wrong("token", "must be a string or a function"))?.clone();
    builder.settings.token = TokenSource::Provider;
    builder.provider = Some(Box::new(move || Box::pin(ask(fetch.clone()))));
    Ok(())
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
        (Some(name), _) => Dialect::builtin_for::<JsPayload>(&name),
        (None, true) => Dialect::from_json_for::<JsPayload>(&written("dialect", value)?),
        _ => Err(wrong("dialect", "must be a name or an object")),
    }
}

fn text(value: &JsValue) -> Option<String> {
    value.as_string().or_else(|| value.dyn_ref::<web_sys::Url>().map(web_sys::Url::href))
}

/// A time in milliseconds.
fn time(name: &str, value: &JsValue) -> Result<Duration, Error> {
    /// More than anybody will live to see.
    const MOST: f64 = 1e15;
    match value.as_f64() {
        Some(millis) if (0.0..MOST).contains(&millis) => Ok(Duration::from_micros((millis * 1000.0) as u64)),
        _ => Err(wrong(name, "must be a number of milliseconds")),
    }
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
