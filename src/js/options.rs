//! The options, which come as a JSON document: what is wrong is named, and what is not known is refused.

use super::{edge::Edge, error::thrown, kept::Kept, payload::JsPayload, values::number};
use crate::{
    client::ClientBuilder,
    platform::{Bell, headers_unsupported},
    proto::{
        BreakerRule, Dialect, Error, ErrorKind, Json, Message, OnResume, OutboxRule, Payload, ResumeMode, ResumePoint,
        Secret, SendOptions, Sequence, Settings, TokenSource, WhenFull,
        fields::{Fields, Mistake},
    },
};
use std::{future::poll_fn, rc::Rc, time::Duration};
use wasm_bindgen::JsCast;

/// The longest time, in milliseconds: more than anybody will live to see.
const LONGEST: i64 = 1_000_000_000_000_000;
/// The largest count.
const MOST: i64 = u32::MAX as i64;
/// The largest whole number that JavaScript has.
const LARGEST: i64 = (1 << 53) - 1;

/// The options, read.
pub(super) struct Read {
    pub(super) builder: ClientBuilder,
    pub(super) sequence: Option<Sequence<JsPayload>>,
}

/// A builder with all the options in it.
pub(super) fn read(options: &str, edge: &Rc<Edge>) -> Result<Read, Error> {
    let mistake = Mistake::default();
    let too_deep = || Error::wrong("options", "nested more than 128 levels deep");
    let options = Json::parse(options).ok_or_else(too_deep)?;
    let mut fields = Fields::of(&options, &mistake);
    let mut builder = ClientBuilder::new(dialect(&mut fields)?);
    fields.text("url", &mut builder.url);
    if edge.has("token") {
        let edge = edge.clone();
        builder.settings.token = TokenSource::Provider;
        builder.provider = Some(Box::new(move || Box::pin(ask(edge.clone()))));
    }
    match fields.value("token") {
        Some(Json::String(token)) => builder.settings.token = TokenSource::Static(Secret::from(token.clone())),
        Some(_) => fields.wrong("token", "must be a string or a function"),
        None => {}
    }
    let settings = &mut builder.settings;
    fields.object("params", &mut settings.params);
    fields.texts("protocols", &mut settings.protocols);
    if fields.value("headers").is_some() {
        return Err(headers_unsupported());
    }
    fields.flag("reconnect", &mut settings.reconnect);
    match fields.value("jitter") {
        Some(Json::Number(digits)) => settings.backoff.jitter = js_sys::parse_float(digits),
        Some(_) => fields.wrong("jitter", "must be a number"),
        None => {}
    }
    if let Some(attempts) = fields.number("maxAttempts", MOST) {
        settings.backoff.max_attempts = attempts as u32;
    }
    count(&mut fields, "maxMessageSize", &mut builder.socket.max_message_size);
    count(&mut fields, "maxRequests", &mut settings.max_requests);
    time(&mut fields, "backoffBase", &mut settings.backoff.base);
    time(&mut fields, "backoffCap", &mut settings.backoff.cap);
    time(&mut fields, "stableAfter", &mut settings.backoff.stable_after);
    time(&mut fields, "openTimeout", &mut settings.open_timeout);
    time(&mut fields, "closeTimeout", &mut settings.close_timeout);
    time(&mut fields, "tokenTimeout", &mut settings.token_timeout);
    time(&mut fields, "probeTimeout", &mut settings.probe_timeout);
    settings.hello_timeout = time_of(&mut fields, "helloTimeout");
    settings.health_interval = time_of(&mut fields, "healthCheckInterval");
    settings.silence = time_of(&mut fields, "silenceTimeout");
    settings.max_age = time_of(&mut fields, "maxConnectionAge");
    if fields.enter("breaker") {
        settings.breaker = Some(breaker(&mut fields));
    }
    if fields.enter("outbox") {
        settings.outbox = outbox(&mut fields);
    }
    let mut numbers = None;
    if JsPayload::PARTS.resume {
        numbers = resume(&mut fields, settings, edge);
    }
    fields.leave();
    mistake.result().map(|()| Read { builder, sequence: numbers })
}

fn time_of(fields: &mut Fields<'_>, name: &str) -> Option<Duration> {
    fields.number(name, LONGEST).map(Duration::from_millis)
}

fn time(fields: &mut Fields<'_>, name: &str, time: &mut Duration) {
    *time = time_of(fields, name).unwrap_or(*time);
}

