//! The options, which come as a JSON document: what is wrong is named, and what is not known is refused.

use super::{error::thrown, payload::JsPayload};
use crate::{
    client::ClientBuilder,
    handle::Answer,
    platform::headers_unsupported,
    proto::{
        Dialect, Error, ErrorKind, Json, Secret, TokenSource,
        fields::{Fields, Mistake},
    },
};
use js_sys::Function;
use std::{cell::RefCell, rc::Rc, time::Duration};
use wasm_bindgen::{
    JsValue,
    prelude::{Closure, wasm_bindgen},
};

#[wasm_bindgen(module = "/src/js/edge.js")]
extern "C" {
    /// Calls the user's token function; what it gives may be a promise.
    #[wasm_bindgen(js_name = ask)]
    fn ask_user(fetch: &Function, done: &JsValue);
}

/// The longest time, in milliseconds: more than anybody will live to see.
const LONGEST: i64 = 1_000_000_000_000_000;

/// A builder with all the options in it. A function that fetches tokens does not fit into JSON, and comes beside it.
pub(super) fn read(options: &str, fetch: Option<Function>) -> Result<ClientBuilder, Error> {
    let mistake = Mistake::new();
    let options = Json::parse(options).unwrap_or(Json::Null);
    let mut fields = Fields::of(options, String::new(), &mistake);
    let mut builder = ClientBuilder::new(dialect(&mut fields)?);
    builder.url = fields.text("url");
    match (fields.value("token"), fetch) {
        (_, Some(fetch)) => {
            builder.settings.token = TokenSource::Provider;
            builder.provider = Some(Box::new(move || Box::pin(ask(fetch.clone()))));
        }
        (Some(Json::String(token)), _) => builder.settings.token = TokenSource::Static(Secret::from(token)),
        (Some(_), _) => fields.wrong("token", "must be a string or a function"),
        (None, _) => {}
    }
    let settings = &mut builder.settings;
    settings.params = fields.object("params");
    settings.protocols = fields.texts("protocols");
    if fields.value("headers").is_some() {
        return Err(headers_unsupported());
    }
    if let Some(attempts) = fields.number("maxAttempts", u32::MAX.into()) {
        settings.backoff.max_attempts = attempts as u32;
    }
    if let Some(bytes) = fields.number("maxMessageSize", u32::MAX.into()) {
        builder.socket.max_message_size = bytes as usize;
    }
    for (name, time) in [
        ("backoffBase", &mut settings.backoff.base),
        ("backoffCap", &mut settings.backoff.cap),
        ("stableAfter", &mut settings.backoff.stable_after),
        ("openTimeout", &mut settings.open_timeout),
        ("closeTimeout", &mut settings.close_timeout),
        ("tokenTimeout", &mut settings.token_timeout),
    ] {
        if let Some(millis) = fields.number(name, LONGEST) {
            *time = Duration::from_millis(millis);
        }
    }
    for (name, time) in [
        ("helloTimeout", &mut settings.hello_timeout),
        ("healthCheckInterval", &mut settings.health_interval),
        ("silenceTimeout", &mut settings.silence),
    ] {
        *time = fields.number(name, LONGEST).map(Duration::from_millis);
    }
    fields.end();
    mistake.into_inner().map_or(Ok(builder), Err)
}

fn dialect(fields: &mut Fields<'_>) -> Result<Dialect, Error> {
    match fields.value("dialect") {
        None => Dialect::builtin_for::<JsPayload>("stream"),
        Some(Json::String(name)) => Dialect::builtin_for::<JsPayload>(&name),
        Some(document) => Dialect::of_json_for::<JsPayload>(document),
    }
}

/// A token of the user's function.
async fn ask(fetch: Function) -> Result<String, Error> {
    let (asked, answer) = Answer::channel();
    let token = Rc::new(RefCell::new(String::new()));
    let place = token.clone();
    let done = Closure::once(move |failed: bool, value: JsValue| {
        let result = match (failed, value.as_string()) {
            (true, _) => Err(thrown(ErrorKind::Token, "the token function failed", value)),
            (false, None) => Err(Error::new(ErrorKind::Token, "the token function gave no string")),
            (false, Some(token)) => {
                *place.borrow_mut() = token;
                Ok(())
            }
        };
        // Whoever has stopped waiting needs no answer.
        let _ = asked.send(result);
    });
    ask_user(&fetch, done.as_ref());
    answer.await?;
    Ok(token.take())
}
