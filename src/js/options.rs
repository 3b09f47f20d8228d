//! The options object, read field by field. What is wrong is named, and what is not known is refused.

use super::error::thrown;
use crate::{
    CLIENT_ID,
    platform::{self, Ask},
    proto::{BackoffRule, Dialect, Error, ErrorKind, Secret, Settings, TokenSource},
    transport::SocketConfig,
};
use js_sys::{Array, Function, JSON, JsString, Object, Promise};
use serde::de::DeserializeOwned;
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// What is made of the options.
pub(super) struct Options {
    pub(super) settings: Settings,
    pub(super) provider: Option<Ask<Result<String, Error>>>,
    pub(super) socket: SocketConfig,
}

pub(super) fn read(options: &JsValue) -> Result<Options, Error> {
    let Some(options) = options.dyn_ref::<Object>() else {
        return Err(Error::new(ErrorKind::Config, "must be an object").with_path("options"));
    };
    let fields: Vec<(String, JsValue)> = Object::entries(options)
        .iter()
        .map(|entry| entry.unchecked_into::<Array>())
        .map(|entry| (entry.get(0).as_string().unwrap_or_default(), entry.get(1)))
        .filter(|(_, value)| !value.is_undefined())
        .collect();
    let given = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);

    let dialect = given("dialect").map_or_else(|| Ok(Dialect::stream()), dialect)?;
    let url = match (given("url"), &dialect.url.default) {
        (Some(url), _) => text_of(url).ok_or_else(|| wrong("url", "must be a string or a URL"))?,
        (None, Some(default)) => default.clone(),
        (None, None) => return Err(wrong("url", "is needed: the dialect has none of its own")),
    };
    let mut made = Options {
        settings: Settings::new(dialect, platform::parse_url(&url)?),
        provider: None,
        socket: SocketConfig::default(),
    };
    made.settings.client = CLIENT_ID.to_owned();
    made.settings.seed = platform::seed();
    fields.iter().try_for_each(|(name, value)| made.set(name, value))?;
    if !made.settings.dialect.headers.is_empty() {
        return Err(platform::headers_unsupported());
    }
    Ok(made)
}

impl Options {
    fn set(&mut self, name: &str, value: &JsValue) -> Result<(), Error> {
        let settings = &mut self.settings;
        let BackoffRule { base, cap, stable_after, max_attempts, .. } = &mut settings.backoff;
        match name {
            "url" | "dialect" => {}
            "token" => return self.token(value),
            "params" => settings.params = json(name, value, "must be an object of values that JSON knows")?,
            "protocols" => settings.protocols = json(name, value, "must be an array of strings")?,
            "headers" => return Err(platform::headers_unsupported()),
            "maxAttempts" => *max_attempts = count(name, value)?,
            "maxMessageSize" => self.socket.max_message_size = count(name, value)? as usize,
            "backoffBase" => *base = time(name, value)?,
            "backoffCap" => *cap = time(name, value)?,
            "stableAfter" => *stable_after = time(name, value)?,
            "openTimeout" => settings.open_timeout = time(name, value)?,
            "helloTimeout" => settings.hello_timeout = Some(time(name, value)?),
            "closeTimeout" => settings.close_timeout = time(name, value)?,
            "tokenTimeout" => settings.token_timeout = time(name, value)?,
            "healthCheckInterval" => settings.health_interval = Some(time(name, value)?),
            "silenceTimeout" => settings.silence = Some(time(name, value)?),
            _ => return Err(wrong(name, "is no option")),
        }
        Ok(())
    }

    fn token(&mut self, value: &JsValue) -> Result<(), Error> {
        if let Some(token) = value.as_string() {
            self.settings.token = TokenSource::Static(Secret::from(token));
            return Ok(());
        }
        let Some(fetch) = value.dyn_ref::<Function>().cloned() else {
            return Err(wrong("token", "must be a string or a function"));
        };
        self.settings.token = TokenSource::Provider;
        self.provider = Some(Box::new(move || Box::pin(ask(fetch.clone()))));
        Ok(())
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

fn text_of(value: &JsValue) -> Option<String> {
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

fn json<T: DeserializeOwned>(name: &str, value: &JsValue, wanted: &'static str) -> Result<T, Error> {
    serde_json::from_str(&written(name, value)?).map_err(|_| wrong(name, wanted))
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