fn count(fields: &mut Fields<'_>, name: &str, count: &mut usize) {
    *count = fields.number(name, MOST).map_or(*count, |number| number as usize);
}

fn breaker(fields: &mut Fields<'_>) -> BreakerRule {
    let mut rule = BreakerRule::default();
    if let Some(failures) = fields.number("failures", MOST) {
        rule.failures = failures as u32;
    }
    time(fields, "pause", &mut rule.pause);
    fields.leave();
    rule
}

fn outbox(fields: &mut Fields<'_>) -> OutboxRule {
    let mut rule = OutboxRule::default();
    count(fields, "messages", &mut rule.messages);
    count(fields, "bytes", &mut rule.bytes);
    let SendOptions { ttl, when_full, .. } = sending(fields);
    OutboxRule { ttl, when_full: when_full.unwrap_or_default(), ..rule }
}

/// How a message is to be sent.
pub(super) fn of_sending(options: Option<String>) -> Result<SendOptions, Error> {
    let Some(options) = options.and_then(|options| Json::parse(&options)) else { return Ok(SendOptions::default()) };
    let mistake = Mistake::default();
    let options = sending(&mut Fields::of(&options, &mistake));
    mistake.result().map(|()| options)
}

fn sending(fields: &mut Fields<'_>) -> SendOptions {
    let mut options = SendOptions { ttl: time_of(fields, "ttl"), ..SendOptions::default() };
    if let Some(word) = fields.string("whenFull") {
        const RULES: [WhenFull; 4] = [WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait];
        options.when_full = RULES.into_iter().find(|rule| rule.as_str() == word);
        if options.when_full.is_none() {
            fields.wrong("whenFull", "must be error, drop-oldest, drop-newest or wait");
        }
    }
    fields.leave();
    options
}

fn resume(fields: &mut Fields<'_>, settings: &mut Settings, edge: &Edge) -> Option<Sequence<JsPayload>> {
    match fields.string("resume").map(String::as_str) {
        None => {}
        Some("none") => settings.resume = ResumeMode::None,
        Some("sequence-id") => settings.resume = ResumeMode::SequenceId,
        Some("full-buffer") => settings.resume = ResumeMode::FullBuffer,
        Some(_) => fields.wrong("resume", "must be none, sequence-id or full-buffer"),
    }
    if fields.enter("resumeFrom") {
        let last = fields.number("lastSequence", LARGEST);
        settings.resume_from = Some(ResumePoint::new(fields.string("session").map(String::as_str), last));
        fields.leave();
    }
    if edge.has("onResume") {
        let edge = Kept::new(edge);
        settings.on_resume = Some(OnResume::new(move |point| {
            let (edge, last) = (edge.value(), number(point.last_sequence));
            edge.unchecked_ref::<Edge>().resumption(point.session.as_deref(), last).map(Message::Text)
        }));
    }
    edge.has("sequence").then(|| {
        let edge = Kept::new(edge);
        Sequence::new(move |payload: &JsPayload| payload.number_by(edge.value().unchecked_ref()))
    })
}

/// A time that JavaScript gave; what is none is no time at all.
pub(super) fn millis(time: f64) -> Duration {
    Duration::from_millis(time as u64)
}

fn dialect(fields: &mut Fields<'_>) -> Result<Dialect, Error> {
    match fields.value("dialect") {
        None => Dialect::builtin_for::<JsPayload>("stream"),
        Some(Json::String(name)) => Dialect::builtin_for::<JsPayload>(name),
        Some(document) => Dialect::of_json_for::<JsPayload>(document),
    }
}

/// What `ask` tells of a user who is signed out.
const SIGNED_OUT: u32 = 2;

/// A token of the user's function.
async fn ask(edge: Rc<Edge>) -> Result<String, Error> {
    let bell = Bell::new();
    edge.ask(bell.as_js());
    let (failed, value) = poll_fn(|cx| bell.poll(cx)).await;
    match value.as_string() {
        _ if failed == SIGNED_OUT => {
            Err(thrown(ErrorKind::SignedOut, "the token function says that the user is signed out", Kept::new(&value)))
        }
        _ if failed != 0 => Err(thrown(ErrorKind::Token, "the token function failed", Kept::new(&value))),
        None => Err(Error::new(ErrorKind::Token, "the token function gave no string")),
        Some(token) => Ok(token),
    }
}
